//! Types and values as the recording writes them.

use tidegate_core::abi::Val;
use tidegate_core::types::{Case, Field, ResourceIdx, TypeDef, Types, ValType};

pub fn label(index: usize) -> Box<str> {
    format!("{}{index}", char::from(b'a' + (index % 26) as u8)).into()
}

pub struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) {
        assert!(self.eat(token), "expected `{token}` before `{}`", self.rest);
    }

    fn until(&mut self, stop: fn(char) -> bool) -> &'a str {
        let end = self.rest.find(stop).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(&mut self) -> T {
        self.until(|c| !c.is_ascii_digit() && c != '-')
            .parse()
            .unwrap()
    }

    fn list<T>(&mut self, close: &str, mut item: impl FnMut(&mut Self, usize) -> T) -> Vec<T> {
        let mut items = Vec::new();
        while !self.eat(close) {
            if !items.is_empty() {
                self.expect(",");
            }
            let index = items.len();
            items.push(item(self, index));
        }
        items
    }

    pub fn ty(&mut self, types: &mut Types) -> ValType {
        let name = self.until(|c| !c.is_ascii_alphanumeric());
        let def = match name {
            "bool" => return ValType::Bool,
            "s8" => return ValType::S8,
            "u8" => return ValType::U8,
            "s16" => return ValType::S16,
            "u16" => return ValType::U16,
            "s32" => return ValType::S32,
            "u32" => return ValType::U32,
            "s64" => return ValType::S64,
            "u64" => return ValType::U64,
            "f32" => return ValType::F32,
            "f64" => return ValType::F64,
            "char" => return ValType::Char,
            "string" => return ValType::String,
            _ => {
                self.expect("(");
                match name {
                    "own" | "borrow" => {
                        let index = ResourceIdx(self.number());
                        self.expect(")");
                        return if name == "own" {
                            ValType::Own(index)
                        } else {
                            ValType::Borrow(index)
                        };
                    }
                    "list" => {
                        let element = self.ty(types);
                        self.expect(")");
                        TypeDef::List(element)
                    }
                    "array" => {
                        let element = self.ty(types);
                        self.expect(",");
                        let length = self.number();
                        self.expect(")");
                        TypeDef::FixedList { element, length }
                    }
                    "map" => {
                        let key = self.ty(types);
                        self.expect(",");
                        let value = self.ty(types);
                        self.expect(")");
                        TypeDef::Map { key, value }
                    }
                    "record" => TypeDef::Record(
                        self.list(")", |r, _| {
                            let name = r.until(|c| c == ':').into();
                            r.expect(":");
                            Field {
                                name,
                                ty: r.ty(types),
                            }
                        })
                        .into(),
                    ),
                    "tuple" => TypeDef::Tuple(self.list(")", |r, _| r.ty(types)).into()),
                    "variant" => TypeDef::Variant(
                        self.list(")", |r, _| {
                            let name = r.until(|c| c == ':').into();
                            r.expect(":");
                            Case {
                                name,
                                ty: r.optional(types),
                            }
                        })
                        .into(),
                    ),
                    "enum" | "flags" => {
                        let labels = (0..self.number()).map(label).collect();
                        self.expect(")");
                        if name == "enum" {
                            TypeDef::Enum(labels)
                        } else {
                            TypeDef::Flags(labels)
                        }
                    }
                    "option" => {
                        let some = self.ty(types);
                        self.expect(")");
                        TypeDef::Option(some)
                    }
                    "result" => {
                        let ok = self.optional(types);
                        self.expect(",");
                        let err = self.optional(types);
                        self.expect(")");
                        TypeDef::Result { ok, err }
                    }
                    other => panic!("unknown type `{other}`"),
                }
            }
        };
        types.intern(def).unwrap()
    }

    fn optional(&mut self, types: &mut Types) -> Option<ValType> {
        (!self.eat("_")).then(|| self.ty(types))
    }

    pub fn value(&mut self, types: &Types, ty: ValType) -> Val {
        match ty {
            ValType::Bool => Val::Bool(self.number::<u8>() != 0),
            ValType::S8 => Val::S8(self.number()),
            ValType::U8 => Val::U8(self.number()),
            ValType::S16 => Val::S16(self.number()),
            ValType::U16 => Val::U16(self.number()),
            ValType::S32 => Val::S32(self.number()),
            ValType::U32 => Val::U32(self.number()),
            ValType::S64 => Val::S64(self.number()),
            ValType::U64 => Val::U64(self.number()),
            ValType::F32 => Val::F32(f32::from_bits(self.number())),
            ValType::F64 => Val::F64(f64::from_bits(self.number())),
            ValType::Char => Val::Char(char::from_u32(self.number()).unwrap()),
            ValType::String => {
                self.expect("\"");
                let bytes = unhex(self.until(|c| c == '"'));
                self.expect("\"");
                Val::String(String::from_utf8(bytes).unwrap())
            }
            ValType::Own(_) | ValType::Borrow(_) => panic!("the recording holds no such values"),
            other => self.composite(types, types.def(other.type_idx().unwrap())),
        }
    }

    fn composite(&mut self, types: &Types, def: &TypeDef) -> Val {
        match def {
            TypeDef::List(element) | TypeDef::FixedList { element, .. } => {
                self.expect("[");
                Val::List(self.list("]", |r, _| r.value(types, *element)))
            }
            TypeDef::Map { key, value } => {
                self.expect("[");
                Val::Map(self.list("]", |r, _| {
                    r.expect("(");
                    let key = r.value(types, *key);
                    r.expect(",");
                    let value = r.value(types, *value);
                    r.expect(")");
                    (key, value)
                }))
            }
            TypeDef::Record(fields) => {
                self.expect("(");
                Val::Record(self.list(")", |r, i| {
                    (fields[i].name.to_string(), r.value(types, fields[i].ty))
                }))
            }
            TypeDef::Tuple(fields) => {
                self.expect("(");
                Val::Tuple(self.list(")", |r, i| r.value(types, fields[i])))
            }
            TypeDef::Flags(labels) => {
                let bits: u32 = self.number();
                let set = labels.iter().enumerate();
                let set = set.filter(|(i, _)| bits >> i & 1 == 1);
                Val::Flags(set.map(|(_, label)| label.to_string()).collect())
            }
            TypeDef::Variant(cases) => {
                let (case, payload) = self.case(types, |case| cases[case].ty);
                Val::Variant(cases[case].name.to_string(), payload)
            }
            TypeDef::Enum(labels) => {
                let (case, _) = self.case(types, |_| None);
                Val::Enum(labels[case].to_string())
            }
            TypeDef::Option(some) => {
                let (_, payload) = self.case(types, |case| (case == 1).then_some(*some));
                Val::Option(payload)
            }
            TypeDef::Result { ok, err } => {
                let (case, payload) = self.case(types, |case| if case == 0 { *ok } else { *err });
                Val::Result(if case == 0 { Ok(payload) } else { Err(payload) })
            }
            TypeDef::Stream(_) | TypeDef::Future(_) => {
                panic!("the recording holds no such values")
            }
        }
    }

    fn case(
        &mut self,
        types: &Types,
        payload: impl Fn(usize) -> Option<ValType>,
    ) -> (usize, Option<Box<Val>>) {
        self.expect("#");
        let case = self.number();
        let payload = payload(case).map(|ty| {
            self.expect("=");
            Box::new(self.value(types, ty))
        });
        (case, payload)
    }
}

