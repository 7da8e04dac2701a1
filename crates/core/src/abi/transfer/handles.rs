//! Resources, streams, futures and error contexts on their way from the source's table to the target's.

use super::Transfer;
use super::node::{Kind, Node};
use super::place::{Input, Output};
use super::run::{Mode, Run, misplaced};
use crate::abi::async_values;
use crate::runtime::{ErrorContext, ResourceType, SharedId};
use crate::types::{ResourceIdx, ValType};

/// What was behind a handle.
pub(super) enum Taken {
    Own(ResourceType, u64),
    Borrow(u64),
    Readable(SharedId),
    ErrorContext(ErrorContext),
}

impl<X: Transfer + ?Sized> Run<'_, '_, X> {
    pub(super) fn handle(
        &mut self,
        mode: Mode,
        node: &Node,
        input: &mut Input<'_, '_>,
        output: &mut Output<'_, '_>,
    ) -> anyhow::Result<()> {
        let handle = self.load(input, node)? as u32;
        let taken = if mode == Mode::Lower {
            self.taken.pop_front().ok_or_else(misplaced)?
        } else {
            self.take(&node.kind, handle)?
        };
        if mode == Mode::Lift {
            self.taken.push_back(taken);
            return Ok(());
        }
        let (_, state) = self.x.parts();
        let handle = match (taken, &node.kind) {
            (Taken::Own(_, rep), Kind::Own { target, .. }) => {
                let ty = resource(self.cx.target_resources, *target)?;
                state.lower_own(self.cx.target, ty, rep)?
            }
            (Taken::Borrow(rep), Kind::Borrow { target, .. }) => {
                let ty = resource(self.cx.target_resources, *target)?;
                state.lower_borrow(self.cx.target, ty, rep, self.cx.task)?
            }
            (Taken::Readable(shared), _) => state.lower_readable(self.cx.target, shared)?,
            (Taken::ErrorContext(context), _) => {
                state.lower_error_context(self.cx.target, context)?
            }
            _ => return Err(misplaced()),
        };
        self.store(mode, output, node, handle.into())
    }

    /// Lifts a handle.
    fn take(&mut self, kind: &Kind, handle: u32) -> anyhow::Result<Taken> {
        let (_, state) = self.x.parts();
        let source = self.cx.source;
        Ok(match kind {
            Kind::Own { source: ty, .. } => {
                let ty = resource(self.cx.source_resources, *ty)?;
                Taken::Own(ty, state.lift_own(source, ty, handle)?)
            }
            Kind::Borrow { source: ty, .. } => {
                let ty = resource(self.cx.source_resources, *ty)?;
                Taken::Borrow(state.lift_borrow(source, ty, handle, self.cx.lends)?)
            }
            Kind::Async {
                source: ValType::ErrorContext,
            } => Taken::ErrorContext(state.lift_error_context(source, handle)?),
            Kind::Async { source: ty } => {
                let (types, resources) = (self.cx.source_types, self.cx.source_resources);
                let (kind, payload) = async_values::readable(state, types, resources, *ty)?;
                Taken::Readable(state.lift_readable(source, kind, payload, handle)?)
            }
            _ => return Err(misplaced()),
        })
    }

    /// Gives back to the source what was taken and not lowered, after a trap: it goes the way of the source's other handles.
    pub(super) fn give_back(&mut self) {
        let (_, state) = self.x.parts();
        while let Some(taken) = self.taken.pop_front() {
            // A table that held the handle before has room for it, unless it filled up meanwhile.
            let _ = match taken {
                Taken::Own(ty, rep) => state.lower_own(self.cx.source, ty, rep),
                Taken::Readable(shared) => state.lower_readable(self.cx.source, shared),
                Taken::Borrow(_) | Taken::ErrorContext(_) => continue,
            };
        }
    }
}

fn resource(resources: &[ResourceType], index: ResourceIdx) -> anyhow::Result<ResourceType> {
    resources.get(index.index()).copied().ok_or_else(misplaced)
}
