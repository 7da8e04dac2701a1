//! The stacks that wait to be resumed, by thread and by isolate.

use super::Parked;
use super::id_map::IdMap;
use super::park::Waiter;
use tidegate_core::runtime::ThreadId;

/// The parked stacks of a store. Of several threads on one stack the one on top is known.
#[derive(Default)]
pub(crate) struct ParkedStacks {
    by_thread: IdMap<ThreadId, Place>,
    /// The threads whose stacks are parked, for each isolate.
    by_isolate: Vec<Vec<ThreadId>>,
}

struct Place {
    parked: Box<Parked>,
    /// Where its thread is among those of its isolate.
    position: usize,
}

impl ParkedStacks {
    /// Keeps a stack that has parked.
    pub(crate) fn insert(&mut self, thread: ThreadId, parked: Box<Parked>) {
        drop(self.remove(thread));
        let isolate = parked.running.isolate;
        if self.by_isolate.len() <= isolate {
            self.by_isolate.resize_with(isolate + 1, Vec::new);
        }
        let threads = &mut self.by_isolate[isolate];
        let position = threads.len();
        threads.push(thread);
        self.by_thread.insert(thread, Place { parked, position });
    }

    pub(crate) fn get(&self, thread: ThreadId) -> Option<&Parked> {
        self.by_thread.get(thread).map(|place| &*place.parked)
    }

    pub(crate) fn contains(&self, thread: ThreadId) -> bool {
        self.by_thread.contains(thread)
    }

    /// What waits as a thread whose stack is parked, also below another one.
    pub(crate) fn waiter(&self, thread: ThreadId) -> Option<Waiter> {
        match self.get(thread) {
            Some(parked) => Some(parked.waiter()),
            None => self.waiter_below(thread),
        }
    }

    #[cold]
    fn waiter_below(&self, thread: ThreadId) -> Option<Waiter> {
        // Where threads share a stack there is but one in the isolate.
        let mut tops = self.by_isolate.iter().filter_map(|threads| threads.last());
        tops.find_map(|&top| self.get(top)?.waiter_below(thread))
    }

    /// Takes a stack out, to be resumed or dropped.
    pub(crate) fn remove(&mut self, thread: ThreadId) -> Option<Box<Parked>> {
        let Place { parked, position } = self.by_thread.remove(thread)?;
        // Kept with the stack.
        let threads = &mut self.by_isolate[parked.running.isolate];
        threads.swap_remove(position);
        if let Some(&moved) = threads.get(position)
            && let Some(place) = self.by_thread.get_mut(moved)
        {
            place.position = position;
        }
        Some(parked)
    }

    /// A thread whose stack is parked in an isolate, if there is one.
    pub(crate) fn in_isolate(&self, isolate: usize) -> Option<ThreadId> {
        self.by_isolate.get(isolate)?.last().copied()
    }
}
