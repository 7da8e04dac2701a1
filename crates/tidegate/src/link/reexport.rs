//! Functions that a component imports and exports again, called by the host.
//!
//! A host function takes what a guest passes it, so each call goes through a guest made for it: a *door*, an instance whose code does nothing but call on.
//! A door serves one call at a time, so that calls run side by side as far as the function allows; one that is free again is used again.

use super::functions::host_body;
use super::{HostFunc, Resolved};
use crate::baton::Baton;
use crate::call::canon::{CallSite, Callee, CanonOptions, Shared};
use crate::error::bug;
use crate::{EngineKind, Result};
use anyhow::{Context, bail};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_core::abi::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_core::plan::{ImportIdx, ImportKind, StringEncoding};
use tidegate_core::runtime::{InstanceId, Lift};
use tidegate_core::types::{FlatType, FuncTypeIdx, Types};
use tidegate_engine::{self as engine, Extern, Isolate, ValType};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module,
    TypeSection,
};

/// How much memory a door that is free keeps, in pages of 64 KiB: with more, it is made anew.
const KEPT_PAGES: u64 = 16;

/// Where a door's first block lies: not at address 0, which looks like none.
const FIRST: i64 = 16;

/// A function of the host's that a component exports as it was imported.
pub(crate) struct Reexport {
    shared: Arc<Shared>,
    func: Arc<HostFunc>,
    /// As it was imported.
    name: Arc<str>,
    ty: FuncTypeIdx,
    signature: Signature,
    allocator: engine::Module,
    caller: engine::Module,
    doors: Mutex<Vec<Arc<Callee>>>,
}

impl Reexport {
    /// The function behind an import.
    pub(super) fn new(
        baton: &mut Baton,
        shared: &Arc<Shared>,
        resolved: &Resolved,
        import: ImportIdx,
    ) -> Result<Self> {
        let import = &shared.component.plan().imports[import.index()];
        let (ImportKind::Func(ty), Resolved::Func(func)) = (&import.kind, resolved) else {
            bail!(bug("an imported function is none"));
        };
        let signature = Signature::new(shared.types(), *ty);
        // The interpreter has begun before a compiler would be done.
        let core = baton.engine.core(EngineKind::Wasmi)?;
        let allocator = engine::Module::new(core, &allocator())?;
        let caller = engine::Module::new(core, &caller(&signature))?;
        Ok(Self {
            shared: shared.clone(),
            func: func.clone(),
            name: import.path.join("#").into(),
            ty: *ty,
            signature,
            allocator,
            caller,
            doors: Mutex::default(),
        })
    }

    /// A door that nobody uses, as a function to be called. It is in use as long as somebody keeps it.
    pub(crate) fn open(&self, baton: &mut Baton) -> Result<Arc<Callee>> {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let free = doors.iter_mut().find(|door| Arc::strong_count(door) == 1);
        if let Some(door) = free {
            let (instance, isolate) = (door.options.instance, door.options.isolate);
            if !is_sound(baton, door) {
                baton.state.renew_instance(instance);
                *door = Arc::new(self.door(baton, instance, isolate)?);
            }
            return Ok(door.clone());
        }
        let instance = baton.state.add_instance(None);
        let isolate = baton.isolates.len();
        baton.isolates.push(None);
        let door = Arc::new(self.door(baton, instance, isolate)?);
        doors.push(door.clone());
        Ok(door)
    }

    fn door(&self, baton: &mut Baton, instance: InstanceId, index: usize) -> Result<Callee> {
        let core = baton.engine.core(EngineKind::Wasmi)?;
        let mut isolate = Isolate::new(core, Baton::default(), baton.limits.isolate)?;
        if let Some(control) = &baton.control {
            control.attach(&mut isolate);
        }
        let mut cx = isolate.cx();
        let allocator = cx.instantiate(&self.allocator, &[])?;
        let Some(
            [
                Extern::Memory(memory),
                Extern::Func(realloc),
                next @ Extern::Global(_),
            ],
        ) = exports(&mut cx, allocator, ["memory", "realloc", "next"])
        else {
            bail!(bug("an export of an allocator is missing"));
        };
        let options = CanonOptions {
            shared: self.shared.clone(),
            instance,
            isolate: index,
            memory: Some(memory),
            memory64: false,
            encoding: StringEncoding::Utf8,
            realloc: Some(realloc),
            index: None,
            may_leave: None,
        };
        let types = self.shared.types();
        let mut params = types.func(self.ty).params.iter();
        let site = Arc::new(CallSite {
            options: options.clone(),
            ty: self.ty,
            borrows: params.any(|param| types.contains_borrow(param.ty)),
            flat: false,
            async_type: types.func(self.ty).async_,
            async_: false,
            name: Some(self.name.clone()),
        });
        let lowered = self.signature.lowered();
        let call_on = host_body(&self.func, site, None).define(&mut cx, lowered)?;
        let settle = cx.host_func(
            engine::FuncType::default(),
            Box::new(move |mut cx, _| {
                cx.data_mut().state.drop_borrows(instance);
                Ok(())
            }),
        )?;
        let imports = [
            Extern::Func(call_on),
            Extern::Func(settle),
            Extern::Func(realloc),
            next,
        ];
        let caller = cx.instantiate(&self.caller, &imports)?;
        let Some([Extern::Func(core), Extern::Func(post_return)]) =
            exports(&mut cx, caller, ["call", "post-return"])
        else {
            bail!(bug("a function of a door is missing"));
        };
        *baton
            .isolates
            .get_mut(index)
            .context(bug("a door has no place"))? = Some(isolate);
        let async_type = types.func(self.ty).async_;
        Ok(Callee {
            options,
            core,
            post_return: Some(post_return),
            ty: Some(self.ty),
            flat_params: core.params(),
            flat_results: core.results(),
            returns_number: false,
            quiet: false,
            suspendable: true,
            concurrent: self.shared.component.is_concurrent(),
            nested: false,
            lift: if async_type {
                Lift::Blocking
            } else {
                Lift::Sync
            },
            callback: None,
        })
    }
}

