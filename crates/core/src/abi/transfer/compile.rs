//! Compiling a pair of types into the nodes of a program.

use super::node::{Bulk, Column, Content, Does, Kind, Node, Part, Piece, Sizes};
use super::{Side, TransferError};
use crate::types::{TypeDef, TypeIdx, Types, ValType};
use std::collections::HashMap;

/// The most columns that a value is taken apart into.
const MAX_COLUMNS: usize = 16;

pub(super) struct Compiler<'a> {
    source: &'a Types,
    target: &'a Types,
    sides: (Side, Side),
    nodes: Vec<Node>,
    /// Types may share parts, so that writing all of them out could take forever.
    known: HashMap<(ValType, ValType), usize>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(source: (&'a Types, Side), target: (&'a Types, Side)) -> Self {
        Self {
            source: source.0,
            target: target.0,
            sides: (source.1, target.1),
            nodes: Vec::new(),
            known: HashMap::new(),
        }
    }

    pub(super) fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// Compiles a pair of types. They nest no deeper than the limit that interning them enforces.
    pub(super) fn node(
        &mut self,
        source: ValType,
        target: ValType,
    ) -> Result<usize, TransferError> {
        if let Some(&index) = self.known.get(&(source, target)) {
            return Ok(index);
        }
        let size = Sizes {
            source: self.source.layout(source, self.sides.0.memory64).size as usize,
            target: self.target.layout(target, self.sides.1.memory64).size as usize,
        };
        let (kind, does, bulk) = self.kind(source, target, size)?;
        let data = self.is_data(&kind);
        let columns = self.columns(&kind, bulk, size.source);
        let index = self.nodes.len();
        self.nodes.push(Node {
            kind,
            size,
            flat: self.source.flat_count(source),
            does,
            bulk,
            data,
            columns: columns.map(Into::into),
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

    /// The columns of data that cannot trap, if they are not too many.
    fn columns(&self, kind: &Kind, bulk: Option<Bulk>, size: usize) -> Option<Vec<Column>> {
        let one = |content| vec![Column { offset: 0, content }];
        let part = |offset: usize, node: usize| {
            let columns = self.nodes[node].columns.as_deref()?;
            Some(columns.iter().map(move |column| Column {
                offset: offset + column.offset,
                ..*column
            }))
        };
        let mut columns = Vec::new();
        match kind {
            _ if bulk == Some(Bulk::Integers) => columns = one(Content::Bytes(size)),
            Kind::Bool => columns = one(Content::Bool),
            Kind::F32 => columns = one(Content::F32),
            Kind::F64 => columns = one(Content::F64),
            Kind::Flags { mask } => {
                let size = size as u32;
                columns = one(Content::Flags { mask: *mask, size });
            }
            Kind::FixedList { element, length } if *length <= MAX_COLUMNS => {
                for i in 0..*length {
                    columns.extend(part(i * self.nodes[*element].size.source, *element)?);
                }
            }
            Kind::Record { runs, .. } => {
                for piece in runs {
                    match piece {
                        Piece::Bytes { offset, length } => columns.push(Column {
                            offset: offset.source,
                            content: Content::Bytes(*length),
                        }),
                        Piece::Field(field) => {
                            columns.extend(part(field.offset.source, field.node)?);
                        }
                    }
                }
            }
            _ => return None,
        }
        (columns.len() <= MAX_COLUMNS).then_some(columns)
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
            (Record(a), Record(b)) | (Tuple(a), Tuple(b)) => match self.fields(a, b) {
                Some(fields) => self.record(a, b, &fields, size)?,
                None => return Err(self.differ(source, target)),
            },
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
