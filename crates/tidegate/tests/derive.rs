//! The derives and `flags!`, with types written by hand, through a guest and back on both engines.

use tidegate::{
    Component, ComponentType, Config, Engine, EngineKind, Lift, LiftResult, Linker, Lower,
    LowerParams, Result, Store, Strategy,
};

#[derive(ComponentType, Lift, Lower, Clone, Debug, PartialEq)]
struct Entry<T> {
    file_name: String,
    #[component(name = "at")]
    place: T,
    r#type: Kind,
}

#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq)]
enum Kind {
    RegularFile,
    Directory,
    #[component(name = "SYMLINK")]
    Link,
}

#[derive(ComponentType, Lift, Lower, Clone, Debug, PartialEq)]
enum Found {
    Nothing,
    Number(f32),
    Entry(Entry<(u8, i64)>),
    Flags(Modes),
}

#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq)]
#[component(variant)]
enum Answer {
    Yes,
    No,
}

/// Nothing but bytes.
#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq)]
struct Point {
    kind: Kind,
    x: f64,
    modes: Modes,
    answer: Answer,
    height: Height,
}

#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq)]
enum Height {
    Unknown,
    Metres(u16),
    Exact(f64),
}

tidegate::flags! {
    /// Nine, so that they take two bytes.
    Modes {
        const A; const B; const C; const D; const E; const F; const G; const H;
        #[component(name = "LAST")]
        const I;
    }
}

