//! The element types of streams and futures, told apart by small numbers.

use super::ResourceType;
use crate::types::{TypeDef, TypeIdx, Types, ValType};
use std::collections::HashMap;

/// The element type of a stream or future: equal numbers for equal types, whichever component they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayloadId(pub u32);

impl PayloadId {
    /// No element type.
    pub const NONE: PayloadId = PayloadId(0);
    /// Not settled yet: that of a stream or future that the host made and that no guest has seen.
    pub const UNSETTLED: PayloadId = PayloadId(u32::MAX);
}

/// The element types that a store has met.
#[derive(Debug)]
pub(super) struct Payloads {
    ids: HashMap<Box<[u8]>, PayloadId>,
    /// By number: whether it is a number or there is no element.
    none_or_number: Vec<bool>,
    /// What was asked for of late, of types without resources: by the identity of the collection, and the type in it.
    recent: Vec<(u64, ValType, PayloadId)>,
    /// The place of the next one, once there are [`RECENT`].
    oldest: usize,
}

/// How many types are found without walking them: a store's components have a handful for their streams and futures.
const RECENT: usize = 16;

impl Default for Payloads {
    fn default() -> Self {
        Self {
            ids: HashMap::new(),
            none_or_number: vec![true],
            recent: Vec::new(),
            oldest: 0,
        }
    }
}

impl Payloads {
    pub(super) fn none_or_number(&self, id: PayloadId) -> bool {
        self.none_or_number
            .get(id.0 as usize)
            .copied()
            .unwrap_or(false)
    }

    fn intern(
        &mut self,
        types: &Types,
        resources: &[ResourceType],
        ty: Option<ValType>,
    ) -> PayloadId {
        let Some(ty) = ty else {
            return PayloadId::NONE;
        };
        let identity = types.identity();
        let is_it = |known: &&(u64, ValType, PayloadId)| known.0 == identity && known.1 == ty;
        if let Some(&(_, _, id)) = self.recent.iter().find(is_it) {
            return id;
        }
        let mut key = Vec::new();
        let mut encoder = Encoder {
            types,
            resources,
            key: &mut key,
            has_resources: false,
        };
        encoder.value(ty);
        let has_resources = encoder.has_resources;
        let id = match self.ids.get(key.as_slice()) {
            Some(&id) => id,
            None => {
                let id = PayloadId(self.none_or_number.len() as u32);
                self.none_or_number.push(is_number(ty));
                self.ids.insert(key.into(), id);
                id
            }
        };
        // What a resource stands for differs from instance to instance.
        if !has_resources {
            self.remember((identity, ty, id));
        }
        id
    }

    fn remember(&mut self, entry: (u64, ValType, PayloadId)) {
        if self.recent.len() < RECENT {
            return self.recent.push(entry);
        }
        self.recent[self.oldest] = entry;
        self.oldest = (self.oldest + 1) % RECENT;
    }
}

impl super::State {
    /// The number of an element type, `None` for a stream or future without one. `resources` says what the plan's resource types stand for.
    ///
    /// It walks the type, unless it was asked for of late.
    pub fn payload(
        &mut self,
        types: &Types,
        resources: &[ResourceType],
        ty: Option<ValType>,
    ) -> PayloadId {
        self.payloads.intern(types, resources, ty)
    }
}

/// `none_or_number_type`, for a type that is there.
fn is_number(ty: ValType) -> bool {
    matches!(
        ty,
        ValType::U8
            | ValType::U16
            | ValType::U32
            | ValType::U64
            | ValType::S8
            | ValType::S16
            | ValType::S32
            | ValType::S64
            | ValType::F32
            | ValType::F64
    )
}

/// Writes a type down so that two types are equal exactly when their bytes are.
struct Encoder<'a> {
    types: &'a Types,
    resources: &'a [ResourceType],
    key: &'a mut Vec<u8>,
    has_resources: bool,
}

