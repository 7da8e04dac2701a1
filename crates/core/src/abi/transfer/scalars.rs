//! The fast case: flat scalars on both sides, and nothing else.

use super::node::{Kind, Node};
use crate::abi::variant::check_discriminant;
use crate::abi::{
    FlatReader, FlatWriter, canonicalize_nan32, canonicalize_nan64, convert_u32_to_char,
};

/// What to do with one flat value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    U8,
    S8,
    U16,
    S16,
    Word32,
    Word64,
    F32,
    F64,
    Char,
    /// The labels that there are.
    Flags(u32),
    /// An enum's discriminant: how many cases there are.
    Case(u32),
}

impl Scalar {
    #[inline]
    fn pass(self, word: u64) -> anyhow::Result<u64> {
        let narrow = word as u32;
        Ok(match self {
            Scalar::Word32 => narrow.into(),
            Scalar::Word64 => word,
            Scalar::Bool => (narrow != 0).into(),
            Scalar::U8 => u64::from(narrow as u8),
            Scalar::S8 => u64::from(i32::from(narrow as i8) as u32),
            Scalar::U16 => u64::from(narrow as u16),
            Scalar::S16 => u64::from(i32::from(narrow as i16) as u32),
            Scalar::F32 => canonicalize_nan32(narrow).into(),
            Scalar::F64 => canonicalize_nan64(word),
            Scalar::Char => u32::from(convert_u32_to_char(narrow)?).into(),
            Scalar::Flags(mask) => (narrow & mask).into(),
            Scalar::Case(cases) => check_discriminant(narrow, cases)?.into(),
        })
    }
}

/// Passes scalars one by one.
#[inline]
pub(super) fn pass_scalars(
    scalars: &[Scalar],
    src: &mut FlatReader<'_>,
    dst: &mut FlatWriter<'_>,
) -> anyhow::Result<()> {
    for scalar in scalars {
        dst.push(scalar.pass(src.word()?)?)?;
    }
    Ok(())
}

/// The scalars that a type consists of, if it consists of scalars and they are no more than are ever passed flat.
pub(super) fn scalars_of(nodes: &[Node], root: usize, at_most: usize) -> Option<Box<[Scalar]>> {
    let mut scalars = Vec::new();
    collect(nodes, root, at_most, &mut scalars)?;
    Some(scalars.into())
}

fn collect(nodes: &[Node], index: usize, at_most: usize, into: &mut Vec<Scalar>) -> Option<()> {
    let node = &nodes[index];
    let scalar = match &node.kind {
        Kind::Bool => Scalar::Bool,
        Kind::Int { signed } => match (node.size.source, signed) {
            (1, false) => Scalar::U8,
            (1, true) => Scalar::S8,
            (2, false) => Scalar::U16,
            (2, true) => Scalar::S16,
            (4, _) => Scalar::Word32,
            _ => Scalar::Word64,
        },
        Kind::F32 => Scalar::F32,
        Kind::F64 => Scalar::F64,
        Kind::Char => Scalar::Char,
        Kind::Flags { mask } => Scalar::Flags(*mask),
        // Without a payload there is no padding.
        Kind::Variant { cases, .. } if node.flat == 1 => {
            Scalar::Case(u32::try_from(cases.len()).ok()?)
        }
        Kind::Record { fields, .. } => {
            return fields
                .iter()
                .try_for_each(|field| collect(nodes, field.node, at_most, into));
        }
        Kind::FixedList { element, length } => {
            return (0..*length).try_for_each(|_| collect(nodes, *element, at_most, into));
        }
        _ => return None,
    };
    into.push(scalar);
    (into.len() <= at_most).then_some(())
}
