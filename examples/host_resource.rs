//! A resource that the host implements: the guest holds handles, the host holds values in a [`ResourceTable`].
//!
//! ```sh
//! cargo run --example host_resource
//! ```

use tidegate::{
    Component, Config, Engine, HasData, Linker, Resource, ResourceTable, Result, Store,
};

/// What is behind a handle.
pub struct Journal {
    title: String,
    lines: Vec<String>,
}

tidegate::bindgen!({
    inline: r#"
        package example:journal;

        interface journals {
          resource journal {
            constructor(title: string);
            /// Writes a line, and says how many there are.
            write: func(line: string) -> u32;
          }
        }

        world author {
          import journals;
          export run: func() -> u32;
        }
    "#,
    // `Resource<Journal>`, rather than of a type made for the purpose.
    with: { "example:journal/journals.journal": Journal },
    // Host functions return `Result`: an error traps the guest.
    imports: { default: trappable },
});

use example::journal::journals;

/// The data of the store.
#[derive(Default)]
struct Library {
    table: ResourceTable,
    closed: Vec<String>,
}

/// What the functions need of it: here two parts, borrowed apart.
struct LibraryView<'a> {
    table: &'a mut ResourceTable,
    closed: &'a mut Vec<String>,
}

impl HasData for LibraryView<'_> {
    type Data<'a> = LibraryView<'a>;
}

impl journals::Host for LibraryView<'_> {}

impl journals::HostJournal for LibraryView<'_> {
    fn new(&mut self, title: String) -> Result<Resource<Journal>> {
        let journal = Journal {
            title,
            lines: Vec::new(),
        };
        Ok(self.table.push(journal)?)
    }

    fn write(&mut self, journal: Resource<Journal>, line: String) -> Result<u32> {
        let journal = self.table.get_mut(&journal)?;
        println!("{}: {line}", journal.title);
        journal.lines.push(line);
        Ok(journal.lines.len() as u32)
    }

    /// The guest gave its handle up.
    fn drop(&mut self, journal: Resource<Journal>) -> Result<()> {
        let journal = self.table.delete(journal)?;
        self.closed
            .push(format!("{} ({} lines)", journal.title, journal.lines.len()));
        Ok(())
    }
}

fn main() -> Result<()> {
    let engine = Engine::new(&Config::new())?;
    let component = Component::new(&engine, include_str!("guests/journal.wat"))?;

    let mut linker = Linker::<Library>::new(&engine);
    Author::add_to_linker_get::<_, LibraryView<'static>>(&mut linker, |library| LibraryView {
        table: &mut library.table,
        closed: &mut library.closed,
    })?;
    let mut store = Store::new(&engine, Library::default());
    let author = Author::instantiate(&mut store, &component, &linker)?;
    let lines = author.call_run(&mut store)?;

    let library = store.data();
    println!(
        "{lines} lines, closed: {:?}, still open: {}",
        library.closed,
        library.table.len()
    );
    assert_eq!((lines, library.table.len()), (2, 1));
    Ok(())
}
