//! What a store consists of.

use super::{Baton, Home};
use crate::call::canon::Dtor;
use crate::call::items::CopyPlans;
use crate::concurrent::Concurrent;
use crate::group::{AccompaniedCall, Flags};
use crate::interrupt::Control;
use crate::stream::HostEnds;
use crate::{Engine, Limits};
use std::any::{Any, TypeId};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_core::runtime::{ResourceType, State};
use tidegate_engine::Isolate;

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
    pub(super) home: OnceCell<Home>,
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
