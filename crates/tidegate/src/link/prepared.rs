//! What all instantiations of a linked component have in common, found out by the first.

use super::imports::path;
use super::pre::Linked;
use crate::error::bug;
use crate::isolation::IsolatePlan;
use crate::{EngineKind, Result};
use anyhow::bail;
use std::sync::Arc;
use tidegate_core::plan::{Canon, CoreFuncType, FuncDef, Plan, Trampoline};
use tidegate_engine::{self as engine, HostType};

/// What all instantiations of a linked component have in common.
pub(crate) struct Prepared {
    /// What each of the plan's isolates is made with.
    pub(crate) isolates: Box<[Make]>,
    /// The core functions that the plan's `canon` definitions make.
    pub(crate) functions: Box<[Function]>,
}

impl Prepared {
    pub(super) fn new(linked: &Linked) -> Result<Self> {
        let component = &linked.component;
        let plan = component.plan();
        let isolates = component.isolation().isolates.iter();
        let functions = plan.trampolines.iter();
        Ok(Self {
            isolates: isolates
                .map(|isolate| Make::new(linked, isolate))
                .collect::<Result<_>>()?,
            functions: functions
                .map(|trampoline| Function::new(plan, trampoline))
                .collect::<Result<_>>()?,
        })
    }
}

/// A core function that a `canon` definition makes.
pub(crate) struct Function {
    pub(crate) ty: HostType,
    /// The host function behind it, as it was imported, if it is one.
    pub(crate) name: Option<Arc<str>>,
    /// Whether it is a lowered function with a `borrow` among its parameters.
    pub(crate) borrows: bool,
}

impl Function {
    fn new(plan: &Plan, trampoline: &Trampoline) -> Result<Self> {
        let (mut name, mut borrows) = (None, false);
        if let Canon::Lower { func, ty, .. } = &trampoline.canon {
            let params = &plan.types.func(*ty).params;
            borrows = (params.iter()).any(|param| plan.types.contains_borrow(param.ty));
            if let FuncDef::Import(import) = func {
                name = Some(path(&plan.imports[import.index()]).into());
            }
        }
        Ok(Self {
            ty: core_type(&trampoline.core_type)?,
            name,
            borrows,
        })
    }
}

/// What an isolate is made with.
#[derive(Clone, Copy)]
pub(crate) struct Make {
    pub(crate) kind: EngineKind,
    /// Whether a module in it uses exceptions.
    pub(crate) exceptions: bool,
}

impl Make {
    fn new(linked: &Linked, isolate: &IsolatePlan) -> Result<Self> {
        let kind = linked.component.engine_of(isolate).0;
        let exceptions = linked.uses_exceptions(isolate, kind)?;
        Ok(Self { kind, exceptions })
    }
}

/// A core function type, prepared for functions of the host.
fn core_type(ty: &CoreFuncType) -> Result<HostType> {
    Ok(func_type(ty)?.into())
}

/// A core function type as engines want it.
pub(super) fn func_type(ty: &CoreFuncType) -> Result<engine::FuncType> {
    let convert = |ty: &wasmparser::ValType| match ty {
        wasmparser::ValType::I32 => Ok(engine::ValType::I32),
        wasmparser::ValType::I64 => Ok(engine::ValType::I64),
        wasmparser::ValType::F32 => Ok(engine::ValType::F32),
        wasmparser::ValType::F64 => Ok(engine::ValType::F64),
        other => bail!(bug(format!(
            "a canonical function has a parameter of type {other}"
        ))),
    };
    Ok(engine::FuncType {
        params: ty.params.iter().map(convert).collect::<Result<_>>()?,
        results: ty.results.iter().map(convert).collect::<Result<_>>()?,
    })
}
