//! Flattening: how values travel as core parameters and results.
//!
//! See [Flattening](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#flattening).

use super::{TypeDef, Types, ValType};

/// How many core values pass the parameters of a call at most; more are passed in memory.
pub const MAX_FLAT_PARAMS: usize = 16;
/// The same for the parameters of an import lowered with the async ABI.
pub const MAX_FLAT_ASYNC_PARAMS: usize = 4;
/// How many core values pass a call's result at most.
pub const MAX_FLAT_RESULTS: usize = 1;
/// The same for the result of an import lowered with the async ABI, which is always passed in memory.
pub const MAX_FLAT_ASYNC_RESULTS: usize = 0;

/// A core value type that a component-level value is passed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs)]
pub enum FlatType {
    I32,
    I64,
    F32,
    F64,
}

impl FlatType {
    /// The type that carries values of either: the specification's `join`.
    pub fn join(self, other: FlatType) -> FlatType {
        use FlatType::*;
        match (self, other) {
            (a, b) if a == b => a,
            (I32, F32) | (F32, I32) => I32,
            _ => I64,
        }
    }

    /// The type of a memory's addresses.
    pub fn pointer(memory64: bool) -> FlatType {
        if memory64 {
            FlatType::I64
        } else {
            FlatType::I32
        }
    }
}

impl From<FlatType> for wasmparser::ValType {
    fn from(ty: FlatType) -> Self {
        match ty {
            FlatType::I32 => wasmparser::ValType::I32,
            FlatType::I64 => wasmparser::ValType::I64,
            FlatType::F32 => wasmparser::ValType::F32,
            FlatType::F64 => wasmparser::ValType::F64,
        }
    }
}

/// How a composite type flattens.
#[derive(Clone, Debug)]
pub(super) struct Flattened {
    /// Into how many core values.
    pub count: u32,
    /// Into which, for 32-bit and for 64-bit memories, if they are few enough for parameters.
    pub types: [Option<Box<[FlatType]>>; 2],
}

impl Types {
    /// Into how many core values a type flattens. At most the type's size in bytes.
    pub fn flat_count(&self, ty: ValType) -> u32 {
        match (ty, ty.type_idx()) {
            (_, Some(index)) => self.infos[index.index()].flattened.count,
            (ValType::String, None) => 2,
            (_, None) => 1,
        }
    }

    /// Into which core values a type flattens; `None` if they are more than [`MAX_FLAT_PARAMS`], and so are never passed flat.
    pub fn flat_types(&self, ty: ValType, memory64: bool) -> Option<&[FlatType]> {
        use FlatType::*;
        Some(match (ty, ty.type_idx()) {
            (_, Some(index)) => {
                return self.infos[index.index()].flattened.types[usize::from(memory64)].as_deref();
            }
            (ValType::String, _) if memory64 => &[I64, I64],
            (ValType::String, _) => &[I32, I32],
            (ValType::S64 | ValType::U64, _) => &[I64],
            (ValType::F32, _) => &[F32],
            (ValType::F64, _) => &[F64],
            _ => &[I32],
        })
    }

    /// Flattens a type whose parts are interned.
    pub(super) fn flatten(&self, def: &TypeDef) -> Flattened {
        let count = match def {
            TypeDef::List(_) | TypeDef::Map { .. } => 2,
            TypeDef::FixedList { element, length } => {
                u64::from(self.flat_count(*element)) * u64::from(*length)
            }
            TypeDef::Record(fields) => fields
                .iter()
                .map(|field| u64::from(self.flat_count(field.ty)))
                .sum(),
            TypeDef::Tuple(fields) => fields
                .iter()
                .map(|field| u64::from(self.flat_count(*field)))
                .sum(),
            TypeDef::Variant(cases) => self.count_cases(cases.iter().filter_map(|case| case.ty)),
            TypeDef::Option(payload) => self.count_cases([*payload].into_iter()),
            TypeDef::Result { ok, err } => self.count_cases(ok.iter().chain(err).copied()),
            TypeDef::Enum(_) | TypeDef::Flags(_) | TypeDef::Stream(_) | TypeDef::Future(_) => 1,
        };
        // A value has no more flat values than bytes, and its size is bounded.
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Flattened {
            count,
            types: [false, true].map(|memory64| {
                let few = count as usize <= MAX_FLAT_PARAMS;
                few.then(|| self.flatten_few(def, memory64).unwrap_or_default())
            }),
        }
    }

    fn count_cases(&self, payloads: impl Iterator<Item = ValType>) -> u64 {
        let longest = payloads.map(|ty| self.flat_count(ty)).max();
        1 + u64::from(longest.unwrap_or(0))
    }

    /// The flat types of a type that has at most [`MAX_FLAT_PARAMS`] of them, as its parts then have too.
    fn flatten_few(&self, def: &TypeDef, memory64: bool) -> Option<Box<[FlatType]>> {
        let mut flat = Vec::new();
        match def {
            TypeDef::List(_) | TypeDef::Map { .. } => flat = vec![FlatType::pointer(memory64); 2],
            TypeDef::FixedList { element, length } => {
                let element = self.flat_types(*element, memory64)?;
                for _ in 0..*length {
                    flat.extend(element);
                }
            }
            TypeDef::Record(fields) => {
                for field in fields {
                    flat.extend(self.flat_types(field.ty, memory64)?);
                }
            }
            TypeDef::Tuple(fields) => {
                for field in fields {
                    flat.extend(self.flat_types(*field, memory64)?);
                }
            }
            TypeDef::Variant(cases) => {
                let payloads = cases.iter().filter_map(|case| case.ty);
                flat = self.flatten_cases(payloads, memory64)?;
            }
            TypeDef::Option(payload) => {
                flat = self.flatten_cases([*payload].into_iter(), memory64)?;
            }
            TypeDef::Result { ok, err } => {
                flat = self.flatten_cases(ok.iter().chain(err).copied(), memory64)?;
            }
            TypeDef::Enum(_) | TypeDef::Flags(_) | TypeDef::Stream(_) | TypeDef::Future(_) => {
                flat.push(FlatType::I32);
            }
        }
        Some(flat.into())
    }

    fn flatten_cases(
        &self,
        payloads: impl Iterator<Item = ValType>,
        memory64: bool,
    ) -> Option<Vec<FlatType>> {
        let mut flat = vec![FlatType::I32];
        for payload in payloads {
            for (at, ty) in self.flat_types(payload, memory64)?.iter().enumerate() {
                match flat.get_mut(at + 1) {
                    Some(joined) => *joined = joined.join(*ty),
                    None => flat.push(*ty),
                }
            }
        }
        Some(flat)
    }
}
