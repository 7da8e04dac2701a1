//! Traps that adapters raise: three words and a code, from which the host makes the trap.

use crate::abi::{MAX_LIST_BYTE_LENGTH, MAX_STRING_BYTE_LENGTH};
use crate::trap::Trap;

/// Why an adapter traps: the first argument of [`Import::Fail`](super::Import::Fail).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller may not leave.
    Leave,
    /// The callee cannot be entered. The first word is the lowered function's index.
    Enter,
    /// A value traps: the words are those of its [`Trap`], which [`ValueFault::trap`] makes.
    Value(ValueFault),
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFault {
    /// [`Trap::InvalidChar`]: the word.
    Char,
    /// [`Trap::InvalidDiscriminant`]: discriminant and number of cases.
    Discriminant,
    /// [`Trap::Unaligned`]: pointer and alignment.
    Unaligned {
        /// Whether `realloc` gave the pointer.
        realloc: bool,
    },
    /// [`Trap::OutOfBounds`]: pointer, length and the memory's size.
    OutOfBounds {
        /// What is there.
        what: Part,
        /// Whether `realloc` gave the pointer.
        realloc: bool,
    },
    /// [`Trap::TooLong`]: the length.
    TooLong(Part),
    /// [`Trap::Limit`] of the bytes that one call may pass: the limit.
    Budget,
}

/// What a fault is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A string.
    String,
    /// A list.
    List,
    /// Parameters or a result that are passed in memory.
    Tuple,
}

const REALLOC: u32 = 1 << 16;

impl Part {
    const ALL: [Part; 3] = [Part::String, Part::List, Part::Tuple];

    fn name(self) -> &'static str {
        match self {
            Part::String => "string",
            Part::List => "list",
            Part::Tuple => "tuple",
        }
    }

    fn code(self) -> u32 {
        (self as u32) << 8
    }
}

impl Fault {
    /// The number that stands for it.
    pub fn code(self) -> u32 {
        let with_realloc = |realloc: bool| if realloc { REALLOC } else { 0 };
        match self {
            Fault::Leave => 0,
            Fault::Enter => 1,
            Fault::Value(ValueFault::Char) => 2,
            Fault::Value(ValueFault::Discriminant) => 3,
            Fault::Value(ValueFault::Unaligned { realloc }) => 4 | with_realloc(realloc),
            Fault::Value(ValueFault::OutOfBounds { what, realloc }) => {
                5 | what.code() | with_realloc(realloc)
            }
            Fault::Value(ValueFault::TooLong(what)) => 6 | what.code(),
            Fault::Value(ValueFault::Budget) => 7,
        }
    }

    /// What a number stands for.
    pub fn from_code(code: u32) -> Option<Self> {
        let realloc = code & REALLOC != 0;
        let what = *Part::ALL.get((code >> 8 & 0xff) as usize)?;
        Some(match code & 0xff {
            0 => Fault::Leave,
            1 => Fault::Enter,
            2 => Fault::Value(ValueFault::Char),
            3 => Fault::Value(ValueFault::Discriminant),
            4 => Fault::Value(ValueFault::Unaligned { realloc }),
            5 => Fault::Value(ValueFault::OutOfBounds { what, realloc }),
            6 => Fault::Value(ValueFault::TooLong(what)),
            7 => Fault::Value(ValueFault::Budget),
            _ => return None,
        })
    }
}

impl ValueFault {
    /// The trap that the words after the code describe.
    pub fn trap(self, words: [u64; 3]) -> Trap {
        let [first, second, third] = words;
        let (trap, realloc) = match self {
            // Adapters give words of 32 bits here.
            ValueFault::Char => (Trap::InvalidChar(first as u32), false),
            ValueFault::Discriminant => (
                Trap::InvalidDiscriminant {
                    discriminant: first as u32,
                    cases: second as u32,
                },
                false,
            ),
            ValueFault::Unaligned { realloc } => (
                Trap::Unaligned {
                    pointer: first,
                    align: second as u32,
                },
                realloc,
            ),
            ValueFault::OutOfBounds { what, realloc } => (
                Trap::OutOfBounds {
                    what: what.name(),
                    pointer: first,
                    length: second,
                    memory: third,
                },
                realloc,
            ),
            ValueFault::TooLong(what) => (
                Trap::TooLong {
                    what: what.name(),
                    length: first,
                    limit: match what {
                        Part::String => MAX_STRING_BYTE_LENGTH,
                        Part::List | Part::Tuple => MAX_LIST_BYTE_LENGTH,
                    },
                },
                false,
            ),
            ValueFault::Budget => (
                Trap::Limit {
                    what: "bytes of values lifted in one call",
                    limit: first,
                    option: "max-lifted-bytes",
                },
                false,
            ),
        };
        if realloc {
            Trap::BadRealloc(Box::new(trap))
        } else {
            trap
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_for_one_fault_each() {
        let mut faults = vec![
            Fault::Leave,
            Fault::Enter,
            Fault::Value(ValueFault::Char),
            Fault::Value(ValueFault::Discriminant),
            Fault::Value(ValueFault::Budget),
        ];
        for realloc in [false, true] {
            faults.push(Fault::Value(ValueFault::Unaligned { realloc }));
            for what in Part::ALL {
                faults.push(Fault::Value(ValueFault::OutOfBounds { what, realloc }));
            }
        }
        faults.extend(Part::ALL.map(|what| Fault::Value(ValueFault::TooLong(what))));
        for fault in faults {
            assert_eq!(Fault::from_code(fault.code()), Some(fault));
        }
        assert_eq!(Fault::from_code(8), None);
        assert_eq!(Fault::from_code(5 | 3 << 8), None);
    }
}
