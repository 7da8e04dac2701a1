//! The right to use a store.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use wasmtime::{AsContext, AsContextMut, StoreContextMut, Val};

use super::{checks, convert, host, isolate::StoreData, memories::NumberedMemory};
use crate::{
    cx::{Cx, CxInner},
    error::EngineError,
    handles::{
        Extern, Func, FuncInner, Global, GlobalInner, Instance, InstanceInner, Memory, MemoryInner,
        SharedMemoryIndex, Table, TableInner, Tag, TagInner,
    },
    host_type::HostType,
    isolate::IsolateData,
    module::{Module, ModuleInner},
    native_stack,
    shared_memory::SharedMemory,
    signature::Signature,
    stack::{BlockingHostFn, HostFn},
    trap::{Frame, Trap, TrapCode},
    types::{FuncType, GlobalType, MemoryType, TableType, ValType},
};

pub(crate) struct WasmtimeCx<'a, D: IsolateData>(pub(super) StoreContextMut<'a, StoreData<D>>);

const FOREIGN: EngineError = EngineError::Misuse("something of another engine");

/// Takes the wasmtime variant of a handle, or panics: handles of another isolate are the caller's error.
macro_rules! own {
    ($inner:ident, $handle:expr) => {
        match $handle {
            $inner::Wasmtime(inner) => inner,
            $inner::Wasmi(_) => panic!("{FOREIGN}"),
        }
    };
}

/// A word as a number of a type; narrow ones are its low half.
fn number(ty: &wasmtime::ValType, word: u64) -> Result<Val, EngineError> {
    match ty {
        wasmtime::ValType::I32 => Ok(Val::I32(word as i32)),
        wasmtime::ValType::I64 => Ok(Val::I64(word.cast_signed())),
        wasmtime::ValType::F32 => Ok(Val::F32(word as u32)),
        wasmtime::ValType::F64 => Ok(Val::F64(word)),
        _ => Err(no_number()),
    }
}

fn no_number() -> EngineError {
    EngineError::Unsupported("the global does not hold a number".into())
}

