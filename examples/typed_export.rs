//! Embeds Tidegate in a dozen lines: compile a component, instantiate it, call a function that it exports with Rust values.
//!
//! ```sh
//! cargo run --example typed_export
//! ```

use tidegate::{Component, ComponentType, Config, Engine, Lift, Linker, Lower, Result, Store};

/// Stands for the component's `record point { x: s32, y: s32 }`: the derives find the labels in the names.
#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq)]
struct Point {
    x: i32,
    y: i32,
}

fn main() -> Result<()> {
    let engine = Engine::new(&Config::new())?;
    let component = Component::new(&engine, include_str!("guests/points.wat"))?;

    // The store holds instances, and data of the embedder's: none here. The linker offers imports: none are needed.
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;

    // The types are checked once, here; a mismatch says which part differs.
    let sum = instance.get_typed_func::<(&[Point],), (Point,)>(&mut store, "sum")?;
    let points = [Point { x: 1, y: 10 }, Point { x: 2, y: -20 }];
    let (total,) = sum.call(&mut store, (&points,))?;

    println!("{points:?} add up to {total:?}");
    assert_eq!(total, Point { x: 3, y: -10 });
    Ok(())
}
