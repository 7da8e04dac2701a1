//! A driver without an engine, whose guests do what a recording says.

use crate::trace::{End, Recorded, Shared, Trace};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use tidegate_core::runtime::canon::BLOCKED;
use tidegate_core::runtime::{
    Action, AtOnce, CallSpec, CallbackStep, Caller, CancelStep, CopyStep, Event, GuestBuffer,
    Handle, InstanceId, Lends, Lift, Limits, LowerStep, PayloadId, ResourceType, Rules, SharedKind,
    Side, State, StreamEnds, SubtaskCancelStep, SyncStep, TaskId, TaskState, ThreadId, ThreadStep,
    WaitStep, WaitableId, WaitingFor,
};
use tidegate_core::trap::Trap;
use tidegate_core::types::{Types, ValType};

const MEMORY: usize = 64;
const EVENT_AT: usize = 56;

/// What a built-in did.
enum Did {
    Return(Vec<u64>),
    Block,
    Switch(ThreadId, Action),
}

/// What the driver knows of a call.
struct Call {
    host: Option<u64>,
    from: Option<(InstanceId, Option<WaitableId>)>,
    param: String,
    arg: u32,
    lends: Lends,
}

struct World {
    state: State,
    trace: Shared,
    chooser: Recorded,
    instances: [InstanceId; 2],
    memory: [[u8; MEMORY]; 2],
    calls: HashMap<TaskId, Call>,
    explicit: HashMap<ThreadId, bool>,
    serial: u64,
    resource: ResourceType,
    payload: PayloadId,
    fill: u8,
}

pub fn replay(text: &str) -> Result<(), String> {
    let trace = Rc::new(RefCell::new(Trace::new(text)));
    // What the text says, where the conformance tests say something else.
    let mut rules = Rules::default();
    rules.donut_wrapping = true;
    rules.hopeful_sync_calls = true;
    rules.callbacks_during_sync_calls = true;
    rules.completed_despite_cancel = true;
    let mut state = State::with_limits(Limits::default(), rules);
    let instances = [state.add_instance(None), state.add_instance(None)];
    let resource = state.add_resource_type(None);
    let payload = state.payload(&Types::default(), &[], Some(ValType::U8));
    for instance in instances {
        state.lower_own(instance, resource, 42).unwrap();
    }
    let mut world = World {
        state,
        chooser: Recorded(trace.clone()),
        trace,
        instances,
        memory: [[0; MEMORY]; 2],
        calls: HashMap::new(),
        explicit: HashMap::new(),
        serial: 0,
        resource,
        payload,
        fill: 1,
    };
    match world.host() {
        Ok(()) | Err(End::Over) => Ok(()),
        Err(End::Differs(error)) => Err(error),
    }
}

impl World {
    fn expect(&self, words: &[&str], numbers: &[u64]) -> Result<(), End> {
        self.trace.borrow_mut().expect(words, numbers)
    }

    fn check<T>(&self, result: Result<T, Trap>) -> Result<T, End> {
        result.or_else(|trap| self.trace.borrow_mut().trapped(trap))
    }

    fn serial_of(&self, thread: ThreadId) -> u64 {
        self.trace.borrow().serials[&thread]
    }

    fn new_serial(&mut self, thread: ThreadId, explicit: bool) {
        self.explicit.insert(thread, explicit);
        let mut trace = self.trace.borrow_mut();
        trace.serials.insert(thread, self.serial);
        self.serial += 1;
    }

    /// Choices of events name waitables by their handles.
    fn note_indices(&mut self) {
        let mut trace = self.trace.borrow_mut();
        trace.indices.clear();
        for instance in self.instances {
            for (index, handle) in self.state.instance(instance).handles.iter() {
                if let Handle::Subtask(id)
                | Handle::ReadableStream(id)
                | Handle::WritableStream(id)
                | Handle::ReadableFuture(id)
                | Handle::WritableFuture(id) = handle
                {
                    trace.indices.insert(*id, index.into());
                }
            }
        }
    }

    fn position(&self, name: &str) -> usize {
        usize::from(name == "B")
    }

