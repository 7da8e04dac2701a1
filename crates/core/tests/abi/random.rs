//! Types and values, from a seed or from bytes that a fuzzer made.

use crate::text::label;
use std::collections::VecDeque;
use tidegate_core::abi::Val;
use tidegate_core::plan::StringEncoding;
use tidegate_core::types::{Case, Field, FuncType, FuncTypeIdx, TypeDef, Types, ValType};

#[derive(Clone, Debug)]
pub struct Random {
    /// Used up first.
    bytes: VecDeque<u8>,
    state: u64,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self {
            bytes: VecDeque::new(),
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// Numbers made of these bytes as long as they last.
    #[allow(dead_code, reason = "the fuzz targets share this module")]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec().into(),
            ..Self::new(0)
        }
    }

    pub fn word(&mut self) -> u64 {
        self.draw(8)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        let size = if bound <= 256 { 1 } else { 4 };
        (self.draw(size) % bound as u64) as usize
    }

    fn draw(&mut self, size: usize) -> u64 {
        if self.bytes.len() >= size {
            let bytes = self.bytes.drain(..size);
            return bytes.fold(0, |number, byte| number << 8 | u64::from(byte));
        }
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A number, often at an edge.
    fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(3) as u64,
            1 => u64::MAX,
            2 => 1 << self.below(64),
            _ => self.word(),
        }
    }

    pub fn encoding(&mut self) -> StringEncoding {
        self.of(&[
            StringEncoding::Utf8,
            StringEncoding::Utf16,
            StringEncoding::Latin1OrUtf16,
        ])
    }

    /// A function with up to five parameters.
    pub fn func(&mut self, types: &mut Types) -> FuncTypeIdx {
        let params = (0..1 + self.below(5))
            .map(|i| Field {
                name: label(i),
                ty: self.ty(types, 3),
            })
            .collect();
        let func = FuncType {
            params,
            result: Some(self.ty(types, 3)),
            async_: false,
        };
        types.intern_func(func).unwrap()
    }

    pub fn ty(&mut self, types: &mut Types, depth: usize) -> ValType {
        use ValType::*;
        if depth == 0 || self.below(3) == 0 {
            return self.of(&[
                Bool, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, Char, String, String,
            ]);
        }
        let below = depth - 1;
        let def = match self.below(11) {
            0 | 1 => TypeDef::List(self.ty(types, below)),
            2 => TypeDef::FixedList {
                element: self.ty(types, below),
                length: 1 + self.below(4) as u32,
            },
            3 => TypeDef::Map {
                key: self.of(&[U8, String, Char, S64]),
                value: self.ty(types, below),
            },
            4 => TypeDef::Record(
                (0..1 + self.below(4))
                    .map(|i| Field {
                        name: label(i),
                        ty: self.ty(types, below),
                    })
                    .collect(),
            ),
            5 => TypeDef::Tuple(
                (0..1 + self.below(4))
                    .map(|_| self.ty(types, below))
                    .collect(),
            ),
            6 => TypeDef::Variant(
                (0..1 + self.below(4))
                    .map(|i| Case {
                        name: label(i),
                        ty: self.maybe(types, below),
                    })
                    .collect(),
            ),
            7 => TypeDef::Enum((0..self.of(&[1, 2, 256, 257])).map(label).collect()),
            8 => TypeDef::Option(self.ty(types, below)),
            9 => TypeDef::Result {
                ok: self.maybe(types, below),
                err: self.maybe(types, below),
            },
            _ => TypeDef::Flags((0..self.of(&[1, 8, 9, 16, 17, 32])).map(label).collect()),
        };
        types.intern(def).unwrap()
    }

    fn maybe(&mut self, types: &mut Types, depth: usize) -> Option<ValType> {
        (self.below(3) > 0).then(|| self.ty(types, depth))
    }

    pub fn text(&mut self) -> std::string::String {
        const CHARS: [char; 12] = [
            'a',
            'z',
            '\0',
            '\x7f',
            '\u{80}',
            'é',
            'ÿ',
            '\u{100}',
            '☃',
            '\u{ffff}',
            '🍰',
            '\u{10ffff}',
        ];
        // Long ones are longer than what is converted at once.
        let length = self.of(&[0, 1, 2, 7, 40, 700, 1500]);
        let pool = self.of(&[4, 7, 12]);
        (0..length).map(|_| CHARS[self.below(pool)]).collect()
    }

    pub fn val(&mut self, types: &Types, ty: ValType) -> Val {
        let number = self.number();
        match ty {
            ValType::Bool => Val::Bool(number & 1 == 1),
            ValType::S8 => Val::S8(number as i8),
            ValType::U8 => Val::U8(number as u8),
            ValType::S16 => Val::S16(number as i16),
            ValType::U16 => Val::U16(number as u16),
            ValType::S32 => Val::S32(number as i32),
            ValType::U32 => Val::U32(number as u32),
            ValType::S64 => Val::S64(number as i64),
            ValType::U64 => Val::U64(number),
            ValType::F32 => Val::F32(f32::from_bits(tidegate_core::abi::canonicalize_nan32(
                number as u32,
            ))),
            ValType::F64 => Val::F64(f64::from_bits(tidegate_core::abi::canonicalize_nan64(
                number,
            ))),
            ValType::Char => Val::Char(self.text().chars().next().unwrap_or('x')),
            ValType::String => Val::String(self.text()),
            other => {
                let index = other.type_idx().expect("handles are not made up here");
                self.composite(types, types.def(index))
            }
        }
    }

    fn vals(&mut self, types: &Types, ty: ValType, count: usize) -> Vec<Val> {
        (0..count).map(|_| self.val(types, ty)).collect()
    }

    fn payload(&mut self, types: &Types, ty: Option<ValType>) -> Option<Box<Val>> {
        ty.map(|ty| Box::new(self.val(types, ty)))
    }

    fn composite(&mut self, types: &Types, def: &TypeDef) -> Val {
        match def {
            TypeDef::List(element) => {
                let count = self.of(&[0, 1, 2, 5, 9]);
                Val::List(self.vals(types, *element, count))
            }
            TypeDef::FixedList { element, length } => {
                Val::List(self.vals(types, *element, *length as usize))
            }
            TypeDef::Map { key, value } => {
                let count = self.below(4);
                let entry = |_| (self.val(types, *key), self.val(types, *value));
                Val::Map((0..count).map(entry).collect())
            }
            TypeDef::Record(fields) => {
                let field = |field: &Field| (field.name.to_string(), self.val(types, field.ty));
                Val::Record(fields.iter().map(field).collect())
            }
            TypeDef::Tuple(fields) => {
                Val::Tuple(fields.iter().map(|&ty| self.val(types, ty)).collect())
            }
            TypeDef::Variant(cases) => {
                let case = &cases[self.below(cases.len())];
                Val::Variant(case.name.to_string(), self.payload(types, case.ty))
            }
            TypeDef::Enum(labels) => Val::Enum(labels[self.below(labels.len())].to_string()),
            TypeDef::Option(some) => {
                let some = (self.below(2) == 1).then_some(*some);
                Val::Option(self.payload(types, some))
            }
            TypeDef::Result { ok, .. } if self.below(2) == 0 => {
                Val::Result(Ok(self.payload(types, *ok)))
            }
            TypeDef::Result { err, .. } => Val::Result(Err(self.payload(types, *err))),
            TypeDef::Flags(labels) => {
                let labels = labels.iter().filter(|_| self.below(2) == 1);
                Val::Flags(labels.map(|label| label.to_string()).collect())
            }
            TypeDef::Stream(_) | TypeDef::Future(_) => unreachable!("not made up here"),
        }
    }
}
