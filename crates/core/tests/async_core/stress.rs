//! Guests that do anything at all, right or wrong, with traps at every point: nothing panics, nothing is left behind.

use tidegate_core::runtime::*;
use tidegate_core::trap::Trap;
use tidegate_core::types::{Types, ValType};

/// The thread that ran is no more: its instance trapped.
struct Trapped;

enum Did {
    Go,
    Block,
    Switch(ThreadId, Action),
}

/// What waits for a host function.
#[derive(Clone, Copy, PartialEq)]
enum HostCaller {
    Subtask(WaitableId),
    Thread(ThreadId),
}

struct World {
    state: State,
    /// A number below another.
    random: Box<dyn FnMut(usize) -> usize>,
    chooser: Box<dyn Chooser>,
    instances: Vec<InstanceId>,
    payload: PayloadId,
    host_functions: Vec<(u64, HostCaller)>,
    next_number: u64,
    host_ends: Vec<(SharedId, Side)>,
    host_tasks: Vec<TaskId>,
    budget: usize,
    depth: usize,
    tally: Tally,
}

/// How often what is worth trying was tried.
#[derive(Debug, Default)]
struct Tally {
    calls: u32,
    blocked: u32,
    copies: u32,
    host_turns: u32,
    switches: u32,
    traps: u32,
    cancellations: u32,
    peers_trapped: u32,
}

