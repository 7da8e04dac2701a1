//! Two instances that call each other's functions and share streams.

use tidegate_core::runtime::*;
use tidegate_core::trap::Trap;
use tidegate_core::types::{Types, ValType};

pub struct Pair {
    pub state: State,
    pub a: InstanceId,
    pub b: InstanceId,
    pub bytes: PayloadId,
}

impl Pair {
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> Self {
        let mut state = State::with_limits(limits, Rules::default());
        let (a, b) = (state.add_instance(None), state.add_instance(None));
        let bytes = state.payload(&Types::default(), &[], Some(ValType::U8));
        Self { state, a, b, bytes }
    }

    /// The host calls a function; its thread is the current one if it started.
    pub fn host_call(&mut self, callee: InstanceId, lift: Lift, number: u64) -> Called {
        let from = Err(number);
        let spec = CallSpec { callee, lift, from };
        self.state.call(spec, &mut Fair).unwrap()
    }

    /// The host calls a function, whose thread is the current one then.
    pub fn enter(&mut self, callee: InstanceId, lift: Lift) {
        assert!(self.host_call(callee, lift, 0).started);
    }

    /// The current thread of `caller` calls a function.
    pub fn call(&mut self, caller: InstanceId, callee: InstanceId, lift: Lift) -> Called {
        let from = Ok(caller);
        let spec = CallSpec { callee, lift, from };
        self.state.call(spec, &mut Fair).unwrap()
    }

    /// The asynchronous call comes back to its caller: the subtask's state and index.
    pub fn returned(&mut self, called: Called) -> (u32, u32) {
        match self
            .state
            .lower_returned(called.subtask.unwrap(), true, &mut Fair)
            .unwrap()
        {
            LowerStep::Return(packed) => (packed & 0xf, packed >> 4),
            LowerStep::Block => panic!("asynchronous calls do not block"),
        }
    }

    /// The current task returns its (empty) result.
    pub fn task_return(&mut self) {
        let instance = self.state.task_instance(self.state.current_task().unwrap());
        let task = self.state.task_return(instance, true, true).unwrap();
        self.state.begin_return(task).unwrap();
        self.state.finish_return(task);
    }

    /// A callback gives `YIELD`.
    pub fn yields(&mut self) -> CallbackStep {
        self.state.callback_returned(1, &mut Fair).unwrap()
    }

    /// A callback gives `WAIT` for a set.
    pub fn waits(&mut self, set: u32) -> CallbackStep {
        self.state
            .callback_returned(2 | set << 4, &mut Fair)
            .unwrap()
    }

    /// A callback gives `EXIT`.
    pub fn exits(&mut self) {
        let step = self.state.callback_returned(0, &mut Fair).unwrap();
        assert_eq!(step, CallbackStep::Exit);
    }

    pub fn tick(&mut self) -> Resumed {
        self.state.tick(&mut Fair).expect("some thread is ready")
    }

    /// A stream between the instances: A writes, B reads.
    pub fn stream(&mut self) -> (u32, u32) {
        let ends = self.state.stream_new(self.a, self.bytes).unwrap();
        let (readable, writable) = (ends as u32, (ends >> 32) as u32);
        (self.give_stream(readable), writable)
    }

    /// A future between the instances: A writes, B reads.
    pub fn future(&mut self) -> (u32, u32) {
        let ends = self.state.future_new(self.a, self.bytes).unwrap();
        let shared = self
            .state
            .lift_readable(self.a, SharedKind::Future, self.bytes, ends as u32)
            .unwrap();
        let readable = self.state.lower_readable(self.b, shared).unwrap();
        (readable, (ends >> 32) as u32)
    }

    fn give_stream(&mut self, readable: u32) -> u32 {
        let shared = self
            .state
            .lift_readable(self.a, SharedKind::Stream, self.bytes, readable)
            .unwrap();
        self.state.lower_readable(self.b, shared).unwrap()
    }

    pub fn read(&mut self, index: u32, length: u64) -> Result<u32, Trap> {
        let (instance, payload) = (self.b, self.bytes);
        let step = self
            .state
            .stream_read(instance, payload, true, index, buffer(length))?;
        self.finish(step)
    }

    pub fn write(&mut self, index: u32, length: u64) -> Result<u32, Trap> {
        let (instance, payload) = (self.a, self.bytes);
        let step = self
            .state
            .stream_write(instance, payload, true, index, buffer(length))?;
        self.finish(step)
    }

    pub fn finish(&mut self, step: CopyStep) -> Result<u32, Trap> {
        match step {
            CopyStep::Return(value) => Ok(value),
            CopyStep::Copy(copy) => {
                let bytes = copy.count.into();
                let step = self.state.finish_copy(copy, bytes)?;
                self.finish(step)
            }
            other => panic!("an asynchronous copy between guests does not {other:?}"),
        }
    }

    /// A new set of an instance, with these waitables.
    pub fn set(&mut self, instance: InstanceId, waitables: &[u32]) -> u32 {
        let set = self.state.waitable_set_new(instance).unwrap();
        for &waitable in waitables {
            self.state.waitable_join(instance, waitable, set).unwrap();
        }
        set
    }
}

pub fn buffer(length: u64) -> GuestBuffer {
    GuestBuffer {
        pointer: 0,
        length,
        item_size: 1,
        align: 1,
        memory: 1 << 16,
        options: 0,
    }
}

pub const BLOCKED: u32 = canon::BLOCKED;

/// What a stream operation that completed gives.
pub fn completed(items: u32) -> u32 {
    CopyResult::Completed as u32 | items << 4
}

pub fn dropped(items: u32) -> u32 {
    CopyResult::Dropped as u32 | items << 4
}

pub fn cancelled(items: u32) -> u32 {
    CopyResult::Cancelled as u32 | items << 4
}
