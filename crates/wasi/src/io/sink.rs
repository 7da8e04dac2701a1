//! A sink together with the bytes it was promised: what several output streams write to.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counters::Counters;
use super::drains::Drains;
use super::endpoint::{Flush, Kind, Output, Write};
use super::output_state::Progress;
use super::reactor;
use super::readiness::Readiness;

/// An [`Output`] that several holders write to, such as stdout. What one of them had accepted at
/// once stays together, and comes before what is accepted later, whoever writes it.
///
/// [`try_write`](Output::try_write) hands bytes straight to the output below. `accept`
/// takes all of them and keeps in host memory what the output does not take now; a
/// task then drains that in the background, whether or not anybody asks.
#[derive(Clone)]
pub struct SharedOutput {
    sink: Arc<Mutex<Sink>>,
    drains: Drains,
}

/// Offsets count bytes since the beginning and only grow.
struct Sink {
    output: Box<dyn Output>,
    /// Accepted, not yet taken by `output`. Bounded by the permits of the streams that write here.
    tail: VecDeque<u8>,
    /// Bytes accepted or written so far.
    accepted: u64,
    /// The offset up to which a flush was asked for.
    flush_wanted: u64,
    /// The offset up to which flushes are over. Never beyond `flush_wanted`.
    flushed: u64,
    /// A background failure nobody was told of yet.
    error: Option<io::Error>,
    /// A task is draining.
    draining: bool,
    /// No more is accepted; `output` is closed as soon as everything before is out.
    closing: bool,
    counters: Counters,
}

impl SharedOutput {
    /// Shares `output`.
    pub fn new(output: impl Output) -> Self {
        Self {
            sink: Arc::new(Mutex::new(Sink {
                output: Box::new(output),
                tail: VecDeque::new(),
                accepted: 0,
                flush_wanted: 0,
                flushed: 0,
                error: None,
                draining: false,
                closing: false,
                counters: Counters::default(),
            })),
            drains: Drains::default(),
        }
    }

    /// The same, counted by `drains` while bytes are on their way.
    pub(crate) fn counted_by(mut self, drains: &Drains) -> Self {
        self.drains = drains.clone();
        self
    }

    /// What was moved so far.
    pub fn counters(&self) -> Counters {
        self.lock().counters
    }

    /// Accepts all of `bytes`, and says how many of them the output took at once.
    pub(crate) fn accept(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut sink = self.lock();
        let taken = sink.accept(bytes)?;
        self.drain_in_background(&mut sink);
        Ok(taken)
    }

    /// Asks for a flush of everything accepted so far.
    pub(crate) fn flush(&self) {
        let mut sink = self.lock();
        sink.flush_wanted = sink.accepted;
        sink.advance();
        self.drain_in_background(&mut sink);
    }

    /// Accepts no more, and closes the output once everything accepted before is out.
    pub(crate) fn close(&self) {
        let mut sink = self.lock();
        if sink.closing {
            return;
        }
        sink.closing = true;
        sink.advance();
        if sink.is_idle() {
            sink.output.close();
        } else {
            self.drain_in_background(&mut sink);
        }
    }

    /// Moves what can be moved now. A failure is given out to one caller only.
    pub(crate) fn progress(&self) -> Progress {
        self.lock().progress()
    }

    /// Done once [`progress`](Self::progress) would answer anything but `Busy`.
    pub(crate) fn settled(&self) -> Readiness {
        let this = self.clone();
        Box::pin(async move {
            while let Some(ready) = this.unsettled() {
                ready.await;
            }
        })
    }

    /// The output's readiness, while there is something to move.
    fn unsettled(&self) -> Option<Readiness> {
        let mut sink = self.lock();
        sink.advance();
        if sink.error.is_some() || sink.is_idle() {
            None
        } else {
            Some(sink.output.ready())
        }
    }

    /// Starts the task that brings a remainder to its end, unless it runs already.
    fn drain_in_background(&self, sink: &mut Sink) {
        if sink.draining || sink.error.is_some() || sink.is_idle() {
            return;
        }
        let Ok(reactor) = reactor::handle() else {
            // Without the task the remainder still moves whenever a stream is asked for anything.
            return;
        };
        sink.draining = true;
        let counted = self.drains.begin();
        let this = self.clone();
        reactor.spawn(async move {
            while let Some(ready) = this.unsettled_or_retire() {
                ready.await;
            }
            drop(counted);
        });
    }

