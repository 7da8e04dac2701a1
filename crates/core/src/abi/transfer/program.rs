//! Compiling a pair of types into a program.

use super::scalars::{Scalar, scalars_of};
use crate::plan::StringEncoding;
use crate::types::{
    FuncTypeIdx, Layout, MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_ASYNC_RESULTS, MAX_FLAT_PARAMS,
    MAX_FLAT_RESULTS, ResourceIdx, TypeDef, TypeIdx, Types, ValType,
};
use std::collections::HashMap;

/// What the canonical options of one side say about its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Side {
    /// Whether its memory has 64-bit addresses.
    pub memory64: bool,
    /// How its strings are encoded.
    pub encoding: StringEncoding,
    /// Whether its function is lifted or lowered with the async ABI.
    pub async_: bool,
}

/// The types of the two sides differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot pass `{given}` where `{taken}` is taken")]
pub struct TransferError {
    /// The source's type.
    pub given: String,
    /// The target's type.
    pub taken: String,
}

/// How to pass values of one type from one guest to another.
#[derive(Debug)]
pub struct Program {
    nodes: Vec<Node>,
    root: usize,
    source: Side,
    target: Side,
    source_layout: Layout,
    target_layout: Layout,
    source_flat: bool,
    target_flat: bool,
    /// The program again, if it passes flat scalars only.
    scalars: Option<Box<[Scalar]>>,
}

/// A type, on both sides.
#[derive(Debug)]
pub(super) struct Node {
    pub kind: Kind,
    /// The size in bytes on either side.
    pub size: Sizes,
    /// How many flat values there are, on both sides.
    pub flat: u32,
    /// What running it can do.
    pub does: Does,
    /// Whether it can be copied in bulk between memories.
    pub bulk: Option<Bulk>,
    /// Whether it holds neither pointers nor handles. Then its layout is the same on both sides.
    pub data: bool,
}

/// A number for the source and one for the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub source: usize,
    pub target: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Bool,
    Int {
        signed: bool,
    },
    F32,
    F64,
    Char,
    Flags {
        mask: u32,
    },
    String,
    /// Also maps: lists of their entries.
    List {
        element: usize,
        source_align: u32,
        target_align: u32,
    },
    FixedList {
        element: usize,
        length: usize,
    },
    /// Records and tuples.
    Record {
        fields: Box<[Part]>,
        /// The same between memories, with neighbours merged that can be copied in bulk.
        runs: Box<[Piece]>,
    },
    /// Also enums, options and results.
    Variant {
        discriminant: u32,
        payload: Sizes,
        cases: Box<[Option<usize>]>,
    },
    Own {
        source: ResourceIdx,
        target: ResourceIdx,
    },
    Borrow {
        source: ResourceIdx,
        target: ResourceIdx,
    },
    /// `stream`, `future` and `error-context`, with the source's type.
    Async {
        source: ValType,
    },
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub node: usize,
    pub offset: Sizes,
}

/// A step of copying a record between memories.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece {
    Bytes { offset: Sizes, length: usize },
    Field(Part),
}

/// What can be copied in bulk: every pattern of bytes is a value, apart from NaNs, and there is no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bulk {
    Integers,
    F32,
    F64,
}

/// What running a node can do, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Does {
    /// Lifting can trap, or takes handles.
    pub trap: bool,
    /// Lowering does what a guest can see: calls `realloc`, or makes a handle.
    pub show: bool,
    /// Run once, it could trap in lifting after it has shown something.
    pub trap_after_show: bool,
}

impl Does {
    const TRAP: Self = Self {
        trap: true,
        show: false,
        trap_after_show: false,
    };
    const SHOW: Self = Self {
        trap: false,
        show: true,
        trap_after_show: false,
    };

