//! Maps: lists of entries, each a tuple of key and value.

use super::layout::Fields;
use super::list::{allocate_list, lift_range};
use super::{
    ComponentType, FlatReader, FlatWriter, Layout, Lift, LiftContext, Lower, LowerContext,
    TypeContext, TypeMismatch, parts,
};
use crate::types::{TypeDef, ValType};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

fn typecheck<K: ComponentType, V: ComponentType>(
    ty: ValType,
    cx: &TypeContext<'_>,
) -> Result<(), TypeMismatch> {
    let ValType::Map(index) = ty else {
        return Err(TypeMismatch::kind("map", cx, ty));
    };
    let TypeDef::Map { key, value } = cx.types.def(index) else {
        return Err(TypeMismatch::kind("map", cx, ty));
    };
    K::typecheck(*key, cx).map_err(|mismatch| mismatch.within("map key"))?;
    V::typecheck(*value, cx).map_err(|mismatch| mismatch.within("map value"))
}

fn lift_entries<K: Lift, V: Lift>(
    cx: &mut LiftContext<'_>,
    ty: ValType,
    pointer: u64,
    length: u64,
) -> anyhow::Result<Vec<(K, V)>> {
    let entries = lift_range(cx, parts::element(cx.types, ty), pointer, length)?;
    // For the map that they go into, whose nodes and slack are about as large again.
    cx.budget.take(entries.len(), size_of::<(K, V)>() + 16)?;
    Ok(entries)
}

fn lower_entries<'a, K: Lower + 'a, V: Lower + 'a>(
    entries: impl ExactSizeIterator<Item = (&'a K, &'a V)>,
    cx: &mut LowerContext<'_>,
    ty: ValType,
) -> anyhow::Result<usize> {
    let types = cx.types;
    let entry = parts::element(types, ty);
    let (key_ty, value_ty) = (parts::field(types, entry, 0), parts::field(types, entry, 1));
    let start = allocate_list::<(K, V)>(cx, entries.len())?;
    let size = <(K, V)>::LAYOUT.size(cx.memory64);
    for (i, (key, value)) in entries.enumerate() {
        let mut fields = Fields::new(start + i * size, cx.memory64);
        key.lower_mem(cx, key_ty, fields.next(K::LAYOUT))?;
        value.lower_mem(cx, value_ty, fields.next(V::LAYOUT))?;
    }
    Ok(start)
}

macro_rules! map {
    ([$($generics:tt)*], [$($lift_generics:tt)*], [$($lower_generics:tt)*], $map:ty) => {
        impl<$($generics)*> ComponentType for $map {
            const LAYOUT: Layout = Layout::PAIR;

            fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
                typecheck::<K, V>(ty, cx)
            }
        }

        /// If a key occurs more than once, the last entry counts.
        impl<$($lift_generics)*> Lift for $map {
            fn lift_flat(
                cx: &mut LiftContext<'_>,
                ty: ValType,
                src: &mut FlatReader<'_>,
            ) -> anyhow::Result<Self> {
                let pointer = src.address(cx.memory64)?;
                let length = src.address(cx.memory64)?;
                Ok(lift_entries(cx, ty, pointer, length)?.into_iter().collect())
            }

            fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self> {
                let pointer = cx.load_address(ptr)?;
                let length = cx.load_address(ptr + cx.pointer_size())?;
                Ok(lift_entries(cx, ty, pointer, length)?.into_iter().collect())
            }
        }

        impl<$($lower_generics)*> Lower for $map {
            fn lower_flat(
                &self,
                cx: &mut LowerContext<'_>,
                ty: ValType,
                dst: &mut FlatWriter<'_>,
            ) -> anyhow::Result<()> {
                let start = lower_entries(self.iter(), cx, ty)?;
                dst.push(start as u64)?;
                dst.push(self.len() as u64)
            }

            fn lower_mem(
                &self,
                cx: &mut LowerContext<'_>,
                ty: ValType,
                ptr: usize,
            ) -> anyhow::Result<()> {
                let start = lower_entries(self.iter(), cx, ty)?;
                cx.store_address(ptr, start as u64)?;
                cx.store_address(ptr + cx.pointer_size(), self.len() as u64)
            }
        }
    };
}

map!(
    [K: ComponentType, V: ComponentType],
    [K: Lift + Ord, V: Lift],
    [K: Lower, V: Lower],
    BTreeMap<K, V>
);
map!(
    [K: ComponentType, V: ComponentType, S],
    [K: Lift + Eq + Hash, V: Lift, S: BuildHasher + Default],
    [K: Lower, V: Lower, S],
    HashMap<K, V, S>
);