pub fn write(out: &mut String, val: &Val) {
    use std::fmt::Write;
    let mut list = |open: &str, vals: &mut dyn Iterator<Item = &Val>, close: &str| {
        out.push_str(open);
        for (i, val) in vals.enumerate() {
            out.push_str(if i > 0 { "," } else { "" });
            write(out, val);
        }
        out.push_str(close);
    };
    match val {
        Val::List(vals) => return list("[", &mut vals.iter(), "]"),
        Val::Tuple(vals) => return list("(", &mut vals.iter(), ")"),
        Val::Record(fields) => return list("(", &mut fields.iter().map(|(_, val)| val), ")"),
        Val::Map(entries) => {
            out.push('[');
            for (i, (key, value)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ",(" } else { "(" });
                write(out, key);
                out.push(',');
                write(out, value);
                out.push(')');
            }
            out.push(']');
            return;
        }
        _ => {}
    }
    let case = |out: &mut String, case: usize, payload: &Option<Box<Val>>| {
        write!(out, "#{case}").unwrap();
        if let Some(payload) = payload {
            out.push('=');
            write(out, payload);
        }
    };
    match val {
        Val::Bool(v) => write!(out, "{}", u8::from(*v)),
        Val::S8(v) => write!(out, "{v}"),
        Val::U8(v) => write!(out, "{v}"),
        Val::S16(v) => write!(out, "{v}"),
        Val::U16(v) => write!(out, "{v}"),
        Val::S32(v) => write!(out, "{v}"),
        Val::U32(v) => write!(out, "{v}"),
        Val::S64(v) => write!(out, "{v}"),
        Val::U64(v) => write!(out, "{v}"),
        Val::F32(v) => write!(out, "{}", v.to_bits()),
        Val::F64(v) => write!(out, "{}", v.to_bits()),
        Val::Char(v) => write!(out, "{}", u32::from(*v)),
        Val::String(v) => write!(out, "\"{}\"", hex(v.as_bytes())),
        Val::Option(payload) => {
            case(out, payload.is_some().into(), payload);
            Ok(())
        }
        Val::Result(Ok(payload)) => {
            case(out, 0, payload);
            Ok(())
        }
        Val::Result(Err(payload)) => {
            case(out, 1, payload);
            Ok(())
        }
        // Labels end in the number of their case.
        Val::Enum(label) => write!(out, "#{}", number_of(label)),
        Val::Variant(label, payload) => {
            case(out, number_of(label), payload);
            Ok(())
        }
        Val::Flags(labels) => {
            let bits = labels
                .iter()
                .fold(0_u32, |bits, label| bits | 1 << number_of(label));
            write!(out, "{bits}")
        }
        other => panic!("the recording holds no {}", other.kind()),
    }
    .unwrap();
}

fn number_of(label: &str) -> usize {
    label[1..].parse().unwrap()
}

pub fn unhex(text: &str) -> Vec<u8> {
    if text == "-" {
        return Vec::new();
    }
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
