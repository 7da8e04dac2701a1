//! Types as text, in the syntax of WIT, for messages.

use super::{FuncType, FuncTypeIdx, TypeDef, Types, ValType};
use std::cell::Cell;
use std::fmt;

/// How many types one message names at most: types may share parts, so a type written out can be far larger than its definition.
const MAX_NAMED: u32 = 200;

/// A value type that displays as WIT; see [`Types::display`].
pub struct DisplayType<'a> {
    types: &'a Types,
    ty: ValType,
}

/// A function type that displays as WIT; see [`Types::display_func`].
pub struct DisplayFunc<'a> {
    types: &'a Types,
    ty: &'a FuncType,
}

impl Types {
    /// A value type in the syntax of WIT. Records and their like are written out; what is very long is cut short with `…`.
    pub fn display(&self, ty: ValType) -> DisplayType<'_> {
        DisplayType { types: self, ty }
    }

    /// A function type in the syntax of WIT.
    pub fn display_func(&self, ty: FuncTypeIdx) -> DisplayFunc<'_> {
        DisplayFunc {
            types: self,
            ty: self.func(ty),
        }
    }
}

impl fmt::Display for DisplayType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Writer::new(self.types).ty(f, self.ty)
    }
}

impl fmt::Display for DisplayFunc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writer = Writer::new(self.types);
        f.write_str(if self.ty.async_ {
            "async func("
        } else {
            "func("
        })?;
        writer.separated(f, &self.ty.params, |f, param| {
            write!(f, "{}: ", param.name)?;
            writer.ty(f, param.ty)
        })?;
        f.write_str(")")?;
        if let Some(result) = self.ty.result {
            f.write_str(" -> ")?;
            writer.ty(f, result)?;
        }
        Ok(())
    }
}

struct Writer<'a> {
    types: &'a Types,
    left: Cell<u32>,
}

impl<'a> Writer<'a> {
    fn new(types: &'a Types) -> Self {
        Self {
            types,
            left: Cell::new(MAX_NAMED),
        }
    }

    /// Counts one more named thing; false if there were enough.
    fn spend(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    fn ty(&self, f: &mut fmt::Formatter<'_>, ty: ValType) -> fmt::Result {
        if !self.spend() {
            return f.write_str("…");
        }
        let name = match ty {
            ValType::Bool => "bool",
            ValType::S8 => "s8",
            ValType::U8 => "u8",
            ValType::S16 => "s16",
            ValType::U16 => "u16",
            ValType::S32 => "s32",
            ValType::U32 => "u32",
            ValType::S64 => "s64",
            ValType::U64 => "u64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::Char => "char",
            ValType::String => "string",
            ValType::ErrorContext => "error-context",
            ValType::Own(resource) | ValType::Borrow(resource) => {
                let borrow = matches!(ty, ValType::Borrow(_));
                f.write_str(if borrow { "borrow<" } else { "" })?;
                match self.types.resource_name(resource) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "resource-{}", resource.0)?,
                }
                return f.write_str(if borrow { ">" } else { "" });
            }
            ValType::List(index)
            | ValType::FixedList(index)
            | ValType::Map(index)
            | ValType::Record(index)
            | ValType::Tuple(index)
            | ValType::Variant(index)
            | ValType::Enum(index)
            | ValType::Option(index)
            | ValType::Result(index)
            | ValType::Flags(index)
            | ValType::Stream(index)
            | ValType::Future(index) => return self.def(f, self.types.def(index)),
        };
        f.write_str(name)
    }

    fn def(&self, f: &mut fmt::Formatter<'_>, def: &TypeDef) -> fmt::Result {
        match def {
            TypeDef::List(element) => self.generic(f, "list", &[Some(*element)]),
            TypeDef::FixedList { element, length } => {
                f.write_str("list<")?;
                self.ty(f, *element)?;
                write!(f, ", {length}>")
            }
            TypeDef::Map { key, value } => self.generic(f, "map", &[Some(*key), Some(*value)]),
            TypeDef::Record(fields) => {
                f.write_str("record { ")?;
                self.separated(f, fields, |f, field| {
                    write!(f, "{}: ", field.name)?;
                    self.ty(f, field.ty)
                })?;
                f.write_str(" }")
            }
            TypeDef::Tuple(fields) => {
                f.write_str("tuple<")?;
                self.separated(f, fields, |f, field| self.ty(f, *field))?;
                f.write_str(">")
            }
            TypeDef::Variant(cases) => {
                f.write_str("variant { ")?;
                self.separated(f, cases, |f, case| {
                    f.write_str(&case.name)?;
                    let Some(ty) = case.ty else { return Ok(()) };
                    f.write_str("(")?;
                    self.ty(f, ty)?;
                    f.write_str(")")
                })?;
                f.write_str(" }")
            }
            TypeDef::Enum(labels) => self.labels(f, "enum", labels),
            TypeDef::Flags(labels) => self.labels(f, "flags", labels),
            TypeDef::Option(payload) => self.generic(f, "option", &[Some(*payload)]),
            TypeDef::Result { ok, err: None } => self.generic(f, "result", ok.map(Some).as_slice()),
            TypeDef::Result { ok, err } => self.generic(f, "result", &[*ok, *err]),
            TypeDef::Stream(element) => self.generic(f, "stream", element.map(Some).as_slice()),
            TypeDef::Future(element) => self.generic(f, "future", element.map(Some).as_slice()),
        }
    }

    /// `name<args>`, with `_` for an argument that is left out.
    fn generic(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        args: &[Option<ValType>],
    ) -> fmt::Result {
        f.write_str(name)?;
        if args.is_empty() {
            return Ok(());
        }
        f.write_str("<")?;
        self.separated(f, args, |f, arg| match arg {
            Some(ty) => self.ty(f, *ty),
            None => f.write_str("_"),
        })?;
        f.write_str(">")
    }

    fn labels(
        &self,
        f: &mut fmt::Formatter<'_>,
        keyword: &str,
        labels: &[Box<str>],
    ) -> fmt::Result {
        write!(f, "{keyword} {{ ")?;
        self.separated(f, labels, |f, label| f.write_str(label))?;
        f.write_str(" }")
    }

    fn separated<T>(
        &self,
        f: &mut fmt::Formatter<'_>,
        items: &[T],
        write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
    ) -> fmt::Result {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            if !self.spend() {
                return f.write_str("…");
            }
            write(f, item)?;
        }
        Ok(())
    }
}
