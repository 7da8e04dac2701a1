//! The driver: runs what the state says and what stacks request, until nothing is left to do or the host's call has returned.

use super::accessor_call::asked;
use super::end::end_entered;
use super::go_on::{caller_ended, go_on};
use super::host::{HostGoal, end_call};
use super::park::Waiter;
use super::plain;
use super::step::{Paused, resume, run_on, step};
use super::thread::{reply, returns, thread};
use super::watch::deadlock;
use super::work;
use super::{Run, Then};
use crate::baton::{Baton, Home, Level};
use crate::interrupt::{self, Control, Terminated, yield_now};
use crate::stream;
use anyhow::{Error, Result, anyhow};
use std::future::poll_fn;
use std::task::{Context, Poll};
use tidegate_core::runtime::{Action, Fair, Resumed};

/// What happened in a run.
pub(super) enum Outcome {
    /// Control comes back.
    Back,
    /// Run something, and then go on as said, if at all.
    Run(Run, Option<Then>),
    /// A thread trapped: control comes back with the error.
    Trapped(Trapped),
}

/// A thread's trap.
pub(super) struct Trapped {
    pub(super) error: Error,
    /// The call by the host whose task it was.
    pub(super) call: Option<u64>,
}

impl std::convert::From<Trapped> for Outcome {
    fn from(trapped: Trapped) -> Self {
        Self::Trapped(trapped)
    }
}

impl std::convert::From<Error> for Trapped {
    fn from(error: Error) -> Self {
        Self { error, call: None }
    }
}

/// Where the baton goes when what runs is dropped or lost, how to have it back, and the requests to interrupt.
pub(super) type At<'a> = (&'a Home, Level, Option<&'a Control>);

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
        let mut later = Vec::new();
        let mut run = Some(Outcome::Run(run, then));
        let begun = poll_fn(|cx| {
            // Polled once.
            let run = run.take().unwrap_or(Outcome::Back);
            Poll::Ready(follow(at, &mut baton, &mut later, run, goal, cx))
        });
        if let Err(paused) = begun.await {
            control(at, &mut baton, later, paused, goal).await;
        }
    }
    let mut turns = 0;
    loop {
        let stop = poll_fn(|cx| Poll::Ready(advance(at, &mut baton, &mut turns, goal, cx))).await;
        match stop {
            Stop::Reached => return (baton, Ok(())),
            Stop::Paused(paused, later) => control(at, &mut baton, later, paused, goal).await,
            Stop::Breathe => {
                work::poll_woken(&mut baton);
                baton = breathe(at, baton).await;
                continue;
            }
            Stop::Rest => {
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
                let error = deadlock(&baton);
                return (baton, Err(error));
            }
        }
        retry(&mut baton);
    }
}

/// Where the driver stops that goes on by itself as long as nothing is to be waited for.
enum Stop {
    /// The goal is reached.
    Reached,
    /// A stack waits for something; this is done when control comes back from it.
    Paused(Paused, Vec<Later>),
    /// Others are to have their turn.
    Breathe,
    /// There is nothing to do.
    Rest,
}

/// Runs what is ready and polls the host's work, as far as that goes without waiting.
fn advance(
    at: At<'_>,
    baton: &mut Baton,
    turns: &mut u32,
    goal: &mut (dyn HostGoal + Send),
    cx: &mut Context<'_>,
) -> Stop {
    loop {
        if goal.reached(baton) {
            return Stop::Reached;
        }
        stream::settle(baton);
        if baton.concurrent.work.has_asked()
            && let Some((run, then)) = asked(baton)
        {
            if let Err(stop) = go(at, baton, Outcome::Run(run, then), goal, cx) {
                return stop;
            }
            continue;
        }
        *turns += 1;
        if *turns == TURNS {
            *turns = 0;
            return Stop::Breathe;
        }
        // What was just written is not moved, where it need not be.
        let mut resumed = baton.state.tick(&mut Fair);
        let Some(Resumed { thread, action }) = &resumed else {
            // Requests to interrupt are met where it rests.
            if at.2.is_some() || !work::poll_ready(baton) {
                return Stop::Rest;
            }
            continue;
        };
        let called = match action {
            Action::Callback(event) => plain::call_back(at.2, baton, *thread, event),
            _ => None,
        };
        let outcome = match (called, action) {
            (Some(called), _) => called.err().map(Outcome::Trapped),
            (None, action) if returns(action) => {
                let with = reply(baton, *thread, action);
                match resume(at, baton, *thread, with, cx) {
                    Ok(Outcome::Back) => None,
                    Ok(outcome) => Some(outcome),
                    Err(paused) => return Stop::Paused(paused, Vec::new()),
                }
            }
            (None, _) => resumed
                .take()
                .map(|resumed| Outcome::Run(Run::Thread(resumed), None)),
        };
        match outcome {
            None => retry(baton),
            Some(outcome) => {
                if let Err(stop) = go(at, baton, outcome, goal, cx) {
                    return stop;
                }
            }
        }
    }
}

