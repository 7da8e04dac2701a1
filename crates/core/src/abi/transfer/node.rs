//! What a program consists of.

use crate::types::{ResourceIdx, ValType};

/// A type, on both sides.
#[derive(Debug)]
pub(in crate::abi) struct Node {
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
    /// For such data, if it cannot trap: what it is made of, to be converted for many values one column after another.
    pub columns: Option<Box<[Column]>>,
}

/// What lies at the same offset of many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::abi) struct Column {
    pub offset: usize,
    pub content: Content,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::abi) enum Content {
    /// Integers, of so many bytes.
    Bytes(usize),
    Bool,
    F32,
    F64,
    /// Flags of so many bytes.
    Flags {
        mask: u32,
        size: u32,
    },
}

/// A number for the source and one for the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::abi) struct Sizes {
    pub source: usize,
    pub target: usize,
}

#[derive(Debug)]
pub(in crate::abi) enum Kind {
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
pub(in crate::abi) struct Part {
    pub node: usize,
    pub offset: Sizes,
}

/// A step of copying a record between memories.
#[derive(Clone, Copy, Debug)]
pub(in crate::abi) enum Piece {
    Bytes { offset: Sizes, length: usize },
    Field(Part),
}

/// What can be copied in bulk: every pattern of bytes is a value, apart from NaNs, and there is no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::abi) enum Bulk {
    Integers,
    F32,
    F64,
}

/// What running a node can do, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::abi) struct Does {
    /// Lifting can trap, or takes handles.
    pub trap: bool,
    /// Lowering does what a guest can see: calls `realloc`, or makes a handle.
    pub show: bool,
    /// Run once, it could trap in lifting after it has shown something.
    pub trap_after_show: bool,
}

impl Does {
    pub const TRAP: Self = Self {
        trap: true,
        show: false,
        trap_after_show: false,
    };
    pub const SHOW: Self = Self {
        trap: false,
        show: true,
        trap_after_show: false,
    };

    /// One after another.
    pub fn then(self, next: Self) -> Self {
        Self {
            trap: self.trap || next.trap,
            show: self.show || next.show,
            trap_after_show: self.trap_after_show
                || next.trap_after_show
                || (self.show && next.trap),
        }
    }

    /// Either of the two.
    pub fn or(self, other: Self) -> Self {
        Self {
            trap: self.trap || other.trap,
            show: self.show || other.show,
            trap_after_show: self.trap_after_show || other.trap_after_show,
        }
    }
}