    fn host(&mut self) -> Result<(), End> {
        loop {
            let line = self.trace.borrow_mut().next()?;
            let words: Vec<&str> = line.iter().map(String::as_str).collect();
            self.note_indices();
            self.check_readiness()?;
            match words.as_slice() {
                ["host", "tick"] => {
                    if let Some(resumed) = self.state.tick(&mut self.chooser) {
                        self.drive(resumed.thread, resumed.action)?;
                    }
                }
                ["host", "call", number, instance, lift] => {
                    let callee = self.instances[self.position(instance)];
                    let call = Call {
                        host: number.parse().ok(),
                        from: None,
                        param: "none".into(),
                        arg: 0,
                        lends: Lends::default(),
                    };
                    self.call(callee, lift_of(lift), call)?;
                }
                ["host", "cancel", number] => self.host_cancel(number.parse().unwrap())?,
                ["handles", instance, expected @ ..] => {
                    let instance = self.instances[self.position(instance)];
                    let handles = self.state.instance(instance).handles.iter();
                    let actual: Vec<String> = handles
                        .map(|(index, handle)| format!("{index}:{}", short(handle)))
                        .collect();
                    self.same("handles", &actual, expected)?;
                }
                ["threads", instance, expected @ ..] => {
                    let instance = self.instances[self.position(instance)];
                    let threads = self.state.instance(instance).threads().iter();
                    let actual: Vec<String> = threads
                        .map(|(index, &thread)| format!("{index}:{}", self.serial_of(thread)))
                        .collect();
                    self.same("threads", &actual, expected)?;
                }
                ["memory", instance, expected @ ..] => {
                    let memory = self.memory[self.position(instance)];
                    let actual: String = memory.iter().map(|byte| format!("{byte:02x}")).collect();
                    self.same("memory", &[actual], expected)?;
                }
                _ => return self.trace.borrow().differs("here the host acts"),
            }
        }
    }

    /// What a fair driver asks must agree with a look at every thread.
    fn check_readiness(&mut self) -> Result<(), End> {
        let waiting = self.state.deadlock().waiting;
        let ready = waiting.iter().any(|one| one.what == WaitingFor::Ready);
        if self.state.has_ready() != ready {
            let what = format!("the ready threads are not known: {waiting:?}");
            return self.trace.borrow().differs(what);
        }
        Ok(())
    }

    fn same(&self, what: &str, actual: &[String], expected: &[&str]) -> Result<(), End> {
        if actual != expected {
            let what = format!("{what} are {}", actual.join(" "));
            return self.trace.borrow().differs(what);
        }
        Ok(())
    }

    fn host_cancel(&mut self, number: u64) -> Result<(), End> {
        let task = *self
            .calls
            .iter()
            .find(|(_, call)| call.host == Some(number))
            .expect("the host cancels only calls that are open")
            .0;
        let starting = self.state.task_state(task) == TaskState::Initial;
        match self
            .state
            .request_cancellation(task, None, &mut self.chooser)
        {
            Some(resumed) => self.drive(resumed.thread, resumed.action),
            None if starting => {
                self.calls.remove(&task);
                self.expect(&["resolved"], &[number, 0])
            }
            None => Ok(()),
        }
    }

    /// Calls a function and runs it as far as it goes; gives the subtask of an `async`-typed one.
    fn call(
        &mut self,
        callee: InstanceId,
        lift: Lift,
        mut call: Call,
    ) -> Result<Option<WaitableId>, End> {
        let from = call.from.as_ref().map(|&(instance, _)| instance);
        if lift == Lift::Sync {
            if let Some(from) = from {
                self.check(self.state.check_may_leave(from))?;
            }
            let began = self.state.begin_sync_call(callee, from);
            let task = self.check(began)?;
            let thread = self.state.current_thread().expect("it has just begun");
            self.new_serial(thread, false);
            self.calls.insert(task, call);
            self.drive(thread, Action::StartTask)?;
            loop {
                let step = self.state.sync_next(task, &mut self.chooser);
                match self.check(step)? {
                    SyncStep::Resolved => break,
                    SyncStep::Run(resumed) => self.drive(resumed.thread, resumed.action)?,
                }
            }
            if let (Some(mut call), Some(from)) = (self.calls.remove(&task), from) {
                self.state.give_back(from, &mut call.lends);
            }
            return Ok(None);
        }
        let spec = CallSpec {
            callee,
            lift,
            from: from.ok_or(call.host.unwrap_or_default()),
        };
        let began = self.state.call(spec, &mut self.chooser);
        let called = self.check(began)?;
        self.new_serial(called.thread, false);
        call.from = from.map(|from| (from, called.subtask));
        self.calls.insert(called.task, call);
        if called.started {
            self.drive(called.thread, Action::StartTask)?;
        }
        Ok(called.subtask)
    }

