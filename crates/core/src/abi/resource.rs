//! Resources as the host sees them.

use super::{
    ComponentType, FlatReader, FlatWriter, Layout, Lift, LiftContext, Lower, LowerContext,
    ResourceKind, TypeContext, TypeMismatch,
};
use crate::runtime::{HOST, ResourceType};
use crate::types::ValType;
use std::any::{TypeId, type_name};
use std::marker::PhantomData;

/// A resource that the host implements with the Rust type `T`: its representation, typed.
///
/// The representation means what the host says, usually a position in a table of `T`s.
pub struct Resource<T: 'static> {
    rep: u32,
    owned: bool,
    _marker: PhantomData<fn() -> T>,
}

impl<T: 'static> Resource<T> {
    /// A resource to be given to a guest, as `own`.
    pub const fn new_own(rep: u32) -> Self {
        Self {
            rep,
            owned: true,
            _marker: PhantomData,
        }
    }

    /// A resource to be lent to a guest, as `borrow`.
    pub const fn new_borrow(rep: u32) -> Self {
        Self {
            rep,
            owned: false,
            _marker: PhantomData,
        }
    }

    /// The representation.
    pub const fn rep(&self) -> u32 {
        self.rep
    }

    /// Whether it was given, not lent.
    pub const fn owned(&self) -> bool {
        self.owned
    }
}

impl<T: 'static> std::fmt::Debug for Resource<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resource")
            .field("type", &type_name::<T>())
            .field("rep", &self.rep)
            .field("owned", &self.owned)
            .finish()
    }
}

impl<T: 'static> ComponentType for Resource<T> {
    const LAYOUT: Layout = Layout::scalar(4);

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        let (ValType::Own(index) | ValType::Borrow(index)) = ty else {
            return Err(TypeMismatch::kind("own or borrow", cx, ty));
        };
        match cx.resource_kinds.get(index.index()) {
            Some(ResourceKind::Host(id)) if *id == TypeId::of::<T>() => Ok(()),
            Some(ResourceKind::Host(_)) => Err(TypeMismatch::new(
                format!("resource {}", type_name::<T>()),
                "a resource that the host implements with another type",
            )),
            _ => Err(TypeMismatch::new(
                format!("resource {}", type_name::<T>()),
                "a resource that a guest implements (use `ResourceAny`)",
            )),
        }
    }
}

impl<T: 'static> Lift for Resource<T> {
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        ty: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        let handle = src.word32()?;
        let (rep, owned) = lift_rep(cx, ty, handle)?;
        Ok(Self {
            rep: host_rep(rep),
            owned,
            _marker: PhantomData,
        })
    }

    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self> {
        let handle = u32::from_le_bytes(cx.load(ptr)?);
        let (rep, owned) = lift_rep(cx, ty, handle)?;
        Ok(Self {
            rep: host_rep(rep),
            owned,
            _marker: PhantomData,
        })
    }
}

impl<T: 'static> Resource<T> {
    fn lower(&self, cx: &mut LowerContext<'_>, ty: ValType) -> anyhow::Result<u32> {
        if matches!(ty, ValType::Own(_)) && !self.owned {
            anyhow::bail!(
                "a borrowed `Resource<{}>` cannot be given away as `own`: make it by `Resource::new_own`",
                type_name::<T>()
            );
        }
        lower_rep(cx, ty, self.rep.into())
    }
}

impl<T: 'static> Lower for Resource<T> {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        let handle = self.lower(cx, ty)?;
        dst.push(handle.into())
    }

    fn lower_mem(&self, cx: &mut LowerContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<()> {
        let handle = self.lower(cx, ty)?;
        cx.store(ptr, handle.to_le_bytes())
    }
}

/// A resource of any type, that a guest or the host implements: a handle in the host's own table.
///
/// Lowering it as `own` takes it out of that table. One that was lifted from a `borrow` must be dropped before the host returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceAny {
    ty: ResourceType,
    handle: u32,
    owned: bool,
}

impl ResourceAny {
    /// The resource behind a handle in [`HOST`]'s table.
    pub const fn new(ty: ResourceType, handle: u32, owned: bool) -> Self {
        Self { ty, handle, owned }
    }

    /// Its type.
    pub const fn ty(&self) -> ResourceType {
        self.ty
    }