    fn then(self, next: Self) -> Self {
        Self {
            trap: self.trap || next.trap,
            show: self.show || next.show,
            trap_after_show: self.trap_after_show
                || next.trap_after_show
                || (self.show && next.trap),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            trap: self.trap || other.trap,
            show: self.show || other.show,
            trap_after_show: self.trap_after_show || other.trap_after_show,
        }
    }
}

impl Program {
    /// How to pass a call's parameters. `source` is the caller's side (the lowered function), `target` the callee's (the lifted one).
    ///
    /// # Errors
    /// When the two function types differ in structure, which linking has excluded.
    pub fn params(
        source: (&Types, FuncTypeIdx, Side),
        target: (&Types, FuncTypeIdx, Side),
    ) -> Result<Self, TransferError> {
        let max_flat = if source.2.async_ {
            MAX_FLAT_ASYNC_PARAMS
        } else {
            MAX_FLAT_PARAMS
        };
        let given = source.0.func_info(source.1);
        let taken = target.0.func_info(target.1);
        Self::new(
            (source.0, given.params, source.2),
            (target.0, taken.params, target.2),
            given.params_flat_count as usize <= max_flat,
            taken.params_flat_count as usize <= MAX_FLAT_PARAMS,
        )
    }

    /// How to pass a call's result; `None` if there is none. `source` is the callee's side (the lifted function), `target` the caller's.
    ///
    /// # Errors
    /// When the two function types differ in structure, which linking has excluded.
    pub fn result(
        source: (&Types, FuncTypeIdx, Side),
        target: (&Types, FuncTypeIdx, Side),
    ) -> Result<Option<Self>, TransferError> {
        // An async-lifted function gives its result as the parameters of `task.return`.
        let max_lifted = if source.2.async_ {
            MAX_FLAT_PARAMS
        } else {
            MAX_FLAT_RESULTS
        };
        let max_lowered = if target.2.async_ {
            MAX_FLAT_ASYNC_RESULTS
        } else {
            MAX_FLAT_RESULTS
        };
        let (given, taken) = (
            source.0.func(source.1).result,
            target.0.func(target.1).result,
        );
        match (given, taken) {
            (None, None) => Ok(None),
            (Some(given), Some(taken)) => Self::new(
                (source.0, given, source.2),
                (target.0, taken, target.2),
                source.0.flat_count(given) as usize <= max_lifted,
                target.0.flat_count(taken) as usize <= max_lowered,
            )
            .map(Some),
            (given, taken) => {
                let text = |types: &Types, ty: Option<ValType>| {
                    ty.map_or("no result".to_owned(), |ty| types.display(ty).to_string())
                };
                Err(TransferError {
                    given: text(source.0, given),
                    taken: text(target.0, taken),
                })
            }
        }
    }

    /// How to pass the items of a stream or future, from memory to memory.
    ///
    /// # Errors
    /// When the two types differ in structure.
    pub fn items(
        source: (&Types, ValType, Side),
        target: (&Types, ValType, Side),
    ) -> Result<Self, TransferError> {
        Self::new(source, target, false, false)
    }

    fn new(
        source: (&Types, ValType, Side),
        target: (&Types, ValType, Side),
        source_flat: bool,
        target_flat: bool,
    ) -> Result<Self, TransferError> {
        let mut compiler = Compiler {
            source: source.0,
            target: target.0,
            sides: (source.2, target.2),
            nodes: Vec::new(),
            known: HashMap::new(),
        };
        let root = compiler.node(source.1, target.1)?;
        let scalars = (source_flat && target_flat)
            .then(|| scalars_of(&compiler.nodes, root, MAX_FLAT_PARAMS))
            .flatten();
        Ok(Self {
            scalars,
            nodes: compiler.nodes,
            root,
            source: source.2,
            target: target.2,
            source_layout: source.0.layout(source.1, source.2.memory64),
            target_layout: target.0.layout(target.1, target.2.memory64),
            source_flat,
            target_flat,
        })
    }