fn exports<const N: usize>(
    cx: &mut engine::Cx<'_, Baton>,
    instance: engine::Instance,
    names: [&str; N],
) -> Option<[Extern; N]> {
    let found: Option<Vec<_>> = names.iter().map(|name| cx.export(instance, name)).collect();
    found?.try_into().ok()
}

/// Whether a door can be used again: its last call did not end in a trap, nor was dropped, nor took much memory.
fn is_sound(baton: &mut Baton, door: &Callee) -> bool {
    let CanonOptions {
        instance,
        isolate,
        memory,
        ..
    } = door.options;
    let isolate = baton.isolates.get_mut(isolate).and_then(Option::as_mut);
    let pages = match (isolate, memory) {
        (Some(isolate), Some(memory)) => isolate.cx().memory_size(memory),
        _ => return false,
    };
    pages <= KEPT_PAGES && !baton.state.instance(instance).poisoned
}

/// The core types of a function, lifted and lowered with synchronous options.
struct Signature {
    params: Vec<ValType>,
    /// The result, if it is passed flat.
    result: Option<ValType>,
    /// Size and alignment of the result, if it is passed in memory.
    spilled: Option<(i32, i32)>,
}

impl Signature {
    fn new(types: &Types, ty: FuncTypeIdx) -> Self {
        let flat = |ty, most: usize| {
            let flat = types.flat_types(ty, false);
            flat.filter(|flat| flat.len() <= most)
        };
        let params = flat(types.func_info(ty).params, MAX_FLAT_PARAMS).unwrap_or(&[FlatType::I32]);
        let result = types.func(ty).result;
        let flat_result = result.map(|ty| flat(ty, MAX_FLAT_RESULTS));
        Self {
            params: params.iter().map(|&ty| core_type(ty)).collect(),
            result: flat_result
                .flatten()
                .and_then(|flat| flat.first())
                .map(|&ty| core_type(ty)),
            spilled: match (result, flat_result) {
                (Some(ty), Some(None)) => {
                    let layout = types.layout(ty, false);
                    // As bits: sizes are of 32 bits, and so are constants.
                    Some((layout.size.cast_signed(), layout.align.cast_signed()))
                }
                _ => None,
            },
        }
    }

    fn results(&self) -> Vec<ValType> {
        match self.spilled {
            Some(_) => vec![ValType::I32],
            None => self.result.into_iter().collect(),
        }
    }

    /// Of the lifted function, which a door exports.
    fn lifted(&self) -> engine::FuncType {
        engine::FuncType {
            params: self.params.clone(),
            results: self.results(),
        }
    }

    /// Of the lowered function, which a door imports: it is told where its result goes that is passed in memory.
    fn lowered(&self) -> engine::FuncType {
        let mut params = self.params.clone();
        params.extend(self.spilled.map(|_| ValType::I32));
        engine::FuncType {
            params,
            results: self.result.into_iter().collect(),
        }
    }
}

fn core_type(ty: FlatType) -> ValType {
    match ty {
        FlatType::I32 => ValType::I32,
        FlatType::I64 => ValType::I64,
        FlatType::F32 => ValType::F32,
        FlatType::F64 => ValType::F64,
    }
}

