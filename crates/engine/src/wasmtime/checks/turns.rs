//! Locals that tell the turns of a loop.
//!
//! If a local changes by the same amount in each turn, some of its bits run through all values: they are zero once in so many turns. Code is followed
//! through blocks, along with what it has done to locals since the turn began.

use std::collections::BTreeMap;

use wasmparser::Operator;

use super::loops::{Checked, Instruction};

/// Loops that are longer are not looked at: it would take time that whoever wrote the module decides on.
const MAX_LENGTH: usize = 200;
/// Nor are those that branch to more places at once.
const MAX_TARGETS: u32 = 64;

/// When a loop is checked that may pass so many turns without. It has no loops within.
pub(super) fn checked(code: &[Instruction<'_>], turns: u32) -> Checked {
    if turns <= 1 {
        return Checked::Always;
    }
    if code.len() <= MAX_LENGTH
        && let Some((local, change)) = changing(code)
    {
        // The bits below the lowest of the change stay as they are, and so nothing is carried out of them.
        let lowest = change.by.trailing_zeros();
        let width = if change.is_wide { 64 } else { 32 };
        if lowest + turns.trailing_zeros() <= width {
            return Checked::When {
                local,
                is_wide: change.is_wide,
                bits: u64::from(turns - 1) << lowest,
            };
        }
    }
    Checked::Every(turns)
}

/// What a local has changed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    by: i64,
    is_wide: bool,
}

/// A value: a local as it was when the turn began, and what was added; or anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Changed(u32, Change),
    Unknown,
}

/// Values of the locals that were set since the turn began.
type State = BTreeMap<u32, Value>;

fn value(state: &State, local: u32) -> Value {
    let unchanged = Change {
        by: 0,
        is_wide: false,
    };
    let own = Value::Changed(local, unchanged);
    state.get(&local).copied().unwrap_or(own)
}

/// What is known where code comes from two places.
fn join(a: &mut Option<State>, b: &State) {
    let Some(a) = a else {
        *a = Some(b.clone());
        return;
    };
    for local in b.keys() {
        let before = value(a, *local);
        a.entry(*local).or_insert(before);
    }
    for (local, known) in a.iter_mut() {
        if *known != value(b, *local) {
            *known = Value::Unknown;
        }
    }
}

/// A block that is open.
#[derive(Default)]
struct Open {
    /// What is known where it ends, so far.
    end: Option<State>,
    /// What is known where its other branch begins.
    other: Option<State>,
}

/// A local that each turn changes by the same amount.
fn changing(code: &[Instruction<'_>]) -> Option<(u32, Change)> {
    let mut follow = Follow {
        blocks: vec![Open::default()],
        state: Some(State::new()),
        top: None,
        constant: None,
    };
    for (operator, _) in code.get(1..code.len() - 1)? {
        follow.step(operator)?;
    }
    // Where the loop itself ends is where it comes round.
    let comes_round = follow.blocks.pop()?.end?;
    comes_round.iter().find_map(|(local, value)| match value {
        Value::Changed(of, change) if of == local && change.by != 0 => Some((*local, *change)),
        _ => None,
    })
}

struct Follow {
    /// The loop, and what is open in it.
    blocks: Vec<Open>,
    /// What is known here; nothing where code cannot come.
    state: Option<State>,
    /// What the last instruction has left, if that is of interest.
    top: Option<Value>,
    /// The constant that it has left above that.
    constant: Option<i64>,
}

impl Follow {
    /// Gives nothing where code cannot be followed.
    fn step(&mut self, operator: &Operator<'_>) -> Option<()> {
        let (top, constant) = (self.top.take(), self.constant.take());
        match operator {
            Operator::LocalGet { local_index } => {
                self.top = self.state.as_ref().map(|state| value(state, *local_index));
            }
            Operator::I32Const { value } => {
                self.top = top;
                self.constant = Some((*value).into());
            }
            Operator::I64Const { value } => {
                self.top = top;
                self.constant = Some(*value);
            }
            Operator::I32Add => self.top = added(top, constant, false),
            Operator::I64Add => self.top = added(top, constant, true),
            Operator::I32Sub => {
                self.top = added(top, constant.and_then(i64::checked_neg), false);
            }
            Operator::I64Sub => self.top = added(top, constant.and_then(i64::checked_neg), true),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                // A constant is above whatever was known.
                let set = match constant {
                    None => top.unwrap_or(Value::Unknown),
                    Some(_) => Value::Unknown,
                };
                if let Some(state) = &mut self.state {
                    state.insert(*local_index, set);
                }
                if matches!(operator, Operator::LocalTee { .. }) {
                    self.top = Some(set);
                }
            }
            Operator::Block { .. } => self.blocks.push(Open::default()),
            Operator::If { .. } => self.blocks.push(Open {
                end: None,
                other: self.state.clone(),
            }),
            Operator::Else => {
                let block = self.blocks.last_mut()?;
                if let Some(state) = &self.state {
                    join(&mut block.end, state);
                }
                self.state = block.other.take();
            }
            Operator::End => {
                let mut block = self.blocks.pop()?;
                for state in [&self.state, &block.other].into_iter().flatten() {
                    join(&mut block.end, state);
                }
                self.state = block.end;
            }
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth);
                self.state = None;
            }
            Operator::BrIf { relative_depth } => self.branch(*relative_depth),
            Operator::BrTable { targets } if targets.len() > MAX_TARGETS => return None,
            Operator::BrTable { targets } => {
                for target in targets.targets() {
                    self.branch(target.ok()?);
                }
                self.branch(targets.default());
                self.state = None;
            }
            Operator::Return
            | Operator::Unreachable
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef => self.state = None,
            // Whoever throws may have set locals or not.
            Operator::TryTable { .. } | Operator::Loop { .. } => return None,
            _ => {}
        }
        Some(())
    }

    fn branch(&mut self, relative_depth: u32) {
        let Some(state) = &self.state else { return };
        // Further out than the loop is where it ends.
        let block = (self.blocks.len() - 1).checked_sub(relative_depth as usize);
        if let Some(block) = block {
            join(&mut self.blocks[block].end, state);
        }
    }
}

