//! Rust types against dynamic values.

use crate::random::Random;
use crate::world::World;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tidegate_core::abi::*;
use tidegate_core::plan::StringEncoding;
use tidegate_core::trap::Trap;
use tidegate_core::types::{Field, FuncType, FuncTypeIdx, TypeDef, Types, ValType};

type Small = (
    bool,
    Option<(u8, f64)>,
    Result<String, ()>,
    Result<(), i16>,
    char,
    u64,
);
type Large = (
    Vec<u8>,
    Vec<u16>,
    [f32; 3],
    BTreeMap<String, i64>,
    Box<[(char, Box<str>)]>,
    Vec<Option<Vec<i32>>>,
    Arc<[f64]>,
    Cow<'static, str>,
);

/// Nothing but bytes.
type Plain = (
    u8,
    f64,
    Option<(char, f32)>,
    Result<i16, ()>,
    bool,
    Result<(), u64>,
);

fn intern(types: &mut Types, def: TypeDef) -> ValType {
    types.intern(def).unwrap()
}

fn func(types: &mut Types, params: &[ValType]) -> FuncTypeIdx {
    let params = params.iter().map(|&ty| Field {
        name: "p".into(),
        ty,
    });
    let func = FuncType {
        params: params.collect(),
        result: None,
        async_: false,
    };
    types.intern_func(func).unwrap()
}

fn small() -> (Types, FuncTypeIdx) {
    let mut types = Types::default();
    let tuple = intern(
        &mut types,
        TypeDef::Tuple([ValType::U8, ValType::F64].into()),
    );
    let params = [
        ValType::Bool,
        intern(&mut types, TypeDef::Option(tuple)),
        intern(
            &mut types,
            TypeDef::Result {
                ok: Some(ValType::String),
                err: None,
            },
        ),
        intern(
            &mut types,
            TypeDef::Result {
                ok: None,
                err: Some(ValType::S16),
            },
        ),
        ValType::Char,
        ValType::U64,
    ];
    let func = func(&mut types, &params);
    (types, func)
}

fn large() -> (Types, FuncTypeIdx) {
    let mut types = Types::default();
    let pair = intern(
        &mut types,
        TypeDef::Tuple([ValType::Char, ValType::String].into()),
    );
    let ints = intern(&mut types, TypeDef::List(ValType::S32));
    let maybe = intern(&mut types, TypeDef::Option(ints));
    let params = [
        intern(&mut types, TypeDef::List(ValType::U8)),
        intern(&mut types, TypeDef::List(ValType::U16)),
        intern(
            &mut types,
            TypeDef::FixedList {
                element: ValType::F32,
                length: 3,
            },
        ),
        intern(
            &mut types,
            TypeDef::Map {
                key: ValType::String,
                value: ValType::S64,
            },
        ),
        intern(&mut types, TypeDef::List(pair)),
        intern(&mut types, TypeDef::List(maybe)),
        intern(&mut types, TypeDef::List(ValType::F64)),
        ValType::String,
    ];
    let func = func(&mut types, &params);
    (types, func)
}

fn plain() -> (Types, FuncTypeIdx) {
    let mut types = Types::default();
    let pair = TypeDef::Tuple([ValType::Char, ValType::F32].into());
    let pair = intern(&mut types, pair);
    let result = |ok, err| TypeDef::Result { ok, err };
    let parts = [
        ValType::U8,
        ValType::F64,
        intern(&mut types, TypeDef::Option(pair)),
        intern(&mut types, result(Some(ValType::S16), None)),
        ValType::Bool,
        intern(&mut types, result(None, Some(ValType::U64))),
    ];
    let tuple = intern(&mut types, TypeDef::Tuple(parts.into()));
    let chars = intern(&mut types, TypeDef::Option(ValType::Char));
    let params = [
        intern(&mut types, TypeDef::List(tuple)),
        intern(&mut types, TypeDef::List(chars)),
        tuple,
    ];
    let func = func(&mut types, &params);
    (types, func)
}

