//! Random component types, and how they are flattened.

/// A small generator of numbers: the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % sides
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize].clone()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Core {
    I32,
    I64,
    F32,
    F64,
}

impl Core {
    pub fn name(self) -> &'static str {
        match self {
            Core::I32 => "i32",
            Core::I64 => "i64",
            Core::F32 => "f32",
            Core::F64 => "f64",
        }
    }

    fn join(self, other: Core) -> Core {
        match (self, other) {
            (a, b) if a == b => a,
            (Core::I32, Core::F32) | (Core::F32, Core::I32) => Core::I32,
            _ => Core::I64,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Type {
    Simple(&'static str, Core),
    String,
    List(Box<Type>),
    Tuple(Vec<Type>),
    /// `option` if the first case has no payload, else `result`.
    Either(Option<Box<Type>>, Option<Box<Type>>),
    /// The named variant of three cases.
    Variant,
}

const SIMPLE: &[(&str, Core)] = &[
    ("bool", Core::I32),
    ("u8", Core::I32),
    ("s8", Core::I32),
    ("u16", Core::I32),
    ("s16", Core::I32),
    ("u32", Core::I32),
    ("s32", Core::I32),
    ("u64", Core::I64),
    ("s64", Core::I64),
    ("f32", Core::F32),
    ("f64", Core::F64),
    ("char", Core::I32),
    ("$e", Core::I32),
    ("$fs", Core::I32),
];

/// The definitions of the named types.
pub const NAMED: [(&str, &str); 3] = [
    ("e", r#"(enum "a" "b" "c")"#),
    ("fs", r#"(flags "a" "b" "c" "d" "e" "f" "g" "h" "i" "j")"#),
    (
        "v",
        r#"(variant (case "none") (case "float" f32) (case "text" string) (case "wide" u64))"#,
    ),
];

impl Type {
    pub fn random(dice: &mut Dice, depth: u32) -> Type {
        let inner = |dice: &mut Dice| Box::new(Type::random(dice, depth - 1));
        match dice.roll(if depth == 0 { 8 } else { 13 }) {
            0..6 => {
                let (name, core) = dice.pick(SIMPLE);
                Type::Simple(name, core)
            }
            6 => Type::String,
            7 => Type::Variant,
            8 | 9 => Type::List(inner(dice)),
            10 | 11 => {
                let count = 1 + dice.roll(4);
                Type::Tuple((0..count).map(|_| Type::random(dice, depth - 1)).collect())
            }
            _ => {
                let first = (dice.roll(2) == 0).then(|| inner(dice));
                Type::Either(first, Some(inner(dice)))
            }
        }
    }

    pub fn wat(&self) -> String {
        match self {
            Type::Simple(name, _) => (*name).to_owned(),
            Type::String => "string".to_owned(),
            Type::List(element) => format!("(list {})", element.wat()),
            Type::Tuple(fields) => {
                let fields: Vec<String> = fields.iter().map(Type::wat).collect();
                format!("(tuple {})", fields.join(" "))
            }
            Type::Either(None, Some(some)) => format!("(option {})", some.wat()),
            Type::Either(ok, error) => {
                let ok = ok.as_ref().map_or(String::new(), |ok| ok.wat());
                let error = error
                    .as_ref()
                    .map_or(String::new(), |error| format!("(error {})", error.wat()));
                format!("(result {ok} {error})")
            }
            Type::Variant => "$v".to_owned(),
        }
    }

    pub fn flat(&self) -> Vec<Core> {
        match self {
            Type::Simple(_, core) => vec![*core],
            Type::String | Type::List(_) => vec![Core::I32; 2],
            Type::Tuple(fields) => fields.iter().flat_map(Type::flat).collect(),
            Type::Either(a, b) => {
                let flat =
                    |case: &Option<Box<Type>>| case.as_ref().map_or(Vec::new(), |ty| ty.flat());
                variant(&[flat(a), flat(b)])
            }
            Type::Variant => {
                variant(&[vec![], vec![Core::F32], vec![Core::I32; 2], vec![Core::I64]])
            }
        }
    }
}

fn variant(cases: &[Vec<Core>]) -> Vec<Core> {
    let mut joined: Vec<Core> = Vec::new();
    for case in cases {
        for (i, &core) in case.iter().enumerate() {
            match joined.get_mut(i) {
                Some(slot) => *slot = slot.join(core),
                None => joined.push(core),
            }
        }
    }
    [vec![Core::I32], joined].concat()
}
