//! The values of scripts: as arguments, and as what a result is compared with.

use tidegate::Val;
use wast::component::WastVal;

/// An argument of a call.
pub fn to_val(value: &WastVal<'_>) -> Val {
    let boxed =
        |value: &Option<Box<WastVal<'_>>>| value.as_deref().map(|value| Box::new(to_val(value)));
    match value {
        WastVal::Bool(value) => Val::Bool(*value),
        WastVal::U8(value) => Val::U8(*value),
        WastVal::S8(value) => Val::S8(*value),
        WastVal::U16(value) => Val::U16(*value),
        WastVal::S16(value) => Val::S16(*value),
        WastVal::U32(value) => Val::U32(*value),
        WastVal::S32(value) => Val::S32(*value),
        WastVal::U64(value) => Val::U64(*value),
        WastVal::S64(value) => Val::S64(*value),
        WastVal::F32(value) => Val::F32(f32::from_bits(value.bits)),
        WastVal::F64(value) => Val::F64(f64::from_bits(value.bits)),
        WastVal::Char(value) => Val::Char(*value),
        WastVal::String(value) => Val::String((*value).into()),
        WastVal::List(values) => Val::List(values.iter().map(to_val).collect()),
        WastVal::Record(fields) => Val::Record(
            fields
                .iter()
                .map(|(name, value)| ((*name).into(), to_val(value)))
                .collect(),
        ),
        WastVal::Tuple(values) => Val::Tuple(values.iter().map(to_val).collect()),
        WastVal::Variant(name, payload) => Val::Variant((*name).into(), boxed(payload)),
        WastVal::Enum(name) => Val::Enum((*name).into()),
        WastVal::Option(value) => Val::Option(boxed(value)),
        WastVal::Result(Ok(value)) => Val::Result(Ok(boxed(value))),
        WastVal::Result(Err(value)) => Val::Result(Err(boxed(value))),
        WastVal::Flags(names) => Val::Flags(names.iter().map(|&name| name.into()).collect()),
    }
}

/// Whether a result is what the script expects: every NaN is equal to every other, and flags have no order.
pub fn equal(found: &Val, expected: &Val) -> bool {
    let all = |found: &[Val], expected: &[Val]| {
        found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| equal(f, e))
    };
    let both = |found: &Option<Box<Val>>, expected: &Option<Box<Val>>| match (found, expected) {
        (Some(found), Some(expected)) => equal(found, expected),
        (found, expected) => found.is_none() && expected.is_none(),
    };
    match (found, expected) {
        (Val::F32(f), Val::F32(e)) => f.to_bits() == e.to_bits() || f.is_nan() && e.is_nan(),
        (Val::F64(f), Val::F64(e)) => f.to_bits() == e.to_bits() || f.is_nan() && e.is_nan(),
        (Val::List(f), Val::List(e)) | (Val::Tuple(f), Val::Tuple(e)) => all(f, e),
        (Val::Map(f), Val::Map(e)) => {
            f.len() == e.len()
                && f.iter()
                    .zip(e)
                    .all(|(f, e)| equal(&f.0, &e.0) && equal(&f.1, &e.1))
        }
        (Val::Record(f), Val::Record(e)) => {
            f.len() == e.len()
                && f.iter()
                    .zip(e)
                    .all(|(f, e)| f.0 == e.0 && equal(&f.1, &e.1))
        }
        (Val::Variant(f, found), Val::Variant(e, expected)) => f == e && both(found, expected),
        (Val::Option(f), Val::Option(e)) => both(f, e),
        (Val::Result(Ok(f)), Val::Result(Ok(e))) | (Val::Result(Err(f)), Val::Result(Err(e))) => {
            both(f, e)
        }
        (Val::Flags(f), Val::Flags(e)) => {
            f.len() == e.len() && f.iter().all(|name| e.contains(name))
        }
        (found, expected) => found == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nans_are_equal_and_zeros_have_a_sign() {
        assert!(equal(
            &Val::F32(f32::NAN),
            &Val::F32(f32::from_bits(0xffc0_0001))
        ));
        assert!(!equal(&Val::F64(0.0), &Val::F64(-0.0)));
        let list = |value| Val::List(vec![Val::F64(value)]);
        assert!(equal(&list(f64::NAN), &list(-f64::NAN)));
    }

    #[test]
    fn flags_have_no_order() {
        let flags = |names: &[&str]| Val::Flags(names.iter().map(|&name| name.into()).collect());
        assert!(equal(&flags(&["a", "b"]), &flags(&["b", "a"])));
        assert!(!equal(&flags(&["a"]), &flags(&["a", "b"])));
    }

    #[test]
    fn a_missing_payload_is_not_any_payload() {
        let some = Val::Option(Some(Box::new(Val::U8(1))));
        assert!(!equal(&some, &Val::Option(None)));
        assert!(!equal(&Val::Result(Ok(None)), &Val::Result(Err(None))));
    }
}
