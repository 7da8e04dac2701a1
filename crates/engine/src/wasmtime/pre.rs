//! Modules whose host functions are defined once.

use std::{
    pin::pin,
    sync::OnceLock,
    task::{Context, Poll, Waker},
};

use wasmtime::{AsContextMut, InstancePre, Linker, StoreContextMut};

use super::{checks, convert, cx::WasmtimeCx, host, isolate::StoreData};
use crate::{
    error::EngineError,
    handles::{Extern, Func, FuncInner, Instance},
    instance_pre::{OTHER_IMPORTS, SharedFunc},
    isolate::IsolateData,
    module::{Module, ModuleInner},
    native_stack,
    signature::Signature,
};

pub(crate) struct WasmtimePre<D: IsolateData> {
    module: Module,
    /// The shared host functions, by the names of the imports.
    linker: Linker<StoreData<D>>,
    /// For each import, its signature if it is one of those.
    shared: Box<[Option<Signature>]>,
    /// Whether any of them may block.
    blocks: bool,
    /// If the module imports nothing else.
    complete: Option<Complete<D>>,
}

/// A module with all that it imports. A memory can be defined with a store at hand only: where there are checks, this is there from the first
/// instantiation on.
type Complete<D> = OnceLock<InstancePre<StoreData<D>>>;

impl<D: IsolateData> WasmtimePre<D> {
    pub(crate) fn new(module: &Module, funcs: &[Option<SharedFunc>]) -> Result<Self, EngineError> {
        let ModuleInner::Wasmtime(inner) = &module.inner else {
            return Err(EngineError::Misuse("a module of another engine"));
        };
        let mut linker = Linker::new(inner.engine());
        // The same may be imported twice.
        linker.allow_shadowing(true);
        let mut shared = Vec::with_capacity(funcs.len());
        for (import, func) in module.imports().iter().zip(funcs) {
            shared.push(match func {
                Some(func) => Some(host::shared_func(&mut linker, import, func)?),
                None => None,
            });
        }
        if module.info.is_checked {
            linker
                .func_wrap(checks::MODULE, checks::CHECK, checks::check::<D>)
                .map_err(link)?;
        }
        let is_complete = shared.iter().all(Option::is_some);
        let complete = match (is_complete, module.info.is_checked) {
            (false, _) => None,
            (true, false) => Some(linker.instantiate_pre(inner).map_err(link)?.into()),
            (true, true) => {
                for (import, func) in inner.imports().zip(funcs.iter().flatten()) {
                    fits(inner.engine(), &import, func)?;
                }
                Some(OnceLock::new())
            }
        };
        Ok(Self {
            module: module.clone(),
            linker,
            blocks: funcs.iter().flatten().any(|func| func.blocks),
            shared: shared.into(),
            complete,
        })
    }

    pub(crate) fn module(&self) -> &Module {
        &self.module
    }

    /// The module with all that it imports, if that is shared host functions.
    fn complete(
        &self,
        store: StoreContextMut<'_, StoreData<D>>,
    ) -> Result<Option<&InstancePre<StoreData<D>>>, EngineError> {
        let Some(complete) = &self.complete else {
            return Ok(None);
        };
        if complete.get().is_none()
            && let (ModuleInner::Wasmtime(module), Some(requests)) =
                (&self.module.inner, &store.data().requests)
        {
            let (mut linker, memory) = (self.linker.clone(), requests.memory().clone());
            let defined = linker.define(&store, checks::MODULE, checks::WORDS, memory);
            let pre = defined.and_then(|linker| linker.instantiate_pre(module));
            let _ = complete.set(pre.map_err(link)?);
        }
        Ok(complete.get())
    }
}

fn link(error: wasmtime::Error) -> EngineError {
    EngineError::Link(format!("{error:#}"))
}

/// Checks that a function has the type that an import asks for.
fn fits(
    engine: &wasmtime::Engine,
    import: &wasmtime::ImportType<'_>,
    func: &SharedFunc,
) -> Result<(), EngineError> {
    let given = func
        .ty
        .wasmtime(|ty| convert::engine_func_type(engine, ty))?;
    match import.ty() {
        wasmtime::ExternType::Func(wanted) if wasmtime::FuncType::eq(&wanted, &given) => Ok(()),
        wanted => Err(EngineError::Link(format!(
            "`{}::{}` is to be {wanted:?}, and {given} is given",
            import.module(),
            import.name()
        ))),
    }
}

impl<D: IsolateData> WasmtimeCx<'_, D> {
    /// All imports of a prepared module.
    pub(crate) fn imports(
        &mut self,
        pre: &WasmtimePre<D>,
        rest: &[Extern],
    ) -> anyhow::Result<Vec<Extern>> {
        if pre.blocks {
            self.0.data_mut().blocks = true;
        }
        let mut rest = rest.iter();
        let mut imports = Vec::with_capacity(pre.shared.len());
        for (import, shared) in pre.module.imports().iter().zip(&pre.shared) {
            imports.push(match *shared {
                Some(signature) => {
                    let found = pre.linker.get(&mut self.0, &import.module, &import.name);
                    match found.map_err(convert::from_engine)? {
                        wasmtime::Extern::Func(func) => Extern::Func(Func {
                            inner: FuncInner::Wasmtime(func),
                            signature,
                        }),
                        _ => return Err(EngineError::Misuse("a function is none").into()),
                    }
                }
                None => *rest.next().ok_or(OTHER_IMPORTS)?,
            });
        }
        match rest.next() {
            None => Ok(imports),
            Some(_) => Err(OTHER_IMPORTS.into()),
        }
    }

    pub(crate) fn instantiate_pre(
        &mut self,
        pre: &WasmtimePre<D>,
        rest: &[Extern],
    ) -> anyhow::Result<Instance> {
        let Some(complete) = pre.complete(self.0.as_context_mut())? else {
            let imports = self.imports(pre, rest)?;
            return self.instantiate(&pre.module, &imports);
        };
        if !rest.is_empty() {
            return Err(OTHER_IMPORTS.into());
        }
        if pre.blocks {
            self.0.data_mut().blocks = true;
        }
        let (info, data) = (&pre.module.info, self.0.data_mut());
        data.limiter.instantiate(info.memories, info.tables)?;
        let _native = native_stack::enter(data.native_stack, data.max_wasm_stack)?;
        let may_block = std::mem::replace(&mut data.may_block, false);
        let result = if data.stack_funcs.is_none() {
            complete.instantiate(self.0.as_context_mut())
        } else {
            // As in `instantiate_ready`.
            let _native = native_stack::switch();
            let instance = pin!(complete.instantiate_async(self.0.as_context_mut()));
            match instance.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => result,
                Poll::Pending => Err(convert::to_engine(EngineError::CannotBlock.into())),
            }
        };
        self.leave(may_block);
        self.finish(result)
    }
}
