//! The layout of Rust types that stand for component types, known at compile time.
//!
//! See [Alignment] and [Element Size] of the Canonical ABI. A type that holds pointers differs between 32-bit and 64-bit memories, so both
//! layouts are kept side by side.
//!
//! [Alignment]: https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#alignment
//! [Element Size]: https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#element-size

/// Size and alignment in bytes in either kind of memory, and the number of core values of the flat representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs)]
pub struct Layout {
    pub size32: u32,
    pub align32: u32,
    pub size64: u32,
    pub align64: u32,
    pub flat: u32,
}

impl Layout {
    /// Nothing at all: the payload of a case that has none.
    pub const EMPTY: Self = Self {
        size32: 0,
        align32: 1,
        size64: 0,
        align64: 1,
        flat: 0,
    };

    /// A pointer and a length: a string, list or map.
    pub const PAIR: Self = Self {
        size32: 8,
        align32: 4,
        size64: 16,
        align64: 8,
        flat: 2,
    };

    /// One core value of `size` bytes, aligned to its size: a number, a character, a handle.
    pub const fn scalar(size: u32) -> Self {
        Self {
            size32: size,
            align32: size,
            size64: size,
            align64: size,
            flat: 1,
        }
    }

    /// Flags with `count` labels.
    pub const fn flags(count: usize) -> Self {
        Self::scalar(match count {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        })
    }

    /// An enum with `count` labels.
    pub const fn enumeration(count: usize) -> Self {
        Self::scalar(discriminant_size(count))
    }

    /// A record or tuple of these fields.
    pub const fn record(fields: &[Self]) -> Self {
        let mut whole = Self::EMPTY;
        let mut i = 0;
        while i < fields.len() {
            let field = fields[i];
            whole.size32 = align_to(whole.size32, field.align32) + field.size32;
            whole.size64 = align_to(whole.size64, field.align64) + field.size64;
            whole.align32 = max(whole.align32, field.align32);
            whole.align64 = max(whole.align64, field.align64);
            whole.flat += field.flat;
            i += 1;
        }
        whole.size32 = align_to(whole.size32, whole.align32);
        whole.size64 = align_to(whole.size64, whole.align64);
        whole
    }

    /// `list<T, N>`.
    pub const fn array(element: Self, length: u32) -> Self {
        Self {
            size32: element.size32.saturating_mul(length),
            size64: element.size64.saturating_mul(length),
            flat: element.flat.saturating_mul(length),
            ..element
        }
    }

    /// The size in bytes.
    #[inline]
    pub const fn size(&self, memory64: bool) -> usize {
        (if memory64 { self.size64 } else { self.size32 }) as usize
    }

    /// The alignment in bytes.
    #[inline]
    pub const fn align(&self, memory64: bool) -> u32 {
        if memory64 { self.align64 } else { self.align32 }
    }
}

/// The layout of a variant: the whole, and where discriminant and payload are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariantLayout {
    /// The whole.
    pub layout: Layout,
    /// The size of the discriminant, at offset 0, in bytes: 1, 2 or 4.
    pub discriminant: u32,
    /// How many cases there are.
    pub cases: u32,
    payload32: u32,
    payload64: u32,
}

impl VariantLayout {
    /// The layout of a variant with these payloads; [`Layout::EMPTY`] for a case without one.
    pub const fn new(cases: &[Layout]) -> Self {
        let discriminant = discriminant_size(cases.len());
        let mut most = Layout::EMPTY;
        let mut i = 0;
        while i < cases.len() {
            most.size32 = max(most.size32, cases[i].size32);
            most.size64 = max(most.size64, cases[i].size64);
            most.align32 = max(most.align32, cases[i].align32);
            most.align64 = max(most.align64, cases[i].align64);
            most.flat = max(most.flat, cases[i].flat);
            i += 1;
        }
        let (payload32, payload64) = (
            align_to(discriminant, most.align32),
            align_to(discriminant, most.align64),
        );
        let (align32, align64) = (
            max(discriminant, most.align32),
            max(discriminant, most.align64),
        );
        Self {
            layout: Layout {
                size32: align_to(payload32 + most.size32, align32),
                align32,
                size64: align_to(payload64 + most.size64, align64),
                align64,
                flat: 1 + most.flat,
            },
            discriminant,
            cases: cases.len() as u32,
            payload32,
            payload64,
        }
    }

