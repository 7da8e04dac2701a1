//! Calls a function whose type the program does not know: values are built from the type that the component gives, and printed from what
//! comes back.
//!
//! ```sh
//! cargo run --example dynamic_values
//! ```

use tidegate::{Component, Config, Engine, Linker, Result, Store, Val};

fn main() -> Result<()> {
    let engine = Engine::new(&Config::new())?;
    let component = Component::new(&engine, include_str!("guests/points.wat"))?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    let Some(sum) = instance.get_func(&mut store, "sum") else {
        return Err(tidegate::Error::msg("the component has no function `sum`"));
    };

    // A record is its fields by label, a list is its elements.
    let point = |x, y| {
        Val::Record(vec![
            ("x".to_owned(), Val::S32(x)),
            ("y".to_owned(), Val::S32(y)),
        ])
    };
    let points = Val::List(vec![point(1, 10), point(2, -20)]);

    // One slot for each result: none or one.
    let mut results = [Val::Bool(false)];
    sum.call(&mut store, std::slice::from_ref(&points), &mut results)?;
    println!("{points:?} add up to {:?}", results[0]);
    assert_eq!(results[0], point(3, -10));

    // Values are checked against the type of the function before the guest sees them.
    let error = sum.call(
        &mut store,
        &[Val::String("points".to_owned())],
        &mut results,
    );
    println!(
        "a string instead: {:#}",
        error.expect_err("a string is no list")
    );
    Ok(())
}