/// Does what follows from an outcome until control comes back, as far as that goes without waiting.
fn go(
    at: At<'_>,
    baton: &mut Baton,
    outcome: Outcome,
    goal: &mut (dyn HostGoal + Send),
    cx: &mut Context<'_>,
) -> Result<(), Stop> {
    let mut later = Vec::new();
    match follow(at, baton, &mut later, outcome, goal, cx) {
        Ok(()) => {
            retry(baton);
            Ok(())
        }
        Err(paused) => Err(Stop::Paused(paused, later)),
    }
}

/// Code has run: what it was in the way of has its turn.
#[inline]
fn retry(baton: &mut Baton) {
    stream::retry(baton);
    baton.concurrent.work.retry();
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

/// Runs a stack on that waits, and does what follows until control comes back.
async fn control(
    at: At<'_>,
    baton: &mut Baton,
    mut later: Vec<Later>,
    mut paused: Paused,
    goal: &mut (dyn HostGoal + Send),
) {
    loop {
        let mut outcome = run_on(at, baton, paused).await;
        let followed = poll_fn(|cx| {
            // Polled once.
            let outcome = std::mem::replace(&mut outcome, Outcome::Back);
            Poll::Ready(follow(at, baton, &mut later, outcome, goal, cx))
        });
        match followed.await {
            Ok(()) => return,
            Err(again) => paused = again,
        }
    }
}

/// Runs something until it gives control back or wants something else to run.
///
/// # Errors
/// It must be waited for something.
fn run_one(
    at: At<'_>,
    baton: &mut Baton,
    run: Run,
    goal: &mut (dyn HostGoal + Send),
    cx: &mut Context<'_>,
) -> Result<Outcome, Paused> {
    match run {
        // What needs no stack is done right here.
        Run::Thread(resumed) => Ok(thread(baton, resumed, goal)),
        Run::Core {
            running,
            func,
            args,
        } if !running.suspendable => Ok(match plain::run(at.2, baton, running, func, &args) {
            Ok(()) => Outcome::Back,
            Err(trapped) => trapped.into(),
        }),
        run => step(at, baton, run, cx),
    }
}

/// Does what follows until control comes back.
///
/// # Errors
/// A stack waits for something; `later` is what is done when control comes back from it.
fn follow(
    at: At<'_>,
    baton: &mut Baton,
    later: &mut Vec<Later>,
    mut outcome: Outcome,
    goal: &mut (dyn HostGoal + Send),
    cx: &mut Context<'_>,
) -> Result<(), Paused> {
    loop {
        match outcome {
            Outcome::Run(run, then) => {
                later.extend(then.map(|then| Later::new(baton, then)));
                outcome = run_one(at, baton, run, goal, cx)?;
            }
            Outcome::Back => match later.pop() {
                None => return Ok(()),
                Some(later) => outcome = later.go_on(baton, None),
            },
            Outcome::Trapped(Trapped { error, call }) => match later.pop() {
                None => {
                    match call {
                        Some(call) if !goal.owns(call) => end_call(baton, call, Err(error)),
                        call => goal.trapped(baton, error, call.is_some()),
                    }
                    return Ok(());
                }
                Some(later) => {
                    if let Some(call) = call {
                        end_call(baton, call, Err(anyhow!("{error:#}")));
                    }
                    outcome = later.go_on(baton, Some(error));
                }
            },
        }
    }
}

/// What is done when control has come back, if the caller is still there.
struct Later {
    then: Then,
    /// The caller, whose stack is parked: its instance may be made unusable meanwhile, and its thread's name be another's.
    caller: Option<Waiter>,
}

impl Later {
    fn new(baton: &Baton, then: Then) -> Self {
        let caller = then
            .caller()
            .and_then(|thread| baton.concurrent.parked.waiter(thread));
        Self { then, caller }
    }

    fn go_on(self, baton: &mut Baton, error: Option<Error>) -> Outcome {
        let Some(caller) = self.then.caller() else {
            return go_on(baton, self.then, error);
        };
        let now = baton.concurrent.parked.waiter(caller);
        match (now, self.caller) {
            (Some(now), Some(before)) if now.serial == before.serial => {
                go_on(baton, self.then, error)
            }
            (_, before) => caller_ended(baton, caller, before, self.then, error),
        }
    }
}
