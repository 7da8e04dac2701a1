//! Meeting requests, where code has found its word not to be zero.

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
};

use wasmtime::{AsContextMut, Caller};

use super::words::{Word, Words};
use crate::{
    error::EngineError,
    interrupt::{Asked, InterruptHandle},
    isolate::IsolateData,
    trap::{Trap, TrapCode},
    wasmtime::{convert, host, isolate::StoreData},
};

/// What the code of an isolate may be asked.
pub(in crate::wasmtime) struct Requests {
    word: Arc<Word>,
    handle: Option<InterruptHandle>,
    time_slice: Option<NonZeroU64>,
    /// Ticks left of it.
    slice_left: u64,
    /// For tests: yields at every so many checks.
    yield_every: Option<NonZeroU32>,
    checks: u32,
    /// The function that modules import, once one has been instantiated.
    pub(in crate::wasmtime) func: Option<wasmtime::Func>,
}

/// What code that looks is to do.
enum Next {
    GoOn,
    /// Trap.
    End,
    Yield {
        /// Rather than at the end of its slice.
        was_asked: bool,
    },
}

impl Requests {
    /// For an isolate of an engine.
    ///
    /// # Errors
    /// [`EngineError::Full`].
    pub(in crate::wasmtime) fn new(words: &Arc<Words>) -> Result<Self, EngineError> {
        Ok(Self {
            word: Word::new(words)?,
            handle: None,
            time_slice: None,
            slice_left: 0,
            yield_every: None,
            checks: 0,
            func: None,
        })
    }

    pub(in crate::wasmtime) fn memory(&self) -> &wasmtime::SharedMemory {
        self.word.words().memory()
    }

    /// The word, of an isolate with time slices.
    pub(in crate::wasmtime) fn sliced(&self) -> Option<&Arc<Word>> {
        self.time_slice.map(|_| &self.word)
    }

    pub(in crate::wasmtime) fn set_time_slice(&mut self, ticks: Option<NonZeroU64>) {
        self.time_slice = ticks;
        self.begin_slice();
    }

    pub(in crate::wasmtime) fn yield_every(&mut self, opportunities: NonZeroU32) {
        self.yield_every = Some(opportunities);
        self.word.ask_always();
    }

    pub(in crate::wasmtime) fn handle(&mut self) -> InterruptHandle {
        if let Some(handle) = &self.handle {
            return handle.clone();
        }
        let handle = InterruptHandle::default();
        self.use_handle(&handle);
        handle
    }

    pub(in crate::wasmtime) fn use_handle(&mut self, handle: &InterruptHandle) {
        handle.reach(&self.word);
        self.handle = Some(handle.clone());
    }

    /// A stack begins to run code, or goes on.
    #[inline]
    pub(in crate::wasmtime) fn begin_slice(&mut self) {
        self.slice_left = self.time_slice.map_or(0, NonZeroU64::get);
        self.remind();
    }

    /// Has code look that can do what is asked, where code before it could not.
    #[inline]
    fn remind(&self) {
        if self
            .handle
            .as_ref()
            .is_some_and(InterruptHandle::is_pending)
        {
            self.word.ask();
        }
    }
}

/// A plain call begins. The host may call whom it was called by: no code need look in between.
///
/// # Errors
/// A trap, where the guest is to end.
#[inline]
pub(in crate::wasmtime) fn begin_plain<D: IsolateData>(
    data: &mut StoreData<D>,
) -> anyhow::Result<()> {
    match &data.requests {
        Some(requests) if requests.word.is_set() => begin_asked(data),
        _ => Ok(()),
    }
}

#[cold]
fn begin_asked<D: IsolateData>(data: &mut StoreData<D>) -> anyhow::Result<()> {
    match data.meet() {
        Next::End => Err(Trap::new(TrapCode::Interrupted).into()),
        Next::GoOn | Next::Yield { .. } => Ok(()),
    }
}

/// A plain call is over: what it could not do, the stack below can.
#[inline]
pub(in crate::wasmtime) fn remind<D: IsolateData>(data: &StoreData<D>) {
    if let (Some(requests), true) = (&data.requests, data.may_block) {
        requests.remind();
    }
}

impl<D: IsolateData> StoreData<D> {
    fn meet(&mut self) -> Next {
        let Some(requests) = &mut self.requests else {
            return Next::GoOn;
        };
        // Before anything is looked at: what is asked from now on sets it again.
        let has_ticked = requests.word.clear();
        match requests.handle.as_ref().map(InterruptHandle::look) {
            Some(Asked::End) => return Next::End,
            Some(Asked::Yield) if self.user.interrupted() => {
                if self.may_block {
                    requests.slice_left = requests.time_slice.map_or(0, NonZeroU64::get);
                    return Next::Yield { was_asked: true };
                }
                // The stack below is to yield, once this plain call is over.
                if let Some(handle) = &requests.handle {
                    handle.put_yield_off();
                }
            }
            _ => {}
        }
        if let Some(every) = requests.yield_every {
            requests.checks += 1;
            if requests.checks >= every.get() && self.may_block {
                requests.checks = 0;
                return Next::Yield { was_asked: false };
            }
            return Next::GoOn;
        }
        let Some(ticks) = requests.time_slice.filter(|_| has_ticked) else {
            return Next::GoOn;
        };
        requests.slice_left = requests.slice_left.saturating_sub(1);
        if self.may_block && (requests.slice_left == 0 || self.user.slice_is_over()) {
            requests.slice_left = ticks.get();
            return Next::Yield { was_asked: false };
        }
        Next::GoOn
    }
}

/// The function that modules import. Gives the address of the isolate's word.
///
/// # Errors
/// A trap, where the guest is to end; or the stack that this runs on is being dropped.
pub(in crate::wasmtime) fn check<D: IsolateData>(
    mut caller: Caller<'_, StoreData<D>>,
) -> wasmtime::Result<u32> {
    match caller.data_mut().meet() {
        Next::GoOn => {}
        Next::End => return Err(wasmtime::Trap::Interrupt.into()),
        Next::Yield { was_asked } => {
            if was_asked && let Some(mailbox) = &caller.data().mailbox {
                let trace = wasmtime::WasmBacktrace::force_capture(&caller);
                mailbox.put_frames(convert::frames(&trace));
            }
            host::suspend(caller.as_context_mut())?;
        }
    }
    match &caller.data().requests {
        Some(requests) => Ok(requests.word.address()),
        None => Err(wasmtime::Error::msg("a check where there are no requests")),
    }
}
