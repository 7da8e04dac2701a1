//! Implements a world: `bindgen!` turns WIT into a trait for what the component imports and a struct for what it exports.
//!
//! ```sh
//! cargo run --example implement_world
//! ```

use tidegate::{Component, Config, Engine, Linker, Result, Store};

// The path is relative to this crate's `Cargo.toml`. Set `TIDEGATE_DEBUG_BINDGEN` to a folder to read what is generated.
tidegate::bindgen!("greeter" in "../../examples/greeter.wit");

/// The data of the store. It implements the imported interface itself.
struct Clock {
    hour: u32,
}

impl example::greeter::clock::Host for Clock {
    fn hour(&mut self) -> u32 {
        self.hour
    }
}

/// Other data, of which the clock is a part.
struct Household {
    clock: Clock,
    name: String,
}

fn main() -> Result<()> {
    let engine = Engine::new(&Config::new())?;
    let component = Component::new(&engine, include_str!("guests/greeter.wat"))?;

    // The data implements the traits itself: one line puts everything that the world imports into the linker.
    let mut linker = Linker::new(&engine);
    Greeter::add_to_linker(&mut linker)?;
    for hour in [9, 21] {
        let mut store = Store::new(&engine, Clock { hour });
        let greeter = Greeter::instantiate(&mut store, &component, &linker)?;
        println!("at {hour}: {}", greeter.call_greet(&mut store, "Ada")?);
    }

    // A part of the data does: a closure borrows it.
    let mut linker = Linker::new(&engine);
    Greeter::add_to_linker_with(&mut linker, |house: &mut Household| &mut house.clock)?;
    // Link and look up once, then instantiate any number of times.
    let greeter = GreeterPre::new(linker.instantiate_pre(&component)?)?;
    let house = Household {
        clock: Clock { hour: 7 },
        name: "Grace".to_owned(),
    };
    let mut store = Store::new(&engine, house);
    let instance = greeter.instantiate(&mut store)?;
    let name = store.data().name.clone();
    let greeting = instance.call_greet(&mut store, &name)?;
    println!("in the house: {greeting}");
    assert_eq!(greeting, "Good morning, Grace");
    Ok(())
}
