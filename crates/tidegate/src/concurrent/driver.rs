//! The driver: runs what the state says and what stacks request, until nothing is left to do or the host's call has returned.

use super::accessor_call::{self, asked};
use super::host::{HostGoal, end_call, entry};
use super::park::Running;
use super::work;
use super::{CallData, Entry, From, Parked, Request, Run, Then};
use crate::baton::{Baton, Blocked, Home, Level};
use crate::call::enter::{return_isolate, take_isolate};
use crate::call::guest::GuestCall;
use crate::error::bug;
use crate::interrupt::{self, Control, Terminated, yield_now};
use crate::stream;
use anyhow::{Context as _, Error, Result, anyhow};
use std::future::poll_fn;
use std::task::Poll;
use tidegate_core::runtime::{
    Action, CallbackStep, Event, Fair, InstanceId, LowerStep, Poisoned, Resumed, SubtaskCancelStep,
    SyncStep, TaskId, ThreadId,
};
use tidegate_engine::{Cx, Flow, Isolate, Job, Memory, Resume, Stack, Step};

/// What happened in a run.
enum Outcome {
    /// Control comes back.
    Back,
    /// Run something, and then go on as said, if at all.
    Run(Run, Option<Then>),
    /// A thread trapped: control comes back with the error.
    Trapped(Trapped),
}

/// A thread's trap.
struct Trapped {
    error: Error,
    /// The call by the host whose task it was.
    call: Option<u64>,
}

impl std::convert::From<Error> for Trapped {
    fn from(error: Error) -> Self {
        Self { error, call: None }
    }
}

/// Where the baton goes when what runs is dropped or lost, how to have it back, and the requests to interrupt.
type At<'a> = (&'a Home, Level, Option<&'a Control>);

/// How many threads go on before the host's futures get their turn.
const TURNS: u32 = 32;

/// Runs `first`, then whatever is ready, until the goal is reached.
///
/// The second result is an error of this store as a whole: a deadlock.
pub(crate) async fn drive(
    mut baton: Baton,
    first: Option<(Run, Option<Then>)>,
    goal: &mut (dyn HostGoal + Send),
) -> (Baton, Result<()>) {
    let home = baton.home();
    let interrupts = baton.control.clone();
    let interrupts = interrupts.as_deref();
    let at = (&home, home.level(), interrupts);
    if let Err(error) = interrupt::begin(interrupts, &mut baton).await {
        end_entered(&mut baton);
        return (baton, Err(error));
    }
    if let Some((run, then)) = first {
        baton = control(at, baton, run, then, goal).await;
    }
    let mut turns = 0;
    loop {
        if goal.reached(&mut baton) {
            return (baton, Ok(()));
        }
        stream::settle(&mut baton);
        if let Some((run, then)) = asked(&mut baton) {
            baton = control(at, baton, run, then, goal).await;
            continue;
        }
        turns += 1;
        if turns == TURNS {
            turns = 0;
            work::poll_woken(&mut baton);
            baton = breathe(at, baton).await;
        }
        match baton.state.tick(&mut Fair) {
            Some(resumed) => {
                baton = control(at, baton, Run::Thread(resumed), None, goal).await;
                stream::retry(&mut baton);
            }
            None => {
                let worked;
                (baton, worked) = rest(at, baton, goal.waits()).await;
                match worked {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(why) => {
                        end_entered(&mut baton);
                        return (baton, Err(why.into()));
                    }
                }
                let error = match baton.concurrent.cause() {
                    Some(cause) => anyhow!(baton.state.deadlock()).context(cause.to_owned()),
                    None => baton.state.deadlock().into(),
                };
                return (baton, Err(error));
            }
        }
    }
}

/// Waits until there is something to do, and polls the host's work. Meanwhile the baton is at home, for accessors. Gives false if nothing can go on, and
/// `wait` does not say to wait all the same.
async fn rest(at: At<'_>, baton: Baton, wait: bool) -> (Baton, Result<bool, Terminated>) {
    let mut place = baton;
    let worked = poll_fn(|cx| {
        come_back(at, &mut place);
        let polled = interrupt::rest(at.2, &mut place, cx, |place, cx| {
            work::poll(place, wait, cx)
        });
        if polled.is_pending() {
            go_home(&mut place);
        }
        polled
    })
    .await;
    (place, worked)
}

