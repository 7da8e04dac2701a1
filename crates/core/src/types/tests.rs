//! Layouts against a recomputation straight from the specification's definitions, and the limits.

use super::*;

/// A small deterministic source of random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

const SCALARS: [ValType; 16] = [
    ValType::Bool,
    ValType::S8,
    ValType::U8,
    ValType::S16,
    ValType::U16,
    ValType::S32,
    ValType::U32,
    ValType::S64,
    ValType::U64,
    ValType::F32,
    ValType::F64,
    ValType::Char,
    ValType::String,
    ValType::ErrorContext,
    ValType::Own(ResourceIdx(0)),
    ValType::Borrow(ResourceIdx(1)),
];

fn label(index: usize) -> Box<str> {
    format!("x{index}").into()
}

fn random_type(types: &mut Types, random: &mut Random, depth: usize) -> ValType {
    if depth == 0 || random.below(4) == 0 {
        return SCALARS[random.below(SCALARS.len())];
    }
    let def = match random.below(12) {
        0 => TypeDef::List(random_type(types, random, depth - 1)),
        1 => TypeDef::FixedList {
            element: random_type(types, random, depth - 1),
            length: 1 + random.below(20) as u32,
        },
        2 => TypeDef::Map {
            key: ValType::String,
            value: random_type(types, random, depth - 1),
        },
        3 => TypeDef::Record(
            (0..1 + random.below(6))
                .map(|at| Field {
                    name: label(at),
                    ty: random_type(types, random, depth - 1),
                })
                .collect(),
        ),
        4 => TypeDef::Tuple(
            (0..1 + random.below(6))
                .map(|_| random_type(types, random, depth - 1))
                .collect(),
        ),
        5 | 6 => TypeDef::Variant(
            (0..1 + random.below(300))
                .map(|at| Case {
                    name: label(at),
                    ty: (at < 5 && random.below(3) > 0)
                        .then(|| random_type(types, random, depth - 1)),
                })
                .collect(),
        ),
        7 => TypeDef::Enum((0..1 + random.below(70_000)).map(label).collect()),
        8 => TypeDef::Flags((0..1 + random.below(32)).map(label).collect()),
        9 => TypeDef::Option(random_type(types, random, depth - 1)),
        10 => TypeDef::Result {
            ok: (random.below(2) == 0).then(|| random_type(types, random, depth - 1)),
            err: (random.below(2) == 0).then(|| random_type(types, random, depth - 1)),
        },
        _ => TypeDef::Stream((random.below(2) == 0).then_some(ValType::U8)),
    };
    types
        .intern(def)
        .expect("small types are within the limits")
}

/// A type after despecialization, written out.
enum Naive {
    Scalar(u64),
    Pair,
    Array(Box<Naive>, u64),
    Record(Vec<Naive>),
    Variant(Vec<Option<Naive>>),
}

fn despecialize(types: &Types, ty: ValType) -> Naive {
    let sub = |ty: ValType| despecialize(types, ty);
    let Some(index) = ty.type_idx() else {
        return match ty {
            ValType::String => Naive::Pair,
            ValType::Bool | ValType::S8 | ValType::U8 => Naive::Scalar(1),
            ValType::S16 | ValType::U16 => Naive::Scalar(2),
            ValType::S64 | ValType::U64 | ValType::F64 => Naive::Scalar(8),
            _ => Naive::Scalar(4),
        };
    };
    match types.def(index) {
        TypeDef::List(_) | TypeDef::Map { .. } => Naive::Pair,
        TypeDef::FixedList { element, length } => {
            Naive::Array(Box::new(sub(*element)), (*length).into())
        }
        TypeDef::Record(fields) => Naive::Record(fields.iter().map(|f| sub(f.ty)).collect()),
        TypeDef::Tuple(fields) => Naive::Record(fields.iter().map(|f| sub(*f)).collect()),
        TypeDef::Variant(cases) => {
            Naive::Variant(cases.iter().map(|case| case.ty.map(sub)).collect())
        }
        TypeDef::Enum(labels) => Naive::Variant(labels.iter().map(|_| None).collect()),
        TypeDef::Option(ty) => Naive::Variant(vec![None, Some(sub(*ty))]),
        TypeDef::Result { ok, err } => Naive::Variant(vec![ok.map(sub), err.map(sub)]),
        TypeDef::Flags(labels) => Naive::Scalar([1, 1, 2, 4, 4][labels.len().div_ceil(8)]),
        TypeDef::Stream(_) | TypeDef::Future(_) => Naive::Scalar(4),
    }
}

impl Naive {
    fn align(&self, pointer: u64) -> u64 {
        match self {
            Naive::Scalar(size) => *size,
            Naive::Pair => pointer,
            Naive::Array(element, _) => element.align(pointer),
            Naive::Record(fields) => fields.iter().map(|f| f.align(pointer)).max().unwrap_or(1),
            Naive::Variant(cases) => cases
                .iter()
                .flatten()
                .map(|case| case.align(pointer))
                .chain([discriminant(cases.len())])
                .max()
                .unwrap_or(1),
        }
    }

