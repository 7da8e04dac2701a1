//! Types as bytes: definitions, from which all else is worked out again.

use super::intern::{MAX_INTERNAL_DEPTH, MAX_INTERNAL_SIZE, check_parts, kind_of};
use super::{
    Case, Field, FuncInfo, FuncType, FuncTypeIdx, ResourceIdx, TypeDef, TypeIdx, Types, ValType,
};
use crate::stored::{Damaged, Reader, Stored, Writer, stored_enum, stored_struct};

/// The numbers of scalar types are their places here.
const SCALARS: [ValType; 14] = [
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
];
const OWN: u8 = SCALARS.len() as u8;
const BORROW: u8 = OWN + 1;
const COMPOSITE: u8 = OWN + 2;

impl Stored for ValType {
    fn write(&self, to: &mut Writer) {
        match *self {
            ValType::Own(resource) => {
                to.byte(OWN);
                resource.write(to);
            }
            ValType::Borrow(resource) => {
                to.byte(BORROW);
                resource.write(to);
            }
            ty => match ty.type_idx() {
                Some(index) => {
                    to.byte(COMPOSITE);
                    index.0.write(to);
                }
                None => match SCALARS.iter().position(|scalar| *scalar == ty) {
                    Some(place) => to.byte(place as u8),
                    None => to.unknown = true,
                },
            },
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(match from.byte()? {
            OWN => ValType::Own(Stored::read(from)?),
            BORROW => ValType::Borrow(Stored::read(from)?),
            COMPOSITE => {
                // What kind of type it is follows from its definition, which comes before.
                let index = from.index(from.types.defs.len() as u32)?;
                kind_of(&from.types.defs[index as usize])(TypeIdx(index))
            }
            scalar => match SCALARS.get(usize::from(scalar)) {
                Some(ty) => *ty,
                None => return Err(from.damaged("no type has this number")),
            },
        })
    }
}

impl Stored for ResourceIdx {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        from.index(from.bounds.resources).map(Self)
    }
}

impl Stored for FuncTypeIdx {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        from.index(from.types.funcs.len() as u32).map(Self)
    }
}

stored_struct!(Field { name, ty });
stored_struct!(Case { name, ty });
stored_struct!(FuncType {
    params,
    result,
    async_,
});
stored_enum!(TypeDef {
    0 List(element),
    1 FixedList { element, length },
    2 Map { key, value },
    3 Record(fields),
    4 Tuple(fields),
    5 Variant(cases),
    6 Enum(labels),
    7 Option(payload),
    8 Result { ok, err },
    9 Flags(labels),
    10 Stream(element),
    11 Future(element),
});

impl Types {
    pub(crate) fn write(&self, to: &mut Writer) {
        to.number(self.defs.len() as u64);
        for (def, info) in self.defs.iter().zip(&self.infos) {
            def.write(to);
            info.entry.write(to);
        }
        to.number(self.funcs.len() as u64);
        for (func, info) in self.funcs.iter().zip(&self.func_infos) {
            func.write(to);
            info.params.write(to);
        }
        self.resource_names.write(to);
    }

    /// Reads types into `from`, where what follows finds them. They are indexed again when more are interned.
    pub(crate) fn read_into(from: &mut Reader<'_>) -> Result<(), Damaged> {
        for _ in 0..from.count()? {
            let def = TypeDef::read(from)?;
            let entry = Option::<ValType>::read(from)?;
            from.types
                .read_def(def, entry)
                .map_err(|what| from.damaged(what))?;
        }
        for _ in 0..from.count()? {
            let func = FuncType::read(from)?;
            let params = ValType::read(from)?;
            from.types
                .read_func(func, params)
                .map_err(|what| from.damaged(what))?;
        }
        from.types.resource_names = Stored::read(from)?;
        Ok(())
    }

    fn read_def(&mut self, def: TypeDef, entry: Option<ValType>) -> Result<(), &'static str> {
        // Tuples that the Canonical ABI makes up may be empty.
        if !matches!(def, TypeDef::Tuple(_)) {
            check_parts(&def).map_err(|_| "a type has too few parts or too many")?;
        }
        let expected = match &def {
            TypeDef::Map { key, value } => Some([*key, *value]),
            _ => None,
        };
        let found = entry.map(|entry| self.is_tuple_of(entry, expected.iter().flatten().copied()));
        if found != expected.map(|_| true) {
            return Err("the entry of a map is another");
        }
        let mut info = self
            .derive(&def, MAX_INTERNAL_SIZE, MAX_INTERNAL_DEPTH)
            .map_err(|_| "a type is too large or nests too deep")?;
        info.entry = entry;
        self.defs.push(def);
        self.infos.push(info);
        Ok(())
    }

    fn read_func(&mut self, func: FuncType, params: ValType) -> Result<(), &'static str> {
        if !self.is_tuple_of(params, func.params.iter().map(|param| param.ty)) {
            return Err("the parameters of a function are others");
        }
        let info = FuncInfo {
            params,
            params_flat_count: self.flat_count(params),
            result_flat_count: func.result.map_or(0, |result| self.flat_count(result)),
        };
        self.funcs.push(func);
        self.func_infos.push(info);
        Ok(())
    }

    fn is_tuple_of(&self, ty: ValType, parts: impl Iterator<Item = ValType>) -> bool {
        match ty {
            ValType::Tuple(index) => {
                matches!(self.def(index), TypeDef::Tuple(found) if parts.eq(found.iter().copied()))
            }
            _ => false,
        }
    }
}
