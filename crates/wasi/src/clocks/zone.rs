//! Time zones of the IANA database, as this host has it.

use std::path::{Component, Path};

use super::{LocalTime, TimeZone};

/// Where systems keep the database.
const DATABASE: [&str; 3] = [
    "/usr/share/zoneinfo",
    "/share/zoneinfo",
    "/usr/lib/zoneinfo",
];

/// Where a system says which zone is its own.
const LOCAL: &str = "/etc/localtime";

/// A time zone by its name or rule.
///
/// Its transitions are read once, when it is made, from the database of the host's system.
#[derive(Debug, Clone)]
pub struct Zone {
    zone: tz::TimeZone,
    iana_id: Option<String>,
}

/// A time zone that this host does not know.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown time zone {name:?}: expected a name that is in this host's database, such as Europe/Berlin, or a rule, such as CET-1CEST,M3.5.0,M10.5.0/3"
)]
pub struct UnknownZone {
    name: String,
    #[source]
    source: Option<tz::Error>,
}

impl Zone {
    /// The zone of this name in the IANA Time Zone Database, or with this rule, as the variable `TZ` has it.
    ///
    /// # Errors
    /// [`UnknownZone`].
    pub fn new(name: &str) -> Result<Self, UnknownZone> {
        let unknown = |source| UnknownZone {
            name: name.to_owned(),
            source,
        };
        // A name is that of a file below the database, and not the way to any other.
        let below = Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !below {
            return Err(unknown(None));
        }
        for folder in DATABASE {
            if let Ok(bytes) = std::fs::read(Path::new(folder).join(name)) {
                let zone =
                    tz::TimeZone::from_tz_data(&bytes).map_err(|e| unknown(Some(e.into())))?;
                return Ok(Self {
                    zone,
                    iana_id: Some(name.to_owned()),
                });
            }
        }
        let rules = tz::timezone::TimeZoneSettings::new(&[], |_| Err("no file is a rule".into()));
        let zone = rules.parse_posix_tz(name).map_err(|e| unknown(Some(e)))?;
        Ok(Self {
            zone,
            iana_id: None,
        })
    }

    /// The zone of this host: what its variable `TZ` says, else that of its system, else Coordinated Universal Time.
    ///
    /// # Errors
    /// [`UnknownZone`] for a value of `TZ`, or a zone of the system, that cannot be read.
    pub fn host() -> Result<Self, UnknownZone> {
        if let Ok(name) = std::env::var("TZ") {
            let name = name.strip_prefix(':').unwrap_or(&name);
            return match name {
                "" => Self::new("UTC0"),
                name => Self::new(name),
            };
        }
        let Ok(bytes) = std::fs::read(LOCAL) else {
            return Self::new("UTC0");
        };
        let zone = tz::TimeZone::from_tz_data(&bytes).map_err(|error| UnknownZone {
            name: LOCAL.to_owned(),
            source: Some(error.into()),
        })?;
        // Usually a link into the database.
        let iana_id = std::fs::read_link(LOCAL).ok().and_then(|path| {
            let path = path.to_str()?;
            let (_, name) = path.split_once("zoneinfo/")?;
            Some(name.to_owned())
        });
        Ok(Self { zone, iana_id })
    }

    /// What holds where the database ends: what its last transition made hold.
    fn last(&self) -> Option<&tz::LocalTimeType> {
        let zone = self.zone.as_ref();
        let index = zone
            .transitions()
            .last()
            .map_or(0, |transition| transition.local_time_type_index());
        zone.local_time_types().get(index)
    }
}

impl TimeZone for Zone {
    fn at(&self, seconds: u64) -> LocalTime {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let found = self.zone.find_local_time_type(seconds).ok();
        match found.or_else(|| self.last()) {
            Some(local) => LocalTime {
                utc_offset: local.ut_offset(),
                name: local.time_zone_designation().to_owned(),
                daylight_saving: local.is_dst(),
            },
            // A zone without a single type of time is refused by whoever reads it.
            None => super::Utc.at(0),
        }
    }

    fn iana_id(&self) -> Option<String> {
        self.iana_id.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon of the first of January and of July 2024, in UTC.
    const WINTER: u64 = 1_704_110_400;
    const SUMMER: u64 = 1_719_835_200;

    fn time(utc_offset: i32, name: &str, daylight_saving: bool) -> LocalTime {
        LocalTime {
            utc_offset,
            name: name.to_owned(),
            daylight_saving,
        }
    }

    #[test]
    fn a_rule_has_two_times() {
        let zone = Zone::new("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(zone.at(WINTER), time(3600, "CET", false));
        assert_eq!(zone.at(SUMMER), time(7200, "CEST", true));
        assert_eq!(zone.iana_id(), None);
        assert_eq!(Zone::new("UTC0").unwrap().at(SUMMER), time(0, "UTC", false));
    }

    #[test]
    fn a_name_is_looked_up_where_there_is_a_database() {
        if !DATABASE.iter().any(|folder| Path::new(folder).exists()) {
            return;
        }
        let zone = Zone::new("Europe/Berlin").unwrap();
        assert_eq!(zone.at(WINTER), time(3600, "CET", false));
        assert_eq!(zone.at(SUMMER), time(7200, "CEST", true));
        assert_eq!(zone.iana_id().as_deref(), Some("Europe/Berlin"));
        let zone = Zone::new("Asia/Kolkata").unwrap();
        assert_eq!(zone.at(SUMMER), time(19_800, "IST", false));
        // Times that no calendar has do not end the host.
        zone.at(u64::MAX);
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for name in [
            "",
            "Europe/Atlantis",
            "../../etc/passwd",
            "/etc/localtime",
            "Europe",
            "a\0b",
        ] {
            let error = Zone::new(name).unwrap_err();
            assert!(error.to_string().contains("Europe/Berlin"), "{error}");
        }
    }
}
