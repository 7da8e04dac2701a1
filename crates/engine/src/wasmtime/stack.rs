//! A stack: a future that owns the store while it runs.

use std::{
    cell::UnsafeCell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use wasmtime::{AsContextMut, Store};

use super::{
    checks::{Requests, Word},
    convert,
    cx::WasmtimeCx,
    isolate::{StoreData, WasmtimeIsolate, begin_slice},
    stack_funcs,
};
use crate::{
    cx::Cx,
    error::EngineError,
    handles::{Extern, Func, Instance},
    isolate::{Isolate, IsolateData, IsolateInner},
    module::Module,
    native_stack,
    stack::{Resume, Step},
    trap::Frame,
};

pub(crate) struct WasmtimeStack<D: IsolateData> {
    state: State<D>,
}

enum State<D: IsolateData> {
    Call {
        func: Func,
        args: Vec<u64>,
    },
    Instantiate {
        module: Module,
        imports: Box<[Extern]>,
    },
    Started(Started<D>),
    Called {
        slots: Vec<u64>,
        results: usize,
    },
    Instantiated(Instance),
    Failed,
}

struct Started<D: IsolateData> {
    /// Taken only when this is dropped.
    run: Option<Run<D>>,
    mailbox: Arc<Mailbox<D>>,
    /// The word of its isolate, if that has time slices.
    word: Option<Arc<Word>>,
    blocked: bool,
    /// How far down its native stack may be used.
    limit: usize,
}

type Run<D> = Pin<Box<dyn Future<Output = (Store<StoreData<D>>, Ended)> + Send>>;

/// Dropping a parked stack runs it to its end, by way of errors.
impl<D: IsolateData> Drop for Started<D> {
    fn drop(&mut self) {
        let _native = native_stack::switch();
        self.run = None;
    }
}

/// A call about to be made on a stack, or just made.
pub(super) struct Entry {
    pub(super) func: Func,
    pub(super) slots: Vec<u64>,
}

/// What a stack ends with; the results of a call are in the store.
type Ended = anyhow::Result<Option<Instance>>;

/// What whoever runs a stack and the blocked host function on it hand to each other.
///
/// A lock would never be contended, but its atomic operations were a tenth of the cost of parking and resuming. There is one
/// mailbox to a store. It is touched by [`WasmtimeStack::run`], which has the started stack to itself and with it the future that
/// owns the store, and by host functions that this very future runs while `run` polls it: never by two at once.
pub(super) struct Mailbox<D: IsolateData>(UnsafeCell<Mail<D>>);

struct Mail<D: IsolateData> {
    block: Option<D::Block>,
    resume: Option<Resume<D>>,
    visitor: Option<Visitor<D>>,
    /// Where a stack that was asked to yield did so.
    frames: Vec<Frame>,
}

/// What [`WasmtimeStack::visit`] has done on a parked stack.
///
/// It is in the mailbox only while `visit` runs, and runs to its end on a stack that cannot be suspended meanwhile: nothing uses it once what it borrows
/// may be gone.
pub(super) struct Visitor<D: IsolateData>(&'static mut dyn FnMut(Cx<'_, D>));

// SAFETY: it is taken out by the thread that put it in, before `visit` returns.
unsafe impl<D: IsolateData> Send for Visitor<D> {}

impl<D: IsolateData> Visitor<D> {
    /// # Safety
    /// It must be gone when the borrow of `visitor` ends.
    unsafe fn new(visitor: &mut dyn FnMut(Cx<'_, D>)) -> Self {
        // SAFETY: only the lifetime changes, and the caller sees to it that nobody relies on that.
        Self(unsafe {
            std::mem::transmute::<&mut dyn FnMut(Cx<'_, D>), &'static mut dyn FnMut(Cx<'_, D>)>(
                visitor,
            )
        })
    }

    pub(super) fn run(self, cx: Cx<'_, D>) {
        (self.0)(cx);
    }
}

/// Takes a visitor that was not let in out of the mailbox, at the latest while a panic unwinds.
struct Leave<'a, D: IsolateData>(&'a Mailbox<D>);

impl<D: IsolateData> Drop for Leave<'_, D> {
    fn drop(&mut self) {
        self.0.take_visitor();
    }
}

// SAFETY: see above. What is handed over may be sent to another thread, as a stack may be between two runs.
unsafe impl<D: IsolateData> Sync for Mailbox<D> {}

impl<D: IsolateData> Default for Mailbox<D> {
    fn default() -> Self {
        Self(UnsafeCell::new(Mail {
            block: None,
            resume: None,
            visitor: None,
            frames: Vec::new(),
        }))
    }
}

