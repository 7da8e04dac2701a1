//! `bindgen!`: values of every kind, from the host through a guest to the host and back, on both engines; and the three ways to say what
//! implements the host's traits.

use tidegate::{Component, Config, Engine, EngineKind, HasData, Linker, Result, Store, Strategy};

tidegate::bindgen!("shapes" in "tests/bindgen/shapes.wit");

use test::shapes::types::{Color, Entry, Perms, Point, Shape};

/// The host: it changes each value a little, so that a value that comes back has been there.
#[derive(Default)]
struct Host {
    logged: Vec<String>,
}

impl test::shapes::host::Host for Host {
    fn change_entry(&mut self, mut entry: Entry) -> Entry {
        entry.name.push('!');
        std::mem::swap(&mut entry.at.x, &mut entry.at.y);
        entry.tags.reverse();
        entry.maybe = entry.maybe.map(|n| n + 1);
        entry
    }

    fn change_shape(&mut self, shape: Shape) -> Result<Shape, Color> {
        match shape {
            Shape::Nothing => Err(Color::DarkBlue),
            Shape::Circle(radius) => Ok(Shape::Circle(radius * 2.0)),
            Shape::Named(entry) => Ok(Shape::Named(self.change_entry(entry))),
            Shape::Pair((n, c)) => Ok(Shape::Pair((n + 1, c.to_ascii_uppercase()))),
        }
    }

    fn change_color(&mut self, color: Color) -> Color {
        match color {
            Color::Red => Color::Green,
            Color::Green => Color::DarkBlue,
            Color::DarkBlue => Color::Red,
        }
    }

    fn change_perms(&mut self, perms: Perms) -> Perms {
        !perms
    }

    fn change_points(&mut self, points: Vec<Point>) -> Vec<Point> {
        points.into_iter().rev().collect()
    }
}

impl ShapesImports for Host {
    fn log(&mut self, message: String) {
        self.logged.push(message);
    }
}

fn engines() -> [Engine; 2] {
    [EngineKind::Wasmtime, EngineKind::Wasmi].map(|kind| {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        Engine::new(&config).unwrap()
    })
}

fn component(engine: &Engine) -> Component {
    Component::new(engine, include_bytes!("bindgen/shapes.wat")).unwrap()
}

fn entry() -> Entry {
    Entry {
        name: "ключ".to_owned(),
        at: Point { x: -1, y: 2 },
        tags: vec!["a".to_owned(), String::new(), "c".to_owned()],
        maybe: Some(u64::MAX - 1),
    }
}

fn changed_entry() -> Entry {
    Entry {
        name: "ключ!".to_owned(),
        at: Point { x: 2, y: -1 },
        tags: vec!["c".to_owned(), String::new(), "a".to_owned()],
        maybe: Some(u64::MAX),
    }
}

#[test]
fn values_go_to_the_guest_and_on_to_the_host_and_back() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        Shapes::add_to_linker(&mut linker).unwrap();
        let mut store = Store::new(&engine, Host::default());
        let shapes = Shapes::instantiate(&mut store, &component(&engine), &linker).unwrap();
        let guest = shapes.test_shapes_guest();

        let entry = entry();
        assert_eq!(
            guest.call_change_entry(&mut store, &entry).unwrap(),
            changed_entry()
        );
        let without = Entry {
            maybe: None,
            ..entry.clone()
        };
        assert_eq!(
            guest.call_change_entry(&mut store, &without).unwrap().maybe,
            None
        );

        let mut change = |shape| guest.call_change_shape(&mut store, &shape).unwrap();
        assert_eq!(change(Shape::Nothing), Err(Color::DarkBlue));
        assert_eq!(change(Shape::Circle(1.5)), Ok(Shape::Circle(3.0)));
        assert_eq!(
            change(Shape::Named(entry)),
            Ok(Shape::Named(changed_entry()))
        );
        assert_eq!(change(Shape::Pair((7, 'x'))), Ok(Shape::Pair((8, 'X'))));

        assert_eq!(
            guest.call_change_color(&mut store, Color::Green).unwrap(),
            Color::DarkBlue
        );
        let perms = guest
            .call_change_perms(&mut store, Perms::READ | Perms::EXEC)
            .unwrap();
        assert_eq!(perms, Perms::WRITE);
        let points = [Point { x: 1, y: 2 }, Point { x: 3, y: 4 }];
        let turned = guest.call_change_points(&mut store, &points).unwrap();
        assert_eq!(turned, [points[1], points[0]]);
        assert_eq!(guest.call_change_points(&mut store, &[]).unwrap(), []);
    }
}

