//! Operations on much memory, where guests can be interrupted.
//!
//! Fuel is taken for all of an operation before it begins. So it is [done by pieces](crate::rewrite::bulk), each of which takes its own.

use wasm_encoder::reencode::Reencode;
use wasmparser::{FunctionBody, Operator, Validator};

use super::exceptions;
use crate::rewrite::{
    Additions, Error, Rewritten, Shape, assemble,
    bulk::{Bulk, Sizes},
};

/// What functions that are added are called.
const MODULE: &str = "tidegate:bulk";

/// Operations up to this size are what they were: 4096 fuel, and 64 µs if the memory has not been touched before.
const PIECE: u32 = 256 << 10;

/// The module with what is large done by pieces; gives nothing if it has nothing large, or is not valid: the engine then says why.
pub(super) fn rewrite(wasm: &[u8]) -> Option<Vec<u8>> {
    let shape = Shape::of(wasm).ok()?;
    let code: Result<Vec<Vec<Operator<'_>>>, _> = shape.bodies.iter().map(operators).collect();
    let code = code.ok()?;
    let sizes = Sizes {
        small: PIECE,
        piece: PIECE,
    };
    let bulk = Bulk::new(sizes, Vec::new());
    let is_large = |code: &Vec<Operator<'_>>| {
        (bulk.lengths(&shape, code.iter(), 0, &mut Vec::new())).is_some()
    };
    if !code.iter().any(is_large) {
        return None;
    }
    Validator::new_with_features(exceptions::features())
        .validate_all(wasm)
        .ok()?;
    encode(wasm, &shape, &code, bulk).ok()
}

fn operators<'a>(body: &FunctionBody<'a>) -> wasmparser::Result<Vec<Operator<'a>>> {
    body.get_operators_reader()?.into_iter().collect()
}

fn encode(
    wasm: &[u8],
    shape: &Shape<'_>,
    code: &[Vec<Operator<'_>>],
    mut bulk: Bulk,
) -> Result<Vec<u8>, Error> {
    let mut additions = Additions::new(MODULE, shape);
    let mut functions = Vec::with_capacity(code.len());
    for (number, (body, code)) in shape.bodies.iter().zip(code).enumerate() {
        let params = shape.params(number).len();
        functions.push(function(
            &mut additions,
            &mut bulk,
            shape,
            params,
            body,
            code,
        )?);
    }
    assemble(wasm, additions, &functions)
}

fn function(
    additions: &mut Additions,
    bulk: &mut Bulk,
    shape: &Shape<'_>,
    params: usize,
    body: &FunctionBody<'_>,
    code: &[Operator<'_>],
) -> Result<Rewritten, Error> {
    let mut next = u32::try_from(params).unwrap_or(u32::MAX);
    let mut locals = Vec::new();
    for group in body.get_locals_reader()? {
        let (count, ty) = group?;
        next += count;
        locals.push((count, additions.val_type(ty)?));
    }
    let lengths = bulk.lengths(shape, code.iter(), next, &mut locals);
    let mut out = wasm_encoder::Function::new(locals);
    let mut unlikely = Vec::new();
    let mut before = None;
    for operator in code {
        let site = (before, operator);
        let written = match lengths {
            Some(lengths) => {
                bulk.write(additions, shape, site, lengths, (&mut out, &mut unlikely))?
            }
            None => false,
        };
        if !written {
            out.instruction(&additions.instruction(operator.clone())?);
        }
        before = Some(operator);
    }
    // The engine takes no hints.
    Ok((out, Vec::new()))
}
