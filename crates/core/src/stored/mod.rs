//! What is made of a component's binary, as bytes: so that it need not be made again when compiled code is loaded.
//!
//! [`Plan::to_bytes`](crate::plan::Plan::to_bytes) and [`Plan::from_bytes`](crate::plan::Plan::from_bytes) are the way in. Numbers are in LEB128, lists and
//! strings begin with their lengths, variants with a byte; names that occur again and again stand in a list of their own. Nothing of it is
//! believed: a length is compared with the bytes that are left before anything is allocated, and an index with the list that it points into.

mod read;
mod write;

pub(crate) use read::{Bounds, Reader};
pub(crate) use write::Writer;

use std::ops::Range;
use std::sync::Arc;

/// How deep lists may nest in lists.
const MAX_DEPTH: u32 = 200;

/// Why bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored plan is damaged: {what}, {left} bytes before its end")]
pub struct Damaged {
    /// What is wrong.
    pub what: &'static str,
    /// How many bytes come after the place.
    pub left: usize,
}

/// What can be stored.
pub(crate) trait Stored: Sized {
    fn write(&self, to: &mut Writer);

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged>;
}

/// Stores the named fields of a struct, all of them, in this order.
macro_rules! stored_struct {
    ($ty:ident { $($field:ident),* $(,)? }) => {
        impl $crate::stored::Stored for $ty {
            fn write(&self, to: &mut $crate::stored::Writer) {
                let Self { $($field),* } = self;
                $($field.write(to);)*
            }

            fn read(from: &mut $crate::stored::Reader<'_>) -> Result<Self, $crate::stored::Damaged> {
                Ok(Self { $($field: $crate::stored::Stored::read(from)?),* })
            }
        }
    };
}
pub(crate) use stored_struct;

/// Stores the variants of an enum, all of them, each after its number.
macro_rules! stored_enum {
    ($ty:ident { $($tag:literal $variant:ident $(($($part:ident),*))? $({ $($field:ident),* })?),* $(,)? }) => {
        impl $crate::stored::Stored for $ty {
            fn write(&self, to: &mut $crate::stored::Writer) {
                match self {
                    $($ty::$variant $(($($part),*))? $({ $($field),* })? => {
                        to.byte($tag);
                        $($($part.write(to);)*)?
                        $($($field.write(to);)*)?
                    })*
                }
            }

            fn read(from: &mut $crate::stored::Reader<'_>) -> Result<Self, $crate::stored::Damaged> {
                Ok(match from.byte()? {
                    $($tag => $ty::$variant
                        $(($({
                            let $part = $crate::stored::Stored::read(from)?;
                            $part
                        }),*))?
                        $({ $($field: $crate::stored::Stored::read(from)?),* })?,)*
                    _ => return Err(from.damaged(concat!("no ", stringify!($ty), " has this number"))),
                })
            }
        }
    };
}
pub(crate) use stored_enum;

impl Stored for bool {
    fn write(&self, to: &mut Writer) {
        to.byte((*self).into());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(from.damaged("neither false nor true")),
        }
    }
}

impl Stored for u32 {
    fn write(&self, to: &mut Writer) {
        to.number((*self).into());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let number = from.number()?;
        u32::try_from(number).map_err(|_| from.damaged("the number is too large"))
    }
}

impl Stored for Range<usize> {
    fn write(&self, to: &mut Writer) {
        to.number(self.start as u64);
        to.number(self.end as u64);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut place = || {
            let number = from.number()?;
            usize::try_from(number).map_err(|_| from.damaged("the number is too large"))
        };
        Ok(place()?..place()?)
    }
}

impl Stored for Box<str> {
    fn write(&self, to: &mut Writer) {
        to.text(self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        from.text().map(Into::into)
    }
}

/// A name that may occur often.
impl Stored for Arc<str> {
    fn write(&self, to: &mut Writer) {
        to.name(self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        from.name()
    }
}

impl<T: Stored> Stored for Option<T> {
    fn write(&self, to: &mut Writer) {
        self.is_some().write(to);
        if let Some(value) = self {
            value.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        bool::read(from)?.then(|| T::read(from)).transpose()
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn write(&self, to: &mut Writer) {
        to.list(self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        from.list()
    }
}

impl<T: Stored> Stored for Box<[T]> {
    fn write(&self, to: &mut Writer) {
        to.list(self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        from.list().map(Into::into)
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
        self.1.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok((A::read(from)?, B::read(from)?))
    }
}

impl<A: Stored, B: Stored, C: Stored> Stored for (A, B, C) {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
        self.1.write(to);
        self.2.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok((A::read(from)?, B::read(from)?, C::read(from)?))
    }
}
