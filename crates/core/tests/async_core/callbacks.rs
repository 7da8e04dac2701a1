//! Tasks that wait in callbacks for streams between their instances: the short ways of waiting and going on lead where the long ones lead.

use tidegate_core::runtime::*;
use tidegate_core::types::{Types, ValType};

/// Chooses as [`Fair`] does, without saying so: nobody knows that the first candidate is taken, and all that depends on it goes the long way.
pub struct LongWay;

impl Chooser for LongWay {
    fn choose(&mut self, choice: Choice<'_>) -> usize {
        Fair.choose(choice)
    }
}

/// An instance whose tasks wait for one set.
struct Guest {
    instance: InstanceId,
    set: u32,
    ends: Vec<(u32, Side)>,
    /// Tasks that have not exited.
    tasks: Vec<TaskId>,
    /// Threads that are blocked in functions of the host.
    blocked: Vec<ThreadId>,
}

struct World {
    state: State,
    random: Seeded,
    chooser: Box<dyn Chooser>,
    payload: PayloadId,
    guests: Vec<Guest>,
    /// Who went on with what.
    turns: Vec<String>,
}

impl World {
    /// Three guests with two streams from each to each other.
    fn new(seed: u64, chooser: Box<dyn Chooser>) -> Self {
        let mut state = State::new();
        let payload = state.payload(&Types::default(), &[], Some(ValType::U8));
        let mut guests: Vec<Guest> = Vec::new();
        for _ in 0..3 {
            let instance = state.add_instance(None);
            guests.push(Guest {
                instance,
                set: state.waitable_set_new(instance).unwrap(),
                ends: Vec::new(),
                tasks: Vec::new(),
                blocked: Vec::new(),
            });
        }
        for (from, to) in [(0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)].repeat(2) {
            let giver = &mut guests[from];
            let ends = state.stream_new(giver.instance, payload).unwrap();
            let writable = (ends >> 32) as u32;
            let shared = state
                .lift_readable(giver.instance, SharedKind::Stream, payload, ends as u32)
                .unwrap();
            giver.ends.push((writable, Side::Writable));
            let taker = &mut guests[to];
            let readable = state.lower_readable(taker.instance, shared).unwrap();
            taker.ends.push((readable, Side::Readable));
        }
        for guest in &guests {
            for &(end, _) in &guest.ends {
                state.waitable_join(guest.instance, end, guest.set).unwrap();
            }
        }
        Self {
            state,
            random: Seeded::new(seed),
            chooser,
            payload,
            guests,
            turns: Vec::new(),
        }
    }

    fn run(&mut self) {
        for number in 0..3 {
            self.call(number);
        }
        for _ in 0..400 {
            match self.random.below(20) {
                0 => {
                    let guest = self.random.below(3);
                    self.call(guest);
                }
                1 => self.cancel_some_task(),
                2 => {
                    let guest = self.random.below(3);
                    self.call_blocking(guest);
                }
                3 | 4 => self.end_some_host_call(),
                _ => {
                    if let Some(resumed) = self.state.tick(&mut *self.chooser) {
                        self.go_on(resumed);
                    }
                }
            }
            assert_eq!(self.state.current_thread(), None);
        }
    }

    fn call(&mut self, guest: usize) {
        let spec = CallSpec {
            callee: self.guests[guest].instance,
            lift: Lift::Callback,
            from: Err(0),
        };
        let called = self.state.call(spec, &mut *self.chooser).unwrap();
        self.turns.push(format!("{called:?}"));
        self.guests[guest].tasks.push(called.task);
        if called.started {
            self.turn(guest);
        }
    }

    /// Calls a function that calls one of the host, and is blocked in it with its stack.
    fn call_blocking(&mut self, guest: usize) {
        let spec = CallSpec {
            callee: self.guests[guest].instance,
            lift: Lift::Stackful,
            from: Err(0),
        };
        let called = self.state.call(spec, &mut *self.chooser).unwrap();
        if called.started {
            self.state.task_return(spec.callee, true, true).unwrap();
            self.state.finish_return(called.task);
            let thread = self.state.block_in_host_call(0).unwrap();
            self.guests[guest].blocked.push(thread);
        }
    }

    fn end_some_host_call(&mut self) {
        let guest = self.random.below(3);
        let blocked = &mut self.guests[guest].blocked;
        if !blocked.is_empty() {
            let position = self.random.below(blocked.len());
            let thread = blocked.swap_remove(position);
            self.state.host_call_returned(thread);
        }
    }

