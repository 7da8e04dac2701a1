//! The right to use a store.

use wasmi::{AsContext, AsContextMut, Nullable, StoreContextMut};

use super::{
    convert,
    engine::{Lowered, WasmiModule},
    exceptions::{self, Exceptions, Flight},
    host,
    isolate::{FUEL, StoreData},
};
use crate::{
    cx::{Cx, CxInner},
    error::EngineError,
    handles::{
        Extern, Func, FuncInner, Global, GlobalInner, Instance, InstanceInner, Memory, MemoryInner,
        SharedMemoryIndex, Table, TableInner, Tag, TagInner,
    },
    host_type::HostType,
    instance_pre::{OTHER_IMPORTS, SharedFunc},
    isolate::IsolateData,
    module::{Module, ModuleInner},
    native_stack,
    shared_memory::SharedMemory,
    signature::Number,
    stack::{BlockingHostFn, HostFn},
    trap::{Trap, TrapCode},
    types::{FuncType, GlobalType, Import, MemoryType, TableType, ValType},
};

pub(crate) struct WasmiCx<'a, D: IsolateData>(pub(super) StoreContextMut<'a, StoreData<D>>);

/// A module and the shared host functions among its imports: the engine has none, so that each isolate makes them.
pub(crate) struct WasmiPre {
    pub(crate) module: Module,
    pub(crate) funcs: Box<[Option<SharedFunc>]>,
}

/// An instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WasmiInstance {
    inner: wasmi::Instance,
    /// Where in the store the tags that it exports are.
    exported_tags: Option<usize>,
}

/// A tag: an index into the store's tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WasmiTag {
    index: u32,
}

const FOREIGN: EngineError = EngineError::Misuse("something of another engine");

/// Native stack that the interpreter itself takes for an entry, in bytes.
const INTERPRETER_FRAMES: usize = 64 << 10;

/// Takes the wasmi variant of a handle, or panics: handles of another isolate are the caller's error.
macro_rules! own {
    ($inner:ident, $handle:expr) => {
        match $handle {
            $inner::Wasmi(inner) => inner,
            $inner::Wasmtime(_) => panic!("{FOREIGN}"),
        }
    };
}