/// A module with a memory, and a function that lays blocks one behind the other in it.
fn allocator() -> Vec<u8> {
    let i32 = wasm_encoder::ValType::I32;
    let mut types = TypeSection::new();
    types.ty().function([i32; 4], [i32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 0,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    globals.global(NEXT_TYPE, &ConstExpr::i64_const(FIRST));
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("realloc", ExportKind::Func, 0);
    exports.export("next", ExportKind::Global, NEXT);
    let mut bodies = CodeSection::new();
    bodies.function(&realloc());
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&bodies);
    module.finish()
}

/// Where the next block lies: the only global of both modules.
const NEXT: u32 = 0;
const NEXT_TYPE: GlobalType = GlobalType {
    val_type: wasm_encoder::ValType::I64,
    mutable: true,
    shared: false,
};

// What the caller imports, by index.
const CALL_ON: u32 = 0;
const SETTLE: u32 = 1;
const REALLOC: u32 = 2;

/// A module that calls on, drops what it has borrowed, and returns.
fn caller(signature: &Signature) -> Vec<u8> {
    let encoded = |types: &[ValType]| -> Vec<_> { types.iter().map(|&ty| encode(ty)).collect() };
    let (lifted, lowered) = (signature.lifted(), signature.lowered());
    let i32 = wasm_encoder::ValType::I32;
    let mut types = TypeSection::new();
    for ty in [&lowered, &engine::FuncType::default(), &lifted] {
        types
            .ty()
            .function(encoded(&ty.params), encoded(&ty.results));
    }
    types.ty().function([i32; 4], [i32]);
    types.ty().function(encoded(&lifted.results), []);
    let mut imports = ImportSection::new();
    imports.import("", "call", EntityType::Function(0));
    imports.import("", "settle", EntityType::Function(1));
    imports.import("", "realloc", EntityType::Function(3));
    imports.import("", "next", EntityType::Global(NEXT_TYPE));
    let mut functions = FunctionSection::new();
    functions.function(2).function(4);
    let mut exports = ExportSection::new();
    exports.export("call", ExportKind::Func, 3);
    exports.export("post-return", ExportKind::Func, 4);
    let mut bodies = CodeSection::new();
    bodies.function(&call(signature)).function(&post_return());
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&exports)
        .section(&bodies);
    module.finish()
}

fn encode(ty: ValType) -> wasm_encoder::ValType {
    match ty {
        ValType::I64 => wasm_encoder::ValType::I64,
        ValType::F32 => wasm_encoder::ValType::F32,
        ValType::F64 => wasm_encoder::ValType::F64,
        // A function of the Component Model has no other parameters.
        _ => wasm_encoder::ValType::I32,
    }
}

fn call(signature: &Signature) -> Function {
    let params = signature.params.len() as u32;
    let mut body = Function::new([(1, wasm_encoder::ValType::I32)]);
    let mut code = body.instructions();
    if let Some((size, align)) = signature.spilled {
        code.i32_const(0).i32_const(0);
        code.i32_const(align).i32_const(size);
        code.call(REALLOC).local_set(params);
    }
    for param in 0..params {
        code.local_get(param);
    }
    if signature.spilled.is_some() {
        code.local_get(params);
    }
    code.call(CALL_ON).call(SETTLE);
    if signature.spilled.is_some() {
        code.local_get(params);
    }
    code.end();
    body
}

/// Blocks lie one behind the other until the call has returned.
fn realloc() -> Function {
    // Parameters: old block, its size, alignment, new size. Locals: the new block, pages to grow by.
    let (old, old_size, align, new_size, block, pages) = (0, 1, 2, 3, 4, 5);
    let mut body = Function::new([(2, wasm_encoder::ValType::I64)]);
    let mut code = body.instructions();
    // block = (next + align - 1) & -align, next = block + new_size
    code.global_get(NEXT).local_get(align).i64_extend_i32_u();
    code.i64_add().i64_const(1).i64_sub();
    code.i64_const(0).local_get(align).i64_extend_i32_u();
    code.i64_sub().i64_and().local_tee(block);
    code.local_get(new_size).i64_extend_i32_u().i64_add();
    code.global_set(NEXT);
    // Grows by what is missing, or traps.
    code.global_get(NEXT).i64_const(0xffff).i64_add();
    code.i64_const(16).i64_shr_u();
    code.memory_size(0).i64_extend_i32_u().i64_sub();
    code.local_tee(pages).i64_const(0).i64_gt_s();
    code.if_(BlockType::Empty);
    code.local_get(pages).i32_wrap_i64().memory_grow(0);
    code.i32_const(-1).i32_eq();
    code.if_(BlockType::Empty).unreachable().end();
    code.end();
    code.local_get(block).i32_wrap_i64();
    code.local_get(old);
    code.local_get(old_size).local_get(new_size);
    code.local_get(old_size)
        .local_get(new_size)
        .i32_lt_u()
        .select();
    code.memory_copy(0, 0);
    code.local_get(block).i32_wrap_i64().end();
    body
}

/// Everything is free again.
fn post_return() -> Function {
    let mut body = Function::new([]);
    body.instructions().i64_const(FIRST).global_set(NEXT).end();
    body
}