/// Lets the executor run something else, and accessors have the store.
async fn breathe(at: At<'_>, baton: Baton) -> Baton {
    let mut place = baton;
    go_home(&mut place);
    yield_now().await;
    come_back(at, &mut place);
    place
}

fn go_home(place: &mut Baton) {
    place.at_rest = true;
    drop(place.take());
}

fn come_back((home, level, _): At<'_>, place: &mut Baton) {
    if place.is_away() {
        *place = home.reclaim(level);
        place.at_rest = false;
    }
}

/// Runs something until control comes back from it.
async fn control(
    at: At<'_>,
    mut baton: Baton,
    run: Run,
    then: Option<Then>,
    goal: &mut (dyn HostGoal + Send),
) -> Baton {
    let mut later: Vec<Then> = then.into_iter().collect();
    let mut next = run;
    loop {
        let mut outcome;
        (baton, outcome) = step(at, baton, next, goal).await;
        next = loop {
            match outcome {
                Outcome::Run(run, then) => {
                    later.extend(then);
                    break run;
                }
                Outcome::Back => match later.pop() {
                    None => return baton,
                    Some(then) => outcome = go_on(&mut baton, then, None),
                },
                Outcome::Trapped(Trapped { error, call }) => match later.pop() {
                    None => {
                        match call.filter(|&call| !goal.owns(call)) {
                            Some(call) => end_call(&mut baton, call, Err(error)),
                            None => goal.trapped(&mut baton, error),
                        }
                        return baton;
                    }
                    Some(then) => {
                        if let Some(call) = call {
                            end_call(&mut baton, call, Err(anyhow!("{error:#}")));
                        }
                        outcome = go_on(&mut baton, then, Some(error));
                    }
                },
            }
        };
    }
}

/// What is done when control has come back.
fn go_on(baton: &mut Baton, then: Then, error: Option<Error>) -> Outcome {
    match then {
        Then::Lowered {
            caller,
            subtask,
            async_,
        } => {
            if let Some(error) = error {
                return fail(caller, error);
            }
            if let Some(resumed) = baton.state.make_way(subtask, &mut Fair) {
                return Outcome::Run(Run::Thread(resumed), Some(then));
            }
            match baton.state.lower_returned(subtask, async_, &mut Fair) {
                Ok(LowerStep::Block) => Outcome::Back,
                Ok(LowerStep::Return(_)) if !async_ => {
                    let result = baton.concurrent.returned.remove(&subtask).unwrap_or(0);
                    resume_with(caller, result)
                }
                Ok(LowerStep::Return(code)) => resume_with(caller, code.into()),
                Err(trap) => fail(caller, trap.into()),
            }
        }
        Then::Cancelled {
            caller,
            subtask,
            async_,
        } => {
            if let Some(error) = error {
                return fail(caller, error);
            }
            match baton.state.finish_subtask_cancel(subtask, async_) {
                Ok(SubtaskCancelStep::Return(value)) => resume_with(caller, value.into()),
                Ok(_) => Outcome::Back,
                Err(trap) => fail(caller, trap.into()),
            }
        }
        Then::Sync { caller, task } => sync(baton, caller, task, error),
    }
}