impl Encoder<'_> {
    fn value(&mut self, ty: ValType) {
        match ty {
            ValType::Bool => self.tag(1),
            ValType::S8 => self.tag(2),
            ValType::U8 => self.tag(3),
            ValType::S16 => self.tag(4),
            ValType::U16 => self.tag(5),
            ValType::S32 => self.tag(6),
            ValType::U32 => self.tag(7),
            ValType::S64 => self.tag(8),
            ValType::U64 => self.tag(9),
            ValType::F32 => self.tag(10),
            ValType::F64 => self.tag(11),
            ValType::Char => self.tag(12),
            ValType::String => self.tag(13),
            ValType::ErrorContext => self.tag(14),
            ValType::Own(resource) => self.resource(15, resource.index()),
            ValType::Borrow(resource) => self.resource(16, resource.index()),
            ValType::List(ty)
            | ValType::FixedList(ty)
            | ValType::Map(ty)
            | ValType::Record(ty)
            | ValType::Tuple(ty)
            | ValType::Variant(ty)
            | ValType::Enum(ty)
            | ValType::Option(ty)
            | ValType::Result(ty)
            | ValType::Flags(ty)
            | ValType::Stream(ty)
            | ValType::Future(ty) => self.composite(ty),
        }
    }

    fn composite(&mut self, ty: TypeIdx) {
        let types = self.types;
        match types.def(ty) {
            TypeDef::List(element) => {
                self.tag(20);
                self.value(*element);
            }
            TypeDef::FixedList { element, length } => {
                self.tag(21);
                self.number(*length);
                self.value(*element);
            }
            TypeDef::Map { key, value } => {
                self.tag(22);
                self.value(*key);
                self.value(*value);
            }
            TypeDef::Record(fields) => {
                self.tag(23);
                self.number(fields.len() as u32);
                for field in fields {
                    self.label(&field.name);
                    self.value(field.ty);
                }
            }
            TypeDef::Tuple(elements) => {
                self.tag(24);
                self.number(elements.len() as u32);
                for &element in elements {
                    self.value(element);
                }
            }
            TypeDef::Variant(cases) => {
                self.tag(25);
                self.number(cases.len() as u32);
                for case in cases {
                    self.label(&case.name);
                    self.optional(case.ty);
                }
            }
            TypeDef::Enum(labels) => {
                self.tag(26);
                self.labels(labels);
            }
            TypeDef::Option(some) => {
                self.tag(27);
                self.value(*some);
            }
            TypeDef::Result { ok, err } => {
                self.tag(28);
                self.optional(*ok);
                self.optional(*err);
            }
            TypeDef::Flags(labels) => {
                self.tag(29);
                self.labels(labels);
            }
            TypeDef::Stream(element) => {
                self.tag(30);
                self.optional(*element);
            }
            TypeDef::Future(element) => {
                self.tag(31);
                self.optional(*element);
            }
        }
    }

    fn optional(&mut self, ty: Option<ValType>) {
        match ty {
            None => self.tag(0),
            Some(ty) => self.value(ty),
        }
    }

    fn resource(&mut self, tag: u8, index: usize) {
        self.has_resources = true;
        self.tag(tag);
        self.number(self.resources[index].number());
    }

    fn labels(&mut self, labels: &[Box<str>]) {
        self.number(labels.len() as u32);
        for label in labels {
            self.label(label);
        }
    }

    fn label(&mut self, label: &str) {
        self.number(label.len() as u32);
        self.key.extend_from_slice(label.as_bytes());
    }

    fn number(&mut self, number: u32) {
        self.key.extend_from_slice(&number.to_le_bytes());
    }

    fn tag(&mut self, tag: u8) {
        self.key.push(tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Field, ResourceIdx};

    #[test]
    fn equal_types_of_different_components_have_one_number() {
        let mut payloads = Payloads::default();
        let mut one = Types::default();
        let mut other = Types::default();
        let list = one.intern(TypeDef::List(ValType::U8)).unwrap();
        let option = other.intern(TypeDef::Option(ValType::U8)).unwrap();
        let same_list = other.intern(TypeDef::List(ValType::U8)).unwrap();
        let first = payloads.intern(&one, &[], Some(list));
        let second = payloads.intern(&other, &[], Some(same_list));
        assert_eq!(first, second);
        assert_ne!(first, payloads.intern(&other, &[], Some(option)));
    }

    #[test]
    fn labels_and_resource_types_tell_types_apart() {
        let mut payloads = Payloads::default();
        let mut types = Types::default();
        let mut record = |name: &str| {
            let field = Field {
                name: name.into(),
                ty: ValType::U8,
            };
            types.intern(TypeDef::Record([field].into())).unwrap()
        };
        let (a, b) = (record("a"), record("b"));
        let a = payloads.intern(&types, &[], Some(a));
        assert_ne!(a, payloads.intern(&types, &[], Some(b)));

        let mut state = super::super::State::new();
        let resources = [state.add_resource_type(None), state.add_resource_type(None)];
        let own = |index| Some(ValType::Own(ResourceIdx(index)));
        let first = payloads.intern(&types, &resources, own(0));
        assert_ne!(first, payloads.intern(&types, &resources, own(1)));
        assert_eq!(first, payloads.intern(&types, &resources[..1], own(0)));
        let swapped = [resources[1], resources[0]];
        assert_eq!(first, payloads.intern(&types, &swapped, own(1)));
    }

    #[test]
    fn only_numbers_and_nothing_may_be_copied_within_an_instance() {
        let mut payloads = Payloads::default();
        let types = Types::default();
        assert!(payloads.none_or_number(PayloadId::NONE));
        let number = payloads.intern(&types, &[], Some(ValType::F64));
        let char = payloads.intern(&types, &[], Some(ValType::Char));
        assert!(payloads.none_or_number(number));
        assert!(!payloads.none_or_number(char));
    }

    #[test]
    fn many_types_keep_their_numbers_whatever_was_asked_for_of_late() {
        let mut payloads = Payloads::default();
        let mut types = Types::default();
        let lists: Vec<_> = (1..=3 * RECENT as u32)
            .map(|length| {
                let element = ValType::U8;
                types
                    .intern(TypeDef::FixedList { element, length })
                    .unwrap()
            })
            .collect();
        let mut ask = |types: &Types| -> Vec<_> {
            let numbers = lists
                .iter()
                .map(|ty| payloads.intern(types, &[], Some(*ty)));
            numbers.collect()
        };
        let first = ask(&types);
        assert_eq!(first, ask(&types));
        assert_eq!(first, ask(&types.clone()));
        let distinct: std::collections::HashSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), lists.len());
    }
}