    fn size(&self, pointer: u64) -> u64 {
        match self {
            Naive::Scalar(size) => *size,
            Naive::Pair => 2 * pointer,
            Naive::Array(element, length) => element.size(pointer) * length,
            Naive::Record(fields) => {
                let mut size = 0;
                for field in fields {
                    size = round_up(size, field.align(pointer)) + field.size(pointer);
                }
                round_up(size, self.align(pointer))
            }
            Naive::Variant(cases) => {
                let align = cases.iter().flatten().map(|case| case.align(pointer)).max();
                let size = cases.iter().flatten().map(|case| case.size(pointer)).max();
                let payload = round_up(discriminant(cases.len()), align.unwrap_or(1));
                round_up(payload + size.unwrap_or(0), self.align(pointer))
            }
        }
    }

    fn flat_count(&self) -> u64 {
        match self {
            Naive::Scalar(_) => 1,
            Naive::Pair => 2,
            Naive::Array(element, length) => element.flat_count() * length,
            Naive::Record(fields) => fields.iter().map(Naive::flat_count).sum(),
            Naive::Variant(cases) => {
                let longest = cases.iter().flatten().map(Naive::flat_count).max();
                1 + longest.unwrap_or(0)
            }
        }
    }
}

fn discriminant(cases: usize) -> u64 {
    let bits = usize::BITS - (cases - 1).leading_zeros();
    [1, 1, 2, 4, 4][bits.div_ceil(8) as usize]
}

fn round_up(offset: u64, align: u64) -> u64 {
    offset.div_ceil(align) * align
}

#[test]
fn layouts_match_a_recomputation_from_the_specification() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..300 {
        let mut types = Types::default();
        let ty = random_type(&mut types, &mut random, 4);
        let naive = despecialize(&types, ty);
        for (memory64, pointer) in [(false, 4), (true, 8)] {
            let layout = types.layout(ty, memory64);
            let shown = types.display(ty).to_string();
            assert_eq!(
                u64::from(layout.size),
                naive.size(pointer),
                "size of {shown}"
            );
            assert_eq!(
                u64::from(layout.align),
                naive.align(pointer),
                "alignment of {shown}"
            );
            assert_eq!(
                u64::from(types.flat_count(ty)),
                naive.flat_count(),
                "{shown}"
            );
            let listed = types.flat_types(ty, memory64).map(<[_]>::len);
            let count = types.flat_count(ty) as usize;
            assert_eq!(
                listed,
                (count <= MAX_FLAT_PARAMS).then_some(count),
                "{shown}"
            );
        }
    }
}

#[test]
fn fields_and_payloads_have_the_offsets_of_the_canonical_abi() {
    let mut types = Types::default();
    let record = TypeDef::Tuple([ValType::U8, ValType::String, ValType::U16].into());
    let record = types.intern(record).unwrap().type_idx().unwrap();
    assert_eq!(types.field_offsets(record, false), [0, 4, 12]);
    assert_eq!(types.field_offsets(record, true), [0, 8, 24]);
    let option = types.intern(TypeDef::Option(ValType::U64)).unwrap();
    let expected = VariantLayout {
        discriminant_size: 1,
        payload_offset: 8,
    };
    assert_eq!(
        types.variant_layout(option.type_idx().unwrap(), false),
        expected
    );
    let map = TypeDef::Map {
        key: ValType::U8,
        value: ValType::U32,
    };
    let map = types.intern(map).unwrap();
    let entry = types.map_entry(map.type_idx().unwrap()).unwrap();
    assert_eq!(types.layout(map, false), Layout { size: 8, align: 4 });
    assert_eq!(types.layout(entry, false), Layout { size: 8, align: 4 });
}

#[test]
fn cases_join_to_the_narrowest_common_flat_type() {
    use FlatType::*;
    let mut types = Types::default();
    let mut flat = |payloads: &[ValType], memory64| {
        let cases = payloads.iter().enumerate().map(|(at, ty)| Case {
            name: label(at),
            ty: Some(*ty),
        });
        let ty = types.intern(TypeDef::Variant(cases.collect())).unwrap();
        types.flat_types(ty, memory64).unwrap().to_vec()
    };
    assert_eq!(flat(&[ValType::F32, ValType::U8], false), [I32, I32]);
    assert_eq!(flat(&[ValType::F64, ValType::F32], false), [I32, I64]);
    assert_eq!(flat(&[ValType::F64, ValType::F64], false), [I32, F64]);
    assert_eq!(
        flat(&[ValType::F32, ValType::String], false),
        [I32, I32, I32]
    );
    assert_eq!(
        flat(&[ValType::F32, ValType::String], true),
        [I32, I64, I64]
    );
}