/// A call of a function whose type is not `async`: it must come to its end.
fn sync(
    baton: &mut Baton,
    caller: Option<ThreadId>,
    task: TaskId,
    error: Option<Error>,
) -> Outcome {
    let call = match baton.concurrent.tasks.get(&task).map(|data| &data.from) {
        Some(From::Host(number)) => Some(*number),
        _ => None,
    };
    let ended = |error: Option<Error>, result: u64| match (caller, error) {
        (None, None) => Outcome::Back,
        (None, Some(error)) => Outcome::Trapped(Trapped { error, call }),
        (Some(caller), None) => resume_with(caller, result),
        (Some(caller), Some(error)) => fail(caller, error),
    };
    if let Some(error) = error {
        baton.concurrent.tasks.remove(&task);
        return ended(Some(error), 0);
    }
    // A task that has ended has left its call behind, with the result.
    if let Some(result) = baton.concurrent.sync_results.remove(&task) {
        return ended(None, result);
    }
    let instance = baton
        .concurrent
        .tasks
        .get(&task)
        .map(|data| data.callee.options.instance);
    match baton.state.sync_next(task, &mut Fair) {
        Ok(SyncStep::Run(resumed)) => {
            Outcome::Run(Run::Thread(resumed), Some(Then::Sync { caller, task }))
        }
        Ok(SyncStep::Resolved) => ended(None, 0),
        Err(trap) => {
            let error: Error = trap.into();
            if let Some(instance) = instance {
                let poisoned = baton.state.poison(instance);
                clean(baton, poisoned, call, &error);
            }
            baton.concurrent.tasks.remove(&task);
            ended(Some(error), 0)
        }
    }
}

fn resume_with(thread: ThreadId, value: u64) -> Outcome {
    let job: JobBody = Box::new(move |_, slots| {
        if let Some(slot) = slots.first_mut() {
            *slot = value;
        }
        Ok(())
    });
    Outcome::Run(
        Run::Resume {
            thread,
            job: with_baton(job),
        },
        None,
    )
}

fn fail(thread: ThreadId, error: Error) -> Outcome {
    Outcome::Run(
        Run::Resume {
            thread,
            job: with_baton(Box::new(|_, _| Err(error))),
        },
        None,
    )
}

