//! Where values lie in memory: alignment, size and offsets of the [Canonical ABI], for both pointer sizes.
//!
//! [Canonical ABI]: https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#alignment

use super::{TypeDef, TypeIdx, Types, ValType};

/// The size and alignment of a type's values in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// `elem_size`, in bytes: a multiple of `align`.
    pub size: u32,
    /// `alignment`, in bytes: 1, 2, 4 or 8.
    pub align: u32,
}

/// Where the parts of a variant, enum, option or result lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VariantLayout {
    /// The size of the discriminant, which lies at offset 0, in bytes: 1, 2 or 4.
    pub discriminant_size: u32,
    /// Where the payload lies, in bytes.
    pub payload_offset: u32,
}

/// The layout of a composite type and its parts for one pointer size.
#[derive(Clone, Debug)]
pub(super) struct Composite {
    pub layout: Layout,
    pub parts: Parts,
}

/// The offsets of a composite type's parts.
#[derive(Clone, Debug)]
pub(super) enum Parts {
    /// None that differ in offset.
    None,
    /// Of a record or tuple.
    Fields(Box<[u32]>),
    /// Of a variant and its like.
    Variant(VariantLayout),
}

impl Types {
    /// Size and alignment of a type in a memory with 32-bit or 64-bit addresses: the specification's `elem_size` and `alignment`.
    pub fn layout(&self, ty: ValType, memory64: bool) -> Layout {
        scalar_layout(ty, memory64).unwrap_or_else(|| match ty.type_idx() {
            Some(index) => self.composite(index, memory64).layout,
            // Every type without an index is a scalar.
            None => Layout { size: 4, align: 4 },
        })
    }

    /// The offset of each field of a record or tuple, in order; empty for every other type.
    pub fn field_offsets(&self, ty: TypeIdx, memory64: bool) -> &[u32] {
        match &self.composite(ty, memory64).parts {
            Parts::Fields(offsets) => offsets,
            _ => &[],
        }
    }

    /// The discriminant and the payload's offset of a variant, enum, option or result; zeroes for every other type.
    pub fn variant_layout(&self, ty: TypeIdx, memory64: bool) -> VariantLayout {
        match self.composite(ty, memory64).parts {
            Parts::Variant(layout) => layout,
            _ => VariantLayout::default(),
        }
    }

    fn composite(&self, ty: TypeIdx, memory64: bool) -> &Composite {
        &self.infos[ty.index()].composites[usize::from(memory64)]
    }

    /// The layout of a type whose parts are interned, or its size if that is `limit` or more.
    pub(super) fn lay_out(
        &self,
        def: &TypeDef,
        memory64: bool,
        limit: u64,
    ) -> Result<Composite, u64> {
        let bounded = |size: u64, align: u32, parts| {
            let size = align_to(size, align);
            match u32::try_from(size) {
                Ok(small) if size < limit => Ok(Composite {
                    layout: Layout { size: small, align },
                    parts,
                }),
                _ => Err(size),
            }
        };
        let pointer = pointer_size(memory64);
        match def {
            TypeDef::List(_) | TypeDef::Map { .. } => {
                bounded(2 * u64::from(pointer), pointer, Parts::None)
            }
            TypeDef::FixedList { element, length } => {
                let element = self.layout(*element, memory64);
                let size = u64::from(element.size) * u64::from(*length);
                bounded(size, element.align, Parts::None)
            }
            TypeDef::Record(fields) => {
                let (size, align, offsets) =
                    self.place_fields(fields.iter().map(|field| field.ty), memory64);
                bounded(size, align, Parts::Fields(offsets))
            }
            TypeDef::Tuple(fields) => {
                let (size, align, offsets) = self.place_fields(fields.iter().copied(), memory64);
                bounded(size, align, Parts::Fields(offsets))
            }
            TypeDef::Variant(cases) => {
                let payloads = cases.iter().filter_map(|case| case.ty);
                let (size, align, parts) = self.place_cases(cases.len(), payloads, memory64);
                bounded(size, align, Parts::Variant(parts))
            }
            TypeDef::Enum(labels) => {
                let (size, align, parts) =
                    self.place_cases(labels.len(), std::iter::empty(), memory64);
                bounded(size, align, Parts::Variant(parts))
            }
            TypeDef::Option(payload) => {
                let (size, align, parts) = self.place_cases(2, [*payload].into_iter(), memory64);
                bounded(size, align, Parts::Variant(parts))
            }
            TypeDef::Result { ok, err } => {
                let payloads = ok.iter().chain(err).copied();
                let (size, align, parts) = self.place_cases(2, payloads, memory64);
                bounded(size, align, Parts::Variant(parts))
            }
            TypeDef::Flags(labels) => {
                let size = match labels.len() {
                    0..=8 => 1,
                    9..=16 => 2,
                    _ => 4,
                };
                bounded(u64::from(size), size, Parts::None)
            }
            TypeDef::Stream(_) | TypeDef::Future(_) => bounded(4, 4, Parts::None),
        }
    }

    fn place_fields(
        &self,
        fields: impl Iterator<Item = ValType>,
        memory64: bool,
    ) -> (u64, u32, Box<[u32]>) {
        let mut size = 0_u64;
        let mut max_align = 1;
        let offsets = fields
            .map(|field| {
                let Layout { size: own, align } = self.layout(field, memory64);
                let offset = align_to(size, align);
                size = offset + u64::from(own);
                max_align = max_align.max(align);
                // An offset that does not fit belongs to a type that is refused for its size.
                u32::try_from(offset).unwrap_or(u32::MAX)
            })
            .collect();
        (size, max_align, offsets)
    }

    fn place_cases(
        &self,
        count: usize,
        payloads: impl Iterator<Item = ValType>,
        memory64: bool,
    ) -> (u64, u32, VariantLayout) {
        let discriminant_size = discriminant_size(count);
        let (mut payload_size, mut payload_align) = (0, 1);
        for payload in payloads {
            let Layout { size, align } = self.layout(payload, memory64);
            payload_size = payload_size.max(size);
            payload_align = payload_align.max(align);
        }
        // At most 8, so it fits.
        let payload_offset = align_to(discriminant_size.into(), payload_align) as u32;
        (
            u64::from(payload_offset) + u64::from(payload_size),
            discriminant_size.max(payload_align),
            VariantLayout {
                discriminant_size,
                payload_offset,
            },
        )
    }
}

/// The size of a pointer into memory.
pub(super) fn pointer_size(memory64: bool) -> u32 {
    if memory64 { 8 } else { 4 }
}

/// `discriminant_type`: the smallest of 1, 2 and 4 bytes that numbers all cases.
fn discriminant_size(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

fn scalar_layout(ty: ValType, memory64: bool) -> Option<Layout> {
    let size = match ty {
        ValType::Bool | ValType::S8 | ValType::U8 => 1,
        ValType::S16 | ValType::U16 => 2,
        ValType::S32 | ValType::U32 | ValType::F32 | ValType::Char => 4,
        ValType::S64 | ValType::U64 | ValType::F64 => 8,
        ValType::ErrorContext | ValType::Own(_) | ValType::Borrow(_) => 4,
        ValType::String => {
            let align = pointer_size(memory64);
            return Some(Layout {
                size: 2 * align,
                align,
            });
        }
        _ => return None,
    };
    Some(Layout { size, align: size })
}

fn align_to(offset: u64, align: u32) -> u64 {
    offset.next_multiple_of(align.into())
}
