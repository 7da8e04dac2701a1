//! The same subjects on Wasmtime.

mod rt {
    pub use wasmtime::component::{
        Accessor, Component, ComponentType, Destination, FutureConsumer, FutureReader, Instance,
        InstancePre, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType, Source,
        StreamConsumer, StreamProducer, StreamReader, StreamResult, TypedFunc, VecBuffer,
    };
    pub use wasmtime::{Engine, Result, Store, StoreContextMut};

    use wasmtime::component::ComponentNamedList;

    /// What a function can be called with.
    pub trait Params: ComponentNamedList + Lower + Send + Sync + 'static {}
    impl<T: ComponentNamedList + Lower + Send + Sync + 'static> Params for T {}

    /// What a host function can be given.
    pub trait Args: ComponentNamedList + Lift + Send + 'static {}
    impl<T: ComponentNamedList + Lift + Send + 'static> Args for T {}

    /// What a function can give.
    pub trait Results: ComponentNamedList + Lift + Send + Sync + 'static {}
    impl<T: ComponentNamedList + Lift + Send + Sync + 'static> Results for T {}

    /// A subject whose work gives this runtime's errors.
    pub fn subject(run: impl FnMut(u64) -> Result<u64> + 'static) -> crate::measure::Subject {
        crate::measure::Subject::new(run)
    }

    /// Pooling, and everything else at its default.
    pub fn engine() -> Result<Engine> {
        let mut config = wasmtime::Config::new();
        config.wasm_component_model_async(true);
        config.wasm_component_model_async_stackful(true);
        let mut pooling = wasmtime::PoolingAllocationConfig::default();
        if let Some(size) = crate::measure::pool_size() {
            pooling.total_component_instances(size);
            pooling.total_core_instances(size);
            pooling.total_memories(size / 8);
            pooling.total_tables(size);
            pooling.total_stacks(size);
        }
        config.allocation_strategy(pooling);
        Engine::new(&config)
    }

    /// Something done with the store by way of an accessor.
    pub fn with<T: Send + 'static, R>(
        accessor: &wasmtime::component::Accessor<T>,
        f: impl FnOnce(wasmtime::component::Access<'_, T>) -> Result<R>,
    ) -> Result<R> {
        accessor.with(f)
    }

    /// Loads what `Component::serialize` gave.
    #[allow(unsafe_code)]
    pub fn load_artifact(engine: &Engine, artifact: &[u8]) -> Result<Component> {
        // SAFETY: the subject has just made it, with this engine.
        unsafe { Component::deserialize(engine, artifact) }
    }

    /// A store for any number of instances: unless told otherwise it takes 10,000.
    pub fn store(engine: &Engine) -> Store<()> {
        struct Unlimited;
        impl wasmtime::ResourceLimiter for Unlimited {
            fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
                Ok(true)
            }
            fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
                Ok(true)
            }
            fn instances(&self) -> usize {
                usize::MAX
            }
            fn memories(&self) -> usize {
                usize::MAX
            }
            fn tables(&self) -> usize {
                usize::MAX
            }
        }
        let mut store = Store::new(engine, ());
        // It has no size, so that nothing is allocated.
        store.limiter(|()| Box::leak(Box::new(Unlimited)));
        store
    }

    /// The same for so many guests with small memories, and stacks of so many bytes.
    pub fn engine_for(guests: usize, stack: Option<usize>) -> Result<Engine> {
        let mut config = wasmtime::Config::new();
        config.wasm_component_model_async(true);
        config.wasm_component_model_async_stackful(true);
        config.wasm_component_model_more_async_builtins(true);
        let (guests, mut pooling) = (guests as u32, wasmtime::PoolingAllocationConfig::default());
        pooling.total_component_instances(guests);
        pooling.total_core_instances(2 * guests);
        pooling.total_memories(guests);
        pooling.total_stacks(guests + 10);
        pooling.max_memory_size(1 << 20);
        config.allocation_strategy(pooling);
        config.memory_reservation(1 << 20);
        if let Some(stack) = stack {
            config.max_wasm_stack(stack / 2);
            config.async_stack_size(stack);
        }
        Engine::new(&config)
    }

    #[derive(ComponentType, Lift, Lower, Clone, Debug)]
    #[component(record)]
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
