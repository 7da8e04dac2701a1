//! Passing values from one guest to another, without host values in between.
//!
//! A [`Program`] is compiled once for each pair of signatures: the type as a small graph in which both sides' layouts are worked out. Running it reads the
//! source's flat values and memory and writes the target's. Numbers without padding between them are copied in bulk, as are lists of them.
//!
//! The specification lifts a value as a whole and then lowers it. Where a guest could tell the difference, because its `realloc` would be called or a handle
//! be made before something later in the value turns out to trap, a program runs twice: first it lifts (checks, and takes handles out of the source's
//! table), then it lowers.

mod compile;
mod data;
mod handles;
pub(in crate::abi) mod node;
mod place;
mod program;
pub(in crate::abi) mod run;
mod scalars;
mod text;

pub use program::{Program, Side, TransferError};

use super::memory::GuestRange;
use super::{FlatReader, FlatWriter, LiftBudget};
use crate::runtime::{InstanceId, Lends, ResourceType, State, TaskId};
use crate::types::Types;
use place::{Input, Output};
use run::{Mode, Run};
use scalars::pass_scalars;

/// The two memories of a transfer, and the target's allocator.
pub trait Transfer {
    /// The source's memory, empty if its function has none.
    fn source(&mut self) -> &[u8];

    /// The target's memory, empty if its function has none, and the handle tables of both.
    fn parts(&mut self) -> (&mut [u8], &mut State);

    /// Copies `length` bytes from the source's memory at `src` to the target's at `dst`. If the two are one memory, as if through a buffer in between.
    ///
    /// # Errors
    /// When either range is outside its memory.
    fn copy(&mut self, src: usize, dst: usize, length: usize) -> anyhow::Result<()>;

    /// How many bytes of strings and lists one call may pass. A guest can name the same bytes many times over, and the host looks at all of them.
    fn budget(&mut self) -> LiftBudget {
        LiftBudget::default()
    }

    /// Calls the target's `realloc`; see [`LowerTarget::realloc`](super::LowerTarget::realloc).
    ///
    /// # Errors
    /// Whatever ended the call.
    fn realloc(
        &mut self,
        old: u64,
        old_size: u64,
        align: u32,
        new_size: u64,
    ) -> anyhow::Result<u64>;
}

/// The instances of a transfer, for the handles that it moves.
#[derive(Debug)]
pub struct TransferContext<'a> {
    /// The instance to lift from.
    pub source: InstanceId,
    /// The types that the program was compiled from for the source.
    pub source_types: &'a Types,
    /// What the resource types of the source's plan are in its instantiation.
    pub source_resources: &'a [ResourceType],
    /// What the call has borrowed from the source so far.
    pub lends: &'a mut Lends,
    /// The instance to lower into.
    pub target: InstanceId,
    /// What the resource types of the target's plan are in its instantiation.
    pub target_resources: &'a [ResourceType],
    /// The call that receives borrowed handles.
    pub task: TaskId,
}

/// Passes parameters from caller to callee. `src` then goes on with the pointer for results, if there is one.
///
/// # Errors
/// The traps of lifting and lowering, and errors of the target's `realloc`.
pub fn transfer_params<X: Transfer + ?Sized>(
    program: &Program,
    cx: &mut TransferContext<'_>,
    x: &mut X,
    src: &mut FlatReader<'_>,
    dst: &mut FlatWriter<'_>,
) -> anyhow::Result<()> {
    if let Some(scalars) = program.scalars() {
        return pass_scalars(scalars, src, dst);
    }
    let mut input = program.input(x, src)?;
    let mut run = Run::new(program, cx, x);
    if program.target_flat() {
        run.values(&mut input, &mut Output::Flat(dst))
    } else {
        let two_passes = program.lifts_may_trap();
        if two_passes {
            run.lift(&input)?;
        }
        let layout = program.target_layout();
        let start = run.allocate(layout.align, layout.size.into(), "tuple")?;
        dst.push(start as u64)?;
        let mode = Mode::after_lifting(two_passes);
        run.pass(mode, &mut input, &mut Output::Memory(start))
    }
}

/// Passes a result from callee to caller. What does not fit goes where the next word of `out` points: the one that follows the caller's parameters.
///
/// # Errors
/// The traps of lifting and lowering, and errors of the target's `realloc`.
pub fn transfer_result<X: Transfer + ?Sized>(
    program: &Program,
    cx: &mut TransferContext<'_>,
    x: &mut X,
    src: &mut FlatReader<'_>,
    out: &mut FlatReader<'_>,
    dst: &mut FlatWriter<'_>,
) -> anyhow::Result<()> {
    if let Some(scalars) = program.scalars() {
        return pass_scalars(scalars, src, dst);
    }
    let mut input = program.input(x, src)?;
    if program.target_flat() {
        return Run::new(program, cx, x).values(&mut input, &mut Output::Flat(dst));
    }
    let layout = program.target_layout();
    let pointer = out.address(program.target_side().memory64)?;
    let size = u64::from(layout.size);
    match GuestRange::check(x.parts().0, pointer, size, layout.align, "tuple") {
        Ok(range) => {
            let mut output = Output::Memory(range.start());
            Run::new(program, cx, x).values(&mut input, &mut output)
        }
        Err(trap) => {
            // A trap of lifting comes before.
            let mut run = Run::new(program, cx, x);
            run.lift(&input)?;
            run.give_back();
            Err(trap.into())
        }
    }
}

/// Passes `count` items that lie one after another from `src` in the source's memory to `dst` in the target's: those of a stream or future.
///
/// # Errors
/// The traps of lifting and lowering, and errors of the target's `realloc`. The caller has checked alignment and bounds of both.
pub fn transfer_items<X: Transfer + ?Sized>(
    program: &Program,
    cx: &mut TransferContext<'_>,
    x: &mut X,
    src: usize,
    dst: usize,
    count: usize,
) -> anyhow::Result<()> {
    let mut run = Run::new(program, cx, x);
    if program.lifts_may_trap() {
        run.items(Mode::Lift, src, dst, count)?;
        run.items(Mode::Lower, src, dst, count)
    } else {
        run.items(Mode::Both, src, dst, count)
    }
}

impl Program {
    /// Where the values are lifted from: flat values, or a checked place in memory.
    fn input<'a, 'b, X: Transfer + ?Sized>(
        &self,
        x: &mut X,
        src: &'a mut FlatReader<'b>,
    ) -> anyhow::Result<Input<'a, 'b>> {
        if self.source_flat() {
            return Ok(Input::Flat(src));
        }
        let layout = self.source_layout();
        let pointer = src.address(self.source_side().memory64)?;
        let size = u64::from(layout.size);
        let range = GuestRange::check(x.source(), pointer, size, layout.align, "tuple")?;
        Ok(Input::Memory(range.start()))
    }
}