#[test]
fn equal_types_get_equal_indices() {
    let mut types = Types::default();
    let first = types.intern(TypeDef::List(ValType::U8)).unwrap();
    let other = types.intern(TypeDef::List(ValType::S8)).unwrap();
    assert_eq!(types.intern(TypeDef::List(ValType::U8)), Ok(first));
    assert_ne!(first, other);
}

#[test]
fn huge_fixed_length_lists_are_refused_without_being_unrolled() {
    let mut types = Types::default();
    let mut list = |element, length| types.intern(TypeDef::FixedList { element, length });
    let largest = list(ValType::U8, (1 << 28) - 1).unwrap();
    for (element, length, size) in [
        (ValType::U8, u32::MAX, u64::from(u32::MAX)),
        (ValType::U64, 1 << 29, 1 << 32),
        (ValType::String, 1 << 24, 1 << 28),
        (largest, 2, (1 << 29) - 2),
    ] {
        let limit = MAX_VALUE_SIZE;
        assert_eq!(
            list(element, length),
            Err(TypeError::TooLarge { size, limit })
        );
    }
    assert_eq!(types.flat_count(largest), (1 << 28) - 1);
    assert_eq!(types.flat_types(largest, false), None);
    // The list's own size does not depend on its entries'.
    let map = TypeDef::Map {
        key: ValType::U8,
        value: largest,
    };
    assert!(types.intern(map).is_ok());
    let tuple = TypeDef::Tuple([ValType::U8, largest].into());
    assert!(matches!(
        types.intern(tuple),
        Err(TypeError::TooLarge { .. })
    ));
}

#[test]
fn deep_nesting_is_refused() {
    let mut types = Types::default();
    let mut ty = ValType::U8;
    for _ in 0..MAX_TYPE_DEPTH {
        ty = types.intern(TypeDef::Option(ty)).unwrap();
    }
    let limit = MAX_TYPE_DEPTH;
    assert_eq!(
        types.intern(TypeDef::Option(ty)),
        Err(TypeError::TooDeep { limit })
    );
}

#[test]
fn flags_and_records_must_have_parts() {
    let mut types = Types::default();
    for labels in [0, 33] {
        let flags = TypeDef::Flags((0..labels).map(label).collect());
        assert!(matches!(types.intern(flags), Err(TypeError::Parts { .. })));
    }
    let record = TypeDef::Record([].into());
    assert!(matches!(types.intern(record), Err(TypeError::Parts { .. })));
}

#[test]
fn types_know_what_they_contain() {
    let mut types = Types::default();
    let numbers = types
        .intern(TypeDef::FixedList {
            element: ValType::F32,
            length: 3,
        })
        .unwrap();
    let borrows = types
        .intern(TypeDef::List(ValType::Borrow(ResourceIdx(0))))
        .unwrap();
    let stream = types.intern(TypeDef::Stream(None)).unwrap();
    let all = types
        .intern(TypeDef::Tuple([numbers, borrows, stream].into()))
        .unwrap();
    assert!(types.is_plain_numeric(numbers) && !types.contains_pointer(numbers));
    assert!(types.contains_borrow(all) && types.contains_stream_or_future(all));
    assert!(types.contains_pointer(all) && !types.is_plain_numeric(all));
    assert!(!types.contains_borrow(stream) && !types.contains_stream_or_future(borrows));
}

#[test]
fn types_display_as_wit() {
    let mut types = Types::default();
    types.name_resource(ResourceIdx(0), "output-stream");
    let unit_error = types
        .intern(TypeDef::Result {
            ok: None,
            err: Some(ValType::String),
        })
        .unwrap();
    let list = types.intern(TypeDef::List(ValType::U8)).unwrap();
    let params = [
        ("self", ValType::Borrow(ResourceIdx(0))),
        ("contents", list),
    ];
    let func = FuncType {
        params: params
            .map(|(name, ty)| Field {
                name: name.into(),
                ty,
            })
            .into(),
        result: Some(unit_error),
        async_: false,
    };
    let func = types.intern_func(func).unwrap();
    assert_eq!(
        types.display_func(func).to_string(),
        "func(self: borrow<output-stream>, contents: list<u8>) -> result<_, string>"
    );
    assert_eq!(types.func_info(func).params_flat_count, 3);
}

#[test]
fn displaying_a_type_that_doubles_at_every_level_stays_short() {
    let mut types = Types::default();
    let mut ty = ValType::U8;
    for _ in 0..90 {
        ty = types
            .intern(TypeDef::Result {
                ok: Some(ty),
                err: None,
            })
            .unwrap();
        ty = match types.intern(TypeDef::Map {
            key: ValType::U8,
            value: ty,
        }) {
            Ok(ty) => ty,
            Err(_) => break,
        };
        let Ok(pair) = types.intern(TypeDef::Tuple([ty, ty].into())) else {
            break;
        };
        ty = pair;
    }
    assert!(types.display(ty).to_string().len() < 10_000);
}
