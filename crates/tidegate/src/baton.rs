//! The baton: everything that a store consists of, in one box with one holder at a time.
//!
//! The holder is the innermost of: the [`Store`](crate::Store) itself, the isolate whose code runs (it sits in the engine store's data), or a host
//! function that is running. Entering an isolate hands it in, leaving takes it back: a pointer moved, not a lock.

use crate::call::canon::Dtor;
use crate::call::items::CopyPlans;
use crate::concurrent::{Concurrent, Reply, Request, With, cancel_dropped, end_entered};
use crate::error::bug;
use crate::group::{AccompaniedCall, Flags};
use crate::interrupt::{Control, Scope};
use crate::link::InstanceData;
use crate::stream::HostEnds;
use crate::{Engine, Limits};
use anyhow::{Context as _, Result};
use std::any::{Any, TypeId};
use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tidegate_core::runtime::{ResourceType, State};
use tidegate_engine::{Cx, Flow, Isolate, IsolateData, Job};

/// All of a store: the state of its instances, their isolates, and the embedder's data.
pub(crate) struct Runtime {
    pub(crate) id: StoreId,
    pub(crate) engine: Engine,
    /// What the Component Model knows of the instances.
    pub(crate) state: State,
    /// The isolates that are not running; `None` for one that runs further up the call chain, or ended with a stack that was dropped.
    pub(crate) isolates: Vec<Option<Isolate<Baton>>>,
    /// The embedder's data: the `T` of the store.
    pub(crate) data: Box<dyn Any + Send>,
    pub(crate) limits: Limits,
    /// The resource types of the host, by the Rust type that stands for them.
    host_resources: HashMap<TypeId, ResourceType>,
    /// The destructors of resource types, for handles that the host drops.
    pub(crate) dtors: HashMap<ResourceType, Dtor>,
    /// The tasks and threads of async.
    pub(crate) concurrent: Concurrent,
    /// Calls within isolates that the host accompanies, from the outermost to the current one.
    pub(crate) accompanied: Vec<AccompaniedCall>,
    /// The groups, by the isolates that hold them.
    pub(crate) groups: HashMap<usize, Arc<Flags>>,
    /// How items of streams and futures pass.
    pub(crate) copies: CopyPlans,
    /// The ends of streams and futures that the host holds.
    pub(crate) streams: HostEnds,
    /// Whether no guest runs, and the driver waits for something to do.
    pub(crate) at_rest: bool,
    /// The requests to calls of this store; made with the first handle, or with the store if code that computes can be interrupted.
    pub(crate) control: Option<Arc<Control>>,
    /// Made when it is first asked for: stores that never wait do without.
    home: OnceCell<Home>,
}

/// Tells stores apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreId(u64);

impl StoreId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Runtime {
    pub(crate) fn new(engine: Engine, data: Box<dyn Any + Send>, limits: Limits) -> Self {
        let home = OnceCell::new();
        let control = engine
            .is_interruptible()
            .then(|| Control::new(&engine, home.get_or_init(Home::default).clone()));
        Self {
            id: StoreId::next(),
            state: State::with_limits(limits.concurrency, engine.rules()),
            engine,
            isolates: Vec::new(),
            data,
            limits,
            host_resources: HashMap::new(),
            dtors: HashMap::new(),
            concurrent: Concurrent::default(),
            accompanied: Vec::new(),
            groups: HashMap::new(),
            copies: CopyPlans::default(),
            streams: HostEnds::default(),
            at_rest: false,
            control,
            home,
        }
    }

    /// Where the baton goes when nobody holds it.
    pub(crate) fn home(&self) -> Home {
        self.home.get_or_init(Home::default).clone()
    }

    /// The requests to calls of this store, from now on looked at.
    pub(crate) fn control(&mut self) -> &Arc<Control> {
        let home = self.home();
        self.control
            .get_or_insert_with(|| Control::new(&self.engine, home))
    }

    /// The embedder's data, as the type it has.
    pub(crate) fn user_data<T: 'static>(&mut self) -> &mut T {
        // A `Store<T>` puts a `T` there and nothing else is ever put in its place; whoever asks got its `T` from that store, or from a
        // linker that was used with it.
        self.data
            .downcast_mut()
            .expect("a store's data keeps its type")
    }

    /// The resource type that the host implements with a Rust type.
    pub(crate) fn host_resource_type(&mut self, ty: TypeId) -> ResourceType {
        let Self {
            host_resources,
            state,
            ..
        } = self;
        *host_resources
            .entry(ty)
            .or_insert_with(|| state.add_resource_type(None))
    }
}

