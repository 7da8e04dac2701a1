//! The calls that have not ended.

use super::{CallData, From};
use crate::call::canon::Callee;
use std::sync::Arc;
use tidegate_core::runtime::TaskId;

/// Calls by the names of their tasks.
///
/// A call that has ended stays in its place until another gets its name: if that one is of the same function, which is likely, nothing is moved, and no
/// references are counted. There are never more places than there were tasks at a time, which the store's limits bound.
#[derive(Default)]
pub(crate) struct Calls {
    places: Vec<Place>,
}

#[derive(Default)]
struct Place {
    /// The task, while its call has not ended.
    task: Option<TaskId>,
    data: Option<CallData>,
}

impl Calls {
    fn place(&mut self, task: TaskId) -> &mut Place {
        let index = task.index();
        if self.places.len() <= index {
            self.places.resize_with(index + 1, Place::default);
        }
        &mut self.places[index]
    }

    /// The place of a call that has not ended.
    #[inline]
    fn live(&mut self, task: TaskId) -> Option<&mut Place> {
        let place = self.places.get_mut(task.index())?;
        (place.task == Some(task)).then_some(place)
    }

    /// A call begins.
    pub(crate) fn insert(&mut self, task: TaskId, data: CallData) {
        *self.place(task) = Place {
            task: Some(task),
            data: Some(data),
        };
    }

    /// A call of a function begins.
    #[inline]
    pub(crate) fn begin(&mut self, task: TaskId, callee: &Arc<Callee>, from: From) {
        let place = self.place(task);
        place.task = Some(task);
        match &mut place.data {
            Some(data) if Arc::ptr_eq(&data.callee, callee) => data.from = from,
            data => {
                *data = Some(CallData {
                    callee: callee.clone(),
                    from,
                })
            }
        }
    }

    /// A call has ended, and nobody looks at what it leaves.
    #[inline]
    pub(crate) fn end(&mut self, task: TaskId) {
        if let Some(place) = self.live(task) {
            place.task = None;
            if let Some(data) = &mut place.data {
                data.from = From::Nobody;
            }
        }
    }

    /// A call has ended; gives it.
    pub(crate) fn remove(&mut self, task: TaskId) -> Option<CallData> {
        let place = self.live(task)?;
        place.task = None;
        place.data.take()
    }

    #[inline]
    pub(crate) fn get(&self, task: TaskId) -> Option<&CallData> {
        let place = self.places.get(task.index())?;
        place.data.as_ref().filter(|_| place.task == Some(task))
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, task: TaskId) -> Option<&mut CallData> {
        self.live(task)?.data.as_mut()
    }
}
