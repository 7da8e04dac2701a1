//! Single words of values: loaded from a memory or a local, and stored in one.

use super::code::{Result, Unfit};
use super::values::{At, Flat, Transfer};
use wasm_encoder::{Instruction, ValType};

impl Transfer<'_, '_> {
    /// What goes on the stack before a value that is to be stored.
    pub(super) fn store_address(&mut self, to: &At<'_>) {
        if let At::Memory(place) = to {
            self.code.get(place.base);
        }
    }

    /// Loads an integer of up to four bytes, or a flat value, of which all counts unless it is signed.
    pub(super) fn load32(&mut self, from: &mut At<'_>, size: u32, signed: bool) -> Result {
        let flat = match from {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.get(place.base);
                self.code.emit([match (size, signed) {
                    (1, false) => Instruction::I32Load8U(arg),
                    (1, true) => Instruction::I32Load8S(arg),
                    (2, false) => Instruction::I32Load16U(arg),
                    (2, true) => Instruction::I32Load16S(arg),
                    _ => Instruction::I32Load(arg),
                }]);
                return Ok(());
            }
            At::Flat(flat) => flat,
        };
        self.flat32(flat)?;
        match (size, signed) {
            (1, true) => self.code.emit([Instruction::I32Extend8S]),
            (2, true) => self.code.emit([Instruction::I32Extend16S]),
            _ => {}
        }
        Ok(())
    }

    /// The low half of a flat value.
    fn flat32(&mut self, flat: &mut Flat) -> Result {
        let (local, ty) = flat.next()?;
        self.code.get(local);
        match ty {
            ValType::I32 => {}
            ValType::I64 => self.code.emit([Instruction::I32WrapI64]),
            ValType::F32 => self.code.emit([Instruction::I32ReinterpretF32]),
            _ => return Err(Unfit),
        }
        Ok(())
    }

    pub(super) fn load64(&mut self, from: &mut At<'_>) -> Result {
        match from {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.get(place.base);
                self.code.emit([Instruction::I64Load(arg)]);
            }
            At::Flat(flat) => {
                let (local, ty) = flat.next()?;
                self.code.get(local);
                match ty {
                    ValType::I64 => {}
                    ValType::F64 => self.code.emit([Instruction::I64ReinterpretF64]),
                    _ => return Err(Unfit),
                }
            }
        }
        Ok(())
    }

    pub(super) fn load_f32(&mut self, from: &mut At<'_>) -> Result {
        match from {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.get(place.base);
                self.code.emit([Instruction::F32Load(arg)]);
            }
            At::Flat(flat) if flat.slots.get(flat.next).is_some_and(is_f32) => {
                let (local, _) = flat.next()?;
                self.code.get(local);
            }
            At::Flat(flat) => {
                self.flat32(flat)?;
                self.code.emit([Instruction::F32ReinterpretI32]);
            }
        }
        Ok(())
    }

    pub(super) fn load_f64(&mut self, from: &mut At<'_>) -> Result {
        match from {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.get(place.base);
                self.code.emit([Instruction::F64Load(arg)]);
            }
            At::Flat(flat) => {
                let (local, ty) = flat.next()?;
                self.code.get(local);
                match ty {
                    ValType::F64 => {}
                    ValType::I64 => self.code.emit([Instruction::F64ReinterpretI64]),
                    _ => return Err(Unfit),
                }
            }
        }
        Ok(())
    }

    /// Stores the integer on the stack, which is above an address if it goes to memory.
    pub(super) fn store32(&mut self, to: &mut At<'_>, size: u32) -> Result {
        match to {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.emit([match size {
                    1 => Instruction::I32Store8(arg),
                    2 => Instruction::I32Store16(arg),
                    _ => Instruction::I32Store(arg),
                }]);
            }
            At::Flat(flat) => {
                let (local, ty) = flat.next()?;
                match ty {
                    ValType::I32 => {}
                    ValType::I64 => self.code.emit([Instruction::I64ExtendI32U]),
                    ValType::F32 => self.code.emit([Instruction::F32ReinterpretI32]),
                    _ => return Err(Unfit),
                }
                self.code.emit([Instruction::LocalSet(local)]);
            }
        }
        Ok(())
    }

    pub(super) fn store64(&mut self, to: &mut At<'_>) -> Result {
        match to {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.emit([Instruction::I64Store(arg)]);
            }
            At::Flat(flat) => {
                let (local, ty) = flat.next()?;
                match ty {
                    ValType::I64 => {}
                    ValType::F64 => self.code.emit([Instruction::F64ReinterpretI64]),
                    _ => return Err(Unfit),
                }
                self.code.emit([Instruction::LocalSet(local)]);
            }
        }
        Ok(())
    }

    pub(super) fn store_f32(&mut self, to: &mut At<'_>) -> Result {
        match to {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.emit([Instruction::F32Store(arg)]);
            }
            At::Flat(flat) if flat.slots.get(flat.next).is_some_and(is_f32) => {
                let (local, _) = flat.next()?;
                self.code.emit([Instruction::LocalSet(local)]);
            }
            At::Flat(_) => {
                self.code.emit([Instruction::I32ReinterpretF32]);
                self.store32(to, 4)?;
            }
        }
        Ok(())
    }

    pub(super) fn store_f64(&mut self, to: &mut At<'_>) -> Result {
        match to {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.emit([Instruction::F64Store(arg)]);
            }
            At::Flat(flat) => {
                let (local, ty) = flat.next()?;
                match ty {
                    ValType::F64 => {}
                    ValType::I64 => self.code.emit([Instruction::I64ReinterpretF64]),
                    _ => return Err(Unfit),
                }
                self.code.emit([Instruction::LocalSet(local)]);
            }
        }
        Ok(())
    }
}

fn is_f32((_, ty): &(u32, ValType)) -> bool {
    *ty == ValType::F32
}
