//! Reading.

use super::{Damaged, MAX_DEPTH, Stored, stored_struct};
use crate::types::Types;
use std::sync::Arc;

/// Gives what was stored.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    names: Vec<Arc<str>>,
    depth: u32,
    /// How long the lists are that indices point into.
    pub bounds: Bounds,
    /// The types so far.
    pub types: Types,
}

/// The lengths of the lists of a plan, those of types apart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    pub instances: u32,
    pub core_instances: u32,
    pub modules: u32,
    pub imports: u32,
    pub resources: u32,
    pub trampolines: u32,
    pub lifts: u32,
    pub options: u32,
}

stored_struct!(Bounds {
    instances,
    core_instances,
    modules,
    imports,
    resources,
    trampolines,
    lifts,
    options,
});

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            names: Vec::new(),
            depth: 0,
            bounds: Bounds::default(),
            types: Types::default(),
        }
    }

    /// Reads what comes first: the lengths and the names.
    pub fn begin(&mut self) -> Result<(), Damaged> {
        self.bounds = Bounds::read(self)?;
        let count = self.count()?;
        self.names.reserve(count);
        for _ in 0..count {
            let name = self.text()?.into();
            self.names.push(name);
        }
        Ok(())
    }

    /// Sees that nothing is left.
    pub fn end(&self) -> Result<(), Damaged> {
        match self.rest {
            [] => Ok(()),
            _ => Err(self.damaged("something is left over")),
        }
    }

    #[cold]
    pub fn damaged(&self, what: &'static str) -> Damaged {
        Damaged {
            what,
            left: self.rest.len(),
        }
    }

    #[inline]
    pub fn byte(&mut self) -> Result<u8, Damaged> {
        let (&byte, rest) = self
            .rest
            .split_first()
            .ok_or_else(|| self.damaged("it ends early"))?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub fn number(&mut self) -> Result<u64, Damaged> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(first.into());
        }
        let mut number = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged("the number has no end"))
    }

    /// The length of something that follows: no more than there are bytes, as everything takes at least one.
    pub fn count(&mut self) -> Result<usize, Damaged> {
        let count = self.number()?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.rest.len())
            .ok_or_else(|| self.damaged("it is longer than what is there"))
    }

    pub fn text(&mut self) -> Result<&'a str, Damaged> {
        let length = self.count()?;
        let (text, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| self.damaged("it ends early"))?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| self.damaged("a name is not UTF-8"))
    }

    pub fn name(&mut self) -> Result<Arc<str>, Damaged> {
        let number = self.number()?;
        let name = usize::try_from(number)
            .ok()
            .and_then(|number| self.names.get(number));
        name.cloned()
            .ok_or_else(|| self.damaged("a name is not in the list"))
    }

    /// An index into a list of so many.
    #[inline]
    pub fn index(&mut self, bound: u32) -> Result<u32, Damaged> {
        let index = u32::read(self)?;
        match index < bound {
            true => Ok(index),
            false => Err(self.damaged("an index is out of bounds")),
        }
    }

    pub fn list<T: Stored>(&mut self) -> Result<Vec<T>, Damaged> {
        if self.depth == MAX_DEPTH {
            return Err(self.damaged("it nests too deep"));
        }
        self.depth += 1;
        let count = self.count()?;
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(T::read(self)?);
        }
        self.depth -= 1;
        Ok(list)
    }
}