    /// Runs a thread until it blocks or exits.
    fn drive(&mut self, mut thread: ThreadId, mut action: Action) -> Result<(), End> {
        'action: loop {
            let serial = self.serial_of(thread);
            match action {
                Action::StartTask => self.start_task(thread)?,
                Action::StartThread => self.expect(&["run"], &[serial, 7])?,
                Action::Callback(event) => {
                    let Event {
                        code,
                        index,
                        payload,
                    } = event;
                    self.expect(
                        &["cb"],
                        &[serial, code as u64, index.into(), payload.into()],
                    )?;
                }
                Action::Return(value) => self.expect(&["ret"], &[serial, value.into()])?,
                Action::Event(event) => {
                    self.store_event(thread, event);
                    self.expect(&["ret"], &[serial, event.code as u64])?;
                }
                Action::Returned(_) | Action::HostReturned => self.expect(&["ret"], &[serial])?,
                Action::Trap(trap) => return self.trace.borrow_mut().trapped(trap),
            }
            loop {
                self.note_indices();
                let line = self.trace.borrow_mut().next()?;
                let me = line.get(1).and_then(|word| word.parse().ok());
                if me != Some(serial) {
                    let what = format!("here thread {serial} runs");
                    return self.trace.borrow().differs(what);
                }
                match line[0].as_str() {
                    "op" => {
                        let args: Vec<&str> = line[3..].iter().map(String::as_str).collect();
                        match self.op(thread, &line[2], &args)? {
                            Did::Return(values) => {
                                let mut numbers = vec![serial];
                                numbers.extend(values);
                                self.expect(&["ret"], &numbers)?;
                            }
                            Did::Block => return Ok(()),
                            Did::Switch(other, first) => {
                                thread = other;
                                action = first;
                                continue 'action;
                            }
                        }
                    }
                    "end" => {
                        let packed = line.get(2).map_or(0, |word| word.parse().unwrap());
                        match self.end(thread, packed)? {
                            Some(event) => {
                                action = Action::Callback(event);
                                continue 'action;
                            }
                            None => return Ok(()),
                        }
                    }
                    _ => {
                        let what = format!("here thread {serial} runs");
                        return self.trace.borrow().differs(what);
                    }
                }
            }
        }
    }

    fn start_task(&mut self, thread: ThreadId) -> Result<(), End> {
        let task = self.state.thread_task(thread);
        let callee = self.state.task_instance(task);
        let mut numbers = vec![self.serial_of(thread)];
        let call = &mut self.calls.get_mut(&task).expect("every call is noted");
        let (arg, payload) = (call.arg, self.payload);
        if let Some((caller, subtask)) = call.from {
            let mut lends = Lends::default();
            let state = &mut self.state;
            let lowered = match call.param.as_str() {
                "stream" => state
                    .lift_readable(caller, SharedKind::Stream, payload, arg)
                    .and_then(|shared| state.lower_readable(callee, shared))
                    .map(Some),
                "future" => state
                    .lift_readable(caller, SharedKind::Future, payload, arg)
                    .and_then(|shared| state.lower_readable(callee, shared))
                    .map(Some),
                "borrow" => state
                    .lift_borrow(caller, self.resource, arg, &mut lends)
                    .and_then(|rep| state.lower_borrow(callee, self.resource, rep, task))
                    .map(Some),
                _ => Ok(None),
            };
            match subtask {
                Some(subtask) => state.lend(subtask, lends),
                None => call.lends = lends,
            }
            numbers.extend(self.check(lowered)?.map(u64::from));
        }
        self.expect(&["start"], &numbers)
    }

    /// The core code of a thread has returned; gives the event that its callback is to be called with next.
    fn end(&mut self, thread: ThreadId, packed: u32) -> Result<Option<Event>, End> {
        let task = self.state.thread_task(thread);
        if self.explicit[&thread] {
            let exited = self.state.exit_thread();
            self.check(exited)?;
            return Ok(None);
        }
        match self.state.task_lift(task) {
            Lift::Sync => {
                self.resolve(task)?;
                let ended = self.state.end_sync_call(task);
                self.check(ended)?;
            }
            Lift::Blocking => {
                self.resolve(task)?;
                let exited = self.state.exit_thread();
                self.check(exited)?;
            }
            Lift::Stackful => {
                let exited = self.state.exit_thread();
                self.check(exited)?;
            }
            Lift::Callback => {
                let step = self.state.callback_returned(packed, &mut self.chooser);
                if let CallbackStep::Call(event) = self.check(step)? {
                    return Ok(Some(event));
                }
            }
        }
        Ok(None)
    }

    fn resolve(&mut self, task: TaskId) -> Result<(), End> {
        self.check(self.state.begin_return(task))?;
        self.state.finish_return(task);
        self.resolved(task, 1)
    }

    fn resolved(&mut self, task: TaskId, returned: u64) -> Result<(), End> {
        match self.calls.get_mut(&task).and_then(|call| call.host.take()) {
            Some(number) => self.expect(&["resolved"], &[number, returned]),
            None => Ok(()),
        }
    }

    fn store_event(&mut self, thread: ThreadId, event: Event) {
        let instance = self.state.task_instance(self.state.thread_task(thread));
        let memory = &mut self.memory[instance.0 as usize - 1];
        memory[EVENT_AT..EVENT_AT + 4].copy_from_slice(&event.index.to_le_bytes());
        memory[EVENT_AT + 4..EVENT_AT + 8].copy_from_slice(&event.payload.to_le_bytes());
    }

    fn op(&mut self, thread: ThreadId, name: &str, args: &[&str]) -> Result<Did, End> {
        let task = self.state.thread_task(thread);
        let instance = self.state.task_instance(task);
        if name == "call" {
            return self.op_call(instance, args);
        }
        let n: Vec<u32> = args.iter().map(|arg| arg.parse().unwrap()).collect();
        let payload = self.payload;
        let did = match name {
            "waitable_set_new" => self.state.waitable_set_new(instance).map(one),
            "waitable_set_wait" => {
                let step =
                    self.state
                        .waitable_set_wait(instance, n[0] != 0, n[1], &mut self.chooser);
                match self.check(step)? {
                    WaitStep::Block => Ok(Did::Block),
                    WaitStep::Return(event) => {
                        self.store_event(thread, event);
                        Ok(one(event.code as u32))
                    }
                }
            }
            "waitable_set_poll" => {
                let event =
                    self.state
                        .waitable_set_poll(instance, n[0] != 0, n[1], &mut self.chooser);
                let event = self.check(event)?;
                self.store_event(thread, event);
                Ok(one(event.code as u32))
            }
            "waitable_set_drop" => self.state.waitable_set_drop(instance, n[0]).map(none),
            "waitable_join" => self.state.waitable_join(instance, n[0], n[1]).map(none),
            "stream_new" => self.state.stream_new(instance, payload).map(long),
            "future_new" => self.state.future_new(instance, payload).map(long),
            "stream_read" => {
                let ends = StreamEnds {
                    instance,
                    payload,
                    side: Side::Readable,
                };
                self.stream_copy(ends, n[0] != 0, n[1], buffer(n[2], n[3]))
            }
            "stream_write" => {
                self.fill(instance, n[2], n[3]);
                let ends = StreamEnds {
                    instance,
                    payload,
                    side: Side::Writable,
                };
                self.stream_copy(ends, n[0] != 0, n[1], buffer(n[2], n[3]))
            }
            "future_read" => {
                let buffer = buffer(n[2], 1);
                let step = self
                    .state
                    .future_read(instance, payload, n[0] != 0, n[1], buffer);
                self.copied(step)
            }
            "future_write" => {
                self.fill(instance, n[2], 1);
                let buffer = buffer(n[2], 1);
                let step = self
                    .state
                    .future_write(instance, payload, n[0] != 0, n[1], buffer);
                self.copied(step)
            }
            "stream_cancel_read" => {
                cancelled(
                    self.state
                        .stream_cancel_read(instance, payload, n[0] != 0, n[1]),
                )
            }
            "stream_cancel_write" => {
                cancelled(
                    self.state
                        .stream_cancel_write(instance, payload, n[0] != 0, n[1]),
                )
            }
            "future_cancel_read" => {
                cancelled(
                    self.state
                        .future_cancel_read(instance, payload, n[0] != 0, n[1]),
                )
            }
            "future_cancel_write" => {
                cancelled(
                    self.state
                        .future_cancel_write(instance, payload, n[0] != 0, n[1]),
                )
            }
            "stream_drop_readable" => self
                .state
                .stream_drop_readable(instance, payload, n[0])
                .map(none),
            "stream_drop_writable" => self
                .state
                .stream_drop_writable(instance, payload, n[0])
                .map(none),
            "future_drop_readable" => self
                .state
                .future_drop_readable(instance, payload, n[0])
                .map(none),
            "future_drop_writable" => self
                .state
                .future_drop_writable(instance, payload, n[0])
                .map(none),
            "subtask_cancel" => return self.op_subtask_cancel(instance, n[0] != 0, n[1]),
            "subtask_drop" => self.state.subtask_drop(instance, n[0]).map(none),
            "backpressure_inc" => self.state.backpressure_inc(instance).map(none),
            "backpressure_dec" => self.state.backpressure_dec(instance).map(none),
            "context_set" => self.state.context_set(n[0], n[1].into()).map(none),
            "context_get" => self.state.context_get(n[0]).map(long),
            "task_return" => {
                let task = self.state.task_return(instance, true, true);
                let task = self.check(task)?;
                self.resolve(task)?;
                Ok(none(()))
            }
            "task_cancel" => {
                let task = self.state.task_cancel(instance);
                let task = self.check(task)?;
                if let Caller::Host(_) = self.state.caller(task) {
                    self.resolved(task, 0)?;
                }
                Ok(none(()))
            }
            "thread_index" => self.state.thread_index(instance).map(one),
            "thread_new" => {
                let new = self.state.thread_new_indirect(instance);
                let (thread, index) = self.check(new)?;
                self.new_serial(thread, true);
                Ok(one(index))
            }
            "thread_resume_later" => self.state.thread_resume_later(instance, n[0]).map(none),
            "thread_suspend" => switched(self.state.thread_suspend(instance, n[0] != 0)),
            "thread_yield" => switched(self.state.thread_yield(
                instance,
                n[0] != 0,
                &mut self.chooser,
            )),
            "thread_suspend_then_resume" => switched(self.state.thread_suspend_then_resume(
                instance,
                n[0] != 0,
                n[1],
                &mut self.chooser,
            )),
            "thread_yield_then_resume" => switched(self.state.thread_yield_then_resume(
                instance,
                n[0] != 0,
                n[1],
                &mut self.chooser,
            )),
            "thread_suspend_then_promote" => switched(self.state.thread_suspend_then_promote(
                instance,
                n[0] != 0,
                n[1],
                &mut self.chooser,
            )),
            "thread_yield_then_promote" => switched(self.state.thread_yield_then_promote(
                instance,
                n[0] != 0,
                n[1],
                &mut self.chooser,
            )),
            "resource_drop" => self
                .state
                .check_may_leave(instance)
                .and_then(|()| self.state.resource_drop(instance, self.resource, n[0]))
                .map(none),
            other => panic!("the recorder knows more built-ins than the replay: {other}"),
        };
        self.check(did)
    }

    /// The recorder's guests fill what they write with numbers that go on and on.
    fn fill(&mut self, instance: InstanceId, pointer: u32, length: u32) {
        let memory = &mut self.memory[instance.0 as usize - 1];
        for byte in memory
            .iter_mut()
            .skip(pointer as usize)
            .take(length as usize)
        {
            *byte = self.fill;
            self.fill = self.fill % 250 + 1;
        }
    }

    /// A read or write of a stream, the short way where there is one.
    fn stream_copy(
        &mut self,
        of: StreamEnds,
        async_: bool,
        index: u32,
        buffer: GuestBuffer,
    ) -> Result<Did, Trap> {
        let at_once = match async_ {
            true => self.state.begin_at_once(&of, index, &buffer),
            false => AtOnce::No,
        };
        match at_once {
            AtOnce::No => {
                let step = match of.side {
                    Side::Readable => {
                        let (instance, payload) = (of.instance, of.payload);
                        self.state
                            .stream_read(instance, payload, async_, index, buffer)
                    }
                    Side::Writable => {
                        let (instance, payload) = (of.instance, of.payload);
                        self.state
                            .stream_write(instance, payload, async_, index, buffer)
                    }
                };
                self.copied(step)
            }
            AtOnce::Blocked => Ok(one(BLOCKED)),
            AtOnce::Host(_) => panic!("the host holds no end"),
            AtOnce::Copy(copy) => {
                self.move_items(&copy);
                let count = copy.count.into();
                match self.state.finish_copy_at_once(&copy, count) {
                    Some(value) => Ok(one(value)),
                    None => panic!("nothing has happened meanwhile"),
                }
            }
        }
    }

    fn move_items(&mut self, copy: &tidegate_core::runtime::Copy) {
        let at = |side: tidegate_core::runtime::CopySide| {
            (side.buffer.pointer + u64::from(side.buffer.progress)) as usize
        };
        let count = copy.count as usize;
        let (from, to) = (at(copy.source), at(copy.target));
        let items = self.memory[copy.source.instance.0 as usize - 1][from..from + count].to_vec();
        self.memory[copy.target.instance.0 as usize - 1][to..to + count].copy_from_slice(&items);
    }

    fn copied(&mut self, step: Result<CopyStep, Trap>) -> Result<Did, Trap> {
        match step? {
            CopyStep::Return(value) => Ok(one(value)),
            CopyStep::Block => Ok(Did::Block),
            CopyStep::Host(_) => panic!("the host holds no end"),
            CopyStep::Copy(copy) => {
                self.move_items(&copy);
                let count = copy.count.into();
                let step = self.state.finish_copy(copy, count);
                self.copied(step)
            }
        }
    }

    fn op_subtask_cancel(
        &mut self,
        instance: InstanceId,
        async_: bool,
        index: u32,
    ) -> Result<Did, End> {
        let step = self
            .state
            .subtask_cancel(instance, async_, index, &mut self.chooser);
        let mut step = self.check(step)?;
        loop {
            match step {
                SubtaskCancelStep::Return(value) => return Ok(one(value)),
                SubtaskCancelStep::Block => return Ok(Did::Block),
                SubtaskCancelStep::Host(..) => panic!("no host function is called"),
                SubtaskCancelStep::Run(id, resumed) => {
                    self.drive(resumed.thread, resumed.action)?;
                    let finished = self.state.finish_subtask_cancel(id, async_);
                    step = self.check(finished)?;
                }
            }
        }
    }

    fn op_call(&mut self, instance: InstanceId, args: &[&str]) -> Result<Did, End> {
        let async_ = args[0] == "1";
        let callee = self.instances[usize::from(instance == self.instances[0])];
        let call = Call {
            host: None,
            from: Some((instance, None)),
            param: args[2].into(),
            arg: args[3].parse().unwrap(),
            lends: Lends::default(),
        };
        let Some(subtask) = self.call(callee, lift_of(args[1]), call)? else {
            return Ok(none(()));
        };
        let step = self
            .state
            .lower_returned(subtask, async_, &mut self.chooser);
        Ok(match self.check(step)? {
            LowerStep::Return(value) if async_ => one(value),
            LowerStep::Return(_) => none(()),
            LowerStep::Block => Did::Block,
        })
    }
}