/// What a job does once it has the baton.
type JobBody = Box<dyn FnOnce(&mut Cx<'_, Baton>, &mut [u64]) -> Result<()> + Send>;

/// A job still without the baton: it is put in as the stack is resumed.
fn with_baton(body: JobBody) -> Job<Baton> {
    Box::new(move |mut cx, slots| body(&mut cx, slots).map(|()| Flow::Return))
}

/// Runs one thing.
async fn step(
    at: At<'_>,
    mut baton: Baton,
    run: Run,
    goal: &mut (dyn HostGoal + Send),
) -> (Baton, Outcome) {
    match run {
        Run::Core {
            running,
            func,
            args,
        } => {
            let isolate = match take_isolate(&mut baton, running.isolate) {
                Ok(isolate) => isolate,
                Err(_) => {
                    let error = anyhow!(
                        "two stacks are needed in one isolate, which compiled code cannot have (run it with the interpreter: engine `wasmi`)"
                    );
                    return end_trapped(baton, running, error);
                }
            };
            match Stack::call(func, &args) {
                Ok(stack) => {
                    run_on(at, Place::Idle(isolate), stack, running, Resume::Continue).await
                }
                Err(error) => {
                    let baton = return_isolate(isolate, running.isolate);
                    end_trapped(baton, running, error.into())
                }
            }
        }
        Run::Resume { thread, job } => {
            let Some(parked) = baton.concurrent.parked.remove(&thread) else {
                return (
                    baton,
                    Outcome::Trapped(anyhow!(bug("a parked stack is gone")).into()),
                );
            };
            let Parked { stack, running, .. } = parked;
            let place = match take_isolate(&mut baton, running.isolate) {
                Ok(isolate) => Place::Idle(isolate),
                Err(_) => Place::InStack(baton),
            };
            let (place, job): (Place, Job<Baton>) = match place {
                Place::Idle(isolate) => (Place::Idle(isolate), job),
                Place::InStack(baton) => {
                    let job: Job<Baton> = Box::new(move |mut cx, slots| {
                        *cx.data_mut() = baton;
                        job(cx, slots)
                    });
                    (Place::InStack(Baton::default()), job)
                }
            };
            run_on(at, place, stack, running, Resume::Job(job)).await
        }
        Run::Thread(resumed) => thread(baton, resumed, goal),
    }
}

/// Where a stack's isolate is before it runs.
enum Place {
    /// With the driver, and the baton in it.
    Idle(Isolate<Baton>),
    /// In the stack; the job has the baton.
    InStack(Baton),
}

/// Runs a stack until it parks or ends.
async fn run_on(
    (home, level, interrupts): At<'_>,
    place: Place,
    mut stack: Stack<Baton>,
    running: Running,
    mut resume: Resume<Baton>,
) -> (Baton, Outcome) {
    let mut place = match place {
        Place::Idle(isolate) => Some(isolate),
        Place::InStack(_) => None,
    };
    loop {
        let step = poll_fn(|cx| {
            let resume = std::mem::replace(&mut resume, Resume::Continue);
            Poll::Ready(interrupt::run(
                interrupts, &mut stack, &mut place, cx, resume,
            ))
        })
        .await;
        match step {
            Step::Blocked(Blocked::Waiting(waiting)) => {
                let job = interrupt::wait(interrupts, &mut stack, &mut place, waiting).await;
                resume = Resume::Job(job);
            }
            Step::Yielded => interrupt::yielded(interrupts, &mut stack).await,
            Step::Blocked(Blocked::Request(mut baton, request)) => {
                if let Some(isolate) = place.take() {
                    baton.isolates[running.isolate] = Some(isolate);
                }
                return requested(baton, stack, running, request);
            }
            Step::Done(result) => {
                let result = interrupt::explain(interrupts, result);
                let Some(isolate) = place.take() else {
                    return lost(home, level, stack, running, result);
                };
                return ended(isolate, &stack, running, result);
            }
        }
    }
}

fn requested(
    mut baton: Baton,
    stack: Stack<Baton>,
    running: Running,
    request: Request,
) -> (Baton, Outcome) {
    let park = |thread: ThreadId, memory: Option<Memory>| {
        baton.concurrent.parked.insert(
            thread,
            Parked {
                stack,
                running,
                memory,
            },
        );
    };
    let outcome = match request {
        Request::Blocked { thread, memory } => {
            park(thread, memory);
            Outcome::Back
        }
        Request::Run { thread, run, then } => {
            park(thread, None);
            Outcome::Run(run, Some(then))
        }
        Request::Switch { thread, resumed } => {
            park(thread, None);
            Outcome::Run(Run::Thread(resumed), None)
        }
        Request::Visited => {
            park(running.thread, None);
            Outcome::Back
        }
    };
    (baton, outcome)
}

/// A stack ended and kept its isolate, which no engine should do: its instance is lost, and the baton comes home as the stack is dropped.
fn lost(
    home: &Home,
    level: Level,
    stack: Stack<Baton>,
    running: Running,
    result: Result<()>,
) -> (Baton, Outcome) {
    drop(stack);
    let error = match result {
        Ok(()) => anyhow!(bug("a stack kept its isolate")),
        Err(error) => error.context(bug("a stack kept its isolate")),
    };
    end_trapped(home.reclaim(level), running, error)
}

/// A stack has run to its end.
fn ended(
    mut isolate: Isolate<Baton>,
    stack: &Stack<Baton>,
    running: Running,
    result: Result<()>,
) -> (Baton, Outcome) {
    let result = result.and_then(|()| end_of(&mut isolate.cx(), running, stack.results()));
    let baton = return_isolate(isolate, running.isolate);
    match result {
        Ok(outcome) => (baton, outcome),
        Err(error) => end_trapped(baton, running, error),
    }
}

/// What follows on the return of core code. `cx` is its isolate.
fn end_of(cx: &mut Cx<'_, Baton>, running: Running, results: &[u64]) -> Result<Outcome> {
    if running.entry == Entry::Explicit {
        cx.data_mut().state.exit_thread()?;
        return Ok(Outcome::Back);
    }
    let callee = cx.data_mut().concurrent.task(running.task)?.callee.clone();
    if let Some(callback) = callee.callback {
        let packed = results.first().copied().unwrap_or(0) as u32;
        return match cx.data_mut().state.callback_returned(packed, &mut Fair)? {
            CallbackStep::Exit => {
                end_task(cx.data_mut(), running.task);
                Ok(Outcome::Back)
            }
            CallbackStep::Block => Ok(Outcome::Back),
            CallbackStep::Call(event) => {
                Ok(Outcome::Run(call_back(running, callback, event), None))
            }
        };
    }
    if callee.lift.async_option() {
        cx.data_mut().state.exit_thread()?;
        end_task(cx.data_mut(), running.task);
        return Ok(Outcome::Back);
    }
    // The results of a function lifted without `async` are those of its core function.
    cx.data_mut().state.begin_return(running.task)?;
    let Some(mut data) = cx.data_mut().concurrent.tasks.remove(&running.task) else {
        return Err(anyhow!(bug("a task has no call")));
    };
    let passed = data.result(cx, &callee.options, running.task, results);
    cx.data_mut()
        .concurrent
        .keep_result(running.task, &mut data);
    if passed.is_err() {
        cx.data_mut().concurrent.sync_results.remove(&running.task);
    }
    passed?;
    cx.data_mut().state.finish_return(running.task);
    if let Some(post_return) = callee.post_return {
        callee.run_post_return(cx, post_return, results)?;
    }
    if callee.lift.async_type() {
        cx.data_mut().state.exit_thread()?;
    } else {
        cx.data_mut().state.end_sync_call(running.task)?;
        if let From::Guest(from) = &mut data.from {
            GuestCall::end_sync(cx.data_mut(), from);
        }
    }
    Ok(Outcome::Back)
}

/// The thread of a call has ended; its task may have others.
fn end_task(baton: &mut Baton, task: TaskId) {
    if !baton.state.has_task(task) {
        baton.concurrent.tasks.remove(&task);
    }
}

fn call_back(running: Running, callback: tidegate_engine::Func, event: Event) -> Run {
    let running = Running {
        entry: Entry::Callback,
        ..running
    };
    let args = vec![event.code as u64, event.index.into(), event.payload.into()];
    Run::Core {
        running,
        func: callback,
        args,
    }
}

/// A thread trapped: its instance becomes unusable.
fn end_trapped(mut baton: Baton, running: Running, error: Error) -> (Baton, Outcome) {
    let error = baton.concurrent.what_failed(error);
    let poisoned = baton.state.trapped(running.thread, running.instance);
    baton
        .concurrent
        .causes
        .push((running.instance, format!("{error:#}")));
    let data = baton.concurrent.tasks.remove(&running.task);
    let call = match data.map(|data| data.from) {
        Some(From::Host(number)) => Some(number),
        _ => None,
    };
    clean(&mut baton, poisoned, call, &error);
    (baton, Outcome::Trapped(Trapped { error, call }))
}

/// The future that ran guests was dropped midway: what had been entered is unusable.
pub(crate) fn end_entered(baton: &mut Baton) {
    // Their callers were entered as well, and are dropped.
    baton.concurrent.sync_results.clear();
    let poisoned = baton.state.poison_entered();
    clean(
        baton,
        poisoned,
        None,
        &anyhow!("the call that was under way was dropped"),
    );
}

/// Something that the host did on behalf of a guest that waits was that guest's end: its instance becomes unusable.
pub(crate) fn fail_instance(baton: &mut Baton, instance: InstanceId, error: Error) {
    let poisoned = baton.state.poison(instance);
    baton
        .concurrent
        .causes
        .push((instance, format!("{error:#}")));
    clean(baton, poisoned, None, &error);
}

/// Cleans up after an instance became unusable. The call `own` is told by others.
fn clean(baton: &mut Baton, poisoned: Poisoned, own: Option<u64>, error: &Error) {
    for thread in poisoned.threads {
        if let Some(parked) = baton.concurrent.parked.remove(&thread) {
            // Its isolate may go with it, which only that instance used.
            drop(parked);
        }
        baton.concurrent.new_threads.remove(&thread);
    }
    stream::settle(baton);
    for number in poisoned.host_functions {
        if let Some(key) = baton.concurrent.host_functions.remove(&number) {
            work::abandon(baton, key);
        }
    }
    for call in poisoned.calls {
        if Some(call) != own {
            end_call(baton, call, Err(anyhow!("{error:#}")));
        }
    }
}

/// Runs a thread as the state says.
fn thread(
    mut baton: Baton,
    resumed: Resumed,
    goal: &mut (dyn HostGoal + Send),
) -> (Baton, Outcome) {
    let Resumed { thread, action } = resumed;
    let outcome = match action {
        Action::StartTask => start_task(&mut baton, thread, goal),
        Action::StartThread => start_thread(&mut baton, thread),
        Action::Callback(event) => callback(&mut baton, thread, event),
        Action::Return(value) => Ok(resume_with(thread, value.into())),
        Action::Event(event) => {
            let memory = baton
                .concurrent
                .parked
                .get(&thread)
                .and_then(|parked| parked.memory);
            Ok(Outcome::Run(
                Run::Resume {
                    thread,
                    job: with_baton(Box::new(move |cx, slots| match memory {
                        Some(memory) => crate::call::builtins::deliver(cx, memory, slots, event),
                        None => Err(anyhow!(bug("an event has no memory"))),
                    })),
                },
                None,
            ))
        }
        Action::Returned(subtask) => {
            let result = baton.concurrent.returned.remove(&subtask).unwrap_or(0);
            Ok(resume_with(thread, result))
        }
        Action::Trap(trap) => {
            let error = match baton.concurrent.cause() {
                Some(cause) => anyhow!(trap).context(cause.to_owned()),
                None => trap.into(),
            };
            if baton.concurrent.parked.contains_key(&thread) {
                Ok(fail(thread, error))
            } else {
                Err((thread, error))
            }
        }
    };
    match outcome {
        Ok(outcome) => (baton, outcome),
        Err((thread, error)) => {
            let task = baton.state.thread_task(thread);
            let instance = baton.state.task_instance(task);
            let running = Running {
                thread,
                task,
                instance,
                isolate: 0,
                entry: Entry::Lifted,
            };
            end_trapped(baton, running, error)
        }
    }
}

type Started = Result<Outcome, (ThreadId, Error)>;

fn start_task(baton: &mut Baton, thread: ThreadId, goal: &mut (dyn HostGoal + Send)) -> Started {
    let task = baton.state.thread_task(thread);
    let at = |error| (thread, error);
    let data: &CallData = baton.concurrent.task(task).map_err(at)?;
    let callee = data.callee.clone();
    let args = match data.from {
        From::Host(number) if goal.owns(number) => goal.lower(baton, number, &callee, task),
        From::Host(number) => accessor_call::args(baton, number, &callee, task),
        From::Guest(_) => GuestCall::start_later(baton, task),
    };
    let args = args.map_err(at)?;
    Ok(Outcome::Run(entry(&callee, thread, task, args), None))
}

fn start_thread(baton: &mut Baton, thread: ThreadId) -> Started {
    let task = baton.state.thread_task(thread);
    let instance = baton.state.task_instance(task);
    let (isolate, func, arg) = baton
        .concurrent
        .new_threads
        .remove(&thread)
        .context(bug("a new thread has no function"))
        .map_err(|error| (thread, error))?;
    let running = Running {
        thread,
        task,
        instance,
        isolate,
        entry: Entry::Explicit,
    };
    Ok(Outcome::Run(
        Run::Core {
            running,
            func,
            args: vec![arg],
        },
        None,
    ))
}

fn callback(baton: &mut Baton, thread: ThreadId, event: Event) -> Started {
    let task = baton.state.thread_task(thread);
    let callee = baton
        .concurrent
        .task(task)
        .map_err(|error| (thread, error))?
        .callee
        .clone();
    let Some(callback) = callee.callback else {
        return Err((
            thread,
            anyhow!(bug("a task without a callback waits for one")),
        ));
    };
    let running = Running {
        thread,
        task,
        instance: callee.options.instance,
        isolate: callee.options.isolate,
        entry: Entry::Callback,
    };
    Ok(Outcome::Run(call_back(running, callback, event), None))
}
