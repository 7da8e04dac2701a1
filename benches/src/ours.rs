//! The subjects on Tidegate.

/// What the subjects are written against: the names of `wasmtime::component`, which Tidegate has as well.
mod rt {
    pub use tidegate::stream::{
        Destination, FutureConsumer, FutureReader, Source, StreamConsumer, StreamProducer,
        StreamReader, StreamResult, VecBuffer,
    };
    pub use tidegate::{
        Accessor, Component, ComponentType, Engine, Instance, InstancePre, Lift, Linker,
        LinkerInstance, Lower, Resource, ResourceType, Result, Store, StoreContextMut, TypedFunc,
    };

    /// What a function can be called with.
    pub trait Params: tidegate::LowerParams + Send + Sync + 'static {}
    impl<T: tidegate::LowerParams + Send + Sync + 'static> Params for T {}

    /// What a host function can be given.
    pub trait Args: tidegate::LiftParams + Send + 'static {}
    impl<T: tidegate::LiftParams + Send + 'static> Args for T {}

    /// What a function can give.
    pub trait Results: tidegate::LiftResult + Send + 'static {}
    impl<T: tidegate::LiftResult + Send + 'static> Results for T {}

    /// A subject whose work gives this runtime's errors.
    pub fn subject(run: impl FnMut(u64) -> Result<u64> + 'static) -> crate::measure::Subject {
        crate::measure::Subject::new(run)
    }

    /// The peer's engine settings.
    pub fn engine() -> Result<Engine> {
        let mut config = tidegate::Config::new();
        let core = config.core();
        // As the peer's default has it: what a guest has touched goes back to the system.
        let pooling = core.pooling.get_or_insert_default();
        pooling.keep_resident = 0;
        if let Some(size) = crate::measure::pool_size() {
            pooling.instances = size;
            pooling.memories = size / 8;
            pooling.tables = size;
            pooling.stacks = size;
        }
        core.trust_artifacts = true;
        Engine::new(&config)
    }

    /// Something done with the store by way of an accessor.
    pub fn with<T: Send + 'static, R>(
        accessor: &tidegate::Accessor<T>,
        f: impl FnOnce(tidegate::Access<'_, T>) -> Result<R>,
    ) -> Result<R> {
        accessor.with(f)?
    }

    /// Loads what `Component::serialize` gave.
    pub fn load_artifact(engine: &Engine, artifact: &[u8]) -> Result<Component> {
        Component::deserialize(engine, artifact)
    }

    /// A store for any number of instances.
    pub fn store(engine: &Engine) -> Store<()> {
        Store::new(engine, ())
    }

    /// The same for so many guests with small memories, and stacks of so many bytes.
    pub fn engine_for(guests: usize, stack: Option<usize>) -> Result<Engine> {
        let mut config = tidegate::Config::new();
        let guests = guests as u32;
        let core = config.core();
        core.memory_reservation = Some(1 << 20);
        if let Some(stack) = stack {
            core.max_wasm_stack = stack / 2;
            core.native_stack = stack / 2;
        }
        let pooling = core.pooling.insert(Default::default());
        pooling.keep_resident = 0;
        pooling.instances = 2 * guests;
        pooling.memories = guests;
        pooling.stacks = guests + 10;
        pooling.max_memory_bytes = 1 << 20;
        Engine::new(&config)
    }

    #[derive(ComponentType, Lift, Lower, Clone, Debug)]
    pub struct Entry {
        pub id: u64,
        pub x: f32,
        pub y: f32,
        pub on: bool,
    }
}

#[path = "subjects/async_calls.rs"]
pub mod async_calls;
#[path = "subjects/calls.rs"]
pub mod calls;
#[path = "subjects/host_calls.rs"]
pub mod host_calls;
#[path = "subjects/instances.rs"]
pub mod instances;
#[path = "subjects/scale.rs"]
pub mod scale;
#[path = "subjects/streams.rs"]
pub mod streams;