impl<D: IsolateData> WasmiCx<'_, D> {
    #[inline]
    pub(crate) fn reborrow(&mut self) -> Cx<'_, D> {
        Cx {
            inner: CxInner::Wasmi(WasmiCx(self.0.as_context_mut())),
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

    pub(crate) fn can_block(&self) -> bool {
        self.0.data().may_block
    }

    pub(crate) fn call(&mut self, func: Func, slots: &mut [u64]) -> anyhow::Result<()> {
        func.signature.check(slots.len())?;
        let FuncInner::Wasmi(raw) = func.inner else {
            return Err(FOREIGN.into());
        };
        self.plain(|cx| host::call(cx.0.as_context_mut(), raw, &func.signature, slots))?
            .map_err(convert::from_engine)
    }

    /// Enters the guest in a way that cannot be suspended: neither by a blocking host function nor by its time slice.
    fn plain<R>(&mut self, enter: impl FnOnce(&mut Self) -> R) -> Result<R, Trap> {
        let data = self.0.data_mut();
        let _native = native_stack::enter(data.native_stack, INTERPRETER_FRAMES)?;
        let may_block = std::mem::replace(&mut data.may_block, false);
        let fuel = match data.metered {
            true => self.0.get_fuel().ok(),
            false => None,
        };
        if fuel.is_some() {
            self.set_fuel(FUEL);
        }
        let result = enter(self);
        let landed = self.land().check();
        if let Some(fuel) = fuel {
            self.set_fuel(fuel);
        }
        self.0.data_mut().may_block = may_block;
        landed.map(|()| result)
    }

    /// Takes the exception that reached the host, if one did.
    pub(super) fn land(&mut self) -> Flight {
        match self.0.data().exceptions {
            None => Flight::default(),
            Some(_) => Exceptions::land(self.0.as_context_mut()),
        }
    }

    pub(super) fn enable_exceptions(&mut self) {
        if self.0.data().exceptions.is_none() {
            let exceptions = Exceptions::new(self.0.as_context_mut());
            self.0.data_mut().exceptions = Some(exceptions);
        }
    }

    pub(super) fn set_fuel(&mut self, fuel: u64) {
        // Fails only on engines that do not meter, for which it is not called.
        let _ = self.0.set_fuel(fuel);
    }

    pub(crate) fn instantiate(
        &mut self,
        module: &Module,
        imports: &[Extern],
    ) -> anyhow::Result<Instance> {
        let (instance, start) = self.instantiate_unstarted(module, imports)?;
        if let Some(start) = start {
            self.call(start, &mut [])?;
        }
        Ok(instance)
    }

    /// Instantiates a module up to its start function, which is given back for the caller to run.
    pub(super) fn instantiate_unstarted(
        &mut self,
        module: &Module,
        imports: &[Extern],
    ) -> anyhow::Result<(Instance, Option<Func>)> {
        let ModuleInner::Wasmi(inner) = &module.inner else {
            return Err(FOREIGN.into());
        };
        self.0
            .data_mut()
            .limiter
            .instantiate(module.info.memories, module.info.tables)
            .map_err(EngineError::from)?;
        let given = Given::new(&module.info.imports, imports)?;
        let (code, imports, exported_tags) = self.form(inner, given)?;
        let result = self.plain(|cx| wasmi::Instance::new(&mut cx.0, code, &imports))?;
        let instance = match result {
            Ok(instance) => instance,
            Err(error) => {
                return Err(match self.0.data_mut().limiter.take_refusal() {
                    Some(limit) => EngineError::Limit(limit).into(),
                    None => convert::instantiation_failed(error),
                });
            }
        };
        let start = inner
            .start()
            .and_then(|name| instance.get_func(&self.0, name))
            .map(|func| self.func(func));
        let instance = WasmiInstance {
            inner: instance,
            exported_tags,
        };
        Ok((Instance(InstanceInner::Wasmi(instance)), start))
    }

    /// The form of a module for this isolate, its imports, and where the tags are that the instance will export.
    fn form<'m>(
        &mut self,
        module: &'m WasmiModule,
        given: Given,
    ) -> Result<(&'m wasmi::Module, Vec<wasmi::Extern>, Option<usize>), EngineError> {
        let Given {
            mut funcs,
            tables,
            memories,
            mut globals,
            mut tags,
        } = given;
        let is_first = self.0.data().instances == 0;
        self.0.data_mut().instances += 1;
        if module.plain().is_none() && is_first {
            self.enable_exceptions();
        }
        let Some(pending) = self.0.data().exceptions.as_ref().map(|own| own.pending) else {
            let Some(code) = module.plain() else {
                return Err(EngineError::Misuse(
                    "a module that uses exceptions in an isolate that was not prepared for them",
                ));
            };
            return Ok((code, [funcs, tables, memories, globals].concat(), None));
        };
        let Lowered { module, facts } = module.lowered()?;
        for index in 0..facts.tags() {
            let payload = convert::engine_types(facts.payload(index));
            match tags.get(index as usize) {
                None => tags.extend(exceptions::new_tag(self.0.as_context_mut(), &payload)),
                Some(given) => self.check_tag(*given, &payload)?,
            }
        }
        let data = self.0.data_mut();
        if facts.uses_exceptions
            && let Some(own) = &data.exceptions
        {
            funcs.extend(own.imports(&tags).into_iter().map(wasmi::Extern::from));
        }
        globals.push(pending.into());
        let exported = facts
            .exported_tags
            .iter()
            .map(|(name, index)| (name.clone(), tags[*index as usize]))
            .collect();
        data.exported_tags.push(exported);
        let exported_tags = data.exported_tags.len() - 1;
        Ok((
            module,
            [funcs, tables, memories, globals].concat(),
            Some(exported_tags),
        ))
    }

    fn check_tag(&self, given: u32, payload: &[wasmi::ValType]) -> Result<(), EngineError> {
        let exceptions = self.0.data().exceptions.as_ref();
        match exceptions.map(|exceptions| exceptions.tag_type(given)) {
            Some(ty) if ty.params() == payload => Ok(()),
            _ => Err(EngineError::Link(
                "an imported tag has another type than the one given".into(),
            )),
        }
    }

    pub(crate) fn export(&mut self, instance: Instance, name: &str) -> Option<Extern> {
        let instance = own!(InstanceInner, instance.0);
        if let Some(exported) = instance.exported_tags
            && let Some(index) = self.0.data().exported_tags[exported].get(name)
        {
            return Some(Extern::Tag(Tag(TagInner::Wasmi(WasmiTag {
                index: *index,
            }))));
        }
        Some(match instance.inner.get_export(&self.0, name)? {
            wasmi::Extern::Func(func) => Extern::Func(self.func(func)),
            wasmi::Extern::Memory(memory) => Extern::Memory(Memory(MemoryInner::Wasmi(memory))),
            wasmi::Extern::Global(global) => Extern::Global(Global(GlobalInner::Wasmi(global))),
            wasmi::Extern::Table(table) => Extern::Table(Table(TableInner::Wasmi(table))),
        })
    }

    fn func(&self, func: wasmi::Func) -> Func {
        Func {
            inner: FuncInner::Wasmi(func),
            signature: convert::signature(&func.ty(&self.0)),
        }
    }

    pub(crate) fn host_func(&mut self, ty: &HostType, func: HostFn<D>) -> anyhow::Result<Func> {
        let signature = ty.signature()?;
        let inner = host::host_func(self.0.as_context_mut(), ty, signature, func)?;
        Ok(Func {
            inner: FuncInner::Wasmi(inner),
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
            inner: FuncInner::Wasmi(inner),
            signature,
        })
    }

    /// All imports of a prepared module.
    pub(crate) fn imports(
        &mut self,
        pre: &WasmiPre,
        rest: &[Extern],
    ) -> anyhow::Result<Vec<Extern>> {
        let mut rest = rest.iter();
        let imports = pre.funcs.iter().map(|func| match func {
            Some(func) => Ok(host::shared_func(self.0.as_context_mut(), func)?.into()),
            None => rest.next().copied().ok_or(OTHER_IMPORTS),
        });
        let imports = imports.collect::<Result<_, _>>()?;
        match rest.next() {
            None => Ok(imports),
            Some(_) => Err(OTHER_IMPORTS.into()),
        }
    }

    pub(crate) fn func_type(&self, func: Func) -> FuncType {
        convert::func_type(&own!(FuncInner, func.inner).ty(&self.0))
    }

    pub(crate) fn tag_type(&self, tag: Tag) -> FuncType {
        let tag = own!(TagInner, tag.0);
        match &self.0.data().exceptions {
            Some(exceptions) => convert::func_type(exceptions.tag_type(tag.index)),
            None => panic!("{FOREIGN}"),
        }
    }

    #[inline]
    pub(crate) fn memory(&self, memory: Memory) -> &[u8] {
        own!(MemoryInner, memory.0).data(self.0.as_context())
    }

    #[inline]
    pub(crate) fn memory_and_data_mut(&mut self, memory: Memory) -> (&mut [u8], &mut D) {
        let (bytes, data) = own!(MemoryInner, memory.0).data_and_store_mut(self.0.as_context_mut());
        (bytes, &mut data.user)
    }

    crate::memories::memories!();

    /// There is none: nobody could have made an index.
    pub(crate) fn shared_memory(&self, _: SharedMemoryIndex) -> SharedMemory {
        panic!("{FOREIGN}")
    }

    pub(crate) fn shared_memory_type(&self, _: SharedMemoryIndex) -> MemoryType {
        panic!("{FOREIGN}")
    }

    pub(crate) fn global_type(&self, global: Global) -> GlobalType {
        convert::global_type(&own!(GlobalInner, global.0).ty(&self.0))
    }

    pub(crate) fn new_global(&mut self, ty: ValType, value: u64) -> anyhow::Result<Global> {
        let kind = Number::of(ty).ok_or_else(not_a_number)?;
        let value = convert::to_val(kind, value);
        let global = wasmi::Global::new(&mut self.0, value, wasmi::Mutability::Var);
        Ok(Global(GlobalInner::Wasmi(global)))
    }

    pub(crate) fn global_get(&mut self, global: Global) -> anyhow::Result<u64> {
        let value = own!(GlobalInner, global.0).get(&self.0);
        convert::from_val(&value).ok_or_else(not_a_number)
    }

    pub(crate) fn global_set(&mut self, global: Global, value: u64) -> anyhow::Result<()> {
        let ty = self.global_type(global);
        if !ty.mutable {
            return Err(EngineError::Misuse("the global is immutable").into());
        }
        let kind = Number::of(ty.content).ok_or_else(not_a_number)?;
        own!(GlobalInner, global.0)
            .set(&mut self.0, convert::to_val(kind, value))
            .map_err(anyhow::Error::msg)
    }

    pub(crate) fn table_type(&self, table: Table) -> TableType {
        convert::table_type(&own!(TableInner, table.0).ty(&self.0))
    }

    pub(crate) fn table_func(&mut self, table: Table, index: u64) -> anyhow::Result<Option<Func>> {
        match own!(TableInner, table.0).get(&self.0, index) {
            None => Err(Trap::new(TrapCode::TableOutOfBounds).into()),
            Some(wasmi::Ref::Func(Nullable::Val(func))) => Ok(Some(self.func(func))),
            Some(wasmi::Ref::Func(Nullable::Null)) => Ok(None),
            Some(_) => {
                Err(EngineError::Unsupported("the table does not hold functions".into()).into())
            }
        }
    }
}

