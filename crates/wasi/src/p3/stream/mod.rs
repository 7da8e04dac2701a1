//! Between endpoints and the streams of guests: one producer and one consumer, for files, pipes, terminals and sockets alike.
//!
//! WASI 0.3 pairs each stream with a future that says how it ended: [`read`] and [`write()`] make both.

mod consumer;
mod ending;
mod producer;

use std::io;

use tidegate::stream::{LowerItem, StreamProducer};
use tidegate::{AsContextMut, ComponentType, FutureReader, Lift, Lower, Result, StreamReader};

use crate::io::{Input, Output};
use consumer::Consumer;
pub(crate) use ending::Ended;
use ending::{broken, ending};
use producer::Producer;

/// The most that one turn moves, in bytes: the guest's buffer may be of any size, and others want their turn.
const TURN: usize = 256 * 1024;

/// What a future that belongs to a stream gives in the end.
pub(crate) type Ending<E> = std::result::Result<(), E>;

/// A stream, and the future that belongs to it.
pub(crate) type Reading<T, E> = (StreamReader<T>, FutureReader<Ending<E>>);

/// What the errors of an interface must be, for a future to give them.
pub(crate) trait Code:
    From<io::Error> + Lift + Lower + ComponentType + Send + Sync + 'static
{
}

impl<E: From<io::Error> + Lift + Lower + ComponentType + Send + Sync + 'static> Code for E {}

/// A stream of the bytes of `input`, and a future for how it ended: `ok` at the end of the input, or when the guest drops the stream before.
/// Without an input, the stream is at its end at once and the future gives the error.
///
/// # Errors
/// When the store has no room for more ends.
pub(crate) fn read<I: Input, E: Code>(
    store: impl AsContextMut,
    input: std::result::Result<I, E>,
) -> Result<Reading<u8, E>> {
    produce(store, input, Producer::new)
}

/// As [`read`], with items of any kind: `producer` makes a producer of what there is to read and of whom to tell of a failure.
///
/// # Errors
/// As [`read`].
pub(crate) fn produce<S, P, I, E>(
    mut store: S,
    from: std::result::Result<I, E>,
    producer: impl FnOnce(I, Ended<E>) -> P,
) -> Result<Reading<P::Item, E>>
where
    S: AsContextMut,
    P: StreamProducer<S::Data>,
    P::Item: LowerItem + Unpin,
    E: Code,
{
    let (ended, ending) = ending();
    let stream = match from {
        Ok(from) => StreamReader::new(store.as_context_mut(), producer(from, ended))?,
        Err(error) => {
            ended.failed(error);
            StreamReader::new(store.as_context_mut(), Vec::<P::Item>::new())?
        }
    };
    Ok((stream, FutureReader::new(store, ending)?))
}

/// Writes what comes out of `data` to `output`; gives a future for how that ended: `ok` once all of it is where the output promises to bring it.
/// Without an output, the stream is dropped and the future gives the error.
///
/// # Errors
/// When the store has no room for more ends.
pub(crate) fn write<O: Output, E: Code>(
    mut store: impl AsContextMut,
    mut data: StreamReader<u8>,
    output: std::result::Result<O, E>,
) -> Result<FutureReader<Ending<E>>> {
    let ending = match output {
        Ok(output) => {
            let (ended, ending) = ending();
            data.pipe(store.as_context_mut(), Consumer::new(output, ended))?;
            ending
        }
        Err(error) => {
            data.close(store.as_context_mut())?;
            broken(error)
        }
    };
    FutureReader::new(store, ending)
}