/// Where the baton rests while no guest runs and the driver waits, for the host's futures to find it ([`Accessor`](crate::Accessor)), and where it
/// goes when the future that held it is dropped.
#[derive(Clone, Default)]
pub(crate) struct Home(Arc<Hearth>);

#[derive(Default)]
struct Hearth {
    kept: Mutex<Kept>,
    /// Told when what was lent has come back.
    returned: Condvar,
    /// How many know where it is only to be at hand for calls to come.
    idle: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    runtime: Option<Box<Runtime>>,
    /// How many accessors have borrowed it: more than one if, inside the closure of one, a guest was called that called another.
    lent: Level,
}

/// How many borrows of accessors are further up the call stack: whoever puts the baton there waits only for those that came later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(usize);

impl Home {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many know where it is and may come by themselves.
    pub(crate) fn residents(&self) -> usize {
        Arc::strong_count(&self.0).saturating_sub(self.0.idle.load(Ordering::Relaxed))
    }

    /// Somebody who knows where it is from now on comes only when called.
    pub(crate) fn add_idle(&self) {
        self.0.idle.fetch_add(1, Ordering::Relaxed);
    }

    /// Such a one is gone.
    pub(crate) fn remove_idle(&self) {
        self.0.idle.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether the baton is there.
    pub(crate) fn is_occupied(&self) -> bool {
        self.lock().runtime.is_some()
    }

    /// What to [reclaim](Self::reclaim) the baton with, for whoever has it now.
    pub(crate) fn level(&self) -> Level {
        self.lock().lent
    }

    /// Puts the baton there; gives what to [reclaim](Self::reclaim) it with.
    fn put(&self, place: &mut Baton) -> Level {
        let mut kept = self.lock();
        kept.runtime = place.0.take();
        kept.lent
    }

    /// Takes the baton out; should another thread have borrowed it, waits for that thread's closure to end.
    pub(crate) fn reclaim(&self, level: Level) -> Baton {
        let mut kept = self.lock();
        while kept.lent > level {
            kept = self
                .0
                .returned
                .wait(kept)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Baton(kept.runtime.take())
    }

    /// Borrows the baton, if it is there, or on offer on this thread.
    pub(crate) fn lend(&self) -> Option<Lent<'_>> {
        if let Some(runtime) = self.take_offered() {
            return Some(Lent {
                home: None,
                baton: Baton(Some(runtime)),
            });
        }
        let mut kept = self.lock();
        let runtime = kept.runtime.take()?;
        kept.lent.0 += 1;
        Some(Lent {
            home: Some(self),
            baton: Baton(Some(runtime)),
        })
    }

    fn take_offered(&self) -> Option<Box<Runtime>> {
        let offered = OFFER.try_with(|offer| {
            let runtime = offer.take()?;
            let home = runtime.home.get();
            if home.is_some_and(|home| Arc::ptr_eq(&home.0, &self.0)) {
                return Some(runtime);
            }
            offer.set(Some(runtime));
            None
        });
        offered.ok().flatten()
    }
}

thread_local! {
    /// The store whose future has a turn on this thread: for the duration of a poll its accessors find it here, which costs no lock.
    static OFFER: Cell<Option<Box<Runtime>>> = const { Cell::new(None) };
}

/// The baton, borrowed.
pub(crate) struct Lent<'a> {
    /// Where from, if it was not on offer.
    home: Option<&'a Home>,
    pub(crate) baton: Baton,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let Some(home) = self.home else {
            // Whoever offered it takes it back, and looks what there is to do.
            let runtime = self.baton.0.take();
            let _ = OFFER.try_with(|offer| offer.set(runtime));
            return;
        };
        let mut baton = self.baton.take();
        if !baton.is_away() && (baton.state.has_ready() || baton.concurrent.work.has_fresh()) {
            // Whatever was done with the store let a guest go on or added work, and the driver may be asleep.
            baton.concurrent.work.handle().nudge();
        }
        drop(baton);
        // Counted when this was made.
        home.lock().lent.0 -= 1;
        home.0.returned.notify_all();
    }
}