fn added(value: Option<Value>, constant: Option<i64>, is_wide: bool) -> Option<Value> {
    let (Some(Value::Changed(local, change)), Some(constant)) = (value, constant) else {
        return None;
    };
    let by = change.by.checked_add(constant)?;
    Some(Value::Changed(local, Change { by, is_wide }))
}

#[cfg(test)]
mod tests {
    use super::{super::loops::instructions, *};

    /// When the loop is checked that this is the body of, in a function with an `i32` and two `i64`s.
    fn checked_of(body: &str) -> Checked {
        let text = format!("(module (func (param i32 i32 i64 i64) (block $out (loop $l {body}))))");
        let bytes = wat::parse_str(text).unwrap();
        let body = wasmparser::Parser::new(0)
            .parse_all(&bytes)
            .find_map(|payload| match payload.unwrap() {
                wasmparser::Payload::CodeSectionEntry(body) => Some(body),
                _ => None,
            });
        let code = instructions(&body.unwrap()).unwrap();
        checked(&code[1..code.len() - 2], 16)
    }

    fn when(local: u32, is_wide: bool, bits: u64) -> Checked {
        Checked::When {
            local,
            is_wide,
            bits,
        }
    }

    #[test]
    fn a_local_that_grows_or_shrinks_by_a_constant_tells_turns() {
        let one = "(local.set 0 (i32.add (local.get 0) (i32.const 1)))";
        assert_eq!(
            checked_of(&format!(
                "{one} (br_if $l (i32.lt_u (local.get 0) (local.get 1)))"
            )),
            when(0, false, 15)
        );
        let twelve = "(local.tee 2 (i64.sub (local.get 2) (i64.const 12)))";
        assert_eq!(
            checked_of(&format!("(br_if $l (i64.eqz {twelve}))")),
            when(2, true, 15 << 2)
        );
        // By way of another local, and in two steps.
        let steps = "(local.set 1 (i32.add (local.get 0) (i32.const 3)))
            (br_if $out (i32.eqz (local.get 1)))
            (local.set 0 (i32.add (local.get 1) (i32.const -4)))";
        assert_eq!(checked_of(&format!("{steps} (br $l)")), when(0, false, 15));
    }

    #[test]
    fn a_local_must_change_by_the_same_in_each_turn() {
        let add = |by: i32| format!("(local.set 0 (i32.add (local.get 0) (i32.const {by})))");
        let (one, two) = (add(1), add(2));
        for body in [
            // Not in each turn.
            format!("(br_if $l (local.get 1)) {one} (br $l)"),
            format!("(if (local.get 1) (then {one})) (br $l)"),
            format!("(block (br_if 0 (local.get 1)) {one}) (br $l)"),
            // By different amounts.
            format!("(if (local.get 1) (then {one}) (else {two})) (br $l)"),
            format!("{one} (br_if $l (local.get 1)) {one} (br $l)"),
            // By something else, or nothing, or set to something.
            "(local.set 0 (i32.add (local.get 0) (local.get 1))) (br $l)".into(),
            "(local.set 0 (i32.add (local.get 1) (i32.const 1))) (br $l)".into(),
            "(local.set 0 (i32.mul (local.get 0) (i32.const 1))) (br $l)".into(),
            format!("{one} {} (br $l)", add(-1)),
            format!("{one} (local.set 0 (i32.const 7)) (br $l)"),
            "(local.get 0) (local.set 1 (i32.const 1)) (local.set 0) (br $l)".into(),
        ] {
            assert_eq!(checked_of(&body), Checked::Every(16), "{body}");
        }
        // Where both ways agree it does.
        let body = format!("(if (local.get 1) (then {one}) (else {one})) (br $l)");
        assert_eq!(checked_of(&body), when(0, false, 15));
        let body = format!("(if (local.get 1) (then {two} (br $out))) {one} (br $l)");
        assert_eq!(checked_of(&body), when(0, false, 15));
        // Bits there must be.
        assert_eq!(
            checked_of(&format!("{} (br $l)", add(1 << 29))),
            Checked::Every(16)
        );
    }
}
