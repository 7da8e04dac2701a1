//! Which ends the host holds.

use super::{Answer, BytesTurn, HostEnd, Turn};
use crate::baton::Baton;
use crate::call::items::{CopyOptions, start};
use crate::concurrent::WorkKey;
use crate::stream::guard::Closer;
use anyhow::Result;
use std::sync::Arc;
use std::task::{Context, Waker};
use tidegate_core::runtime::{Offer, SharedId, Side};
use tidegate_engine::Cx;

/// The ends that the host holds, by stream or future.
#[derive(Default)]
pub(crate) struct HostEnds {
    slots: Vec<[Slot; 2]>,
    /// Ends that were woken while their guest could not be reached.
    deferred: Vec<(SharedId, Side)>,
    /// Closes what guards have dropped.
    pub(in crate::stream) closer: Option<Closer>,
}

#[derive(Default)]
struct Slot {
    end: Place,
    /// By what it is woken.
    work: Option<WorkKey>,
}

/// Where an end is.
#[derive(Default)]
enum Place {
    /// There is none.
    #[default]
    None,
    /// In a box, since it is taken out whenever it is asked.
    Here(Box<Held>),
    /// It is being asked.
    Away,
}

/// An end that can be asked, with the waker that it is asked with.
pub(in crate::stream) struct Held {
    pub(in crate::stream) end: Box<dyn HostEnd>,
    /// Whether its items are bytes: [`HostEnd::takes_bytes`].
    bytes: bool,
    waker: Waker,
    /// Whether it has returned `Pending` to somebody who waits.
    pub(super) waits: bool,
    /// How items were lifted or lowered when it was asked last by the driver.
    options: Option<Arc<CopyOptions>>,
}

impl Held {
    pub(super) fn new(end: Box<dyn HostEnd>, waker: Waker) -> Self {
        Self {
            bytes: end.takes_bytes(),
            end,
            waker,
            waits: false,
            options: None,
        }
    }

    /// The end, and what it is asked with.
    pub(in crate::stream) fn apart(self) -> (Box<dyn HostEnd>, Asking) {
        let Self {
            end, waker, waits, ..
        } = self;
        let asking = Asking { waker, waits };
        (end, asking)
    }

    /// Asks about a guest's buffer of bytes: for [ends of bytes](HostEnd::takes_bytes).
    #[inline]
    pub(super) fn ask_bytes(&mut self, turn: BytesTurn<'_>, baton: &mut Baton) -> Result<Answer> {
        let mut cx = Context::from_waker(&self.waker);
        self.end.ask_bytes(turn, baton, &mut cx)
    }

    /// Asks about what a guest offers, whose isolate `cx` is.
    pub(super) fn ask_with(
        &mut self,
        cx: &mut Cx<'_, Baton>,
        offer: &Offer,
        options: &CopyOptions,
    ) -> Result<Answer> {
        if !self.bytes || options.item_size != 1 {
            let turn = Turn {
                cx: cx.reborrow(),
                offer: *offer,
                options,
            };
            return self.end.ask(turn, &mut Context::from_waker(&self.waker));
        }
        let (memory, baton) = match options.options.memory {
            Some(memory) => cx.memory_and_data_mut(memory),
            None => (&mut [][..], cx.data_mut()),
        };
        let pointer = start(&offer.guest, options);
        // Checked when the guest read or wrote; memories never shrink.
        let bytes = memory.get_mut(pointer..pointer + offer.remaining() as usize);
        let turn = BytesTurn {
            bytes: bytes.unwrap_or_default(),
            options,
            before: offer.guest.buffer.progress > 0,
            finish: offer.cancelling,
        };
        self.ask_bytes(turn, baton)
    }

    /// The same with the options that the guest's buffer has. Gives the size of an item, too.
    pub(super) fn ask(
        &mut self,
        cx: &mut Cx<'_, Baton>,
        offer: &Offer,
    ) -> Result<(Result<Answer>, u64)> {
        let number = offer.guest.buffer.options;
        let options = match self.options.take() {
            Some(options) if options.number == number => options,
            _ => cx.data_mut().copies.get(number)?,
        };
        let answer = self.ask_with(cx, offer, &options);
        let size = options.item_size.into();
        self.options = Some(options);
        Ok((answer, size))
    }
}

