//! Items of streams and futures, passed from the buffer of one guest to that of another.

use super::canon::CanonOptions;
use super::memories::{Across, Within};
use crate::baton::{Baton, Runtime};
use crate::concurrent::visit_from;
use crate::error::bug;
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_core::abi::{Program, Side, TransferContext, transfer_items};
use tidegate_core::runtime::{Copy, CopySide, Lends};
use tidegate_core::types::ValType;
use tidegate_engine::Cx;

/// How the items of one built-in's buffers are lifted or lowered.
#[derive(Clone)]
pub(crate) struct CopyOptions {
    pub(crate) options: CanonOptions,
    pub(crate) element: Option<ValType>,
    /// The number that the state knows them by.
    pub(crate) number: u32,
    /// Bytes of an item in memory; 0 without an element type.
    pub(crate) item_size: u32,
    /// Alignment of an item in bytes.
    pub(crate) align: u32,
    /// Whether items are integers: any bytes are such items, and pass as they are.
    pub(crate) plain: bool,
}

impl CopyOptions {
    /// Bytes of an item in memory.
    #[inline]
    pub(crate) fn item_size(&self) -> usize {
        self.item_size as usize
    }
}

/// The [`CopyOptions`] of a store, by number, and how items pass from one to another.
#[derive(Default)]
pub(crate) struct CopyPlans {
    options: Vec<Arc<CopyOptions>>,
    programs: HashMap<(u32, u32), Arc<Program>>,
    /// The program that was used last: as a rule a stream's items go on from where they went before.
    last: Option<((u32, u32), Arc<Program>)>,
}

impl CopyPlans {
    /// Adds options, and gives them a number.
    pub(crate) fn add(
        &mut self,
        options: &CanonOptions,
        element: Option<ValType>,
    ) -> Arc<CopyOptions> {
        let types = options.shared.types();
        let layout = element.map(|ty| types.layout(ty, options.memory64));
        let added = Arc::new(CopyOptions {
            options: options.clone(),
            element,
            number: self.options.len() as u32,
            item_size: layout.map_or(0, |layout| layout.size),
            align: layout.map_or(1, |layout| layout.align),
            plain: element.is_some_and(is_integer),
        });
        self.options.push(added.clone());
        added
    }

    /// The isolate whose memory buffers with these options lie in.
    #[inline]
    pub(crate) fn isolate(&self, number: u32) -> Option<usize> {
        self.find(number).map(|options| options.options.isolate)
    }

    /// The same, to look at.
    #[inline]
    pub(crate) fn find(&self, number: u32) -> Option<&CopyOptions> {
        self.options.get(number as usize).map(|options| &**options)
    }

    pub(crate) fn get(&self, number: u32) -> Result<Arc<CopyOptions>> {
        self.options
            .get(number as usize)
            .cloned()
            .context(bug("a buffer has no options"))
    }

    fn program(&mut self, source: u32, target: u32) -> Result<Option<Arc<Program>>> {
        if let Some((of, program)) = &self.last
            && *of == (source, target)
        {
            return Ok(Some(program.clone()));
        }
        if let Some(program) = self.programs.get(&(source, target)) {
            self.last = Some(((source, target), program.clone()));
            return Ok(Some(program.clone()));
        }
        let (from, to) = (self.get(source)?, self.get(target)?);
        let (Some(given), Some(taken)) = (from.element, to.element) else {
            return Ok(None);
        };
        let side = |options: &CanonOptions| Side {
            memory64: options.memory64,
            encoding: options.encoding,
            async_: true,
        };
        let program = Arc::new(Program::items(
            (from.options.shared.types(), given, side(&from.options)),
            (to.options.shared.types(), taken, side(&to.options)),
        )?);
        self.programs.insert((source, target), program.clone());
        Ok(Some(program))
    }
}

fn is_integer(ty: ValType) -> bool {
    matches!(
        ty,
        ValType::U8
            | ValType::S8
            | ValType::U16
            | ValType::S16
            | ValType::U32
            | ValType::S32
            | ValType::U64
            | ValType::S64
    )
}

