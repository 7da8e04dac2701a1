//! A guest that does what the test says: one export for each thing that can be done with a stream.

use tidegate::stream::{Breach, Rule};
use tidegate::{
    Component, Config, Engine, EngineKind, Error, Instance, Lift, Linker, Lower, Result, Store,
    Strategy,
};

/// What a built-in returns when the operation goes on in the background.
pub const BLOCKED: u32 = u32::MAX;
/// What the guest says when there is no event.
pub const NOTHING: u32 = u32::MAX - 1;

pub fn completed(count: u32) -> u32 {
    count << 4
}

pub fn dropped(count: u32) -> u32 {
    count << 4 | 1
}

pub fn cancelled(count: u32) -> u32 {
    count << 4 | 2
}

pub fn engines() -> [Engine; 2] {
    [EngineKind::Wasmtime, EngineKind::Wasmi].map(|kind| {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        Engine::new(&config).unwrap()
    })
}

/// The guest, in a store of its own, on one engine.
pub struct Guest<D: Send + 'static> {
    pub store: Store<D>,
    pub instance: Instance,
}

/// Runs a test with a guest of this item type on each engine.
pub fn each<D: Send + 'static>(item: &str, data: impl Fn() -> D, test: impl Fn(Guest<D>)) {
    for engine in engines() {
        test(Guest::new(&engine, item, data()));
    }
}

/// The same with futures of `u32`s, and nothing in the store.
pub fn futures(test: impl Fn(Guest<()>)) {
    for engine in engines() {
        test(Guest::of_futures(&engine, "u32", ()));
    }
}

/// The same for bytes, with nothing in the store.
pub fn bytes(test: impl Fn(Guest<()>)) {
    each("u8", || (), test);
}

impl<D: Send + 'static> Guest<D> {
    pub fn new(engine: &Engine, item: &str, data: D) -> Self {
        let text = include_str!("guest.wat").replace("ITEM", item);
        Self::of(engine, &text, data)
    }

    /// The same guest with futures in place of streams.
    pub fn of_futures(engine: &Engine, item: &str, data: D) -> Self {
        let text = include_str!("guest.wat")
            .replace("(stream ITEM)", &format!("(future {item})"))
            .replace("ITEM", item)
            .replace("canon stream.", "canon future.")
            .replace("$read (param i32 i32 i32)", "$read (param i32 i32)")
            .replace("$write (param i32 i32 i32)", "$write (param i32 i32)")
            .replace("(i32.const 1024) (local.get 0)))", "(i32.const 1024)))")
            .replace("(local.get 0) (local.get 1)))", "(local.get 0)))");
        Self::of(engine, &text, data)
    }

    /// A guest of the same exports.
    pub fn of(engine: &Engine, text: &str, data: D) -> Self {
        let component = Component::new(engine, text).unwrap();
        let mut store = Store::new(engine, data);
        let instance = Linker::new(engine)
            .instantiate(&mut store, &component)
            .unwrap();
        Self { store, instance }
    }

    fn number(&mut self, name: &str) -> Result<u32> {
        let func = self
            .instance
            .get_typed_func::<(), (u32,)>(&mut self.store, name)
            .unwrap();
        Ok(func.call(&mut self.store, ())?.0)
    }

    fn does(&mut self, name: &str) -> Result<()> {
        let func = self
            .instance
            .get_typed_func::<(), ()>(&mut self.store, name)
            .unwrap();
        func.call(&mut self.store, ())
    }

    /// Gives the guest a reader: a `StreamReader` or `FutureReader`.
    pub fn give<R: Lower + Send + Sync + 'static>(&mut self, reader: R) -> Result<()> {
        let give = self
            .instance
            .get_typed_func::<(R,), ()>(&mut self.store, "give")
            .unwrap();
        give.call(&mut self.store, (reader,))
    }

    /// The reader that the guest was given.
    pub fn take_back<R: Lift + Send + 'static>(&mut self) -> Result<R> {
        self.reader("take-back")
    }

    /// The reader of a stream or future that the guest makes and writes to.
    pub fn make<R: Lift + Send + 'static>(&mut self) -> Result<R> {
        self.reader("make")
    }

    fn reader<R: Lift + Send + 'static>(&mut self, name: &str) -> Result<R> {
        let func = self
            .instance
            .get_typed_func::<(), (R,)>(&mut self.store, name)
            .unwrap();
        Ok(func.call(&mut self.store, ())?.0)
    }

    pub fn read(&mut self, count: u32) -> Result<u32> {
        let read = self
            .instance
            .get_typed_func::<(u32,), (u32,)>(&mut self.store, "read")
            .unwrap();
        Ok(read.call(&mut self.store, (count,))?.0)
    }

    /// The first items of the buffer that was read to.
    pub fn data<T: Lift + Send + 'static>(&mut self, count: u32) -> Vec<T> {
        let data = self
            .instance
            .get_typed_func::<(u32,), (Vec<T>,)>(&mut self.store, "data")
            .unwrap();
        data.call(&mut self.store, (count,)).unwrap().0
    }

    pub fn write<T: Lower + Send + Sync + 'static>(&mut self, items: Vec<T>) -> Result<u32> {
        let write = self
            .instance
            .get_typed_func::<(Vec<T>,), (u32,)>(&mut self.store, "write")
            .unwrap();
        Ok(write.call(&mut self.store, (items,))?.0)
    }

    pub fn cancel_read(&mut self) -> Result<u32> {
        self.number("cancel-read")
    }

    pub fn cancel_write(&mut self) -> Result<u32> {
        self.number("cancel-write")
    }

    pub fn poll_write(&mut self) -> Result<u32> {
        self.number("poll-write")
    }

    pub fn wait_read(&mut self) -> Result<u32> {
        self.number("wait-read")
    }

    pub fn wait_write(&mut self) -> Result<u32> {
        self.number("wait-write")
    }

    pub fn drop_readable(&mut self) -> Result<()> {
        self.does("drop-readable")
    }

    pub fn drop_writable(&mut self) -> Result<()> {
        self.does("drop-writable")
    }
}

/// The rule whose breach an error is.
pub fn rule(error: &Error) -> Rule {
    error
        .downcast_ref::<Breach>()
        .unwrap_or_else(|| panic!("not a breach: {error:#}"))
        .rule
}