impl<D: IsolateData> WasmtimeCx<'_, D> {
    #[inline]
    pub(crate) fn reborrow(&mut self) -> Cx<'_, D> {
        Cx {
            inner: CxInner::Wasmtime(WasmtimeCx(self.0.as_context_mut())),
        }
    }

    #[inline]
    pub(crate) fn data(&self) -> &D {
        &self.0.data().user
    }

    #[inline]
    pub(crate) fn data_mut(&mut self) -> &mut D {
        &mut self.0.data_mut().user
    }

    pub(crate) fn backtrace(&self) -> Vec<Frame> {
        convert::frames(&wasmtime::WasmBacktrace::force_capture(&self.0))
    }

    pub(crate) fn can_block(&self) -> bool {
        self.0.data().may_block
    }

    #[inline]
    pub(crate) fn call(&mut self, func: Func, slots: &mut [u64]) -> anyhow::Result<()> {
        func.signature.check(slots.len())?;
        let FuncInner::Wasmtime(raw) = func.inner else {
            return Err(FOREIGN.into());
        };
        let data = self.0.data_mut();
        let _native = native_stack::enter(data.native_stack, data.max_wasm_stack)?;
        let may_block = std::mem::replace(&mut data.may_block, false);
        if let Err(trap) = checks::begin_plain(data) {
            data.may_block = may_block;
            return Err(trap);
        }
        // SAFETY: a function's signature was made from its type, and `check` has compared it with the slots. The engine
        // panics if the function belongs to another store.
        let result =
            unsafe { host::call_raw(self.0.as_context_mut(), raw, &func.signature, slots) };
        self.leave(may_block);
        result.map_err(convert::from_engine)
    }

    pub(crate) fn instantiate(
        &mut self,
        module: &Module,
        imports: &[Extern],
    ) -> anyhow::Result<Instance> {
        let (inner, imports) = self.prepare(module, imports)?;
        let data = self.0.data_mut();
        let _native = native_stack::enter(data.native_stack, data.max_wasm_stack)?;
        let may_block = std::mem::replace(&mut data.may_block, false);
        let result = if data.stack_funcs.is_none() {
            wasmtime::Instance::new(self.0.as_context_mut(), inner, &imports)
        } else {
            self.instantiate_ready(inner, &imports)
        };
        self.leave(may_block);
        self.finish(result)
    }

    /// A plain entry is over.
    #[inline]
    pub(super) fn leave(&mut self, may_block: bool) {
        let data = self.0.data_mut();
        data.may_block = may_block;
        checks::remind(data);
    }

    /// In a store that has an asynchronous function the engine instantiates asynchronously only. As nothing may block here,
    /// the instance is there at once.
    fn instantiate_ready(
        &mut self,
        module: &wasmtime::Module,
        imports: &[wasmtime::Extern],
    ) -> wasmtime::Result<wasmtime::Instance> {
        let _native = native_stack::switch();
        let instance = pin!(wasmtime::Instance::new_async(
            self.0.as_context_mut(),
            module,
            imports
        ));
        match instance.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(convert::to_engine(EngineError::CannotBlock.into())),
        }
    }

    /// Counts what a module takes, and gives the engine's form of it and of its imports.
    pub(super) fn prepare<'m>(
        &mut self,
        module: &'m Module,
        imports: &[Extern],
    ) -> Result<(&'m wasmtime::Module, Vec<wasmtime::Extern>), EngineError> {
        let ModuleInner::Wasmtime(inner) = &module.inner else {
            return Err(FOREIGN);
        };
        self.0
            .data_mut()
            .limiter
            .instantiate(module.info.memories, module.info.tables)?;
        let mut imports: Vec<wasmtime::Extern> = imports
            .iter()
            .map(|import| match *import {
                Extern::Func(Func {
                    inner: FuncInner::Wasmtime(func),
                    ..
                }) => Ok(func.into()),
                Extern::Memory(Memory(MemoryInner::Wasmtime(memory))) => Ok((*memory).into()),
                Extern::Global(Global(GlobalInner::Wasmtime(global))) => Ok(global.into()),
                Extern::Table(Table(TableInner::Wasmtime(table))) => Ok(table.into()),
                Extern::Tag(Tag(TagInner::Wasmtime(tag))) => Ok(tag.into()),
                Extern::SharedMemory(memory) => Ok(self.shared_memory(memory).inner.into()),
                _ => Err(FOREIGN),
            })
            .collect::<Result<_, _>>()?;
        if let Some(requests) = &self.0.data().requests {
            imports.push(requests.memory().clone().into());
            imports.push(self.check_func().into());
        }
        Ok((inner, imports))
    }

    /// The function that modules with checks import.
    fn check_func(&mut self) -> wasmtime::Func {
        let requests = self.0.data().requests.as_ref();
        if let Some(func) = requests.and_then(|requests| requests.func) {
            return func;
        }
        let func = wasmtime::Func::wrap(&mut self.0, checks::check::<D>);
        if let Some(requests) = &mut self.0.data_mut().requests {
            requests.func = Some(func);
        }
        func
    }

    /// Says why an instantiation failed.
    pub(super) fn finish(
        &mut self,
        result: wasmtime::Result<wasmtime::Instance>,
    ) -> anyhow::Result<Instance> {
        let error = match result {
            Ok(instance) => return Ok(Instance(InstanceInner::Wasmtime(instance))),
            Err(error) => error,
        };
        if convert::is_from_code(&error) {
            return Err(convert::from_engine(error));
        }
        if let Some(limit) = self.0.data_mut().limiter.take_refusal() {
            return Err(EngineError::Limit(limit).into());
        }
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Err(convert::from_engine(error));
        }
        Err(EngineError::Link(format!("{error:#}")).into())
    }

    pub(crate) fn export(&mut self, instance: Instance, name: &str) -> Option<Extern> {
        let instance = own!(InstanceInner, instance.0);
        let export = instance.get_export(&mut self.0, name)?;
        Some(self.exported(export, None))
    }

    pub(crate) fn export_of(
        &mut self,
        instance: Instance,
        index: &wasmtime::ModuleExport,
        signature: Option<Signature>,
    ) -> Option<Extern> {
        let instance = own!(InstanceInner, instance.0);
        let export = instance.get_module_export(&mut self.0, index)?;
        Some(self.exported(export, signature))
    }

    /// What an instance exports; the signature of a function is looked up if it is not given.
    fn exported(&mut self, export: wasmtime::Extern, signature: Option<Signature>) -> Extern {
        match export {
            wasmtime::Extern::Func(func) => Extern::Func(match signature {
                Some(signature) => Func {
                    inner: FuncInner::Wasmtime(func),
                    signature,
                },
                None => self.func(func),
            }),
            wasmtime::Extern::Memory(memory) => {
                Extern::Memory(Memory(MemoryInner::Wasmtime(NumberedMemory::new(memory))))
            }
            wasmtime::Extern::Global(global) => {
                Extern::Global(Global(GlobalInner::Wasmtime(global)))
            }
            wasmtime::Extern::Table(table) => Extern::Table(Table(TableInner::Wasmtime(table))),
            wasmtime::Extern::Tag(tag) => Extern::Tag(Tag(TagInner::Wasmtime(tag))),
            wasmtime::Extern::SharedMemory(inner) => {
                Extern::SharedMemory(self.add_shared_memory(&SharedMemory { inner }))
            }
        }
    }

    fn func(&self, func: wasmtime::Func) -> Func {
        Func {
            inner: FuncInner::Wasmtime(func),
            signature: convert::signature(&func.ty(&self.0)),
        }
    }

    pub(crate) fn host_func(&mut self, ty: &HostType, func: HostFn<D>) -> anyhow::Result<Func> {
        let signature = ty.signature()?;
        let inner = host::host_func(self.0.as_context_mut(), ty, signature, func)?;
        Ok(Func {
            inner: FuncInner::Wasmtime(inner),
            signature,
        })
    }

    pub(crate) fn blocking_host_func(
        &mut self,
        ty: &HostType,
        func: BlockingHostFn<D>,
    ) -> anyhow::Result<Func> {
        let signature = ty.signature()?;
        let inner = host::blocking_host_func(self.0.as_context_mut(), ty, signature, func)?;
        Ok(Func {
            inner: FuncInner::Wasmtime(inner),
            signature,
        })
    }

    pub(crate) fn func_type(&self, func: Func) -> FuncType {
        convert::func_type(&own!(FuncInner, func.inner).ty(&self.0))
    }

    pub(crate) fn tag_type(&self, tag: Tag) -> FuncType {
        convert::func_type(own!(TagInner, tag.0).ty(&self.0).ty())
    }

    #[inline]
    pub(crate) fn memory(&self, memory: Memory) -> &[u8] {
        let (memory, data) = (own!(MemoryInner, memory.0), self.0.data());
        match data.places.find(&memory, data.limiter.growths()) {
            // SAFETY: as in `memory_and_data_mut`, and whoever has the bytes only reads them.
            Some((base, length)) => unsafe { std::slice::from_raw_parts(base, length) },
            None => memory.data(self.0.as_context()),
        }
    }

    #[inline]
    pub(crate) fn memory_and_data_mut(&mut self, memory: Memory) -> (&mut [u8], &mut D) {
        let (memory, data) = (own!(MemoryInner, memory.0), self.0.data());
        let known = data.places.find(&memory, data.limiter.growths());
        let (base, length) = known.unwrap_or_else(|| self.look_for(&memory));
        // SAFETY: the memory is this store's: only of such a one it is remembered where it is. It is there until the store is dropped, and neither moves nor
        // changes its length without asking the limiter, since which nothing is remembered. Nobody else gets at it or the store's data while this one is
        // borrowed, and the two do not overlap.
        let bytes = unsafe { std::slice::from_raw_parts_mut(base, length) };
        (bytes, &mut self.0.data_mut().user)
    }

    /// Where a memory is, which is remembered.
    #[cold]
    fn look_for(&mut self, memory: &NumberedMemory) -> (*mut u8, usize) {
        let (base, length) = (memory.data_ptr(&self.0), memory.data_size(&self.0));
        let data = self.0.data_mut();
        data.places
            .note(memory, base, length, data.limiter.growths());
        (base, length)
    }

    crate::memories::memories!();

    pub(crate) fn add_shared_memory(&mut self, memory: &SharedMemory) -> SharedMemoryIndex {
        let known = &mut self.0.data_mut().shared_memories;
        let index = known.iter().position(|known| known.same(memory));
        SharedMemoryIndex(index.unwrap_or_else(|| {
            known.push(memory.clone());
            known.len() - 1
        }))
    }

    pub(crate) fn shared_memory(&self, memory: SharedMemoryIndex) -> SharedMemory {
        match self.0.data().shared_memories.get(memory.0) {
            Some(memory) => memory.clone(),
            None => panic!("{FOREIGN}"),
        }
    }

    pub(crate) fn shared_memory_type(&self, memory: SharedMemoryIndex) -> MemoryType {
        convert::memory_type(&self.shared_memory(memory).inner.ty())
    }

    pub(crate) fn global_type(&self, global: Global) -> GlobalType {
        convert::global_type(&own!(GlobalInner, global.0).ty(&self.0))
    }

    pub(crate) fn new_global(&mut self, ty: ValType, value: u64) -> anyhow::Result<Global> {
        let ty = match ty {
            ValType::I32 => wasmtime::ValType::I32,
            ValType::I64 => wasmtime::ValType::I64,
            ValType::F32 => wasmtime::ValType::F32,
            ValType::F64 => wasmtime::ValType::F64,
            _ => return Err(no_number().into()),
        };
        let value = number(&ty, value)?;
        let ty = wasmtime::GlobalType::new(ty, wasmtime::Mutability::Var);
        let global = wasmtime::Global::new(&mut self.0, ty, value).map_err(convert::from_engine)?;
        Ok(Global(GlobalInner::Wasmtime(global)))
    }

    pub(crate) fn global_get(&mut self, global: Global) -> anyhow::Result<u64> {
        match own!(GlobalInner, global.0).get(&mut self.0) {
            Val::I32(value) => Ok(u64::from(value.cast_unsigned())),
            Val::I64(value) => Ok(value.cast_unsigned()),
            Val::F32(bits) => Ok(u64::from(bits)),
            Val::F64(bits) => Ok(bits),
            _ => Err(no_number().into()),
        }
    }

    pub(crate) fn global_set(&mut self, global: Global, value: u64) -> anyhow::Result<()> {
        let global = own!(GlobalInner, global.0);
        let ty = global.ty(&self.0);
        if ty.mutability() != wasmtime::Mutability::Var {
            return Err(EngineError::Misuse("the global is immutable").into());
        }
        let value = number(ty.content(), value)?;
        global.set(&mut self.0, value).map_err(convert::from_engine)
    }

    pub(crate) fn table_type(&self, table: Table) -> TableType {
        convert::table_type(&own!(TableInner, table.0).ty(&self.0))
    }

    pub(crate) fn table_func(&mut self, table: Table, index: u64) -> anyhow::Result<Option<Func>> {
        match own!(TableInner, table.0).get(&mut self.0, index) {
            None => Err(Trap::new(TrapCode::TableOutOfBounds).into()),
            Some(wasmtime::Ref::Func(func)) => Ok(func.map(|func| self.func(func))),
            Some(_) => {
                Err(EngineError::Unsupported("the table does not hold functions".into()).into())
            }
        }
    }
}