/// Where the items of one side lie, with what is done already left out.
#[inline]
pub(crate) fn start(side: &CopySide, of: &CopyOptions) -> usize {
    side.buffer.pointer as usize + side.buffer.progress as usize * of.item_size()
}

/// Performs a copy that a built-in with the options `own` asked for, whose isolate `cx` is; the other side's is idle or parked. Gives how many bytes were moved.
pub(crate) fn pass(cx: &mut Cx<'_, Baton>, own: &CopyOptions, copy: &Copy) -> Result<u64> {
    if let Some(memory) = own.options.memory {
        let (memory, baton) = cx.memory_and_data_mut(memory);
        if let Some(bytes) = pass_plain(memory, baton, own, copy) {
            return Ok(bytes);
        }
    }
    pass_items(cx, own, copy)
}

/// The same for integers whose other side is in another isolate, which is idle: the bytes go from memory to memory. `ours` is the memory of the isolate
/// that has the baton. `None` if it is not so.
#[inline(always)]
pub(crate) fn pass_plain(
    ours: &mut [u8],
    runtime: &mut Runtime,
    own: &CopyOptions,
    copy: &Copy,
) -> Option<u64> {
    if !own.plain {
        return None;
    }
    let writes = copy.source.buffer.options == own.number;
    let (own_side, other_side) = if writes {
        (&copy.source, &copy.target)
    } else {
        (&copy.target, &copy.source)
    };
    let other = runtime.copies.find(other_side.buffer.options)?;
    let (isolate, memory) = (other.options.isolate, other.options.memory?);
    if !other.plain || other.item_size != own.item_size || isolate == own.options.isolate {
        return None;
    }
    let length = copy.count as usize * own.item_size();
    let (start, other_start) = (start(own_side, own), start(other_side, other));
    // Checked when they read and wrote; memories never shrink.
    let ours = ours.get_mut(start..start + length)?;
    let mut idle = runtime.isolates.get_mut(isolate)?.as_mut()?.cx();
    let theirs = idle.memory_mut(memory);
    let theirs = theirs.get_mut(other_start..other_start + length)?;
    if writes {
        theirs.copy_from_slice(ours);
    } else {
        ours.copy_from_slice(theirs);
    }
    Some(length as u64)
}

fn pass_items(cx: &mut Cx<'_, Baton>, own: &CopyOptions, copy: &Copy) -> Result<u64> {
    let runtime: &mut Runtime = cx.data_mut();
    let gives = copy.source.buffer.options == own.number;
    let (taker, giver) = (copy.target.buffer.options, copy.source.buffer.options);
    let other = runtime.copies.get(if gives { taker } else { giver })?;
    let (source, target) = match gives {
        true => (own, &*other),
        false => (&*other, own),
    };
    let Some(program) = runtime.copies.program(source.number, target.number)? else {
        return Ok(0);
    };
    let (src, dst) = (start(&copy.source, source), start(&copy.target, target));
    let task = runtime.state.current_task()?;
    let mut lends = Lends::default();
    let mut context = TransferContext {
        source: source.options.instance,
        source_types: source.options.shared.types(),
        source_resources: &source.options.shared.resources,
        lends: &mut lends,
        target: target.options.instance,
        target_resources: &target.options.shared.resources,
        task,
    };
    let count = copy.count as usize;
    if source.options.isolate == target.options.isolate {
        let mut x = Within::new(cx, &source.options, &target.options);
        transfer_items(&program, &mut context, &mut x, src, dst, count)?;
    } else {
        visit_from(cx, other.options.isolate, |cx, other| {
            let (from, to) = match gives {
                true => (cx.reborrow(), other.reborrow()),
                false => {
                    // What is lowered goes with the baton.
                    *cx.data_mut() = other.data_mut().take();
                    (other.reborrow(), cx.reborrow())
                }
            };
            let mut x = Across::new((from, &source.options), (to, &target.options));
            let result = transfer_items(&program, &mut context, &mut x, src, dst, count);
            if !gives {
                *other.data_mut() = cx.data_mut().take();
            }
            result
        })?;
    }
    Ok(u64::from(copy.count) * source.item_size() as u64)
}
