//! One guest with the state around it, to lower values into and lift them from.

use crate::guest::{Guest, Pair, Target};
use tidegate_core::abi::*;
use tidegate_core::plan::StringEncoding;
use tidegate_core::runtime::{InstanceId, Lends, ResourceType, State, TaskId};
use tidegate_core::types::{FuncTypeIdx, Types};

pub struct World {
    pub types: Types,
    pub resources: Vec<ResourceType>,
    pub state: State,
    pub instance: InstanceId,
    pub task: TaskId,
    pub lends: Lends,
    pub guest: Guest,
    pub memory64: bool,
    pub encoding: StringEncoding,
    pub budget: LiftBudget,
}

impl World {
    pub fn new(types: Types, size: usize) -> Self {
        let mut state = State::new();
        let instance = state.add_instance(None);
        let task = state.add_task();
        Self {
            types,
            resources: Vec::new(),
            state,
            instance,
            task,
            lends: Lends::default(),
            guest: Guest::new(size, 64),
            memory64: false,
            encoding: StringEncoding::Utf8,
            budget: LiftBudget::default(),
        }
    }

    pub fn side(&self) -> Side {
        Side {
            memory64: self.memory64,
            encoding: self.encoding,
            async_: false,
        }
    }

    pub fn lift<R>(
        &mut self,
        words: &[u64],
        lift: impl FnOnce(&mut LiftContext<'_>, &mut FlatReader<'_>) -> R,
    ) -> R {
        let mut cx = LiftContext {
            types: &self.types,
            resources: &self.resources,
            memory: &self.guest.memory,
            memory64: self.memory64,
            encoding: self.encoding,
            state: &mut self.state,
            instance: self.instance,
            lends: &mut self.lends,
            task: Some(self.task),
            budget: self.budget,
        };
        lift(&mut cx, &mut FlatReader::new(words))
    }

    pub fn lower(
        &mut self,
        lower: impl FnOnce(&mut LowerContext<'_>, &mut FlatWriter<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<u64>> {
        let mut target = Target {
            guest: &mut self.guest,
            state: &mut self.state,
        };
        let mut cx = LowerContext {
            types: &self.types,
            resources: &self.resources,
            target: &mut target,
            memory64: self.memory64,
            encoding: self.encoding,
            instance: self.instance,
            task: Some(self.task),
            lends: &mut self.lends,
        };
        let mut words = [0; 100];
        let mut dst = FlatWriter::new(&mut words);
        lower(&mut cx, &mut dst)?;
        let length = dst.position();
        Ok(words[..length].to_vec())
    }

    pub fn lift_params(&mut self, func: FuncTypeIdx, words: &[u64]) -> anyhow::Result<Vec<Val>> {
        self.lift(words, |cx, src| {
            lift_param_vals(cx, func, MAX_FLAT_PARAMS, src)
        })
    }

    pub fn lower_params(&mut self, func: FuncTypeIdx, vals: &[Val]) -> anyhow::Result<Vec<u64>> {
        self.lower(|cx, dst| lower_param_vals(vals, cx, func, MAX_FLAT_PARAMS, dst))
    }

    /// Passes parameters on to another guest, of this world's state.
    pub fn transfer_params(
        &mut self,
        func: FuncTypeIdx,
        words: &[u64],
        target: &mut World,
    ) -> anyhow::Result<Vec<u64>> {
        let program = Program::params(
            (&self.types, func, self.side()),
            (&self.types, func, target.side()),
        )
        .unwrap();
        let mut cx = TransferContext {
            source: self.instance,
            source_types: &self.types,
            source_resources: &self.resources,
            lends: &mut self.lends,
            target: target.instance,
            target_resources: &self.resources,
            task: self.task,
        };
        let mut pair = Pair {
            budget: self.budget,
            source: &self.guest.memory,
            target: &mut target.guest,
            state: &mut self.state,
        };
        let mut flat = [0; MAX_FLAT_PARAMS];
        let mut dst = FlatWriter::new(&mut flat);
        let mut src = FlatReader::new(words);
        transfer_params(&program, &mut cx, &mut pair, &mut src, &mut dst)?;
        let length = dst.position();
        Ok(flat[..length].to_vec())
    }
}