#[test]
fn functions_of_the_world_itself_are_bound() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        Shapes::add_to_linker(&mut linker).unwrap();
        let pre = ShapesPre::new(linker.instantiate_pre(&component(&engine)).unwrap()).unwrap();
        for name in ["one", "two"] {
            let mut store = Store::new(&engine, Host::default());
            let shapes = pre.instantiate(&mut store).unwrap();
            assert_eq!(shapes.call_greet(&mut store, name).unwrap(), name);
            assert_eq!(store.data().logged, [name]);
        }
    }
}

#[test]
fn an_instance_made_by_other_means_is_taken_up() {
    for engine in engines() {
        let mut linker = Linker::new(&engine);
        Shapes::add_to_linker(&mut linker).unwrap();
        let mut store = Store::new(&engine, Host::default());
        let instance = linker.instantiate(&mut store, &component(&engine)).unwrap();
        let shapes = Shapes::new(&mut store, &instance).unwrap();
        assert_eq!(shapes.call_greet(&mut store, "x").unwrap(), "x");
    }
}

/// Some state of an embedder's, of which only a part is the host.
struct State {
    hosts: [Host; 2],
    calls: u32,
}

#[test]
fn a_part_of_the_data_is_named_by_a_closure() {
    for engine in engines() {
        // Which part it is, is known at run time only: a plain function pointer could not say it.
        let chosen = std::hint::black_box(1);
        let mut linker = Linker::new(&engine);
        Shapes::add_to_linker_with(&mut linker, move |state: &mut State| {
            &mut state.hosts[chosen]
        })
        .unwrap();
        let state = State {
            hosts: Default::default(),
            calls: 0,
        };
        let mut store = Store::new(&engine, state);
        let shapes = Shapes::instantiate(&mut store, &component(&engine), &linker).unwrap();
        shapes.call_greet(&mut store, "x").unwrap();
        assert!(store.data().hosts[0].logged.is_empty());
        assert_eq!(store.data().hosts[1].logged, ["x"]);
    }
}

/// What host functions need is in several places.
struct View<'a> {
    host: &'a mut Host,
    calls: &'a mut u32,
}

impl HasData for View<'_> {
    type Data<'a> = View<'a>;
}

impl ShapesImports for View<'_> {
    fn log(&mut self, message: String) {
        *self.calls += 1;
        self.host.log(message);
    }
}

#[test]
fn a_view_of_the_data_is_made_for_each_call() {
    for engine in engines() {
        let mut linker = Linker::<State>::new(&engine);
        test::shapes::types::add_to_linker(&mut linker).unwrap();
        test::shapes::host::add_to_linker_with(&mut linker, |state| &mut state.hosts[0]).unwrap();
        // The world's own functions go in by their own trait, apart from its interfaces.
        Shapes::add_to_linker_imports_get::<_, View<'static>>(&mut linker, |state| View {
            host: &mut state.hosts[0],
            calls: &mut state.calls,
        })
        .unwrap();
        let state = State {
            hosts: Default::default(),
            calls: 0,
        };
        let mut store = Store::new(&engine, state);
        let shapes = Shapes::instantiate(&mut store, &component(&engine), &linker).unwrap();
        shapes.call_greet(&mut store, "x").unwrap();
        shapes.call_greet(&mut store, "y").unwrap();
        assert_eq!(store.data().calls, 2);
        assert_eq!(store.data().hosts[0].logged, ["x", "y"]);
    }
}

#[test]
fn a_component_that_lacks_an_export_is_refused_by_name() {
    let engine = &engines()[0];
    let component = Component::new(engine, "(component)").unwrap();
    let mut store = Store::new(engine, Host::default());
    let error = Shapes::instantiate(&mut store, &component, &Linker::new(engine)).unwrap_err();
    assert!(
        format!("{error:#}").contains("`test:shapes/guest`"),
        "{error:#}"
    );
}

#[test]
fn a_function_of_another_type_is_refused_by_name() {
    let engine = &engines()[0];
    // `greet` takes a number, and the interface is complete otherwise.
    let text = include_str!("bindgen/shapes.wat").replace(
        r#"(func (export "greet") (param "name" string) (result string)"#,
        r#"(func (export "greet") (param "name" (list u8)) (result string)"#,
    );
    let component = Component::new(engine, text).unwrap();
    let mut linker = Linker::new(engine);
    Shapes::add_to_linker(&mut linker).unwrap();
    let mut store = Store::new(engine, Host::default());
    let error = Shapes::instantiate(&mut store, &component, &linker).unwrap_err();
    let message = format!("{error:#}");
    assert!(
        message.contains("`greet`") && message.contains("name"),
        "{message}"
    );
}

#[test]
fn flags_print_their_names() {
    assert_eq!(
        format!("{:?}", Perms::READ | Perms::EXEC),
        "Perms(READ | EXEC)"
    );
    assert_eq!(format!("{:?}", Perms::empty()), "Perms()");
    assert_eq!(Perms::from_bits_truncate(0xff), Perms::all());
}
