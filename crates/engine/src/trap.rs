//! How guest code fails.

use std::fmt;

/// Why a guest trapped. The display text is the one that the specification's tests expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrapCode {
    /// The `unreachable` instruction.
    Unreachable,
    /// A load, store or bulk operation outside a memory.
    MemoryOutOfBounds,
    /// An atomic access that is not naturally aligned.
    UnalignedAtomic,
    /// A table access, bulk operation or `call_indirect` outside a table. Neither engine tells these apart, so the message
    /// holds both of the specification's texts.
    TableOutOfBounds,
    /// `call_indirect` through a null element.
    UninitializedElement,
    /// `call_indirect` of a function of another type.
    IndirectCallTypeMismatch,
    /// Division or remainder by zero.
    IntegerDivideByZero,
    /// The result of a division or conversion does not fit.
    IntegerOverflow,
    /// A NaN converted to an integer.
    InvalidConversionToInteger,
    /// Too many nested calls.
    StackExhausted,
    /// A null reference used where a value is needed.
    NullReference,
    /// An exception that nobody caught.
    UncaughtException,
    /// `memory.atomic.wait` where waiting is not possible.
    AtomicWait,
    /// Stopped from outside.
    Interrupted,
    /// The engine ran out of something of its own, such as memory.
    OutOfResources,
    /// Any other trap of the engine.
    Other,
}

impl TrapCode {
    /// The message of the specification's tests.
    pub fn message(self) -> &'static str {
        match self {
            Self::Unreachable => "wasm `unreachable` instruction executed",
            Self::MemoryOutOfBounds => "out of bounds memory access",
            Self::UnalignedAtomic => "unaligned atomic",
            Self::TableOutOfBounds => "undefined element: out of bounds table access",
            Self::UninitializedElement => "uninitialized element",
            Self::IndirectCallTypeMismatch => "indirect call type mismatch",
            Self::IntegerDivideByZero => "integer divide by zero",
            Self::IntegerOverflow => "integer overflow",
            Self::InvalidConversionToInteger => "invalid conversion to integer",
            Self::StackExhausted => "call stack exhausted",
            Self::NullReference => "null reference",
            Self::UncaughtException => "unhandled exception",
            Self::AtomicWait => "expected shared memory: atomic wait on non-shared memory",
            Self::Interrupted => "interrupted",
            Self::OutOfResources => "out of resources",
            Self::Other => "engine trap",
        }
    }
}

impl fmt::Display for TrapCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// A guest trap. Found in an [`anyhow::Error`] by `downcast_ref`.
#[derive(Clone, Debug)]
pub struct Trap {
    /// Why.
    pub code: TrapCode,
    /// The guest's frames, innermost first. Empty on wasmi, which cannot tell.
    pub frames: Vec<Frame>,
}

impl Trap {
    pub(crate) fn new(code: TrapCode) -> Self {
        Self {
            code,
            frames: Vec::new(),
        }
    }
}

/// The message alone; [`Trap::frames`] is for whoever wants to show them.
impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)
    }
}

impl std::error::Error for Trap {}

/// One guest frame of a backtrace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The module's name, from its name section.
    pub module: Option<String>,
    /// The function's index in its module.
    pub func_index: u32,
    /// The function's name, from the name section, demangled where that is known how.
    pub func_name: Option<String>,
    /// Where in the module's binary, in bytes from its start.
    pub offset: Option<usize>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.offset {
            write!(f, "{offset:#8x} - ")?;
        }
        write!(f, "{}!", self.module.as_deref().unwrap_or("<unknown>"))?;
        match &self.func_name {
            Some(name) => f.write_str(name),
            None => write!(f, "<wasm function {}>", self.func_index),
        }
    }
}

/// The guest's frames at the moment a host function failed: context of that function's error, found by `downcast_ref`
/// on the [`anyhow::Error`]. The error itself stays what it was and is found the same way.
#[derive(Clone, Debug)]
pub struct Backtrace {
    /// The guest's frames, innermost first.
    pub frames: Vec<Frame>,
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error while executing at wasm backtrace:")?;
        for (index, frame) in self.frames.iter().enumerate() {
            write!(f, "\n{index:>5}: {frame}")?;
        }
        Ok(())
    }
}