/// Runs `f`, which is to give a future of the host's its turn, while accessors find the baton: those of this thread.
#[inline]
pub(crate) fn in_turn<R>(place: &mut Baton, f: impl FnOnce() -> R) -> R {
    let offered = OFFER.try_with(|offer| {
        let other = offer.take();
        if other.is_some() {
            offer.set(other);
            return false;
        }
        offer.set(place.0.take());
        true
    });
    if !offered.unwrap_or(false) {
        return at_home(place, f);
    }
    let _offer = Offer(place);
    f()
}

/// Takes back what was offered, however the turn ends.
struct Offer<'a>(&'a mut Baton);

impl Drop for Offer<'_> {
    #[inline]
    fn drop(&mut self) {
        let offered = OFFER.try_with(Cell::take);
        self.0.0 = offered.ok().flatten();
    }
}

/// The same where another store's future has its turn further up the call stack: the baton is at home meanwhile.
#[cold]
fn at_home<R>(place: &mut Baton, f: impl FnOnce() -> R) -> R {
    let home = place.home();
    let level = home.put(place);
    let result = f();
    *place = home.reclaim(level);
    result
}

/// The baton, or the place where it is when one holds it.
#[derive(Default)]
pub(crate) struct Baton(Option<Box<Runtime>>);

impl Baton {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self(Some(Box::new(runtime)))
    }

    /// Whether this place does not hold the baton.
    pub(crate) fn is_away(&self) -> bool {
        self.0.is_none()
    }

    /// Hands the baton on; this place holds nothing from then on.
    #[inline]
    pub(crate) fn take(&mut self) -> Baton {
        Baton(self.0.take())
    }

    /// Ends the store: what the baton holds is dropped rather than sent home.
    pub(crate) fn retire(mut self) {
        drop(self.0.take());
    }
}

impl Deref for Baton {
    type Target = Runtime;

    #[inline]
    fn deref(&self) -> &Runtime {
        // Whoever has a `&Baton` to use got it from the place that holds it: see the module's documentation.
        self.0.as_deref().expect("the baton is held here")
    }
}

impl DerefMut for Baton {
    #[inline]
    fn deref_mut(&mut self) -> &mut Runtime {
        self.0.as_deref_mut().expect("the baton is held here")
    }
}

impl Drop for Baton {
    // Nearly always there is nothing to do: the baton was handed on.
    #[inline]
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            send_home(runtime);
        }
    }
}

#[cold]
fn send_home(runtime: Box<Runtime>) {
    // Whoever is to find it has asked for its home.
    if let Some(home) = runtime.home.get().cloned() {
        home.lock().runtime = Some(runtime);
    }
}

/// The place that a call took the baton from, to which it returns even if the call's future is dropped midway.
pub(crate) struct HomeGuard<'a> {
    place: &'a mut Baton,
    home: Home,
    level: Level,
    /// The call by the host that nobody waits for if this is dropped meanwhile.
    call: Option<u64>,
    _scope: Scope,
}

impl<'a> HomeGuard<'a> {
    pub(crate) fn new(place: &'a mut Baton) -> Self {
        let scope = Scope::enter(place);
        Self::within(place, scope, None)
    }

    /// The same for a call that has been entered, by its number.
    pub(crate) fn for_call(place: &'a mut Baton, scope: Scope, number: u64) -> Self {
        Self::within(place, scope, Some(number))
    }

    fn within(place: &'a mut Baton, _scope: Scope, call: Option<u64>) -> Self {
        let home = place.home();
        let level = home.level();
        Self {
            place,
            home,
            level,
            call,
            _scope,
        }
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    pub(crate) fn take(&mut self) -> Baton {
        self.place.take()
    }

    pub(crate) fn put(&mut self, mut baton: Baton) {
        baton.at_rest = false;
        *self.place = baton;
    }
}

impl Drop for HomeGuard<'_> {
    fn drop(&mut self) {
        if self.place.is_away() {
            let mut baton = self.home.reclaim(self.level);
            if !baton.is_away() && !std::mem::take(&mut baton.at_rest) {
                // What ran went with the future that was dropped.
                end_entered(&mut baton);
            }
            if let Some(number) = self.call.filter(|_| !baton.is_away()) {
                cancel_dropped(&mut baton, number);
            }
            *self.place = baton;
        }
    }
}