    /// Its index in [`HOST`]'s table.
    pub const fn handle(&self) -> u32 {
        self.handle
    }

    /// Whether the host owns it; it was lent to the host otherwise.
    pub const fn owned(&self) -> bool {
        self.owned
    }

    fn lift(cx: &mut LiftContext<'_>, ty: ValType, handle: u32) -> anyhow::Result<Self> {
        let resource = cx.resource(resource_index(ty)?)?;
        let (rep, owned) = lift_rep(cx, ty, handle)?;
        let handle = if owned {
            cx.state.lower_own(HOST, resource, rep)?
        } else {
            let task = cx.task.ok_or_else(|| {
                anyhow::anyhow!(
                    "a bug in Tidegate: a borrow was lifted outside of a call into the host; please report it"
                )
            })?;
            cx.state.lower_borrow(HOST, resource, rep, task)?
        };
        Ok(Self {
            ty: resource,
            handle,
            owned,
        })
    }

    fn lower(&self, cx: &mut LowerContext<'_>, ty: ValType) -> anyhow::Result<u32> {
        let resource = cx.resource(resource_index(ty)?)?;
        if resource != self.ty {
            anyhow::bail!("a resource of another type was given than the function takes");
        }
        let (_, state) = cx.target.parts();
        let rep = if matches!(ty, ValType::Own(_)) {
            if !self.owned {
                anyhow::bail!("a borrowed resource cannot be given away as `own`");
            }
            state.lift_own(HOST, resource, self.handle)?
        } else {
            state.lift_borrow(HOST, resource, self.handle, cx.lends)?
        };
        lower_rep(cx, ty, rep)
    }
}

impl ComponentType for ResourceAny {
    const LAYOUT: Layout = Layout::scalar(4);

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        match ty {
            ValType::Own(_) | ValType::Borrow(_) => Ok(()),
            other => Err(TypeMismatch::kind("own or borrow", cx, other)),
        }
    }
}

impl Lift for ResourceAny {
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        ty: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        let handle = src.word32()?;
        Self::lift(cx, ty, handle)
    }

    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self> {
        let handle = u32::from_le_bytes(cx.load(ptr)?);
        Self::lift(cx, ty, handle)
    }
}

impl Lower for ResourceAny {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        let handle = self.lower(cx, ty)?;
        dst.push(handle.into())
    }

    fn lower_mem(&self, cx: &mut LowerContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<()> {
        let handle = self.lower(cx, ty)?;
        cx.store(ptr, handle.to_le_bytes())
    }
}

fn resource_index(ty: ValType) -> anyhow::Result<crate::types::ResourceIdx> {
    match ty {
        ValType::Own(index) | ValType::Borrow(index) => Ok(index),
        other => anyhow::bail!(
            "a bug in Tidegate: a handle was used with the type {other:?}; please report it"
        ),
    }
}

/// The representation of a resource that the host implements, which was made from a `u32`.
fn host_rep(rep: u64) -> u32 {
    rep as u32
}

/// `lift_own` or `lift_borrow`: the representation, and whether it is now owned.
fn lift_rep(cx: &mut LiftContext<'_>, ty: ValType, handle: u32) -> anyhow::Result<(u64, bool)> {
    let resource = cx.resource(resource_index(ty)?)?;
    Ok(if matches!(ty, ValType::Own(_)) {
        (cx.state.lift_own(cx.instance, resource, handle)?, true)
    } else {
        let rep = cx
            .state
            .lift_borrow(cx.instance, resource, handle, cx.lends)?;
        (rep, false)
    })
}

/// `lower_own` or `lower_borrow`: the handle in the instance's table.
fn lower_rep(cx: &mut LowerContext<'_>, ty: ValType, rep: u64) -> anyhow::Result<u32> {
    let resource = cx.resource(resource_index(ty)?)?;
    let (instance, task) = (cx.instance, cx.task);
    let state = cx.state();
    Ok(match (ty, task) {
        (ValType::Own(_), _) => state.lower_own(instance, resource, rep)?,
        (_, Some(task)) => state.lower_borrow(instance, resource, rep, task)?,
        (_, None) => anyhow::bail!(
            "a bug in Tidegate: a borrowed handle is lowered outside of a call; please report it"
        ),
    })
}
