//! The loops of a function, and how often each is checked.
//!
//! Where a turn takes a few instructions, loading the word in each would be much of it. Innermost loops whose turns are short are checked once in so many
//! turns. What counts them is a local of the loop's own, if [there is one](super::turns) that changes by the same amount in each turn, and else one that is added. Even to ask that is
//! as much as a turn of the smallest loops, whose bodies are written several times for it.

use std::collections::BTreeSet;

use wasmparser::{BinaryReaderError, BlockType, FunctionBody, Operator};

use super::{rewrite::SMALL, turns};

/// The most turns that pass between two checks.
const MAX_TURNS: u32 = 128;
/// What these turns may weigh: see [`Weights`].
const MAX_WEIGHT: u64 = 64 << 10;

/// Loops of which a turn weighs no more than this are written several times: even to tell turns would take them as long again.
const SMALL_BODY: u64 = 32;
/// How often.
const COPIES: u32 = 4;

/// An instruction, and where it is in the module.
pub(super) type Instruction<'a> = (Operator<'a>, usize);

/// A loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loop {
    pub(super) checked: Checked,
    /// Locals that it sets, if there is no loop within it, in their order.
    pub(super) sets: Vec<u32>,
    /// How often its body is written, for one check at their beginning.
    pub(super) copies: u32,
    /// How many instructions it has, with those that it begins and ends with.
    pub(super) length: usize,
}

/// When a loop that comes round is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Always,
    /// When these bits of a local are zero.
    When {
        local: u32,
        is_wide: bool,
        bits: u64,
    },
    /// Once in so many turns, which are counted for that.
    Every(u32),
}

impl Checked {
    /// The same where only each turn of so many is looked at, a power of two. What changes by the same amount in each of these does so in those.
    fn once_in(self, copies: u32) -> Self {
        match self {
            Self::Always => Self::Always,
            Self::When {
                local,
                is_wide,
                bits,
            } => Self::When {
                local,
                is_wide,
                bits: bits & !(u64::from(copies - 1) << bits.trailing_zeros()),
            },
            Self::Every(turns) => Self::Every(turns / copies),
        }
    }
}

/// How long code may run until the next check, in bytes of code: an instruction takes about two.
pub(super) trait Weights {
    /// The code that an instruction calls.
    fn called(&self, operator: &Operator<'_>) -> u64;
}

/// The instructions of a function.
pub(super) fn instructions<'a>(
    body: &FunctionBody<'a>,
) -> Result<Vec<Instruction<'a>>, BinaryReaderError> {
    let reader = body.get_operators_reader()?;
    reader.into_iter_with_offsets().collect()
}

/// The loops of a function in the order in which they begin, and what the function weighs.
pub(super) fn find(code: &[Instruction<'_>], weights: &impl Weights) -> (Vec<Loop>, u64) {
    /// What is known of a block that is open.
    struct Open {
        /// If it is a loop, its number, and the instruction that it begins with.
        found: Option<(usize, usize)>,
        is_innermost: bool,
        weight: u64,
    }
    let mut loops: Vec<Loop> = Vec::new();
    let block = |found| Open {
        found,
        is_innermost: true,
        weight: 0,
    };
    let mut open = vec![block(None)];
    let mut whole = 0;
    for (at, (operator, offset)) in code.iter().enumerate() {
        match operator {
            Operator::Loop { .. } => {
                open.push(block(Some((loops.len(), at))));
                loops.push(Loop {
                    checked: Checked::Always,
                    sets: Vec::new(),
                    copies: 1,
                    length: 0,
                });
            }
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                open.push(block(None));
            }
            _ => {}
        }
        let next = code.get(at + 1).map_or(*offset, |(_, next)| *next);
        let bytes = u64::try_from(next.saturating_sub(*offset)).unwrap_or(u64::MAX);
        let own = bytes.saturating_add(weight(operator, weights));
        if let Some(innermost) = open.last_mut() {
            innermost.weight = innermost.weight.saturating_add(own);
        }
        if !matches!(operator, Operator::End) {
            continue;
        }
        let Some(mut ended) = open.pop() else {
            continue;
        };
        if let Some((number, begin)) = ended.found {
            if ended.is_innermost {
                let (code, turns) = (&code[begin..=at], turns(ended.weight));
                let copies = match turns {
                    MAX_TURNS if ended.weight <= SMALL_BODY => copies(code),
                    _ => 1,
                };
                loops[number] = Loop {
                    checked: turns::checked(code, turns).once_in(copies),
                    sets: sets(code),
                    copies,
                    length: code.len(),
                };
                ended.weight = ended.weight.saturating_mul(turns.into());
            }
            ended.is_innermost = false;
        }
        match open.last_mut() {
            Some(outer) => {
                outer.weight = outer.weight.saturating_add(ended.weight);
                outer.is_innermost &= ended.is_innermost;
            }
            None => whole = ended.weight,
        }
    }
    (loops, whole)
}

/// The locals that code sets.
fn sets(code: &[Instruction<'_>]) -> Vec<u32> {
    let sets = code.iter().filter_map(|(operator, _)| match operator {
        Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
            Some(*local_index)
        }
        _ => None,
    });
    sets.collect::<BTreeSet<_>>().into_iter().collect()
}

/// How often the body of a small loop is written.
fn copies(code: &[Instruction<'_>]) -> u32 {
    let is_simple = code.iter().all(|(operator, _)| match operator {
        // With parameters it would matter where it is entered from.
        Operator::Loop { blockty } => !matches!(blockty, BlockType::FuncType(_)),
        // These take space beside what is seen here, or have labels.
        Operator::Call { .. }
        | Operator::CallIndirect { .. }
        | Operator::CallRef { .. }
        | Operator::ReturnCall { .. }
        | Operator::ReturnCallIndirect { .. }
        | Operator::ReturnCallRef { .. }
        | Operator::MemoryCopy { .. }
        | Operator::MemoryFill { .. }
        | Operator::MemoryInit { .. }
        | Operator::TableCopy { .. }
        | Operator::TableFill { .. }
        | Operator::TableInit { .. }
        | Operator::TryTable { .. }
        | Operator::BrOnNull { .. }
        | Operator::BrOnNonNull { .. }
        | Operator::BrOnCast { .. }
        | Operator::BrOnCastFail { .. } => false,
        _ => true,
    });
    if is_simple { COPIES } else { 1 }
}

/// How many turns may pass until the next check, a power of two.
fn turns(weight: u64) -> u32 {
    let mut turns = MAX_TURNS;
    while turns > 1 && weight.saturating_mul(turns.into()) > MAX_WEIGHT {
        turns /= 2;
    }
    turns
}

/// What an instruction weighs beside its bytes.
fn weight(operator: &Operator<'_>, weights: &impl Weights) -> u64 {
    match operator {
        // As long as the guest likes.
        Operator::MemoryGrow { .. } | Operator::TableGrow { .. } => MAX_WEIGHT,
        // What is larger is checked itself.
        Operator::MemoryCopy { .. }
        | Operator::MemoryFill { .. }
        | Operator::MemoryInit { .. }
        | Operator::TableCopy { .. }
        | Operator::TableFill { .. }
        | Operator::TableInit { .. } => SMALL.into(),
        _ => weights.called(operator),
    }
}