/// Lowers dynamic values, lifts them as Rust values, and lowers those: both are the same to the guest.
fn agree<P: LiftParams + LowerParams + std::fmt::Debug>(types: Types, func: FuncTypeIdx) {
    let kinds = TypeContext {
        types: &types,
        resource_kinds: &[],
    };
    P::typecheck_params(types.func(func), &kinds).unwrap();
    let ty = types.func(func).clone();
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let vals: Vec<Val> = ty
            .params
            .iter()
            .map(|param| random.val(&types, param.ty))
            .collect();
        let mut world = World::new(types.clone(), 1 << 20);
        world.memory64 = random.below(2) == 1;
        world.encoding = random.encoding();
        let mut twin = World::new(types.clone(), 1 << 20);
        (twin.memory64, twin.encoding) = (world.memory64, world.encoding);

        let words = world.lower_params(func, &vals).unwrap();
        let lifted = world
            .lift(&words, |cx, src| {
                P::lift_params(cx, func, MAX_FLAT_PARAMS, src)
            })
            .unwrap();
        let again = twin
            .lower(|cx, dst| lifted.lower_params(cx, func, MAX_FLAT_PARAMS, dst))
            .unwrap();
        if vals
            .iter()
            .any(|val| matches!(val, Val::Map(entries) if entries.len() > 1))
        {
            // Entries may be in another order, or fewer; the rest is covered by other seeds.
            continue;
        }
        assert_eq!(words, again, "seed {seed}: {lifted:?}");
        assert_eq!(world.guest.calls, twin.guest.calls, "seed {seed}");
        assert!(world.guest.memory == twin.guest.memory, "seed {seed}");
    }
}

#[test]
fn flat_parameters_agree_with_dynamic_ones() {
    let (types, func) = small();
    agree::<Small>(types, func);
}

#[test]
fn spilled_parameters_agree_with_dynamic_ones() {
    let (types, func) = large();
    assert!(types.func_info(func).params_flat_count as usize > MAX_FLAT_PARAMS);
    agree::<Large>(types, func);
}

#[test]
fn lists_of_bytes_alone_agree_with_dynamic_ones() {
    const { assert!(<Plain as Lift>::PLAIN && <Plain as Lower>::PLAIN) };
    const { assert!(!<(u8, String) as Lift>::PLAIN && !<Option<&str> as Lower>::PLAIN) };
    let (types, func) = plain();
    agree::<(Vec<Plain>, Vec<Option<char>>, Plain)>(types, func);
}

#[test]
fn a_bad_value_in_a_list_of_bytes_alone_traps() {
    let (types, func) = plain();
    let ty = types.func(func).params[1].ty;
    let mut world = World::new(types, 4096);
    let mut list = |case: u8, value: u32| {
        world.guest.memory[64 + 8] = case;
        world.guest.memory[64 + 12..][..4].copy_from_slice(&value.to_le_bytes());
        world.lift(&[64, 2], |cx, src| {
            Vec::<Option<char>>::lift_flat(cx, ty, src)
        })
    };
    assert_eq!(list(1, 0x41).unwrap(), [None, Some('A')]);
    assert_eq!(list(0, 0xd800).unwrap(), [None, None]);
    let trap = |error: anyhow::Error| error.downcast::<Trap>().unwrap();
    assert_eq!(
        trap(list(1, 0xd800).unwrap_err()),
        Trap::InvalidChar(0xd800)
    );
    assert!(matches!(
        trap(list(2, 0).unwrap_err()),
        Trap::InvalidDiscriminant { .. }
    ));
}

#[test]
fn maps_keep_the_last_of_equal_keys() {
    let mut types = Types::default();
    let ty = intern(
        &mut types,
        TypeDef::Map {
            key: ValType::String,
            value: ValType::U8,
        },
    );
    let func = func(&mut types, &[ty]);
    let mut world = World::new(types, 4096);
    let entry = |key: &str, value| (Val::String(key.into()), Val::U8(value));
    let map = Val::Map(vec![entry("a", 1), entry("b", 2), entry("a", 3)]);
    let words = world.lower_params(func, &[map]).unwrap();
    let lifted: HashMap<String, u8> = world
        .lift(&words, |cx, src| Lift::lift_flat(cx, ty, src))
        .unwrap();
    assert_eq!(lifted, HashMap::from([("a".into(), 3), ("b".into(), 2)]));
}

