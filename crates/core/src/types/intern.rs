//! Interning: giving equal types equal indices, and refusing types that the limits forbid.

use super::flat::Flattened;
use super::layout::Composite;
use super::{FuncType, FuncTypeIdx, TypeDef, TypeIdx, Types, ValType};

/// A value type's size in a 64-bit memory must be less than this many bytes, as the specification demands.
pub const MAX_VALUE_SIZE: u64 = 1 << 28;
/// How deep value types may nest.
pub const MAX_TYPE_DEPTH: u32 = 100;
/// How many distinct composite types, and how many distinct function types, a component may have.
pub const MAX_TYPES: usize = 200_000;
/// How many labels a `flags` type may have, as the specification demands.
pub const MAX_FLAGS: usize = 32;

/// The size up to which a tuple that only the Canonical ABI makes up is laid out: the entry of a map, a function's spilled parameters.
pub(super) const MAX_INTERNAL_SIZE: u64 = u32::MAX as u64;
/// How deep such a tuple may nest.
pub(super) const MAX_INTERNAL_DEPTH: u32 = MAX_TYPE_DEPTH + 1;

/// Why a type is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// A value is too large.
    #[error("value type exceeds maximum byte size: {size} bytes, must be less than {limit}")]
    TooLarge {
        /// Its size in a 64-bit memory in bytes.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Types nest too deep.
    #[error("value types nest too deep: more than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: u32,
    },
    /// There are too many types.
    #[error("too many types: more than {limit}")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A type has no parts, or too many.
    #[error("{}", refused_parts(what, *count, *limit))]
    Parts {
        /// The kind of type.
        what: &'static str,
        /// How many parts it has.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

/// In the words of the specification's tests, where they have any.
fn refused_parts(what: &str, count: usize, limit: usize) -> String {
    let missing = match what {
        _ if count > 0 => return format!("cannot have more than {limit} {what}"),
        "variant" => "variant type must have at least one case",
        "enum" => "enum type must have at least one variant",
        "record" => "record type must have at least one field",
        "tuple" => "tuple type must have at least one type",
        "flags" => "flags must have at least one entry",
        _ => return format!("`{what}` type must have at least one part"),
    };
    missing.into()
}

/// What the Canonical ABI derives from a composite type.
#[derive(Clone, Debug)]
pub(super) struct TypeInfo {
    /// For 32-bit and for 64-bit memories.
    pub composites: [Composite; 2],
    pub flattened: Flattened,
    pub traits: Traits,
    pub depth: u32,
    /// For a map, its entry.
    pub entry: Option<ValType>,
}

/// What occurs in a type.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traits {
    pub own: bool,
    pub borrow: bool,
    pub stream_or_future: bool,
    pub pointer: bool,
    pub plain_numeric: bool,
}

/// What the Canonical ABI derives from a function type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// The parameters as one `tuple`, which is how they lie in memory when they are passed there. Without parameters it has no fields.
    pub params: ValType,
    /// Into how many core values the parameters flatten.
    pub params_flat_count: u32,
    /// Into how many core values the result flattens; 0 without a result.
    pub result_flat_count: u32,
}

impl Types {
    /// Interns a type whose parts are interned here, and gives it as a value type.
    ///
    /// # Errors
    /// The type breaks one of the limits of [`TypeError`].
    pub fn intern(&mut self, def: TypeDef) -> Result<ValType, TypeError> {
        check_parts(&def)?;
        self.intern_within(def, MAX_VALUE_SIZE, MAX_TYPE_DEPTH)
    }

    /// Interns a function type whose parameter and result types are interned here.
    ///
    /// # Errors
    /// There are too many types, or the parameters are too large to be laid out.
    pub fn intern_func(&mut self, ty: FuncType) -> Result<FuncTypeIdx, TypeError> {
        self.restore_index();
        if let Some(&index) = self.func_index.get(&ty) {
            return Ok(index);
        }
        if self.funcs.len() >= MAX_TYPES {
            return Err(TypeError::TooMany { limit: MAX_TYPES });
        }
        let params = self.intern_within(
            TypeDef::Tuple(ty.params.iter().map(|param| param.ty).collect()),
            MAX_INTERNAL_SIZE,
            MAX_INTERNAL_DEPTH,
        )?;
        let info = FuncInfo {
            params,
            params_flat_count: self.flat_count(params),
            result_flat_count: ty.result.map_or(0, |result| self.flat_count(result)),
        };
        let index = FuncTypeIdx(self.funcs.len() as u32);
        self.func_index.insert(ty.clone(), index);
        self.funcs.push(ty);
        self.func_infos.push(info);
        Ok(index)
    }

    fn intern_within(
        &mut self,
        def: TypeDef,
        max_size: u64,
        max_depth: u32,
    ) -> Result<ValType, TypeError> {
        self.restore_index();
        let kind = kind_of(&def);
        if let Some(&index) = self.def_index.get(&def) {
            let info = &self.infos[index.index()];
            let size = u64::from(info.composites[1].layout.size);
            if size >= max_size {
                return Err(too_large(size, max_size));
            }
            if info.depth > max_depth {
                return Err(TypeError::TooDeep { limit: max_depth });
            }
            return Ok(kind(index));
        }
        if self.defs.len() >= MAX_TYPES {
            return Err(TypeError::TooMany { limit: MAX_TYPES });
        }
        let mut info = self.derive(&def, max_size, max_depth)?;
        info.entry = match def {
            TypeDef::Map { key, value } => Some(self.intern_within(
                TypeDef::Tuple([key, value].into()),
                MAX_INTERNAL_SIZE,
                MAX_INTERNAL_DEPTH,
            )?),
            _ => None,
        };
        let index = TypeIdx(self.defs.len() as u32);
        self.def_index.insert(def.clone(), index);
        self.defs.push(def);
        self.infos.push(info);
        Ok(kind(index))
    }