impl<D: IsolateData> Mailbox<D> {
    fn with<R>(&self, exchange: impl FnOnce(&mut Mail<D>) -> R) -> R {
        // SAFETY: nobody else has a reference: see above for other threads; as to this one, the exchanges below call nothing,
        // not even a destructor.
        exchange(unsafe { &mut *self.0.get() })
    }

    /// Called by a host function on a stack that is about to be suspended.
    pub(super) fn put_block(&self, block: D::Block) {
        if self.with(|mail| mail.block.is_some()) {
            drop(self.take_block());
        }
        // There is none, which need not be moved out.
        self.with(|mail| std::mem::forget(mail.block.replace(block)));
    }

    /// Called on a stack that is about to yield, as it was asked to.
    pub(super) fn put_frames(&self, frames: Vec<Frame>) {
        drop(self.with(|mail| std::mem::replace(&mut mail.frames, frames)));
    }

    fn take_block(&self) -> Option<D::Block> {
        self.with(|mail| mail.block.take())
    }

    fn put_resume(&self, resume: Resume<D>) {
        if self.with(|mail| mail.resume.is_some()) {
            drop(self.take_resume());
        }
        self.with(|mail| std::mem::forget(mail.resume.replace(resume)));
    }

    /// Called by a host function on a stack that has just been resumed, before it looks for a job.
    pub(super) fn take_visitor(&self) -> Option<Visitor<D>> {
        self.with(|mail| mail.visitor.take())
    }

    /// Called by a host function on a stack that has just been resumed.
    pub(super) fn take_resume(&self) -> Option<Resume<D>> {
        self.with(|mail| mail.resume.take())
    }
}

impl<D: IsolateData> WasmtimeStack<D> {
    pub(crate) fn call(func: Func, args: &[u64]) -> Self {
        // One allocation for arguments and results.
        let mut slots = Vec::with_capacity(func.slots());
        slots.extend_from_slice(args);
        Self {
            state: State::Call { func, args: slots },
        }
    }

    pub(crate) fn instantiate(module: Module, imports: Box<[Extern]>) -> Self {
        Self {
            state: State::Instantiate { module, imports },
        }
    }

    pub(crate) fn take_frames(&mut self) -> Vec<Frame> {
        match &self.state {
            State::Started(started) => started
                .mailbox
                .with(|mail| std::mem::take(&mut mail.frames)),
            _ => Vec::new(),
        }
    }

    pub(crate) fn results(&self) -> &[u64] {
        match &self.state {
            State::Called { slots, results } => &slots[..*results],
            _ => &[],
        }
    }