/// What an end is asked with.
pub(in crate::stream) struct Asking {
    waker: Waker,
    waits: bool,
}

impl Asking {
    /// Undoes [`Held::apart`].
    pub(in crate::stream) fn with(self, end: Box<dyn HostEnd>) -> Box<Held> {
        let mut held = Held::new(end, self.waker);
        held.waits = self.waits;
        Box::new(held)
    }
}

impl HostEnds {
    fn slot(&mut self, shared: SharedId, side: Side) -> &mut Slot {
        let index = shared.0 as usize;
        if self.slots.len() <= index {
            // Numbers of streams and futures are dense: freed ones are used again.
            self.slots.resize_with(index + 1, Default::default);
        }
        &mut self.slots[index][side as usize]
    }

    /// Adds an end.
    pub(super) fn insert(&mut self, shared: SharedId, side: Side, held: Held, work: WorkKey) {
        let slot = self.slot(shared, side);
        slot.end = Place::Here(Box::new(held));
        slot.work = Some(work);
    }

    /// Whether there is an end, be it being asked.
    pub(in crate::stream) fn contains(&self, shared: SharedId, side: Side) -> bool {
        self.slots
            .get(shared.0 as usize)
            .is_some_and(|slots| !matches!(slots[side as usize].end, Place::None))
    }

    /// Whether the end is being asked.
    pub(super) fn is_away(&self, shared: SharedId, side: Side) -> bool {
        self.slots
            .get(shared.0 as usize)
            .is_some_and(|slots| matches!(slots[side as usize].end, Place::Away))
    }

    /// Takes an end out, to be asked, or for good.
    #[inline]
    pub(in crate::stream) fn take(&mut self, shared: SharedId, side: Side) -> Option<Box<Held>> {
        self.take_if(shared, side, |_| true)
    }

    /// The same if it is one of bytes.
    #[inline]
    pub(super) fn take_bytes(&mut self, shared: SharedId, side: Side) -> Option<Box<Held>> {
        self.take_if(shared, side, |held| held.bytes)
    }

    #[inline]
    fn take_if(
        &mut self,
        shared: SharedId,
        side: Side,
        wanted: impl FnOnce(&Held) -> bool,
    ) -> Option<Box<Held>> {
        let slot = &mut self.slots.get_mut(shared.0 as usize)?[side as usize];
        match &slot.end {
            Place::Here(held) if wanted(held) => {}
            _ => return None,
        }
        match std::mem::replace(&mut slot.end, Place::Away) {
            Place::Here(held) => Some(held),
            _ => None,
        }
    }

    /// Puts an end back that was asked; gives it if it was removed meanwhile.
    #[inline]
    pub(in crate::stream) fn put_back(
        &mut self,
        shared: SharedId,
        side: Side,
        held: Box<Held>,
    ) -> Option<Box<Held>> {
        match self.slots.get_mut(shared.0 as usize) {
            Some(slots) if matches!(slots[side as usize].end, Place::Away) => {
                slots[side as usize].end = Place::Here(held);
                None
            }
            _ => Some(held),
        }
    }

    /// By what an end is woken.
    pub(super) fn work(&self, shared: SharedId, side: Side) -> Option<WorkKey> {
        self.slots.get(shared.0 as usize)?[side as usize].work
    }

    /// Notes that an end was woken while its guest could not be reached.
    pub(super) fn defer(&mut self, shared: SharedId, side: Side) {
        self.deferred.push((shared, side));
    }

    /// The ends that were deferred.
    #[inline]
    pub(super) fn take_deferred(&mut self) -> Vec<(SharedId, Side)> {
        match self.deferred.is_empty() {
            true => Vec::new(),
            false => std::mem::take(&mut self.deferred),
        }
    }

    /// Removes an end; gives it, unless it is being asked, and by what it was woken.
    pub(super) fn remove(
        &mut self,
        shared: SharedId,
        side: Side,
    ) -> (Option<Box<Held>>, Option<WorkKey>) {
        let slot = std::mem::take(self.slot(shared, side));
        match slot.end {
            Place::Here(held) => (Some(held), slot.work),
            _ => (None, slot.work),
        }
    }
}