/// What a blocked stack waits for, which has the baton.
pub(crate) trait Waits: Send {
    /// Ready when the stack can go on.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Ends the blocked host call, or blocks it again: in its context, as a [`Job`] does. It was ready.
    ///
    /// # Errors
    /// What the host call ends with.
    fn end(self: Pin<Box<Self>>, cx: Cx<'_, Baton>, slots: &mut [u64]) -> Result<Flow<Blocked>>;
}

pin_project_lite::pin_project! {
    /// A future that gives what to do in the blocked host call.
    struct ByJob<F> {
        #[pin]
        future: F,
        job: Option<Job<Baton>>,
    }
}

impl<F: Future<Output = Job<Baton>> + Send> Waits for ByJob<F> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let parts = self.project();
        *parts.job = Some(ready!(parts.future.poll(cx)));
        Poll::Ready(())
    }

    fn end(
        mut self: Pin<Box<Self>>,
        cx: Cx<'_, Baton>,
        slots: &mut [u64],
    ) -> Result<Flow<Blocked>> {
        let job = self.as_mut().project().job.take();
        job.with_context(|| bug("a wait has ended without what it was for"))?(cx, slots)
    }
}

/// What a blocked stack waits for.
pub(crate) struct Waiting {
    /// `None` once it was ready.
    waits: Option<Pin<Box<dyn Waits>>>,
    /// The host function that waits, as it was imported.
    pub(crate) function: Option<Arc<str>>,
}

impl Waiting {
    pub(crate) fn new(future: impl Future<Output = Job<Baton>> + Send + 'static) -> Self {
        let job = None;
        Self {
            waits: Some(Box::pin(ByJob { future, job })),
            function: None,
        }
    }
}

impl Future for Waiting {
    type Output = With;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<With> {
        if let Some(waits) = &mut self.waits {
            ready!(waits.as_mut().poll(cx));
        }
        match self.waits.take() {
            Some(waited) => Poll::Ready(With::Waited(waited)),
            None => Poll::Pending,
        }
    }
}

/// Runs what is to be run in the store. The baton is in its place.
pub(crate) fn run_callbacks(baton: &mut Baton, control: &Control) {
    while let Some(callback) = control.callback() {
        callback(baton);
    }
}

/// Why a stack parks.
pub(crate) enum Blocked {
    /// The host is at work for it, and holds the store.
    Waiting(Waiting),
    /// It hands the store to the driver, with a request.
    Request(Baton, Request),
}

impl Blocked {
    /// Waiting for a future, which has the baton.
    pub(crate) fn waiting(future: impl Future<Output = Job<Baton>> + Send + 'static) -> Self {
        Self::Waiting(Waiting::new(future))
    }

    /// The same for a host function, which may have a name.
    pub(crate) fn waiting_in(
        function: Option<Arc<str>>,
        future: impl Future<Output = Job<Baton>> + Send + 'static,
    ) -> Self {
        Self::Waiting(Waiting {
            function,
            ..Waiting::new(future)
        })
    }

    /// The same for what has its place.
    pub(crate) fn waiting_pinned(function: Option<Arc<str>>, waits: Pin<Box<dyn Waits>>) -> Self {
        let waits = Some(waits);
        Self::Waiting(Waiting { waits, function })
    }
}

impl IsolateData for Baton {
    type Block = Blocked;
    type Local = InstanceData;
    type Reply = Reply;

    #[inline]
    fn call(
        cx: Cx<'_, Self>,
        local: &InstanceData,
        number: usize,
        slots: &mut [u64],
    ) -> anyhow::Result<()> {
        local.call_shared(cx, number, slots)
    }

    #[inline]
    fn call_blocking(
        cx: Cx<'_, Self>,
        local: &InstanceData,
        number: usize,
        slots: &mut [u64],
    ) -> anyhow::Result<Flow<Blocked>> {
        local.call_shared_blocking(cx, number, slots)
    }

    fn reply(cx: Cx<'_, Self>, slots: &mut [u64], reply: Reply) -> Result<Flow<Blocked>> {
        reply.give(cx, slots)
    }

    fn interrupted(&mut self) -> bool {
        if self.is_away() {
            return true;
        }
        let Some(control) = self.control.clone() else {
            return true;
        };
        run_callbacks(self, &control);
        control.wants_yield()
    }

    fn slice_is_over(&mut self) -> bool {
        let control = self.0.as_ref().and_then(|runtime| runtime.control.as_ref());
        control.is_some_and(|control| control.slice_is_over())
    }
}