impl World {
    fn new(random: impl FnMut(usize) -> usize + 'static) -> Self {
        let mut random: Box<dyn FnMut(usize) -> usize> = Box::new(random);
        let limits = Limits::default();
        let mut state = State::with_limits(limits, Rules::default());
        let payload = state.payload(&Types::default(), &[], Some(ValType::U8));
        let instances = (0..3).map(|_| state.add_instance(None)).collect();
        let chooser: Box<dyn Chooser> = match random(2) {
            0 => Box::new(Fair),
            _ => Box::new(Seeded::new(random(1 << 16) as u64)),
        };
        Self {
            state,
            random,
            chooser,
            instances,
            payload,
            host_functions: Vec::new(),
            next_number: 0,
            host_ends: Vec::new(),
            host_tasks: Vec::new(),
            budget: 400,
            depth: 0,
            tally: Tally::default(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.random)(bound)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// What the host does, until the budget is spent.
    fn host(&mut self) {
        while self.budget > 0 {
            self.budget -= 1;
            self.replace_poisoned();
            match self.below(10) {
                0 | 1 if self.chance(60) => self.host_call(),
                2 => self.host_cancel(),
                3 => self.host_end(),
                4 => self.host_function(),
                _ => {
                    if let Some(resumed) = self.state.tick(&mut *self.chooser) {
                        let _ = self.drive(resumed.thread, resumed.action);
                    }
                }
            }
            assert_eq!(
                self.state.current_thread(),
                None,
                "everybody gave control back"
            );
            self.check_readiness();
        }
    }

    fn check_readiness(&mut self) {
        let waiting = self.state.deadlock().waiting;
        let ready = waiting.iter().any(|one| one.what == WaitingFor::Ready);
        assert_eq!(self.state.has_ready(), ready, "{waiting:?}");
    }

    fn replace_poisoned(&mut self) {
        for position in 0..self.instances.len() {
            if self.state.instance(self.instances[position]).poisoned {
                self.instances[position] = self.state.add_instance(None);
            }
        }
    }

    fn any_instance(&mut self) -> InstanceId {
        let position = self.below(self.instances.len());
        self.instances[position]
    }

    fn host_call(&mut self) {
        let callee = self.any_instance();
        let lift = self.any_lift();
        let _ = self.call(None, callee, lift, false);
    }

    fn host_cancel(&mut self) {
        let Some(task) = self.host_tasks.pop() else {
            return;
        };
        if let Some(resumed) = self
            .state
            .request_cancellation(task, None, &mut *self.chooser)
        {
            let _ = self.drive(resumed.thread, resumed.action);
        }
    }

    fn host_function(&mut self) {
        match self.host_functions.pop() {
            Some((_, HostCaller::Subtask(subtask))) => match self.below(3) {
                0 => self.state.host_call_failed(subtask),
                1 => self.state.host_call_resolved(subtask, false),
                _ => self.state.host_call_resolved(subtask, true),
            },
            Some((_, HostCaller::Thread(thread))) => self.state.host_call_returned(thread),
            None => {}
        }
    }

    /// An end of the host serves what waits for it, or goes.
    fn host_end(&mut self) {
        if self.host_ends.is_empty() {
            return;
        }
        let position = self.below(self.host_ends.len());
        let (shared, side) = self.host_ends[position];
        self.serve(shared, side);
        if self.chance(20) {
            self.host_ends.swap_remove(position);
            let told = self.state.drop_side(shared, side);
            assert!(!told, "the host does not hold both ends");
        }
    }

    fn serve(&mut self, shared: SharedId, side: Side) {
        let Some(offer) = self.state.host_offer(shared, side) else {
            return;
        };
        let count = self.below(offer.remaining() as usize + 1) as u32;
        let complete = self.chance(70);
        if count > 0 {
            self.state
                .host_moved(shared, side, count, count.into(), complete);
        }
        if offer.cancelling || (count > 0 && !complete && self.chance(50)) {
            let result = match offer.cancelling {
                true => CopyResult::Cancelled,
                false => CopyResult::Completed,
            };
            self.state.host_complete(shared, side, result);
        }
    }

    fn any_lift(&mut self) -> Lift {
        [
            Lift::Sync,
            Lift::Blocking,
            Lift::Callback,
            Lift::Callback,
            Lift::Stackful,
        ][self.below(5)]
    }

    /// Runs a call as far as it goes. `Err` if the caller must trap.
    fn call(
        &mut self,
        from: Option<InstanceId>,
        callee: InstanceId,
        lift: Lift,
        async_: bool,
    ) -> Result<LowerStep, Trap> {
        if let Some(from) = from {
            self.state.check_call(from, callee)?;
        }
        let fell = |trapped: Result<(), Trapped>| trapped.map_err(|Trapped| Trap::Poisoned);
        if lift == Lift::Sync {
            let task = self.state.begin_sync_call(callee, from)?;
            let thread = self.state.current_thread().unwrap();
            fell(self.drive(thread, Action::StartTask))?;
            loop {
                match self.state.sync_next(task, &mut *self.chooser) {
                    Ok(SyncStep::Resolved) => return Ok(LowerStep::Return(0)),
                    Ok(SyncStep::Run(resumed)) => fell(self.drive(resumed.thread, resumed.action))?,
                    Err(trap) => {
                        self.cleanup(thread, callee);
                        return Err(trap);
                    }
                }
            }
        }
        let spec = CallSpec {
            callee,
            lift,
            from: from.ok_or(0),
        };
        let called = self.state.call(spec, &mut *self.chooser)?;
        self.tally.calls += 1;
        if from.is_none() {
            self.host_tasks.push(called.task);
        }
        if called.started {
            fell(self.drive(called.thread, Action::StartTask))?;
        }
        match called.subtask {
            None => Ok(LowerStep::Return(0)),
            Some(subtask) => self
                .state
                .lower_returned(subtask, async_, &mut *self.chooser),
        }
    }

    fn cleanup(&mut self, thread: ThreadId, instance: InstanceId) {
        self.tally.traps += 1;
        let poisoned = self.state.trapped(thread, instance);
        // What the instance asked for is gone with it.
        self.host_functions
            .retain(|(number, _)| !poisoned.host_functions.contains(number));
        // Tasks of the host in a poisoned instance are not to be cancelled any more; their names may be used again.
        self.host_tasks.clear();
    }

    /// Runs a thread until it blocks or exits.
    fn drive(&mut self, mut thread: ThreadId, mut action: Action) -> Result<(), Trapped> {
        self.depth += 1;
        let result = loop {
            let instance = self.state.task_instance(self.state.thread_task(thread));
            match self.turn(thread, instance, action) {
                Ok(None) => break Ok(()),
                Ok(Some((other, next))) => (thread, action) = (other, next),
                Err(_) => {
                    let current = self.state.current_thread().unwrap_or(thread);
                    self.cleanup(current, instance);
                    break Err(Trapped);
                }
            }
        };
        self.depth -= 1;
        result
    }

    /// Some operations of a thread, then its return, unless it blocks before.
    fn turn(
        &mut self,
        thread: ThreadId,
        instance: InstanceId,
        action: Action,
    ) -> Result<Option<(ThreadId, Action)>, Trap> {
        if let Action::Trap(trap) = action {
            self.tally.peers_trapped += 1;
            return Err(trap);
        }
        let task = self.state.current_task()?;
        for _ in 0..self.below(10) {
            self.budget = self.budget.saturating_sub(1);
            match self.op(instance)? {
                Did::Go => {}
                Did::Block => {
                    self.tally.blocked += 1;
                    return Ok(None);
                }
                Did::Switch(other, action) => return Ok(Some((other, action))),
            }
        }
        let resolved = self.state.task_state(task) == TaskState::Resolved;
        let lift = self.state.task_lift(task);
        let implicit = self.state.thread_index(instance)? != 0 && self.is_implicit(thread, task);
        match lift {
            Lift::Callback if implicit => {
                let sets =
                    self.handles(instance, |handle| matches!(handle, Handle::WaitableSet(_)));
                let packed = match self.below(4) {
                    0 if resolved => 0,
                    1 | 2 if !sets.is_empty() => 2 | sets[self.below(sets.len())] << 4,
                    _ => 1,
                };
                if packed != 0 && !resolved && self.chance(50) {
                    self.resolve(instance)?;
                }
                Ok(
                    match self.state.callback_returned(packed, &mut *self.chooser)? {
                        CallbackStep::Call(event) => Some((thread, Action::Callback(event))),
                        CallbackStep::Exit | CallbackStep::Block => None,
                    },
                )
            }
            Lift::Sync if implicit => {
                self.state.begin_return(task)?;
                self.finish_return(task);
                self.state.end_sync_call(task)?;
                Ok(None)
            }
            _ => {
                if !resolved && implicit && lift == Lift::Blocking {
                    self.state.begin_return(task)?;
                    self.finish_return(task);
                } else if !resolved && lift == Lift::Stackful {
                    self.resolve(instance)?;
                }
                self.state.exit_thread()?;
                Ok(None)
            }
        }
    }

    /// A task that has returned is not to be cancelled any more.
    fn finish_return(&mut self, task: TaskId) {
        self.host_tasks.retain(|&other| other != task);
        self.state.finish_return(task);
    }

    fn is_implicit(&self, thread: ThreadId, task: TaskId) -> bool {
        self.state.implicit_thread(task) == Some(thread)
    }

    fn resolve(&mut self, instance: InstanceId) -> Result<(), Trap> {
        let task = self.state.current_task()?;
        if self.state.task_state(task) == TaskState::CancelDelivered && self.chance(60) {
            self.host_tasks.retain(|&other| other != task);
            return self.state.task_cancel(instance).map(drop);
        }
        let task = self.state.task_return(instance, true, true)?;
        self.state.begin_return(task)?;
        self.finish_return(task);
        Ok(())
    }

    fn handles(&self, instance: InstanceId, wanted: impl Fn(&Handle) -> bool) -> Vec<u32> {
        let handles = self.state.instance(instance).handles.iter();
        handles
            .filter(|(_, handle)| wanted(handle))
            .map(|(index, _)| index)
            .collect()
    }

    /// Some handle of this kind, or a wrong one.
    fn some(&mut self, instance: InstanceId, wanted: impl Fn(&Handle) -> bool) -> u32 {
        let handles = self.handles(instance, wanted);
        if handles.is_empty() || self.chance(1) {
            return self.below(8) as u32;
        }
        handles[self.below(handles.len())]
    }

    fn op(&mut self, instance: InstanceId) -> Result<Did, Trap> {
        let async_ = self.chance(80);
        let cancellable = self.chance(50);
        let payload = self.payload;
        let readable = |handle: &Handle| matches!(handle, Handle::ReadableStream(_));
        let writable = |handle: &Handle| matches!(handle, Handle::WritableStream(_));
        let set = |handle: &Handle| matches!(handle, Handle::WaitableSet(_));
        let subtask = |handle: &Handle| matches!(handle, Handle::Subtask(_));
        let waitable = |handle: &Handle| {
            !matches!(
                handle,
                Handle::WaitableSet(_) | Handle::Resource(_) | Handle::ErrorContext(_)
            )
        };
        let has = |world: &Self, wanted: &dyn Fn(&Handle) -> bool| {
            !world.handles(instance, wanted).is_empty()
        };
        // Without a handle of its kind, an operation would only trap; that happens often enough as it is.
        let kind = self.below(26);
        let lacks = match kind {
            4..9 => !has(self, &readable) || !has(self, &writable),
            9..12 => !has(self, &set),
            12..14 => !has(self, &waitable) || !has(self, &set),
            14..16 => !has(self, &subtask),
            _ => false,
        };
        if lacks {
            return Ok(Did::Go);
        }
        match kind {
            0 => drop(self.state.waitable_set_new(instance)?),
            1..3 => drop(self.state.stream_new(instance, payload)?),
            3 => return self.host_stream(instance),
            4..6 => {
                let index = self.some(instance, readable);
                let items = buffer(self.below(6) as u64);
                if async_ && self.chance(50) {
                    let side = Side::Readable;
                    return self.copy_at_once(
                        StreamEnds {
                            instance,
                            payload,
                            side,
                        },
                        index,
                        items,
                    );
                }
                let step = self
                    .state
                    .stream_read(instance, payload, async_, index, items);
                return self.copied(tolerant(step)?);
            }
            6..8 => {
                let index = self.some(instance, writable);
                let items = buffer(self.below(6) as u64);
                if async_ && self.chance(50) {
                    let side = Side::Writable;
                    return self.copy_at_once(
                        StreamEnds {
                            instance,
                            payload,
                            side,
                        },
                        index,
                        items,
                    );
                }
                let step = self
                    .state
                    .stream_write(instance, payload, async_, index, items);
                return self.copied(tolerant(step)?);
            }
            8 => return self.cancel_or_drop(instance, async_),
            9 => {
                let index = self.some(instance, set);
                let step = self.state.waitable_set_wait(
                    instance,
                    cancellable,
                    index,
                    &mut *self.chooser,
                )?;
                if step == WaitStep::Block {
                    return Ok(Did::Block);
                }
            }
            10..12 => {
                let index = self.some(instance, set);
                self.state
                    .waitable_set_poll(instance, cancellable, index, &mut *self.chooser)?;
            }
            12..14 => {
                let (waitable, set) = (self.some(instance, waitable), self.some(instance, set));
                let set = if self.chance(30) { 0 } else { set };
                let _ = self.state.waitable_join(instance, waitable, set);
            }
            14 => {
                let index = self.some(instance, subtask);
                let _ = self.state.subtask_drop(instance, index);
            }
            15 => return self.subtask_cancel(instance, async_),
            16..19 if self.depth < 6 => {
                let callee = self.any_instance();
                let lift = self.any_lift();
                // Entering what is entered already would trap.
                if callee == instance || !self.state.instance(callee).may_enter {
                    return Ok(Did::Go);
                }
                if lift != Lift::Sync && !async_ && self.state.check_sync_lower(instance).is_err() {
                    return Ok(Did::Go);
                }
                self.pass_stream(instance, callee)?;
                let step = self.call(Some(instance), callee, lift, async_)?;
                if step == LowerStep::Block {
                    return Ok(Did::Block);
                }
            }
            19 => {
                self.next_number += 1;
                let number = self.next_number;
                if !async_ {
                    let thread = self.state.block_in_host_call(number)?;
                    self.host_functions
                        .push((number, HostCaller::Thread(thread)));
                    return Ok(Did::Block);
                }
                let subtask = self.state.host_call(instance, number)?;
                let step = self
                    .state
                    .lower_returned(subtask, true, &mut *self.chooser)?;
                self.host_functions
                    .push((number, HostCaller::Subtask(subtask)));
                assert!(matches!(step, LowerStep::Return(_)));
            }
            20 => match self.below(2) {
                0 => self.state.backpressure_inc(instance)?,
                _ => drop(self.state.backpressure_dec(instance)),
            },
            21 => drop(self.state.thread_new_indirect(instance)?),
            22..25 => return self.switch(instance, cancellable),
            _ if self.chance(10) => return Err(Trap::CannotLeave),
            _ => {}
        }
        Ok(Did::Go)
    }

    /// A read or write the short way, or not at all.
    fn copy_at_once(
        &mut self,
        of: StreamEnds,
        index: u32,
        buffer: GuestBuffer,
    ) -> Result<Did, Trap> {
        let step = match self.state.begin_at_once(&of, index, &buffer) {
            AtOnce::No | AtOnce::Blocked => return Ok(Did::Go),
            AtOnce::Host(turn) => CopyStep::Host(turn),
            AtOnce::Copy(copy) => {
                self.tally.copies += 1;
                let bytes = copy.count.into();
                match self.state.finish_copy_at_once(&copy, bytes) {
                    Some(_) => return Ok(Did::Go),
                    None => self.state.finish_copy(copy, bytes)?,
                }
            }
        };
        self.copied(Some(step))
    }

    fn copied(&mut self, step: Option<CopyStep>) -> Result<Did, Trap> {
        Ok(match step {
            None | Some(CopyStep::Return(_)) => Did::Go,
            Some(CopyStep::Block) => Did::Block,
            Some(CopyStep::Copy(copy)) => {
                self.tally.copies += 1;
                if self.chance(2) {
                    // Lowering the items traps.
                    return Err(Trap::CannotLeave);
                }
                let bytes = copy.count.into();
                let step = self.state.finish_copy(copy, bytes)?;
                self.copied(Some(step))?
            }
            Some(CopyStep::Host(turn)) => {
                self.tally.host_turns += 1;
                let step = if self.chance(30) {
                    let count = 1 + self.below(4) as u32;
                    self.state.finish_moved(turn, count, count.into())?
                } else {
                    self.serve(turn.shared, turn.side);
                    self.state.finish_host_turn(turn)?
                };
                self.copied(Some(step))?
            }
        })
    }

    /// Gives a readable end to another instance, as an argument would.
    fn pass_stream(&mut self, from: InstanceId, to: InstanceId) -> Result<(), Trap> {
        let index = self.some(from, |handle| matches!(handle, Handle::ReadableStream(_)));
        let lifted = self
            .state
            .lift_readable(from, SharedKind::Stream, self.payload, index);
        if let Some(shared) = tolerant(lifted)? {
            self.state.lower_readable(to, shared)?;
        }
        Ok(())
    }

    /// The host makes a stream and gives the guest an end, or takes one.
    fn host_stream(&mut self, instance: InstanceId) -> Result<Did, Trap> {
        let payload = self.payload;
        let side = if self.chance(50) {
            let shared = self.state.host_new(SharedKind::Stream, payload);
            self.state.lower_readable(instance, shared)?;
            (shared, Side::Writable)
        } else {
            let ends = self.state.stream_new(instance, payload)?;
            let shared =
                self.state
                    .lift_readable(instance, SharedKind::Stream, payload, ends as u32)?;
            (shared, Side::Readable)
        };
        self.state.host_attach(side.0, side.1);
        self.host_ends.push(side);
        Ok(Did::Go)
    }

    fn cancel_or_drop(&mut self, instance: InstanceId, async_: bool) -> Result<Did, Trap> {
        let payload = self.payload;
        let index = self.some(instance, |handle| {
            matches!(
                handle,
                Handle::ReadableStream(_) | Handle::WritableStream(_)
            )
        });
        let readable = matches!(
            self.state.instance(instance).handles.get(index),
            Ok(Handle::ReadableStream(_))
        );
        if self.chance(50) {
            let told = match readable {
                true => self.state.stream_drop_readable(instance, payload, index),
                false => self.state.stream_drop_writable(instance, payload, index),
            };
            if let Some((shared, side)) = tolerant(told)?.flatten() {
                self.host_ends.retain(|&end| end != (shared, side));
                assert!(!self.state.drop_side(shared, side));
            }
            return Ok(Did::Go);
        }
        let mut step = match readable {
            true => self
                .state
                .stream_cancel_read(instance, payload, async_, index),
            false => self
                .state
                .stream_cancel_write(instance, payload, async_, index),
        };
        if let Ok(CancelStep::Host(turn)) = step {
            if self.chance(50) {
                self.serve(turn.shared, turn.side);
            }
            step = self.state.finish_cancel_turn(turn);
        }
        Ok(match tolerant(step)? {
            Some(CancelStep::Block) => Did::Block,
            _ => Did::Go,
        })
    }

    fn subtask_cancel(&mut self, instance: InstanceId, async_: bool) -> Result<Did, Trap> {
        let index = self.some(instance, |handle| matches!(handle, Handle::Subtask(_)));
        let step = self
            .state
            .subtask_cancel(instance, async_, index, &mut *self.chooser);
        let step = match tolerant(step)? {
            Some(SubtaskCancelStep::Run(id, resumed)) => {
                self.tally.cancellations += 1;
                // If the callee traps, the subtask has failed, and says so.
                let _ = self.drive(resumed.thread, resumed.action);
                Some(self.state.finish_subtask_cancel(id, async_)?)
            }
            Some(SubtaskCancelStep::Host(id, _)) => {
                if self.chance(50) {
                    let cancelled = HostCaller::Subtask(id);
                    self.host_functions.retain(|&(_, other)| other != cancelled);
                    self.state.host_call_resolved(id, false);
                }
                Some(self.state.finish_subtask_cancel(id, async_)?)
            }
            step => step,
        };
        Ok(match step {
            Some(SubtaskCancelStep::Block) => Did::Block,
            _ => Did::Go,
        })
    }

    fn switch(&mut self, instance: InstanceId, cancellable: bool) -> Result<Did, Trap> {
        let threads: Vec<u32> = self
            .state
            .instance(instance)
            .threads()
            .iter()
            .map(|(index, _)| index)
            .collect();
        let other = threads[self.below(threads.len())];
        let kind = self.below(7);
        let chooser = &mut *self.chooser;
        let state = &mut self.state;
        let step = match kind {
            0 => {
                let _ = state.thread_resume_later(instance, other);
                return Ok(Did::Go);
            }
            1 => state.thread_suspend(instance, cancellable),
            2 => state.thread_yield(instance, cancellable, chooser),
            3 => state.thread_suspend_then_resume(instance, cancellable, other, chooser),
            4 => state.thread_yield_then_resume(instance, cancellable, other, chooser),
            5 => state.thread_suspend_then_promote(instance, cancellable, other, chooser),
            _ => state.thread_yield_then_promote(instance, cancellable, other, chooser),
        };
        Ok(match tolerant(step)? {
            None | Some(ThreadStep::Return(_)) => Did::Go,
            Some(ThreadStep::Block) => Did::Block,
            Some(ThreadStep::Switch(resumed)) => {
                self.tally.switches += 1;
                Did::Switch(resumed.thread, resumed.action)
            }
        })
    }

    /// Everything goes: nothing may be left.
    fn end(mut self) {
        let all: Vec<InstanceId> = (1..)
            .map(InstanceId)
            .take_while(|id| *id <= *self.instances.iter().max().unwrap())
            .collect();
        for instance in all {
            let _ = self.state.poison(instance);
        }
        for (shared, side) in self.host_ends {
            assert!(!self.state.drop_side(shared, side));
        }
        assert_eq!(self.state.counts(), Counts::default());
        assert!(!self.state.has_ready());
    }
}

/// Most offences are forgiven, so that sequences get longer. No state has changed by them.
fn tolerant<T>(result: Result<T, Trap>) -> Result<Option<T>, Trap> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Trap::Builtin {
            reason: Offence::PeerTrapped,
            ..
        }) => Err(Trap::Poisoned),
        Err(_) => Ok(None),
    }
}