    pub(crate) fn instance(&self) -> Option<Instance> {
        match &self.state {
            State::Instantiated(instance) => Some(*instance),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) fn run(
        &mut self,
        isolate: &mut Option<Isolate<D>>,
        context: &mut Context<'_>,
        resume: Resume<D>,
    ) -> Step<D::Block> {
        let misuse = |message| Step::Done(Err(EngineError::Misuse(message).into()));
        match (&mut self.state, &resume) {
            (State::Call { .. } | State::Instantiate { .. }, Resume::Continue) => {
                let store = match isolate.take() {
                    Some(Isolate {
                        inner: IsolateInner::Wasmtime(isolate),
                    }) => isolate.store,
                    other => {
                        *isolate = other;
                        return misuse("the stack needs its isolate to start");
                    }
                };
                self.start(store);
            }
            (State::Started(started), Resume::Continue) if !started.blocked => {}
            (State::Started(started), Resume::Job(_) | Resume::Reply(_) | Resume::Call(_))
                if started.blocked =>
            {
                started.blocked = false;
                started.mailbox.put_resume(resume);
            }
            (State::Started(_), Resume::Continue) => {
                return misuse("a blocked stack is resumed with a job");
            }
            (_, Resume::Job(_) | Resume::Reply(_) | Resume::Call(_)) => {
                return misuse("the stack is not blocked");
            }
            _ => return misuse("the stack has finished"),
        }
        let State::Started(started) = &mut self.state else {
            return misuse("the stack has finished");
        };
        let Some(run) = &mut started.run else {
            return misuse("the stack has finished");
        };
        let polled = {
            let _native = native_stack::switch_to(&mut started.limit);
            let _running = started.word.as_ref().map(|word| word.run());
            run.as_mut().poll(context)
        };
        match polled {
            Poll::Pending => match started.mailbox.take_block() {
                Some(block) => {
                    started.blocked = true;
                    Step::Blocked(block)
                }
                None => {
                    context.waker().wake_by_ref();
                    Step::Yielded
                }
            },
            Poll::Ready((store, ended)) => self.finish(isolate, store, ended),
        }
    }

    pub(crate) fn visit<R>(&mut self, f: impl FnOnce(Cx<'_, D>) -> R) -> Result<R, EngineError> {
        let State::Started(Started {
            run: Some(run),
            mailbox,
            blocked: true,
            limit,
            ..
        }) = &mut self.state
        else {
            return Err(EngineError::Misuse("the stack is not blocked"));
        };
        let (mut f, mut result) = (Some(f), None);
        let mut visitor = |cx: Cx<'_, D>| result = f.take().map(|f| f(cx));
        let polled = {
            // SAFETY: `Leave` takes it out of the mailbox at the end of this block, if the stack has not.
            let visitor = unsafe { Visitor::new(&mut visitor) };
            let _leave = Leave(mailbox);
            mailbox.with(|mail| mail.visitor = Some(visitor));
            let _native = native_stack::switch_to(limit);
            run.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        if polled.is_ready() {
            self.state = State::Failed;
        }
        result.ok_or(EngineError::Misuse("the stack cannot be visited"))
    }

    fn start(&mut self, mut store: Store<StoreData<D>>) {
        let mailbox = store.data_mut().mailbox.get_or_insert_default().clone();
        let requests = store.data().requests.as_ref();
        let word = requests.and_then(Requests::sliced).cloned();
        let run: Run<D> = match std::mem::replace(&mut self.state, State::Failed) {
            State::Call {
                func,
                args: mut slots,
            } => {
                slots.resize(func.slots(), 0);
                store.data_mut().entry = Some(Entry { func, slots });
                Box::pin(call(store))
            }
            State::Instantiate { module, imports } => Box::pin(instantiate(store, module, imports)),
            other => {
                self.state = other;
                return;
            }
        };
        self.state = State::Started(Started {
            run: Some(run),
            mailbox,
            word,
            blocked: false,
            limit: 0,
        });
    }

    fn finish(
        &mut self,
        isolate: &mut Option<Isolate<D>>,
        mut store: Store<StoreData<D>>,
        ended: Ended,
    ) -> Step<D::Block> {
        let data = store.data_mut();
        data.may_block = false;
        data.unwinds = false;
        let entry = data.entry.take();
        *isolate = Some(Isolate {
            inner: IsolateInner::Wasmtime(WasmtimeIsolate { store }),
        });
        let (state, result) = match (ended, entry) {
            (Ok(Some(instance)), _) => (State::Instantiated(instance), Ok(())),
            (Ok(None), Some(Entry { func, slots })) => {
                let results = func.results();
                (State::Called { slots, results }, Ok(()))
            }
            (Ok(None), None) => (State::Failed, Ok(())),
            (Err(error), _) => (State::Failed, Err(error)),
        };
        self.state = state;
        Step::Done(result)
    }
}

/// Calls what is in the store's entry.
async fn call<D: IsolateData>(mut store: Store<StoreData<D>>) -> (Store<StoreData<D>>, Ended) {
    if let Err(error) = stack_funcs::prepare(store.as_context_mut()) {
        return (store, Err(convert::from_engine(error)));
    }
    let Some(enter) = (store.data_mut().stack_funcs.as_mut()).and_then(|funcs| funcs.enter.take())
    else {
        let error = EngineError::Misuse("two stacks are entered in one isolate");
        return (store, Err(error.into()));
    };
    let result = enter.call_async(&mut store, ()).await;
    if let Some(funcs) = &mut store.data_mut().stack_funcs {
        funcs.enter = Some(enter);
    }
    (store, result.map(|()| None).map_err(convert::from_engine))
}

async fn instantiate<D: IsolateData>(
    mut store: Store<StoreData<D>>,
    module: Module,
    imports: Box<[Extern]>,
) -> (Store<StoreData<D>>, Ended) {
    if let Err(error) = stack_funcs::prepare(store.as_context_mut()) {
        return (store, Err(convert::from_engine(error)));
    }
    let prepared = WasmtimeCx(store.as_context_mut()).prepare(&module, &imports);
    let (inner, imports) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return (store, Err(error.into())),
    };
    store.data_mut().may_block = true;
    begin_slice(store.as_context_mut());
    let result = wasmtime::Instance::new_async(&mut store, inner, &imports).await;
    let result = WasmtimeCx(store.as_context_mut()).finish(result);
    (store, result.map(Some))
}