    /// What follows from a definition whose parts are here, a map's entry apart.
    pub(super) fn derive(
        &self,
        def: &TypeDef,
        max_size: u64,
        max_depth: u32,
    ) -> Result<TypeInfo, TypeError> {
        let lay_out = |memory64| {
            self.lay_out(def, memory64, max_size)
                .map_err(|size| too_large(size, max_size))
        };
        let composites = [lay_out(false)?, lay_out(true)?];
        let mut depth = 0;
        let mut traits = Traits::default();
        for part in parts(def) {
            depth = depth.max(self.depth(part));
            let part = self.traits(part);
            traits.own |= part.own;
            traits.borrow |= part.borrow;
            traits.stream_or_future |= part.stream_or_future;
            traits.pointer |= part.pointer;
        }
        depth += 1;
        if depth > max_depth {
            return Err(TypeError::TooDeep { limit: max_depth });
        }
        traits.pointer |= matches!(def, TypeDef::List(_) | TypeDef::Map { .. });
        traits.stream_or_future |= matches!(def, TypeDef::Stream(_) | TypeDef::Future(_));
        traits.plain_numeric = match def {
            TypeDef::FixedList { element, .. } => self.is_plain_numeric(*element),
            _ => false,
        };
        Ok(TypeInfo {
            composites,
            flattened: self.flatten(def),
            traits,
            depth,
            entry: None,
        })
    }

    /// Indexes what was read rather than interned.
    fn restore_index(&mut self) {
        if self.def_index.len() < self.defs.len() {
            let defs = self.defs.iter().cloned();
            self.def_index = defs.zip((0..).map(TypeIdx)).collect();
        }
        if self.func_index.len() < self.funcs.len() {
            let funcs = self.funcs.iter().cloned();
            self.func_index = funcs.zip((0..).map(FuncTypeIdx)).collect();
        }
    }

    pub(super) fn traits(&self, ty: ValType) -> Traits {
        match (ty, ty.type_idx()) {
            (_, Some(index)) => self.infos[index.index()].traits,
            (ty, None) => Traits {
                own: matches!(ty, ValType::Own(_)),
                borrow: matches!(ty, ValType::Borrow(_)),
                stream_or_future: false,
                pointer: ty == ValType::String,
                plain_numeric: ty.is_number(),
            },
        }
    }

    /// How deep a type nests: 0 for scalars.
    pub(crate) fn depth(&self, ty: ValType) -> u32 {
        ty.type_idx()
            .map_or(0, |index| self.infos[index.index()].depth)
    }
}

fn too_large(size: u64, limit: u64) -> TypeError {
    TypeError::TooLarge { size, limit }
}

/// How the index of a definition becomes a value type.
pub(super) fn kind_of(def: &TypeDef) -> fn(TypeIdx) -> ValType {
    match def {
        TypeDef::List(_) => ValType::List,
        TypeDef::FixedList { .. } => ValType::FixedList,
        TypeDef::Map { .. } => ValType::Map,
        TypeDef::Record(_) => ValType::Record,
        TypeDef::Tuple(_) => ValType::Tuple,
        TypeDef::Variant(_) => ValType::Variant,
        TypeDef::Enum(_) => ValType::Enum,
        TypeDef::Option(_) => ValType::Option,
        TypeDef::Result { .. } => ValType::Result,
        TypeDef::Flags(_) => ValType::Flags,
        TypeDef::Stream(_) => ValType::Stream,
        TypeDef::Future(_) => ValType::Future,
    }
}

/// The types that a definition consists of.
fn parts(def: &TypeDef) -> Vec<ValType> {
    match def {
        TypeDef::List(ty) | TypeDef::Option(ty) | TypeDef::FixedList { element: ty, .. } => {
            vec![*ty]
        }
        TypeDef::Map { key, value } => vec![*key, *value],
        TypeDef::Record(fields) => fields.iter().map(|field| field.ty).collect(),
        TypeDef::Tuple(fields) => fields.to_vec(),
        TypeDef::Variant(cases) => cases.iter().filter_map(|case| case.ty).collect(),
        TypeDef::Result { ok, err } => ok.iter().chain(err).copied().collect(),
        TypeDef::Stream(element) | TypeDef::Future(element) => element.iter().copied().collect(),
        TypeDef::Enum(_) | TypeDef::Flags(_) => Vec::new(),
    }
}

/// Refuses what the specification calls malformed: types without parts, or with more than can be numbered.
pub(super) fn check_parts(def: &TypeDef) -> Result<(), TypeError> {
    let (what, count, limit) = match def {
        TypeDef::Record(fields) => ("record", fields.len(), u32::MAX as usize),
        TypeDef::Tuple(fields) => ("tuple", fields.len(), u32::MAX as usize),
        TypeDef::Variant(cases) => ("variant", cases.len(), u32::MAX as usize),
        TypeDef::Enum(labels) => ("enum", labels.len(), u32::MAX as usize),
        TypeDef::Flags(labels) => ("flags", labels.len(), MAX_FLAGS),
        TypeDef::FixedList { length, .. } => ("list", *length as usize, u32::MAX as usize),
        _ => return Ok(()),
    };
    if (1..=limit).contains(&count) {
        Ok(())
    } else {
        Err(TypeError::Parts { what, count, limit })
    }
}
