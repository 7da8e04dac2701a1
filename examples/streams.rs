//! Streams between host and guest: a producer of the host's own, a guest that changes what it reads, and a consumer of the host's own.
//!
//! ```sh
//! cargo run --example streams
//! ```

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate::stream::{Destination, Source, StreamConsumer, StreamProducer, StreamResult};
use tidegate::{
    Component, Engine, FutureReader, Linker, Result, Store, StoreContextMut, StreamReader,
};

/// Produces lines, straight into the memory of the guest that reads.
struct Lines {
    left: u32,
    line: Vec<u8>,
}

impl<D: Send + 'static> StreamProducer<D> for Lines {
    type Item = u8;
    type Buffer = Vec<u8>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        destination: Destination<'_, u8, Vec<u8>>,
        _finish: bool,
    ) -> Poll<Result<StreamResult>> {
        if self.line.is_empty() {
            if self.left == 0 {
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
            self.line = format!("{} bottles hanging on the wall\n", self.left).into();
            self.left -= 1;
        }
        // As much as the guest takes; a guest that only asks whether it would wait takes nothing.
        let written = destination.as_direct(store, 4096).write(&self.line)?;
        self.line.drain(..written);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Collects in the store's data, and tells when the guest has written everything: it is dropped then.
struct Collect(
    #[expect(dead_code, reason = "dropped with it")] futures_channel::oneshot::Sender<()>,
);

impl StreamConsumer<String> for Collect {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, String>,
        mut source: Source<'_, u8>,
        _finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut bytes = Vec::with_capacity(1024);
        source.read(&mut store, &mut bytes)?;
        store.data_mut().push_str(&String::from_utf8_lossy(&bytes));
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

fn main() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, include_str!("guests/shout.wat"))?;
    let mut store = Store::new(&engine, String::new());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;

    // A stream goes in, and another comes out at once: nothing has been read yet but what the guest could.
    let shout =
        instance.get_typed_func::<(StreamReader<u8>,), (StreamReader<u8>,)>(&mut store, "shout")?;
    let lines = Lines {
        left: 3,
        line: Vec::new(),
    };
    let reader = StreamReader::new(&mut store, lines)?;
    let (shouted,) = shout.call(&mut store, (reader,))?;

    // From here on, whatever the guest writes goes to the consumer.
    let (sender, all_written) = futures_channel::oneshot::channel();
    shouted.pipe(&mut store, Collect(sender))?;

    // A future of the host, that the guest waits for: meanwhile, its other task writes.
    let answer = async move {
        let _ = all_written.await;
        Result::<u32>::Ok(42)
    };
    let answer = FutureReader::new(&mut store, answer)?;
    let wait = instance.get_typed_func::<(FutureReader<u32>,), (u32,)>(&mut store, "await")?;
    let (number,) = wait.call(&mut store, (answer,))?;

    print!("{}", store.data());
    assert!(store.data().ends_with("1 BOTTLES HANGING ON THE WALL\n"));
    assert_eq!(number, 42);
    Ok(())
}
