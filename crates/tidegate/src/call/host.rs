//! Calls from the host to guests.

use super::canon::Callee;
use super::enter::{Entered, Slots, return_isolate, run_stack};
use crate::baton::Baton;
use crate::interrupt::{self, Scope};
use anyhow::Result;
use tidegate_core::abi::{
    FlatReader, FlatWriter, LiftContext, LowerContext, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS,
};
use tidegate_core::runtime::Lends;
use tidegate_core::types::FuncTypeIdx;
use tidegate_engine::Stack;

/// Lowers the arguments of a call.
pub(crate) trait LowerArgs:
    FnOnce(&mut LowerContext<'_>, FuncTypeIdx, &mut FlatWriter<'_>) -> Result<()>
{
}
impl<F: FnOnce(&mut LowerContext<'_>, FuncTypeIdx, &mut FlatWriter<'_>) -> Result<()>> LowerArgs
    for F
{
}

/// Lifts the results of a call. The number is that of flat results at most.
pub(crate) trait LiftResults<R>:
    FnOnce(&mut LiftContext<'_>, FuncTypeIdx, usize, &mut FlatReader<'_>) -> Result<R>
{
}
impl<R, F> LiftResults<R> for F where
    F: FnOnce(&mut LiftContext<'_>, FuncTypeIdx, usize, &mut FlatReader<'_>) -> Result<R>
{
}

/// The parts of a call from the host: what it lends must be given back when it ends.
struct HostToGuest<'a> {
    callee: &'a Callee,
    ty: FuncTypeIdx,
    lends: Lends,
}

impl<'a> HostToGuest<'a> {
    #[inline(always)]
    fn new(callee: &'a Callee) -> Result<Self> {
        let ty = callee.func_type_idx()?;
        Ok(Self {
            callee,
            ty,
            lends: Lends::default(),
        })
    }

    #[inline]
    fn enter(
        &mut self,
        isolate: &mut tidegate_engine::Isolate<Baton>,
        slots: &mut [u64],
        lower: impl LowerArgs,
    ) -> Result<Entered> {
        let Self { callee, ty, lends } = self;
        callee.enter(&mut isolate.cx(), None, slots, |cx, task, slots| {
            callee.options.lower(cx, Some(task), lends, |cx| {
                lower(cx, *ty, &mut FlatWriter::new(slots))
            })
        })
    }

    #[inline(always)]
    fn lift<R>(
        &self,
        cx: &mut tidegate_engine::Cx<'_, Baton>,
        slots: &[u64],
        lift: impl LiftResults<R>,
    ) -> Result<R> {
        // Results hold no borrows, so nothing is lent to the host.
        self.callee
            .options
            .lift(cx, &mut Lends::default(), None, |cx| {
                lift(cx, self.ty, MAX_FLAT_RESULTS, &mut FlatReader::new(slots))
            })
    }

    #[inline]
    fn run_quietly<R>(
        &self,
        isolate: &mut tidegate_engine::Isolate<Baton>,
        slots: &mut [u64],
        lower: impl LowerArgs,
        lift: impl LiftResults<R>,
    ) -> Result<R> {
        let Self { callee, ty, .. } = self;
        callee.run_quietly(
            &mut isolate.cx(),
            slots,
            |cx, slots| {
                // It borrows nothing.
                callee.options.lower(cx, None, &mut Lends::default(), |cx| {
                    lower(cx, *ty, &mut FlatWriter::new(slots))
                })
            },
            |cx, slots| self.lift(cx, slots, lift),
        )
    }

    #[inline]
    fn give_back(&mut self, baton: &mut Baton) {
        baton
            .state
            .give_back(tidegate_core::runtime::HOST, &mut self.lends);
    }
}

/// Calls a function that never waits.
#[inline]
pub(crate) fn call_plain<R>(
    place: &mut Baton,
    callee: &Callee,
    lower: impl LowerArgs,
    lift: impl LiftResults<R>,
) -> Result<R> {
    let mut call = HostToGuest::new(callee)?;
    let _scope = Scope::enter(place);
    interrupt::begin_plain(place)?;
    let mut isolate = callee.take_isolate(place)?;
    let result = callee.with_slots(|slots| {
        if callee.quiet {
            return call.run_quietly(&mut isolate, slots, lower, lift);
        }
        let entered = call.enter(&mut isolate, slots, lower)?;
        callee.run(&mut isolate.cx(), entered, slots, |cx, _, slots| {
            call.lift(cx, slots, lift)
        })
    });
    *place = return_isolate(isolate, callee.options.isolate);
    call.give_back(place);
    if result.is_err() {
        crate::stream::settle(place);
    }
    interrupt::explain(place.control.as_deref(), result)
}

/// Calls a function on a stack of its own.
pub(crate) async fn call_suspendable<R>(
    mut baton: Baton,
    callee: &Callee,
    lower: impl LowerArgs,
    lift: impl LiftResults<R>,
) -> (Baton, Result<R>) {
    let begun = HostToGuest::new(callee).and_then(|call| {
        callee
            .take_isolate(&mut baton)
            .map(|isolate| (call, isolate))
    });
    let (mut call, mut isolate) = match begun {
        Ok(begun) => begun,
        Err(error) => return (baton, Err(error)),
    };
    let mut slots: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
    let result = match call.enter(&mut isolate, &mut slots, lower) {
        Err(error) => Err(error),
        Ok(entered) => {
            let (returned, result) = on_stack(isolate, callee, &mut slots).await;
            isolate = returned;
            callee.finish(
                &mut isolate.cx(),
                entered,
                &slots,
                result,
                |cx, _, slots| call.lift(cx, slots, lift),
            )
        }
    };
    baton = return_isolate(isolate, callee.options.isolate);
    call.give_back(&mut baton);
    (baton, result)
}

/// Runs the core code of a call that has entered its callee, with the arguments in `slots`, on a stack of its own. The results come there.
pub(crate) async fn on_stack(
    isolate: tidegate_engine::Isolate<Baton>,
    callee: &Callee,
    slots: &mut Slots,
) -> (tidegate_engine::Isolate<Baton>, Result<()>) {
    match Stack::call(callee.core, &slots[..callee.flat_params]) {
        Err(error) => (isolate, Err(error.into())),
        Ok(mut stack) => {
            let (isolate, result) = run_stack(isolate, &mut stack).await;
            let results = stack.results();
            slots[..results.len()].copy_from_slice(results);
            (isolate, result)
        }
    }
}