fn buffer(length: u64) -> GuestBuffer {
    GuestBuffer {
        pointer: 0,
        length,
        item_size: 1,
        align: 1,
        memory: 1 << 16,
        options: 0,
    }
}

/// One run, with numbers from `random`, which gives one below what it is given.
#[allow(dead_code, reason = "the fuzz targets share this module")]
pub fn run(random: impl FnMut(usize) -> usize + 'static) {
    let mut world = World::new(random);
    world.host();
    world.end();
}

#[test]
fn whatever_guests_do_nothing_panics_and_nothing_is_left() {
    let mut tally = Tally::default();
    for seed in 0..500 {
        let mut random = Seeded::new(seed);
        let mut world = World::new(move |bound| random.below(bound));
        world.tally = std::mem::take(&mut tally);
        world.host();
        tally = std::mem::take(&mut world.tally);
        world.end();
    }
    let Tally {
        calls,
        blocked,
        copies,
        host_turns,
        switches,
        traps,
        cancellations,
        peers_trapped,
    } = tally;
    let least = [
        calls,
        blocked,
        copies,
        host_turns,
        switches,
        traps,
        cancellations,
        peers_trapped,
    ];
    assert!(
        least.iter().all(|&count| count > 50),
        "little was tried: {least:?}"
    );
}