/// What is given for a module's imports, by kind, as the engine groups them.
#[derive(Default)]
struct Given {
    funcs: Vec<wasmi::Extern>,
    tables: Vec<wasmi::Extern>,
    memories: Vec<wasmi::Extern>,
    globals: Vec<wasmi::Extern>,
    tags: Vec<u32>,
}

impl Given {
    fn new(imports: &[Import], given: &[Extern]) -> Result<Self, EngineError> {
        if imports.len() != given.len() {
            return Err(EngineError::Link(format!(
                "the module has {} imports, {} things were given",
                imports.len(),
                given.len()
            )));
        }
        let mut out = Self::default();
        for (import, given) in imports.iter().zip(given) {
            if import.ty.kind() != given.kind() {
                return Err(EngineError::Link(format!(
                    "the import `{}` `{}` is a {}, a {} was given",
                    import.module,
                    import.name,
                    import.ty.kind(),
                    given.kind()
                )));
            }
            match *given {
                Extern::Func(Func {
                    inner: FuncInner::Wasmi(func),
                    ..
                }) => out.funcs.push(func.into()),
                Extern::Table(Table(TableInner::Wasmi(table))) => out.tables.push(table.into()),
                Extern::Memory(Memory(MemoryInner::Wasmi(memory))) => {
                    out.memories.push(memory.into());
                }
                Extern::Global(Global(GlobalInner::Wasmi(global))) => {
                    out.globals.push(global.into());
                }
                Extern::Tag(Tag(TagInner::Wasmi(tag))) => out.tags.push(tag.index),
                _ => return Err(FOREIGN),
            }
        }
        Ok(out)
    }
}

fn not_a_number() -> anyhow::Error {
    EngineError::Unsupported("the global does not hold a number".into()).into()
}
