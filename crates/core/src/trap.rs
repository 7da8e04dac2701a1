//! Why a guest traps: every condition of the Canonical ABI that is a guest's fault.

/// A trap that the component runtime raises in a guest.
///
/// Each variant is one condition of the [Canonical ABI]; what the engine raises itself (unreachable code, memory out of bounds) is not here.
///
/// [Canonical ABI]: https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trap {
    /// An instance was entered while it, or one of its ancestors, was already running.
    #[error("cannot enter component instance: it is already running further up the call chain")]
    CannotEnter,
    /// A built-in or import was called where leaving the instance is forbidden: in `realloc` or `post-return`.
    #[error("cannot leave component instance: its `realloc` or `post-return` is running")]
    CannotLeave,
    /// An earlier trap made the instance unusable.
    #[error("cannot enter component instance: an earlier trap made it unusable")]
    Poisoned,
    /// No handle has this index.
    #[error("unknown handle index {index}")]
    UnknownHandle {
        /// The index.
        index: u32,
    },
    /// A handle is not of the kind or type that the operation takes.
    #[error("handle index {index} used with the wrong type, expected {expected} but found {found}")]
    WrongHandle {
        /// The index.
        index: u32,
        /// What the operation takes.
        expected: &'static str,
        /// What the handle is.
        found: &'static str,
    },
    /// An owned resource was dropped or given away while a borrow of it was alive.
    #[error("cannot remove owned resource while borrowed (handle index {index})")]
    ResourceLent {
        /// The handle's index.
        index: u32,
    },
    /// A borrowed handle was given where ownership is needed.
    #[error("cannot lift own resource from a borrow (handle index {index})")]
    NotOwned {
        /// The handle's index.
        index: u32,
    },
    /// A resource was lent to the instance that implements it, which gets the representation instead of a handle, but has an `i32` for it only.
    #[error(
        "cannot lower a borrow: the resource's representation {rep:#x} does not fit the `i32` that it is passed as"
    )]
    BorrowedRep {
        /// The representation.
        rep: u64,
    },
    /// A task returned while borrowed handles that it received were still alive.
    #[error("borrow handles still remain at the end of the call: {count}")]
    BorrowsRemain {
        /// How many.
        count: u32,
    },
    /// A table of handles, tasks or the like is full.
    #[error("limit reached: {limit} {what} (option `{option}`)")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The option that raises it.
        option: &'static str,
    },
    /// A pointer into linear memory is not aligned as its type needs.
    #[error("unaligned pointer {pointer:#x}: must be a multiple of {align}")]
    Unaligned {
        /// The pointer.
        pointer: u64,
        /// The alignment.
        align: u32,
    },
    /// A value, list or string ends outside linear memory.
    #[error(
        "{what} content out-of-bounds: {what} pointer/length out of bounds of memory ({length} bytes at {pointer:#x}, memory has {memory})"
    )]
    OutOfBounds {
        /// What was accessed.
        what: &'static str,
        /// Where it begins.
        pointer: u64,
        /// Its length in bytes.
        length: u64,
        /// The memory's size in bytes.
        memory: u64,
    },
    /// `realloc` gave a block that is unaligned or ends outside memory.
    #[error("realloc return: {fault}: {0}", fault = realloc_fault(.0))]
    BadRealloc(Box<Trap>),
    /// A string or list is longer than the Canonical ABI allows.
    #[error("{what} too long: {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// String or list.
        what: &'static str,
        /// Its length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A discriminant names no case.
    #[error("invalid variant discriminant {discriminant}: the type has {cases} cases")]
    InvalidDiscriminant {
        /// The discriminant.
        discriminant: u32,
        /// How many cases there are.
        cases: u32,
    },
    /// A character is a surrogate or lies beyond U+10FFFF.
    #[error("invalid `char` bit pattern: {0:#x} is not a Unicode scalar value")]
    InvalidChar(u32),
    /// A string is not valid in its encoding.
    #[error("{fault} in string at byte {offset}")]
    InvalidString {
        /// What is wrong, with the encoding's name.
        fault: &'static str,
        /// The offset in the string, in bytes.
        offset: u64,
    },
    /// A built-in of the async half was used against its rules.
    #[error("{builtin}: {reason}")]
    Builtin {
        /// The built-in's name in the specification.
        builtin: &'static str,
        /// What was wrong.
        reason: crate::runtime::Offence,
    },
}

fn realloc_fault(inner: &Trap) -> &'static str {
    match inner {
        Trap::Unaligned { .. } => "result not aligned",
        _ => "beyond end of memory",
    }
}