/// Gives every argument back.
const ECHO: &str = r#"
(component
  (type $kind' (enum "regular-file" "directory" "SYMLINK"))
  (export $kind "kind" (type $kind'))
  (type $entry' (record (field "file-name" string) (field "at" (tuple u8 s64)) (field "type" $kind)))
  (export $entry "entry" (type $entry'))
  (type $modes' (flags "a" "b" "c" "d" "e" "f" "g" "h" "LAST"))
  (export $modes "modes" (type $modes'))
  (type $found' (variant (case "nothing") (case "number" f32) (case "entry" $entry) (case "flags" $modes)))
  (export $found "found" (type $found'))
  (type $answer' (variant (case "yes") (case "no")))
  (export $answer "answer" (type $answer'))
  (type $height' (variant (case "unknown") (case "metres" u16) (case "exact" f64)))
  (export $height "height" (type $height'))
  (type $point' (record (field "kind" $kind) (field "x" f64) (field "modes" $modes) (field "answer" $answer) (field "height" $height)))
  (export $point "point" (type $point'))
  (core module $m
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8)))))
    ;; A list comes and goes as a pointer and a length.
    (func (export "echo-list") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0))
    (func (export "echo") (param i32) (result i32) (local.get 0))
    ;; discriminant; string, f32 or flags; length; u8; s64; kind
    (func (export "found") (param i32 i32 i32 i32 i64 i32) (result i32)
      (i32.store8 (i32.const 64) (local.get 0))
      (i32.store (i32.const 72) (local.get 1))
      (i32.store (i32.const 76) (local.get 2))
      (i32.store8 (i32.const 80) (local.get 3))
      (i64.store (i32.const 88) (local.get 4))
      (i32.store8 (i32.const 96) (local.get 5))
      (i32.const 64)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (func (export "entries") (param "x" (list $entry)) (result (list $entry))
    (canon lift (core func $i "echo-list") (memory $memory) (realloc $realloc)))
  (func (export "points") (param "x" (list $point)) (result (list $point))
    (canon lift (core func $i "echo-list") (memory $memory) (realloc $realloc)))
  (func (export "founds") (param "x" (list $found)) (result (list $found))
    (canon lift (core func $i "echo-list") (memory $memory) (realloc $realloc)))
  (func (export "echo-found") (param "x" $found) (result $found)
    (canon lift (core func $i "found") (memory $memory) (realloc $realloc)))
  (func (export "echo-kind") (param "x" $kind) (result $kind) (canon lift (core func $i "echo")))
  (func (export "echo-modes") (param "x" $modes) (result $modes) (canon lift (core func $i "echo")))
  (func (export "echo-answer") (param "x" $answer) (result $answer) (canon lift (core func $i "echo"))))"#;

fn stores() -> impl Iterator<Item = (Store<()>, tidegate::Instance)> {
    [EngineKind::Wasmtime, EngineKind::Wasmi]
        .into_iter()
        .map(|kind| {
            let mut config = Config::new();
            config.strategy(Strategy::Always(kind));
            let engine = Engine::new(&config).unwrap();
            let component = Component::new(&engine, ECHO).unwrap();
            let mut store = Store::new(&engine, ());
            let instance = Linker::new(&engine)
                .instantiate(&mut store, &component)
                .unwrap();
            (store, instance)
        })
}

fn call<P: LowerParams + Send + Sync, R: LiftResult + Send + 'static>(
    (store, instance): &mut (Store<()>, tidegate::Instance),
    name: &str,
    params: P,
) -> Result<R> {
    let func = instance.get_typed_func::<P, R>(&mut *store, name)?;
    func.call(store, params)
}

fn entries() -> Vec<Entry<(u8, i64)>> {
    [
        ("α", Kind::Directory),
        ("", Kind::Link),
        ("z", Kind::RegularFile),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (name, kind))| Entry {
        file_name: name.to_owned(),
        place: (i as u8, i64::MIN + i as i64),
        r#type: kind,
    })
    .collect()
}

#[test]
fn values_of_bytes_alone_survive_the_way_through_memory() {
    const { assert!(<Point as Lift>::PLAIN && <Point as Lower>::PLAIN) };
    const { assert!(!<Entry<u8> as Lift>::PLAIN && !<Found as Lower>::PLAIN) };
    let point = |kind, modes, answer, height| Point {
        kind,
        x: -0.5,
        modes,
        answer,
        height,
    };
    let points = vec![
        point(Kind::Link, Modes::I | Modes::A, Answer::No, Height::Unknown),
        point(Kind::RegularFile, Modes::C, Answer::Yes, Height::Metres(9)),
        point(Kind::Directory, Modes::B, Answer::Yes, Height::Exact(0.25)),
    ];
    for mut guest in stores() {
        let (back,): (Vec<Point>,) = call(&mut guest, "points", (points.clone(),)).unwrap();
        assert_eq!(back, points);
    }
}

#[test]
fn values_survive_the_way_through_memory() {
    for mut guest in stores() {
        let entries = entries();
        let (back,): (Vec<Entry<(u8, i64)>>,) =
            call(&mut guest, "entries", (&entries[..],)).unwrap();
        assert_eq!(back, entries);
        let founds = [
            Found::Entry(entries[1].clone()),
            Found::Nothing,
            Found::Flags(Modes::all()),
            Found::Number(-0.5),
        ];
        let (back,): (Vec<Found>,) = call(&mut guest, "founds", (&founds[..],)).unwrap();
        assert_eq!(back, founds);
    }
}

#[test]
fn values_survive_the_way_through_core_values() {
    for mut guest in stores() {
        for kind in [Kind::RegularFile, Kind::Directory, Kind::Link] {
            assert_eq!(
                call::<_, (Kind,)>(&mut guest, "echo-kind", (kind,)).unwrap(),
                (kind,)
            );
        }
        for modes in [Modes::empty(), Modes::A | Modes::I, Modes::all()] {
            assert_eq!(
                call::<_, (Modes,)>(&mut guest, "echo-modes", (modes,)).unwrap(),
                (modes,)
            );
        }
        for answer in [Answer::Yes, Answer::No] {
            assert_eq!(
                call::<_, (Answer,)>(&mut guest, "echo-answer", (answer,)).unwrap(),
                (answer,)
            );
        }
        for found in [
            Found::Nothing,
            Found::Number(2.5),
            Found::Entry(entries()[0].clone()),
            Found::Flags(Modes::B),
        ] {
            assert_eq!(
                call::<_, (Found,)>(&mut guest, "echo-found", (&found,)).unwrap(),
                (found,)
            );
        }
    }
}

#[test]
fn a_type_that_differs_is_refused_where_it_differs() {
    #[derive(ComponentType, Lift, Lower)]
    struct Renamed {
        file_name: String,
        at: (u8, i64),
        kind: Kind,
    }
    #[derive(ComponentType, Lift, Lower)]
    enum Shorter {
        Nothing,
        Number(f32),
    }
    let mut guest = stores().next().unwrap();
    let message = |result: Result<()>| format!("{:#}", result.unwrap_err());
    let none: &[Renamed] = &[];
    let error = message(call(&mut guest, "entries", (none,)).map(|_: (Vec<Renamed>,)| ()));
    assert!(
        error.contains("field kind") && error.contains("field type"),
        "{error}"
    );
    let error =
        message(call(&mut guest, "echo-found", (Shorter::Nothing,)).map(|_: (Shorter,)| ()));
    assert!(
        error.contains("2 cases") && error.contains("4 cases"),
        "{error}"
    );
    // An enum is no variant, though both have the same labels and layout.
    #[derive(ComponentType, Lift, Lower)]
    #[component(enum)]
    enum Plain {
        Yes,
        No,
    }
    let error = message(call(&mut guest, "echo-answer", (Plain::No,)).map(|_: (Plain,)| ()));
    assert!(
        error.contains("enum") && error.contains("variant"),
        "{error}"
    );
    let _ = (Shorter::Number(0.0), Plain::Yes);
}
