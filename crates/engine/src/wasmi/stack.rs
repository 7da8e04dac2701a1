//! A stack: a resumable call.

use std::task::Context;

use wasmi::{
    AsContextMut, ResumableCall, ResumableCallHostTrap, ResumableCallOutOfFuel, Store, Val,
};

use super::{
    convert::{self, Signal},
    cx::WasmiCx,
    exceptions::{Exceptions, Flight},
    host,
    isolate::{Blocked, HostCall, StoreData},
};
use crate::{
    cx::{Cx, CxInner},
    error::EngineError,
    handles::{Extern, Func, FuncInner, Instance},
    interrupt::Asked,
    isolate::{Isolate, IsolateData, IsolateInner},
    module::Module,
    native_stack,
    stack::{Flow, Resume, Step},
};

pub(crate) struct WasmiStack<D: IsolateData> {
    state: State,
    /// The results of the call, as the engine wants them.
    outputs: Vec<Val>,
    results: Vec<u64>,
    /// Of an instantiation, once its start function is being run.
    instance: Option<Instance>,
    _data: std::marker::PhantomData<fn() -> D>,
}

enum State {
    Call {
        func: Func,
        args: Vec<u64>,
    },
    Instantiate {
        module: Module,
        imports: Box<[Extern]>,
    },
    Blocked {
        call: ResumableCallHostTrap,
        host_call: HostCall,
    },
    Yielded {
        call: ResumableCallOutOfFuel,
        /// The exception on its way.
        flight: Flight,
    },
    Finished,
}

type Engine = Result<ResumableCall, wasmi::Error>;

impl<D: IsolateData> WasmiStack<D> {
    fn new(state: State) -> Self {
        Self {
            state,
            outputs: Vec::new(),
            results: Vec::new(),
            instance: None,
            _data: std::marker::PhantomData,
        }
    }

    pub(crate) fn call(func: Func, args: &[u64]) -> Self {
        Self::new(State::Call {
            func,
            args: args.to_vec(),
        })
    }

    pub(crate) fn instantiate(module: Module, imports: Box<[Extern]>) -> Self {
        Self::new(State::Instantiate { module, imports })
    }

    pub(crate) fn results(&self) -> &[u64] {
        &self.results
    }

    pub(crate) fn instance(&self) -> Option<Instance> {
        self.instance
            .filter(|_| matches!(self.state, State::Finished))
    }

    pub(crate) fn run(
        &mut self,
        isolate: &mut Option<Isolate<D>>,
        context: &mut Context<'_>,
        resume: Resume<D>,
    ) -> Step<D::Block> {
        let misuse = |message| Step::Done(Err(EngineError::Misuse(message).into()));
        match (&self.state, &resume) {
            (
                State::Call { .. } | State::Instantiate { .. } | State::Yielded { .. },
                Resume::Continue,
            )
            | (State::Blocked { .. }, Resume::Job(_) | Resume::Reply(_)) => {}
            (State::Blocked { .. }, Resume::Continue) => {
                return misuse("a blocked stack is resumed with a job");
            }
            (State::Finished, Resume::Continue) => return misuse("the stack has finished"),
            (_, Resume::Job(_) | Resume::Reply(_)) => return misuse("the stack is not blocked"),
            (_, Resume::Call(_)) => return misuse("the call can have a stack of its own"),
        }
        let Some(Isolate {
            inner: IsolateInner::Wasmi(isolate),
        }) = isolate
        else {
            return misuse("the stack needs its isolate to run");
        };
        let store = &mut isolate.store;
        let native = match native_stack::enter(store.data().native_stack, 0) {
            Ok(native) => native,
            Err(trap) => return Step::Done(Err(trap.into())),
        };
        let before = std::mem::replace(&mut store.data_mut().may_block, true);
        let step = self.run_on(store, context, resume);
        store.data_mut().may_block = before;
        drop(native);
        step
    }