    /// Whether the values are lifted from flat values, not from memory.
    pub fn source_flat(&self) -> bool {
        self.source_flat
    }

    /// Whether the values are lowered to flat values, not into memory.
    pub fn target_flat(&self) -> bool {
        self.target_flat
    }

    pub(super) fn scalars(&self) -> Option<&[Scalar]> {
        self.scalars.as_deref()
    }

    pub(super) fn root(&self) -> usize {
        self.root
    }

    pub(super) fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub(super) fn source_side(&self) -> Side {
        self.source
    }

    pub(super) fn target_side(&self) -> Side {
        self.target
    }

    pub(super) fn source_layout(&self) -> Layout {
        self.source_layout
    }

    pub(super) fn target_layout(&self) -> Layout {
        self.target_layout
    }

    pub(super) fn lifts_may_trap(&self) -> bool {
        self.node(self.root).does.trap
    }

    pub(super) fn needs_two_passes(&self) -> bool {
        self.node(self.root).does.trap_after_show
    }
}

struct Compiler<'a> {
    source: &'a Types,
    target: &'a Types,
    sides: (Side, Side),
    nodes: Vec<Node>,
    /// Types may share parts, so that writing all of them out could take forever.
    known: HashMap<(ValType, ValType), usize>,
}

impl Compiler<'_> {
    /// Compiles a pair of types. They nest no deeper than the limit that interning them enforces.
    fn node(&mut self, source: ValType, target: ValType) -> Result<usize, TransferError> {
        if let Some(&index) = self.known.get(&(source, target)) {
            return Ok(index);
        }
        let size = Sizes {
            source: self.source.layout(source, self.sides.0.memory64).size as usize,
            target: self.target.layout(target, self.sides.1.memory64).size as usize,
        };
        let (kind, does, bulk) = self.kind(source, target, size)?;
        let data = self.is_data(&kind);
        let index = self.nodes.len();
        self.nodes.push(Node {
            kind,
            size,
            flat: self.source.flat_count(source),
            does,
            bulk,
            data,
        });
        self.known.insert((source, target), index);
        Ok(index)
    }

    fn is_data(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Bool
            | Kind::Int { .. }
            | Kind::F32
            | Kind::F64
            | Kind::Char
            | Kind::Flags { .. } => true,
            Kind::FixedList { element, .. } => self.nodes[*element].data,
            Kind::Record { fields, .. } => fields.iter().all(|field| self.nodes[field.node].data),
            Kind::Variant { cases, .. } => {
                cases.iter().flatten().all(|&node| self.nodes[node].data)
            }
            _ => false,
        }
    }

    fn kind(
        &mut self,
        source: ValType,
        target: ValType,
        size: Sizes,
    ) -> Result<(Kind, Does, Option<Bulk>), TransferError> {
        use ValType::*;
        let nothing = Does::default();
        let handle = Does::TRAP.then(Does::SHOW);
        Ok(match (source, target) {
            (Bool, Bool) => (Kind::Bool, nothing, None),
            (S8, S8) | (S16, S16) | (S32, S32) | (S64, S64) => {
                (Kind::Int { signed: true }, nothing, Some(Bulk::Integers))
            }
            (U8, U8) | (U16, U16) | (U32, U32) | (U64, U64) => {
                (Kind::Int { signed: false }, nothing, Some(Bulk::Integers))
            }
            (F32, F32) => (Kind::F32, nothing, Some(Bulk::F32)),
            (F64, F64) => (Kind::F64, nothing, Some(Bulk::F64)),
            (Char, Char) => (Kind::Char, Does::TRAP, None),
            (String, String) => (Kind::String, handle, None),
            (Own(source), Own(target)) => (Kind::Own { source, target }, handle, None),
            (Borrow(source), Borrow(target)) => (Kind::Borrow { source, target }, handle, None),
            (ErrorContext, ErrorContext) | (Stream(_), Stream(_)) | (Future(_), Future(_)) => {
                (Kind::Async { source }, handle, None)
            }
            (List(a), List(b)) => match (self.source.def(a), self.target.def(b)) {
                (&TypeDef::List(a), &TypeDef::List(b)) => self.list(a, b)?,
                _ => return Err(self.differ(source, target)),
            },
            (Map(a), Map(b)) => match (self.source.map_entry(a), self.target.map_entry(b)) {
                (Some(a), Some(b)) => self.list(a, b)?,
                _ => return Err(self.differ(source, target)),
            },
            (FixedList(a), FixedList(b)) => match (self.source.def(a), self.target.def(b)) {
                (
                    &TypeDef::FixedList { element: a, length },
                    &TypeDef::FixedList {
                        element: b,
                        length: other,
                    },
                ) if length == other => {
                    let element = self.node(a, b)?;
                    let Node { does, bulk, .. } = self.nodes[element];
                    let kind = Kind::FixedList {
                        element,
                        length: length as usize,
                    };
                    // Whatever one element does can come after what the one before did.
                    let does = if length > 1 { does.then(does) } else { does };
                    (kind, does, bulk)
                }
                _ => return Err(self.differ(source, target)),
            },
            (Record(a), Record(b)) | (Tuple(a), Tuple(b)) => {
                let (fields, others) = (self.fields(a, b), self.source.def(a));
                match (fields, others) {
                    (Some(fields), TypeDef::Record(_) | TypeDef::Tuple(_)) => {
                        self.record(a, b, &fields, size)?
                    }
                    _ => return Err(self.differ(source, target)),
                }
            }
            (Flags(a), Flags(b)) => match (self.source.def(a), self.target.def(b)) {
                (TypeDef::Flags(labels), TypeDef::Flags(others)) if labels == others => {
                    // At most 32 labels, and at least one.
                    let mask = u32::MAX >> (32 - labels.len().clamp(1, 32));
                    (Kind::Flags { mask }, nothing, None)
                }
                _ => return Err(self.differ(source, target)),
            },
            (Variant(a), Variant(b))
            | (Enum(a), Enum(b))
            | (Option(a), Option(b))
            | (Result(a), Result(b)) => self.variant(a, b, source, target)?,
            _ => return Err(self.differ(source, target)),
        })
    }

    fn list(
        &mut self,
        source: ValType,
        target: ValType,
    ) -> Result<(Kind, Does, Option<Bulk>), TransferError> {
        let element = self.node(source, target)?;
        let does = self.nodes[element].does;
        let kind = Kind::List {
            element,
            source_align: self.source.layout(source, self.sides.0.memory64).align,
            target_align: self.target.layout(target, self.sides.1.memory64).align,
        };
        let elements = does.then(does);
        Ok((kind, Does::TRAP.then(Does::SHOW).then(elements), None))
    }

    /// The types of the fields of two records or tuples, if they are as many and named alike.
    fn fields(&self, source: TypeIdx, target: TypeIdx) -> Option<Vec<(ValType, ValType)>> {
        match (self.source.def(source), self.target.def(target)) {
            (TypeDef::Record(a), TypeDef::Record(b)) if a.len() == b.len() => a
                .iter()
                .zip(b)
                .map(|(a, b)| (a.name == b.name).then_some((a.ty, b.ty)))
                .collect(),
            (TypeDef::Tuple(a), TypeDef::Tuple(b)) if a.len() == b.len() => {
                Some(a.iter().copied().zip(b.iter().copied()).collect())
            }
            _ => None,
        }
    }

    fn record(
        &mut self,
        source: TypeIdx,
        target: TypeIdx,
        types: &[(ValType, ValType)],
        size: Sizes,
    ) -> Result<(Kind, Does, Option<Bulk>), TransferError> {
        let mut fields = Vec::with_capacity(types.len());
        let mut does = Does::default();
        for (i, &(a, b)) in types.iter().enumerate() {
            let node = self.node(a, b)?;
            does = does.then(self.nodes[node].does);
            let source_offsets = self.source.field_offsets(source, self.sides.0.memory64);
            let target_offsets = self.target.field_offsets(target, self.sides.1.memory64);
            fields.push(Part {
                node,
                offset: Sizes {
                    source: source_offsets.get(i).map_or(0, |&offset| offset as usize),
                    target: target_offsets.get(i).map_or(0, |&offset| offset as usize),
                },
            });
        }
        let bulk = self.whole(&fields, size);
        let runs = self.runs(&fields);
        let kind = Kind::Record {
            fields: fields.into(),
            runs,
        };
        Ok((kind, does, bulk))
    }

    /// How a record can be copied at once: all its fields alike, and nothing between them.
    fn whole(&self, fields: &[Part], size: Sizes) -> Option<Bulk> {
        let bulk = self.nodes[fields.first()?.node].bulk?;
        let mut end = 0;
        for field in fields {
            let node = &self.nodes[field.node];
            if node.bulk != Some(bulk) || field.offset.source != end {
                return None;
            }
            end += node.size.source;
        }
        // Such fields have the same layout on both sides.
        (end == size.source && size.source == size.target).then_some(bulk)
    }

    fn runs(&self, fields: &[Part]) -> Box<[Piece]> {
        let mut runs: Vec<Piece> = Vec::with_capacity(fields.len());
        for &field in fields {
            let node = &self.nodes[field.node];
            if node.bulk != Some(Bulk::Integers) {
                runs.push(Piece::Field(field));
                continue;
            }
            match runs.last_mut() {
                Some(Piece::Bytes { offset, length })
                    if offset.source + *length == field.offset.source
                        && offset.target + *length == field.offset.target =>
                {
                    *length += node.size.source;
                }
                _ => runs.push(Piece::Bytes {
                    offset: field.offset,
                    length: node.size.source,
                }),
            }
        }
        runs.into()
    }

    fn variant(
        &mut self,
        a: TypeIdx,
        b: TypeIdx,
        source: ValType,
        target: ValType,
    ) -> Result<(Kind, Does, Option<Bulk>), TransferError> {
        let labels_match = match (self.source.def(a), self.target.def(b)) {
            (TypeDef::Variant(a), TypeDef::Variant(b)) => a
                .iter()
                .map(|case| &case.name)
                .eq(b.iter().map(|case| &case.name)),
            (TypeDef::Enum(a), TypeDef::Enum(b)) => a == b,
            (TypeDef::Option(_), TypeDef::Option(_)) => true,
            (TypeDef::Result { .. }, TypeDef::Result { .. }) => true,
            _ => false,
        };
        if !labels_match {
            return Err(self.differ(source, target));
        }
        let mut cases = Vec::new();
        let mut payloads = Does::default();
        for case in 0..self.source.case_count(a) {
            let given = self.source.case_payload(a, case).flatten();
            let taken = self.target.case_payload(b, case).flatten();
            cases.push(match (given, taken) {
                (None, None) => None,
                (Some(given), Some(taken)) => {
                    let node = self.node(given, taken)?;
                    payloads = payloads.or(self.nodes[node].does);
                    Some(node)
                }
                _ => return Err(self.differ(source, target)),
            });
        }
        let given = self.source.variant_layout(a, self.sides.0.memory64);
        let taken = self.target.variant_layout(b, self.sides.1.memory64);
        let kind = Kind::Variant {
            discriminant: given.discriminant_size,
            payload: Sizes {
                source: given.payload_offset as usize,
                target: taken.payload_offset as usize,
            },
            cases: cases.into(),
        };
        Ok((kind, Does::TRAP.then(payloads), None))
    }

    fn differ(&self, source: ValType, target: ValType) -> TransferError {
        TransferError {
            given: self.source.display(source).to_string(),
            taken: self.target.display(target).to_string(),
        }
    }
}
