//! What is measured: a row for each kind of work.

// Before the modules, which use it.
/// The same subject on both runtimes, from the same bytes.
macro_rules! both {
    ($plans:ident, $group:expr, $name:expr, $wat:literal, $budget:expr, $limit:expr, $module:ident :: $subject:ident ( $($args:tt)* )) => {
        both!($plans, $group, $name, (wat::parse_str(include_str!(concat!("../../wat/", $wat, ".wat")))?), $budget, $limit,
            $module::$subject($($args)*))
    };
    // From any bytes.
    ($plans:ident, $group:expr, $name:expr, ($bytes:expr), $budget:expr, $limit:expr, $module:ident :: $subject:ident ( $($args:tt)* )) => {
        $plans.push(Plan {
            group: $group,
            name: $name.to_string(),
            budget: $budget,
            make: Box::new(move |only: Option<Which>| {
                let bytes = $bytes;
                Ok(Parts {
                    ours: match only {
                        Some(Which::Peer) => None,
                        _ => {
                            #[allow(unused_imports)]
                            use ours::$module::*;
                            Some(ours::$module::$subject(&bytes, $($args)*).map_err(told)?)
                        }
                    },
                    peer: match only {
                        Some(Which::Ours) => None,
                        _ => {
                            #[allow(unused_imports)]
                            use peer::$module::*;
                            Some(peer::$module::$subject(&bytes, $($args)*).map_err(told)?)
                        }
                    },
                    limit: match only {
                        Some(_) => None,
                        None => $limit,
                    },
                })
            }),
        });
    };
}

mod calls;
mod instances;
mod scale;
mod streams;

use crate::measure::Subject;
use crate::report::Budget;
use crate::{Which, wasi};
use anyhow::{Context, Result};

/// One kind of work.
pub struct Row {
    /// The heading it stands under.
    pub group: &'static str,
    /// What is done.
    pub name: String,
    /// On Tidegate.
    pub ours: Subject,
    /// On Wasmtime.
    pub peer: Subject,
    /// What no runtime could do better.
    pub limit: Option<Subject>,
    /// The most that it may cost, if there is a budget.
    pub budget: Option<Budget>,
}

/// A row that is made only if it is wanted.
pub struct Plan {
    /// The heading it stands under.
    pub group: &'static str,
    /// What is done.
    pub name: String,
    make: Box<dyn FnOnce(Option<Which>) -> Result<Parts>>,
    /// The most that it may cost.
    pub budget: Option<Budget>,
}

/// What is timed.
pub struct Parts {
    /// On Tidegate.
    pub ours: Option<Subject>,
    /// On Wasmtime.
    pub peer: Option<Subject>,
    /// What no runtime could do better.
    pub limit: Option<Subject>,
}

/// Where a row's figures come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Both runtimes are timed in this process, in turns.
    Turns,
    /// Each is timed in a process of its own, as its guests take much of what a process may have.
    Apart,
    /// Each runs once in a process of its own, and gives the figure as its checksum.
    Figure,
}

impl Plan {
    /// A row without a budget.
    pub fn new(
        group: &'static str,
        name: String,
        make: impl FnOnce(Option<Which>) -> Result<Parts> + 'static,
    ) -> Self {
        Self {
            group,
            name,
            make: Box::new(make),
            budget: None,
        }
    }

    /// Makes what is to be measured.
    ///
    /// # Errors
    /// A guest does not compile or link.
    pub fn make(self) -> Result<Row> {
        let parts = (self.make)(None)?;
        Ok(Row {
            group: self.group,
            name: self.name,
            ours: parts.ours.context("made for both")?,
            peer: parts.peer.context("made for both")?,
            limit: parts.limit,
            budget: self.budget,
        })
    }

    /// Makes what is to be measured on one runtime.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn make_one(self, which: Which) -> Result<Subject> {
        let parts = (self.make)(Some(which))?;
        let made = match which {
            Which::Ours => parts.ours,
            Which::Peer => parts.peer,
        };
        made.context("made for one")
    }

    /// Where its figures come from.
    pub fn source(&self) -> Source {
        match self.group {
            scale::MEMORY | scale::IDLE => Source::Figure,
            scale::SCALE => Source::Apart,
            _ => Source::Turns,
        }
    }
}

/// An error of either runtime, as one type.
pub fn told(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// All rows, in the order of the report; those of many guests have `most` at most.
pub fn all(most: usize) -> Vec<Plan> {
    let mut plans = Vec::new();
    calls::add(&mut plans);
    instances::add(&mut plans);
    streams::add(&mut plans);
    plans.extend(wasi::rows::all());
    scale::add(&mut plans, most);
    plans
}
