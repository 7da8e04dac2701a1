//! The state of running component instances: what the specification's `Store` and `ComponentInstance` hold, without engine or I/O.

mod handle_table;
mod instance;
mod resource;

pub use handle_table::{Handle, HandleTable};
pub use instance::Instance;
pub use resource::{Lends, ResourceHandle, ResourceType};

use crate::trap::Trap;

/// A component instance of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub u32);

/// The host, as far as it holds handles: the first instance of every store. It is never entered, and no instance's parent.
pub const HOST: InstanceId = InstanceId(0);

/// A task of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u32);

/// The state of all component instances of one store.
#[derive(Debug)]
pub struct State {
    instances: Vec<Instance>,
    resource_types: Vec<resource::Definition>,
    tasks: Vec<Task>,
    free_tasks: Vec<TaskId>,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// A call into an instance.
#[derive(Debug, Default)]
struct Task {
    num_borrows: u32,
}

impl State {
    /// A state without component instances: only the host's table.
    pub fn new() -> Self {
        Self {
            instances: vec![Instance::new(None)],
            resource_types: Vec::new(),
            tasks: Vec::new(),
            free_tasks: Vec::new(),
        }
    }

    /// Adds an instance, child of `parent`.
    pub fn add_instance(&mut self, parent: Option<InstanceId>) -> InstanceId {
        let id = InstanceId(self.instances.len() as u32);
        self.instances.push(Instance::new(parent));
        id
    }

    /// An instance's state.
    pub fn instance(&self, id: InstanceId) -> &Instance {
        &self.instances[id.0 as usize]
    }

    /// An instance's state.
    pub fn instance_mut(&mut self, id: InstanceId) -> &mut Instance {
        &mut self.instances[id.0 as usize]
    }

    /// Makes a task, which counts the borrows lent to one call.
    pub fn add_task(&mut self) -> TaskId {
        self.free_tasks.pop().unwrap_or_else(|| {
            self.tasks.push(Task::default());
            TaskId(self.tasks.len() as u32 - 1)
        })
    }

    /// Ends a task without looking at its borrows, as when it trapped.
    pub fn remove_task(&mut self, id: TaskId) {
        self.tasks[id.0 as usize] = Task::default();
        self.free_tasks.push(id);
    }

    /// Checks that a task has given back what it borrowed: the specification's condition for returning.
    ///
    /// # Errors
    /// [`Trap::BorrowsRemain`].
    pub fn check_borrows(&self, id: TaskId) -> Result<(), Trap> {
        match self.tasks[id.0 as usize].num_borrows {
            0 => Ok(()),
            count => Err(Trap::BorrowsRemain { count }),
        }
    }
}
