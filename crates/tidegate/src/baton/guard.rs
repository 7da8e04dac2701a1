//! Calls whose futures may be dropped midway.

use super::{Baton, Home, Level};
use crate::concurrent::{cancel_dropped, end_entered};
use crate::interrupt::Scope;

/// The place that a call took the baton from, to which it returns even if the call's future is dropped midway.
pub(crate) struct HomeGuard<'a> {
    place: &'a mut Baton,
    home: Home,
    level: Level,
    /// The call by the host that nobody waits for if this is dropped meanwhile.
    call: Option<u64>,
    _scope: Scope,
}

impl<'a> HomeGuard<'a> {
    pub(crate) fn new(place: &'a mut Baton) -> Self {
        let scope = Scope::enter(place);
        Self::within(place, scope, None)
    }

    /// The same for a call that has been entered, by its number.
    pub(crate) fn for_call(place: &'a mut Baton, scope: Scope, number: u64) -> Self {
        Self::within(place, scope, Some(number))
    }

    fn within(place: &'a mut Baton, _scope: Scope, call: Option<u64>) -> Self {
        let home = place.home();
        let level = home.level();
        Self {
            place,
            home,
            level,
            call,
            _scope,
        }
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    pub(crate) fn take(&mut self) -> Baton {
        self.place.take()
    }

    pub(crate) fn put(&mut self, mut baton: Baton) {
        baton.at_rest = false;
        *self.place = baton;
    }
}

impl Drop for HomeGuard<'_> {
    fn drop(&mut self) {
        if self.place.is_away() {
            let mut baton = self.home.reclaim(self.level);
            if !baton.is_away() && !std::mem::take(&mut baton.at_rest) {
                // What ran went with the future that was dropped.
                end_entered(&mut baton);
            }
            if let Some(number) = self.call.filter(|_| !baton.is_away()) {
                cancel_dropped(&mut baton, number);
            }
            *self.place = baton;
        }
    }
}