    /// Like [`unsettled`](Self::unsettled); when it is over, says so under the same lock, so that a
    /// remainder that appears later starts a new task.
    fn unsettled_or_retire(&self) -> Option<Readiness> {
        let mut sink = self.lock();
        sink.advance();
        if sink.error.is_some() || sink.is_idle() {
            sink.draining = false;
            if sink.closing {
                sink.output.close();
            }
            None
        } else {
            Some(sink.output.ready())
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    fn is_idle(&self) -> bool {
        self.tail.is_empty() && self.flushed == self.flush_wanted
    }

    fn progress(&mut self) -> Progress {
        self.advance();
        match self.error.take() {
            Some(error) => Progress::Failed(error),
            None if self.closing => Progress::Closed,
            None if self.is_idle() => Progress::Idle,
            None => Progress::Busy,
        }
    }

    fn accept(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.advance();
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.closing {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut taken = 0;
        while self.tail.is_empty() && taken < bytes.len() {
            match self.write(&bytes[taken..]) {
                Write::Bytes(count) => taken += count,
                Write::WouldBlock => break,
                Write::Closed => return Err(io::ErrorKind::BrokenPipe.into()),
                // Bytes taken before the failure are out; the failure is what is left to say.
                Write::Failed(error) => return Err(error),
            }
        }
        self.tail.extend(&bytes[taken..]);
        self.accepted += bytes.len() as u64;
        Ok(taken)
    }

    /// Moves the tail, then the flush, as far as they go without waiting. After a failure what was
    /// on its way is lost, and the error says so.
    fn advance(&mut self) {
        while !self.tail.is_empty() {
            let (front, _) = self.tail.as_slices();
            match write(&mut *self.output, &mut self.counters, front) {
                Write::Bytes(count) => {
                    self.tail.drain(..count);
                }
                Write::WouldBlock => return,
                Write::Closed => return self.abandon(io::ErrorKind::BrokenPipe.into()),
                Write::Failed(error) => return self.abandon(error),
            }
        }
        if self.flushed < self.flush_wanted {
            match self.output.try_flush() {
                Flush::Done => self.flushed = self.flush_wanted,
                Flush::Pending => {}
                Flush::Failed(error) => self.abandon(error),
            }
        }
    }

    fn abandon(&mut self, error: io::Error) {
        self.tail = VecDeque::new();
        self.flushed = self.flush_wanted;
        self.error = Some(error);
    }

    fn write(&mut self, bytes: &[u8]) -> Write {
        write(&mut *self.output, &mut self.counters, bytes)
    }
}

/// One counted write. An output that claims more than it was given has failed; one that claims to have taken nothing of
/// something would have waited.
fn write(output: &mut dyn Output, counters: &mut Counters, bytes: &[u8]) -> Write {
    let answer = match output.try_write(bytes).within(bytes.len()) {
        Write::Bytes(0) if !bytes.is_empty() => Write::WouldBlock,
        other => other,
    };
    match &answer {
        Write::Bytes(count) => counters.moved(*count),
        Write::WouldBlock => counters.stalled(),
        Write::Closed | Write::Failed(_) => {}
    }
    answer
}

impl Output for SharedOutput {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        let mut sink = self.lock();
        match sink.progress() {
            Progress::Failed(error) => return Write::Failed(error),
            Progress::Busy => return Write::WouldBlock,
            Progress::Closed => return Write::Closed,
            Progress::Idle => {}
        }
        let answer = sink.write(bytes);
        if let Write::Bytes(count) = answer {
            sink.accepted += count as u64;
        }
        answer
    }

    fn try_flush(&mut self) -> Flush {
        let mut sink = self.lock();
        sink.flush_wanted = sink.accepted;
        match sink.progress() {
            Progress::Idle | Progress::Closed => Flush::Done,
            Progress::Busy => Flush::Pending,
            Progress::Failed(error) => Flush::Failed(error),
        }
    }

    fn ready(&mut self) -> Readiness {
        let mut sink = self.lock();
        if sink.is_idle() {
            sink.output.ready()
        } else {
            drop(sink);
            self.settled()
        }
    }

    fn kind(&self) -> Kind {
        self.lock().output.kind()
    }
}