    fn run_on(
        &mut self,
        store: &mut Store<StoreData<D>>,
        context: &mut Context<'_>,
        resume: Resume<D>,
    ) -> Step<D::Block> {
        let slice_start = store.data().now();
        if store.data().metered {
            let fuel = store.data().fuel();
            WasmiCx(store.as_context_mut()).set_fuel(fuel);
        }
        let state = std::mem::replace(&mut self.state, State::Finished);
        let mut ended = match (state, resume) {
            (State::Call { func, args }, _) => self.start(store, func, &args),
            (State::Instantiate { module, imports }, _) => {
                let instantiated =
                    WasmiCx(store.as_context_mut()).instantiate_unstarted(&module, &imports);
                match instantiated {
                    Err(error) => return Step::Done(Err(error)),
                    Ok((instance, start)) => {
                        self.instance = Some(instance);
                        match start {
                            None => return Step::Done(Ok(())),
                            Some(start) => self.start(store, start, &[]),
                        }
                    }
                }
            }
            (State::Yielded { call, flight }, _) => {
                // Others may have had the fuel since, and the next step of this one may need more than there is at a time.
                let fuel = store.data().fuel().saturating_add(call.required_fuel());
                WasmiCx(store.as_context_mut()).set_fuel(fuel);
                Exceptions::resume(store.as_context_mut(), flight);
                call.resume(&mut *store, &mut self.outputs)
            }
            (State::Blocked { call, host_call }, resume) => {
                match self.resume(store, call, host_call, resume) {
                    Ok(ended) => ended,
                    Err(step) => return step,
                }
            }
            (State::Finished, _) => {
                return Step::Done(Err(EngineError::Misuse("the stack has finished").into()));
            }
        };
        loop {
            match ended {
                Ok(ResumableCall::Finished) => {
                    if let Err(trap) = WasmiCx(store.as_context_mut()).land().check() {
                        self.instance = None;
                        return Step::Done(Err(trap.into()));
                    }
                    self.results = vec![0; self.outputs.len()];
                    host::from_vals(&self.outputs, &mut self.results);
                    return Step::Done(Ok(()));
                }
                Ok(ResumableCall::HostTrap(call)) => {
                    let is_blocked =
                        matches!(call.host_error().downcast_ref(), Some(Signal::Blocked));
                    return match store.data_mut().blocked.take().filter(|_| is_blocked) {
                        Some(Blocked { payload, host_call }) => {
                            self.state = State::Blocked { call, host_call };
                            Step::Blocked(payload)
                        }
                        None => self.fail(call.into_host_error()),
                    };
                }
                Ok(ResumableCall::OutOfFuel(call)) => {
                    let data = store.data_mut();
                    let asked = data.asked();
                    if asked == Asked::End {
                        return self.fail(wasmi::TrapCode::OutOfFuel.into());
                    }
                    let is_over = asked == Asked::Yield
                        || data.yield_every.is_some()
                        || data.time_slice.is_some_and(|ticks| {
                            data.now().wrapping_sub(slice_start) >= ticks.get()
                                || data.user.slice_is_over()
                        });
                    let fuel = data.fuel().saturating_add(call.required_fuel());
                    WasmiCx(store.as_context_mut()).set_fuel(fuel);
                    if is_over {
                        let flight = WasmiCx(store.as_context_mut()).land();
                        self.state = State::Yielded { call, flight };
                        context.waker().wake_by_ref();
                        return Step::Yielded;
                    }
                    ended = call.resume(&mut *store, &mut self.outputs);
                }
                Err(error) => return self.fail(error),
            }
        }
    }

    fn fail(&mut self, error: wasmi::Error) -> Step<D::Block> {
        self.instance = None;
        Step::Done(Err(convert::from_engine(error)))
    }

    fn start(&mut self, store: &mut Store<StoreData<D>>, func: Func, args: &[u64]) -> Engine {
        let FuncInner::Wasmi(raw) = func.inner else {
            return Err(wasmi::Error::new("a function of another engine"));
        };
        let inputs: Vec<Val> = args
            .iter()
            .enumerate()
            .map(|(index, word)| convert::to_val(func.signature.param(index), *word))
            .collect();
        self.outputs = vec![Val::I32(0); func.results()];
        raw.call_resumable(store, &inputs, &mut self.outputs)
    }

    /// Runs a job or meets an reply, and runs the call on if that has ended the host call it was blocked in.
    fn resume(
        &mut self,
        store: &mut Store<StoreData<D>>,
        call: ResumableCallHostTrap,
        mut host_call: HostCall,
        resume: Resume<D>,
    ) -> Result<Engine, Step<D::Block>> {
        let cx = Cx {
            inner: CxInner::Wasmi(WasmiCx(store.as_context_mut())),
        };
        let flow = match resume {
            Resume::Job(job) => job(cx, &mut host_call.slots),
            Resume::Reply(reply) => D::reply(cx, &mut host_call.slots, reply),
            Resume::Continue | Resume::Call(_) => {
                Err(EngineError::Misuse("a blocked stack is resumed with a job").into())
            }
        };
        match flow {
            Ok(Flow::Return) => {
                let HostCall { signature, slots } = host_call;
                let inputs: Vec<Val> = (0..usize::from(signature.results))
                    .map(|index| convert::to_val(signature.result(index), slots[index]))
                    .collect();
                Ok(call.resume(store, &inputs, &mut self.outputs))
            }
            Ok(Flow::Block(payload)) => {
                self.state = State::Blocked { call, host_call };
                Err(Step::Blocked(payload))
            }
            Err(error) => {
                self.instance = None;
                Err(Step::Done(Err(error)))
            }
        }
    }
}
