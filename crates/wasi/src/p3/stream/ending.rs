//! How a stream ended: said by its producer or consumer, given to the guest by a future.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::sync::oneshot;

use super::{Code, Ending};
use crate::io::{Flush, Output};

/// The future's side.
type EndingFuture<E> = Pin<Box<dyn Future<Output = Result<Ending<E>, Infallible>> + Send>>;

/// The stream's side. Dropped without a word, it says that all went well.
pub(crate) struct Ended<E>(oneshot::Sender<Last<E>>);

/// The last that is heard of a stream.
enum Last<E> {
    Failed(E),
    /// All was written, and is yet to be flushed.
    Written(Box<dyn Output>),
    /// All was written, and the flush is over.
    Flushed(io::Result<()>),
}

/// Both sides.
pub(super) fn ending<E: Code>() -> (Ended<E>, EndingFuture<E>) {
    let (ended, last) = oneshot::channel();
    let ending = Box::pin(async move {
        Ok(match last.await {
            Ok(Last::Failed(error)) => Err(error),
            Ok(Last::Written(mut output)) => finish(&mut *output).await.map_err(E::from),
            Ok(Last::Flushed(flushed)) => flushed.map_err(E::from),
            Err(_) => Ok(()),
        })
    });
    (Ended(ended), ending)
}

/// The ending of a stream that could not begin.
pub(super) fn broken<E: Code>(error: E) -> EndingFuture<E> {
    Box::pin(async move { Ok(Err(error)) })
}

impl<E> Ended<E> {
    /// It failed.
    pub(crate) fn failed(self, error: E) {
        // A guest that dropped the future does not want to know.
        let _ = self.0.send(Last::Failed(error));
    }

    /// All was handed to `output`, which is to be flushed and closed: at once where that takes no wait, since the other side is to hear of it whether
    /// or not the guest asks how it ended.
    pub(super) fn written(self, mut output: Box<dyn Output>) {
        let flushed = match output.try_flush() {
            Flush::Pending => None,
            Flush::Done => Some(Ok(())),
            Flush::Failed(error) => Some(Err(error)),
        };
        let last = match flushed {
            None => Last::Written(output),
            Some(flushed) => {
                output.close();
                Last::Flushed(flushed)
            }
        };
        if let Err(Last::Written(mut output)) = self.0.send(last) {
            output.close();
        }
    }
}

/// Brings what was written to where it is promised to be, and says that no more will come.
async fn finish(output: &mut dyn Output) -> io::Result<()> {
    let flushed = loop {
        match output.try_flush() {
            Flush::Done => break Ok(()),
            Flush::Pending => output.ready().await,
            Flush::Failed(error) => break Err(error),
        }
    };
    output.close();
    flushed
}