#[test]
fn scalars_take_the_low_bits_of_their_word() {
    let mut world = World::new(Types::default(), 0);
    let mut lift = |word: u64| {
        world.lift(&[word; 5], |cx, src| {
            (
                u8::lift_flat(cx, ValType::U8, src).unwrap(),
                i8::lift_flat(cx, ValType::S8, src).unwrap(),
                i16::lift_flat(cx, ValType::S16, src).unwrap(),
                bool::lift_flat(cx, ValType::Bool, src).unwrap(),
                f32::lift_flat(cx, ValType::F32, src).unwrap().to_bits(),
            )
        })
    };
    assert_eq!(lift(0x1_0000_0000), (0, 0, 0, false, 0));
    assert_eq!(lift(0x8180), (0x80, -128, -32384, true, 0x8180));
    assert_eq!(
        lift(0xffff_ffff).4,
        CANONICAL_NAN32,
        "NaNs are made canonical"
    );
}

#[test]
fn negative_numbers_fill_an_i32() {
    let mut world = World::new(Types::default(), 0);
    let words = world.lower(|cx, dst| {
        (-1_i8).lower_flat(cx, ValType::S8, dst)?;
        (-2_i16).lower_flat(cx, ValType::S16, dst)?;
        (-3_i32).lower_flat(cx, ValType::S32, dst)?;
        (-4_i64).lower_flat(cx, ValType::S64, dst)
    });
    assert_eq!(
        words.unwrap(),
        [0xffff_ffff, 0xffff_fffe, 0xffff_fffd, u64::MAX - 3]
    );
}

#[test]
fn a_mismatch_says_where_and_what() {
    let (types, func) = large();
    let kinds = TypeContext {
        types: &types,
        resource_kinds: &[],
    };
    let error = <(Vec<u8>,)>::typecheck_params(types.func(func), &kinds).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected `1 parameters`, found `8 parameters`"
    );
    let ty = types.func(func).params[4].ty;
    let error = <Vec<(char, u8)>>::typecheck(ty, &kinds).unwrap_err();
    assert_eq!(
        error.to_string(),
        "list element: field 1: expected `u8`, found `string`"
    );
    let error = <[u8; 2]>::typecheck(types.func(func).params[2].ty, &kinds).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected `list of fixed length 2`, found `list<f32, 3>`"
    );
    let error = <Result<(), ()>>::typecheck(ValType::Bool, &kinds).unwrap_err();
    assert_eq!(error.to_string(), "expected `result`, found `bool`");
}

#[test]
fn dynamic_values_of_the_wrong_type_are_refused() {
    let (types, func) = small();
    let mut world = World::new(types, 4096);
    let refused = |world: &mut World, vals: &[Val]| {
        let error = world.lower_params(func, vals).unwrap_err();
        assert!(error.is::<TypeMismatch>(), "{error:#}");
        error.to_string()
    };
    let good = [
        Val::Bool(true),
        Val::Option(None),
        Val::Result(Err(None)),
        Val::Result(Ok(None)),
        Val::Char('x'),
        Val::U64(1),
    ];
    world.lower_params(func, &good).unwrap();
    assert_eq!(
        refused(&mut world, &good[1..]),
        "expected `6 parameters`, found `5 parameters`"
    );
    for (i, bad, message) in [
        (0, Val::U8(1), "parameter `p`: expected `bool`, found `u8`"),
        (
            2,
            Val::Result(Ok(None)),
            "parameter `p`: expected `string`, found `no payload`",
        ),
        (
            3,
            Val::Result(Ok(Some(Box::new(Val::U8(1))))),
            "parameter `p`: expected `no payload`, found `u8`",
        ),
    ] {
        let mut vals = good.clone();
        vals[i] = bad;
        assert_eq!(refused(&mut world, &vals), message);
    }
}

#[test]
fn every_pair_of_encodings_carries_text() {
    for encoding in [
        StringEncoding::Utf8,
        StringEncoding::Utf16,
        StringEncoding::Latin1OrUtf16,
    ] {
        for text in [
            "",
            "plain",
            "naïve",
            "Ω",
            "naïve Ω",
            "🍰",
            &"ü".repeat(3000),
            &"a🍰".repeat(999),
        ] {
            let mut world = World::new(Types::default(), 1 << 16);
            world.encoding = encoding;
            let words = world.lower(|cx, dst| text.lower_flat(cx, ValType::String, dst));
            let words = words.unwrap();
            let lifted = world.lift(&words, |cx, src| {
                String::lift_flat(cx, ValType::String, src)
            });
            assert_eq!(lifted.unwrap(), text, "{encoding:?}");
        }
    }
}
