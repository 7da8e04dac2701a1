//! The right to use an isolate.

use crate::{
    config::EngineKind,
    error::EngineError,
    handles::{Extern, Func, Global, Instance, Memory, SharedMemoryIndex, Table},
    host_type::HostType,
    instance_pre::{InstancePre, PreInner},
    isolate::IsolateData,
    module::Module,
    module_export::{ExportInner, ModuleExport},
    shared_memory::SharedMemory,
    stack::{BlockingHostFn, HostFn},
    trap::Frame,
    types::{ExternType, FuncType, GlobalType, MemoryType, TableType, ValType},
};

/// The right to use an isolate: from outside ([`Isolate::cx`](crate::Isolate::cx)), or from inside a host function or a job.
///
/// # Panics
/// Handles ([`Func`], [`Memory`], …) belong to the isolate they came from. Engines panic when handed those of another.
pub struct Cx<'a, D: IsolateData> {
    pub(crate) inner: CxInner<'a, D>,
}

pub(crate) enum CxInner<'a, D: IsolateData> {
    Wasmtime(crate::wasmtime::WasmtimeCx<'a, D>),
    Wasmi(crate::wasmi::WasmiCx<'a, D>),
}

/// Hands a call on to the adapter.
macro_rules! adapter {
    ($self:expr, $cx:ident => $body:expr) => {
        match $self {
            CxInner::Wasmtime($cx) => $body,
            CxInner::Wasmi($cx) => $body,
        }
    };
}

impl<D: IsolateData> Cx<'_, D> {
    /// The same right for a shorter time.
    #[inline]
    pub fn reborrow(&mut self) -> Cx<'_, D> {
        adapter!(&mut self.inner, cx => cx.reborrow())
    }

    /// Which engine runs the isolate.
    pub fn kind(&self) -> EngineKind {
        match &self.inner {
            CxInner::Wasmtime(_) => EngineKind::Wasmtime,
            CxInner::Wasmi(_) => EngineKind::Wasmi,
        }
    }

    /// The data of the isolate's user.
    #[inline]
    pub fn data(&self) -> &D {
        adapter!(&self.inner, cx => cx.data())
    }

    /// The data of the isolate's user.
    #[inline]
    pub fn data_mut(&mut self) -> &mut D {
        adapter!(&mut self.inner, cx => cx.data_mut())
    }

    /// Whether a blocking host function called right now could block: there is a stack to park, and no plain call in between.
    pub fn can_block(&self) -> bool {
        adapter!(&self.inner, cx => cx.can_block())
    }

    /// Instantiates a module and runs its start function. `imports` are in the order of [`Module::imports`].
    ///
    /// # Errors
    /// [`EngineError::Link`] where an import does not fit, [`EngineError::Limit`], a [`Trap`](crate::Trap) (a segment out of
    /// bounds, or in the start function), or whatever a host function called by the start function gave. What was
    /// instantiated until then stays in the isolate, out of reach.
    pub fn instantiate(&mut self, module: &Module, imports: &[Extern]) -> anyhow::Result<Instance> {
        adapter!(&mut self.inner, cx => cx.instantiate(module, imports))
    }

    /// Instantiates a prepared module, like [`instantiate`](Self::instantiate). `rest` are its other imports, in their order.
    ///
    /// # Errors
    /// As [`instantiate`](Self::instantiate); [`EngineError::Misuse`] where the number of other imports is wrong, or the isolate has nothing for
    /// the shared host functions to find.
    pub fn instantiate_pre(
        &mut self,
        pre: &InstancePre<D>,
        rest: &[Extern],
    ) -> anyhow::Result<Instance> {
        match (&mut self.inner, &pre.inner) {
            (CxInner::Wasmtime(cx), PreInner::Wasmtime(pre)) => cx.instantiate_pre(pre, rest),
            (CxInner::Wasmi(cx), PreInner::Wasmi(pre)) => {
                let imports = cx.imports(pre, rest)?;
                cx.instantiate(&pre.module, &imports)
            }
            _ => Err(EngineError::Misuse("a module prepared for another engine").into()),
        }
    }

    /// All imports of a prepared module, for [`Stack::instantiate`](crate::Stack::instantiate).
    ///
    /// # Errors
    /// As [`instantiate_pre`](Self::instantiate_pre).
    pub fn imports(
        &mut self,
        pre: &InstancePre<D>,
        rest: &[Extern],
    ) -> anyhow::Result<Vec<Extern>> {
        match (&mut self.inner, &pre.inner) {
            (CxInner::Wasmtime(cx), PreInner::Wasmtime(pre)) => cx.imports(pre, rest),
            (CxInner::Wasmi(cx), PreInner::Wasmi(pre)) => cx.imports(pre, rest),
            _ => Err(EngineError::Misuse("a module prepared for another engine").into()),
        }
    }

    /// An export of an instance.
    pub fn export(&mut self, instance: Instance, name: &str) -> Option<Extern> {
        adapter!(&mut self.inner, cx => cx.export(instance, name))
    }

    /// An export of an instance of the module that it was found in; `None` if the instance is another module's.
    pub fn export_of(&mut self, instance: Instance, export: &ModuleExport) -> Option<Extern> {
        match (&mut self.inner, &export.inner) {
            (CxInner::Wasmtime(cx), ExportInner::Wasmtime(index)) => {
                cx.export_of(instance, index, export.signature)
            }
            (CxInner::Wasmi(cx), ExportInner::Wasmi(name)) => cx.export(instance, name),
            _ => None,
        }
    }

    /// A host function that never blocks. It lives as long as the isolate.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for types that do not cross the interface.
    ///
    /// # Panics
    /// The type was used with another engine.
    pub fn host_func(&mut self, ty: impl Into<HostType>, func: HostFn<D>) -> anyhow::Result<Func> {
        let ty = ty.into();
        adapter!(&mut self.inner, cx => cx.host_func(&ty, func))
    }

    /// A host function that may block. It costs no more than one that never does, as long as it does not.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for types that do not cross the interface.
    ///
    /// # Panics
    /// The type was used with another engine.
    pub fn blocking_host_func(
        &mut self,
        ty: impl Into<HostType>,
        func: BlockingHostFn<D>,
    ) -> anyhow::Result<Func> {
        let ty = ty.into();
        adapter!(&mut self.inner, cx => cx.blocking_host_func(&ty, func))
    }

    /// The guest's frames below, innermost first. Empty from outside, and on wasmi, which cannot tell.
    pub fn backtrace(&self) -> Vec<Frame> {
        match &self.inner {
            CxInner::Wasmtime(cx) => cx.backtrace(),
            CxInner::Wasmi(_) => Vec::new(),
        }
    }

    /// Calls a function. Parameters go in at the front of `slots`, results come out there; there are at least
    /// [`Func::slots`]. Never suspends.
    ///
    /// # Errors
    /// A [`Trap`](crate::Trap); an error of a host function, as it was, with a [`Backtrace`](crate::Backtrace) as context;
    /// [`EngineError::CannotBlock`] where a blocking host function wants to block; [`EngineError::Unsupported`] for functions
    /// of types that do not cross the interface.
    #[inline]
    pub fn call(&mut self, func: Func, slots: &mut [u64]) -> anyhow::Result<()> {
        adapter!(&mut self.inner, cx => cx.call(func, slots))
    }

    /// The type of a function.
    pub fn func_type(&self, func: Func) -> FuncType {
        adapter!(&self.inner, cx => cx.func_type(func))
    }

    /// The type of anything.
    pub fn extern_type(&self, item: &Extern) -> ExternType {
        match *item {
            Extern::Func(func) => ExternType::Func(self.func_type(func)),
            Extern::Memory(memory) => ExternType::Memory(self.memory_type(memory)),
            Extern::Global(global) => ExternType::Global(self.global_type(global)),
            Extern::Table(table) => ExternType::Table(self.table_type(table)),
            Extern::Tag(tag) => ExternType::Tag(adapter!(&self.inner, cx => cx.tag_type(tag))),
            Extern::SharedMemory(memory) => {
                ExternType::Memory(adapter!(&self.inner, cx => cx.shared_memory_type(memory)))
            }
        }
    }

    /// The bytes of a memory, as large as it is now.
    #[inline]
    pub fn memory(&self, memory: Memory) -> &[u8] {
        adapter!(&self.inner, cx => cx.memory(memory))
    }

    /// The bytes of a memory, as large as it is now.
    #[inline]
    pub fn memory_mut(&mut self, memory: Memory) -> &mut [u8] {
        self.memory_and_data_mut(memory).0
    }

    /// The bytes of a memory together with the user's data.
    #[inline]
    pub fn memory_and_data_mut(&mut self, memory: Memory) -> (&mut [u8], &mut D) {
        adapter!(&mut self.inner, cx => cx.memory_and_data_mut(memory))
    }

    /// The type of a memory.
    pub fn memory_type(&self, memory: Memory) -> MemoryType {
        adapter!(&self.inner, cx => cx.memory_type(memory))
    }

    /// Whether a memory is addressed with `i64`.
    pub fn memory_is64(&self, memory: Memory) -> bool {
        self.memory_type(memory).memory64
    }

    /// The size of a memory in pages.
    pub fn memory_size(&self, memory: Memory) -> u64 {
        adapter!(&self.inner, cx => cx.memory_size(memory))
    }

    /// Grows a memory by so many pages and gives its former size, or `None` if its maximum or a limit forbids it.
    pub fn memory_grow(&mut self, memory: Memory, pages: u64) -> Option<u64> {
        adapter!(&mut self.inner, cx => cx.memory_grow(memory, pages))
    }

    /// Copies bytes from one memory to another, or within one where they may overlap.
    ///
    /// # Errors
    /// A [`Trap`](crate::Trap) of [`MemoryOutOfBounds`](crate::TrapCode::MemoryOutOfBounds); nothing is copied then.
    pub fn copy(
        &mut self,
        target: Memory,
        target_offset: u64,
        source: Memory,
        source_offset: u64,
        len: u64,
    ) -> anyhow::Result<()> {
        adapter!(&mut self.inner, cx => cx.copy((target, target_offset), (source, source_offset), len))
    }

    /// Tells the isolate of a shared memory, so that modules in it can import it.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] on wasmi.
    pub fn add_shared_memory(&mut self, memory: &SharedMemory) -> anyhow::Result<Extern> {
        match &mut self.inner {
            CxInner::Wasmtime(cx) => Ok(Extern::SharedMemory(cx.add_shared_memory(memory))),
            CxInner::Wasmi(_) => {
                Err(EngineError::Unsupported("this engine has no shared memories".into()).into())
            }
        }
    }

    /// A shared memory that the isolate knows.
    pub fn shared_memory(&self, memory: SharedMemoryIndex) -> SharedMemory {
        adapter!(&self.inner, cx => cx.shared_memory(memory))
    }

    /// A global that holds a number and can be set, for modules to import.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for other types.
    pub fn new_global(&mut self, ty: ValType, value: u64) -> anyhow::Result<Global> {
        adapter!(&mut self.inner, cx => cx.new_global(ty, value))
    }

    /// The type of a global.
    pub fn global_type(&self, global: Global) -> GlobalType {
        adapter!(&self.inner, cx => cx.global_type(global))
    }

    /// What a global holds.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] if that is not a number.
    pub fn global_get(&mut self, global: Global) -> anyhow::Result<u64> {
        adapter!(&mut self.inner, cx => cx.global_get(global))
    }

    /// Sets a global.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] if it does not hold a number; [`EngineError::Misuse`] if it is immutable.
    pub fn global_set(&mut self, global: Global, value: u64) -> anyhow::Result<()> {
        adapter!(&mut self.inner, cx => cx.global_set(global, value))
    }

    /// The type of a table.
    pub fn table_type(&self, table: Table) -> TableType {
        adapter!(&self.inner, cx => cx.table_type(table))
    }

    /// The function at an index of a table of functions, or `None` for a null element.
    ///
    /// # Errors
    /// A [`Trap`](crate::Trap) of [`TableOutOfBounds`](crate::TrapCode::TableOutOfBounds); [`EngineError::Unsupported`] if
    /// the elements are no functions.
    pub fn table_func(&mut self, table: Table, index: u64) -> anyhow::Result<Option<Func>> {
        adapter!(&mut self.inner, cx => cx.table_func(table, index))
    }
}