fn cancelled(step: Result<CancelStep, Trap>) -> Result<Did, Trap> {
    Ok(match step? {
        CancelStep::Return(value) => one(value),
        CancelStep::Block => Did::Block,
        CancelStep::Host(_) => panic!("the host holds no end"),
    })
}

fn switched(step: Result<ThreadStep, Trap>) -> Result<Did, Trap> {
    Ok(match step? {
        ThreadStep::Return(value) => one(value),
        ThreadStep::Block => Did::Block,
        ThreadStep::Switch(resumed) => Did::Switch(resumed.thread, resumed.action),
    })
}

fn none<T>(_: T) -> Did {
    Did::Return(Vec::new())
}

fn one(value: u32) -> Did {
    Did::Return(vec![value.into()])
}

fn long(value: u64) -> Did {
    Did::Return(vec![value])
}

fn lift_of(name: &str) -> Lift {
    match name {
        "sync" => Lift::Sync,
        "blocking" => Lift::Blocking,
        "callback" => Lift::Callback,
        "stackful" => Lift::Stackful,
        other => panic!("no lift is called {other}"),
    }
}

fn buffer(pointer: u32, length: u32) -> GuestBuffer {
    GuestBuffer {
        pointer: pointer.into(),
        length: length.into(),
        item_size: 1,
        align: 1,
        memory: MEMORY as u64,
        options: 0,
    }
}

fn short(handle: &Handle) -> &'static str {
    match handle {
        Handle::Resource(_) => "resource",
        Handle::Subtask(_) => "subtask",
        Handle::ReadableStream(_) => "rs",
        Handle::WritableStream(_) => "ws",
        Handle::ReadableFuture(_) => "rf",
        Handle::WritableFuture(_) => "wf",
        Handle::WaitableSet(_) => "set",
        Handle::ErrorContext(_) => "error-context",
    }
}