    /// Where every case's payload begins, in bytes from the start of the variant.
    #[inline]
    pub const fn payload(&self, memory64: bool) -> usize {
        (if memory64 {
            self.payload64
        } else {
            self.payload32
        }) as usize
    }
}

/// Walks over the fields of a record in memory.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    at: usize,
    memory64: bool,
}

impl Fields {
    /// The fields of the record that begins at `ptr`.
    #[inline]
    pub const fn new(ptr: usize, memory64: bool) -> Self {
        Self { at: ptr, memory64 }
    }

    /// The fields of a record without pointers at `at`, which lies alike in both kinds of memory.
    #[inline]
    pub const fn plain(at: usize) -> Self {
        Self::new(at, false)
    }

    /// Where the next field is, given its layout.
    #[inline]
    pub const fn next(&mut self, field: Layout) -> usize {
        let align = field.align(self.memory64) as usize;
        // The record lies in memory as a whole, so this does not overflow.
        let at = self.at.wrapping_add(align - 1) & !(align - 1);
        self.at = at.wrapping_add(field.size(self.memory64));
        at
    }
}

/// The size of the discriminant of a variant with `cases` cases.
pub(super) const fn discriminant_size(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

pub(super) const fn align_to(offset: u32, align: u32) -> u32 {
    offset.saturating_add(align - 1) & !(align - 1)
}

const fn max(a: u32, b: u32) -> u32 {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Case, TypeDef, Types, ValType};

    fn same(types: &mut Types, def: TypeDef, layout: Layout) {
        let ty = types.intern(def).unwrap();
        for memory64 in [false, true] {
            let interned = types.layout(ty, memory64);
            assert_eq!(interned.size as usize, layout.size(memory64), "{memory64}");
            assert_eq!(interned.align, layout.align(memory64), "{memory64}");
        }
        assert_eq!(types.flat_count(ty), layout.flat);
    }

    #[test]
    fn layouts_of_rust_types_are_those_of_interned_types() {
        let types = &mut Types::default();
        let byte = Layout::scalar(1);
        let long = Layout::scalar(8);
        same(
            types,
            TypeDef::Tuple([ValType::U8, ValType::String, ValType::U64, ValType::U8].into()),
            Layout::record(&[byte, Layout::PAIR, long, byte]),
        );
        same(
            types,
            TypeDef::FixedList {
                element: ValType::String,
                length: 3,
            },
            Layout::array(Layout::PAIR, 3),
        );
        for count in [1, 2, 256, 257, 65_536, 65_537] {
            let labels = (0..count).map(|i| format!("x{i}").into()).collect();
            same(types, TypeDef::Enum(labels), Layout::enumeration(count));
        }
        for count in [1, 8, 9, 16, 17, 32] {
            let labels = (0..count).map(|i| format!("x{i}").into()).collect();
            same(types, TypeDef::Flags(labels), Layout::flags(count));
        }
        let case = |name: &str, ty| Case {
            name: name.into(),
            ty,
        };
        same(
            types,
            TypeDef::Variant(
                [
                    case("a", None),
                    case("b", Some(ValType::U64)),
                    case("c", Some(ValType::String)),
                ]
                .into(),
            ),
            VariantLayout::new(&[Layout::EMPTY, long, Layout::PAIR]).layout,
        );
    }

    #[test]
    fn fields_are_found_where_the_layout_has_them() {
        let mut fields = Fields::new(100, false);
        assert_eq!(fields.next(Layout::scalar(1)), 100);
        assert_eq!(fields.next(Layout::scalar(2)), 102);
        assert_eq!(fields.next(Layout::PAIR), 104);
        let mut fields = Fields::new(96, true);
        assert_eq!(fields.next(Layout::scalar(4)), 96);
        assert_eq!(fields.next(Layout::PAIR), 104);
        assert_eq!(fields.next(Layout::scalar(1)), 120);
    }
}