    fn cancel_some_task(&mut self) {
        let guest = self.random.below(3);
        let Some(task) = self.guests[guest].tasks.pop() else {
            return;
        };
        let resumed = self
            .state
            .request_cancellation(task, None, &mut *self.chooser);
        if self.state.has_task(task) {
            self.guests[guest].tasks.push(task);
        }
        if let Some(resumed) = resumed {
            self.go_on(resumed);
        }
    }

    fn go_on(&mut self, Resumed { thread, action }: Resumed) {
        self.turns.push(format!("{thread:?} {action:?}"));
        if let Action::HostReturned = action {
            // It calls again, or is done.
            if self.random.below(2) == 0 {
                let blocked = self.state.block_in_host_call(0).unwrap();
                assert_eq!(blocked, thread);
                let instance = self.state.task_instance(self.state.thread_task(thread));
                let guest = self.guests.iter().position(|it| it.instance == instance);
                self.guests[guest.unwrap()].blocked.push(thread);
            } else {
                self.state.exit_thread().unwrap();
            }
            return;
        }
        assert!(matches!(action, Action::StartTask | Action::Callback(_)));
        let instance = self.state.task_instance(self.state.thread_task(thread));
        let guest = self.guests.iter().position(|it| it.instance == instance);
        self.turn(guest.unwrap());
    }

    /// Reads and writes, until the callback does not go on at once.
    fn turn(&mut self, guest: usize) {
        loop {
            for _ in 0..self.random.below(4) {
                self.read_or_write(guest);
            }
            let Guest { instance, set, .. } = self.guests[guest];
            let task = self.state.current_task().unwrap();
            let packed = match self.random.below(20) {
                0 => 1,
                1 if self.guests[guest].tasks.len() > 1 => {
                    self.state.task_return(instance, true, true).unwrap();
                    self.state.finish_return(task);
                    self.guests[guest].tasks.retain(|&other| other != task);
                    0
                }
                _ => 2 | set << 4,
            };
            let step = self.state.callback_returned(packed, &mut *self.chooser);
            self.turns.push(format!("{step:?}"));
            match step.unwrap() {
                CallbackStep::Call(_) => {}
                CallbackStep::Exit | CallbackStep::Block => return,
            }
        }
    }

    /// Most offences are those of an end that is in use: nothing has happened then.
    fn read_or_write(&mut self, guest: usize) {
        let Guest { instance, .. } = self.guests[guest];
        let ends = &self.guests[guest].ends;
        let (end, side) = ends[self.random.below(ends.len())];
        let (state, payload) = (&mut self.state, self.payload);
        if self.random.below(20) == 0 {
            let _ = match side {
                Side::Readable => state.stream_cancel_read(instance, payload, true, end),
                Side::Writable => state.stream_cancel_write(instance, payload, true, end),
            };
            return;
        }
        let buffer = GuestBuffer {
            pointer: 0,
            length: self.random.below(4) as u64,
            item_size: 1,
            align: 1,
            memory: 1 << 16,
            options: 0,
        };
        if self.random.below(2) == 0 {
            let of = StreamEnds {
                instance,
                payload,
                side,
            };
            if let AtOnce::Copy(copy) = state.begin_at_once(&of, end, &buffer) {
                let bytes = copy.count.into();
                if state.finish_copy_at_once(&copy, bytes).is_none() {
                    let _ = state.finish_copy(copy, bytes);
                }
            }
            return;
        }
        let step = match side {
            Side::Readable => state.stream_read(instance, payload, true, end, buffer),
            Side::Writable => state.stream_write(instance, payload, true, end, buffer),
        };
        if let Ok(CopyStep::Copy(copy)) = step {
            let bytes = copy.count.into();
            let _ = state.finish_copy(copy, bytes);
        }
    }
}

#[test]
fn the_short_way_leads_where_the_long_one_leads() {
    let run = |seed, chooser: Box<dyn Chooser>| {
        let mut world = World::new(seed, chooser);
        world.run();
        world.turns
    };
    let (mut events, mut returns) = (0, 0);
    for seed in 0..200 {
        let (short, long) = (run(seed, Box::new(Fair)), run(seed, Box::new(LongWay)));
        assert_eq!(short, long, "seed {seed}");
        let is_event = |turn: &&String| turn.contains("code: Stream");
        events += short.iter().filter(is_event).count();
        let is_return = |turn: &&String| turn.contains("HostReturned");
        returns += short.iter().filter(is_return).count();
    }
    assert!(returns > 2_000, "{returns} host functions returned");
    assert!(events > 2_000, "{events} events reached callbacks");
}
