//! What a call of a host function leaves behind for the next one of the same function: the place of its future, and what makes one.

use std::any::Any;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells host functions apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FunctionId(u64);

impl FunctionId {
    /// A number that no other function has.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// How many functions can have left something: those that come to the same place take turns.
const PLACES: u64 = 64;

/// What calls have left behind, at most one of each function.
#[derive(Default)]
pub(crate) struct Spares(Vec<Option<Spare>>);

struct Spare {
    function: FunctionId,
    /// An `Option<Pin<Box<S>>>`, so that taking it and putting it back allocates nothing.
    left: Box<dyn Any + Send>,
}

impl Spares {
    /// Takes what an earlier call of the function has left, if it left an `S`.
    #[inline]
    pub(crate) fn take<S: Send + 'static>(&mut self, function: FunctionId) -> Option<Pin<Box<S>>> {
        let spare = self.0.get_mut(place(function))?.as_mut()?;
        if spare.function != function {
            return None;
        }
        spare.left.downcast_mut::<Option<Pin<Box<S>>>>()?.take()
    }

    /// Leaves something for the next call of the function.
    #[inline]
    pub(crate) fn put<S: Send + 'static>(&mut self, function: FunctionId, left: Pin<Box<S>>) {
        if let Some(Some(spare)) = self.0.get_mut(place(function))
            && spare.function == function
            && let Some(place) = spare.left.downcast_mut::<Option<Pin<Box<S>>>>()
        {
            *place = Some(left);
            return;
        }
        self.put_first(function, Box::new(Some(left)));
    }

    #[cold]
    fn put_first(&mut self, function: FunctionId, left: Box<dyn Any + Send>) {
        if self.0.is_empty() {
            self.0.resize_with(PLACES as usize, || None);
        }
        self.0[place(function)] = Some(Spare { function, left });
    }
}

fn place(function: FunctionId) -> usize {
    (function.0 % PLACES) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_function_gets_what_was_left() {
        let mut spares = Spares::default();
        let (one, other) = (FunctionId(3), FunctionId(3 + PLACES));
        assert_eq!(spares.take::<u32>(one), None);
        spares.put(one, Box::pin(1_u32));
        assert_eq!(spares.take::<u32>(other), None);
        assert_eq!(spares.take::<u64>(one), None);
        assert_eq!(spares.take::<u32>(one), Some(Box::pin(1)));
        assert_eq!(spares.take::<u32>(one), None);
        spares.put(one, Box::pin(2_u32));
        // They share a place.
        spares.put(other, Box::pin(3_u32));
        assert_eq!(spares.take::<u32>(one), None);
        assert_eq!(spares.take::<u32>(other), Some(Box::pin(3)));
    }
}
