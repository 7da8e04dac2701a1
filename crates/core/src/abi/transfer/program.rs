//! Programs: how to pass values of one type from one guest to another.

use super::compile::Compiler;
use super::node::{Kind, Node};
use super::scalars::{Scalar, scalars_of};
use crate::plan::StringEncoding;
use crate::types::{
    FuncTypeIdx, Layout, MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_ASYNC_RESULTS, MAX_FLAT_PARAMS,
    MAX_FLAT_RESULTS, Types, ValType,
};

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
        let mut compiler = Compiler::new((source.0, source.2), (target.0, target.2));
        let root = compiler.node(source.1, target.1)?;
        let nodes = compiler.into_nodes();
        let scalars = (source_flat && target_flat)
            .then(|| scalars_of(&nodes, root, MAX_FLAT_PARAMS))
            .flatten();
        Ok(Self {
            scalars,
            nodes,
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

    pub(in crate::abi) fn root(&self) -> usize {
        self.root
    }

    pub(in crate::abi) fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub(in crate::abi) fn source_side(&self) -> Side {
        self.source
    }

    pub(in crate::abi) fn target_side(&self) -> Side {
        self.target
    }

    pub(in crate::abi) fn source_layout(&self) -> Layout {
        self.source_layout
    }

    pub(in crate::abi) fn target_layout(&self) -> Layout {
        self.target_layout
    }

    pub(in crate::abi) fn lifts_may_trap(&self) -> bool {
        self.node(self.root).does.trap
    }

    /// Whether any part is a string or a list of variable length.
    pub(in crate::abi) fn has_lists(&self) -> bool {
        let mut kinds = self.nodes.iter().map(|node| &node.kind);
        kinds.any(|kind| matches!(kind, Kind::String | Kind::List { .. }))
    }

    pub(in crate::abi) fn needs_two_passes(&self) -> bool {
        self.node(self.root).does.trap_after_show
    }
}
