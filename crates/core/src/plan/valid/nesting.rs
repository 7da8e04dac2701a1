//! A bound on how deep type declarations nest in the binary.
//!
//! The parser reads nested declarations by recursion, so that a few kilobytes of nothing but nesting would overrun the stack. This
//! check walks the same declarations with a stack of its own, before the parser sees them.

use crate::plan::{PlanError, PlanLimits};
use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExternName, ComponentImport, ComponentType,
    ComponentTypeRef, ComponentTypeSectionReader, CoreType, WasmFeatures,
};

const COMPONENT_TYPE: u8 = 0x41;
const INSTANCE_TYPE: u8 = 0x42;

/// Checks a type section of the binary `bytes`.
///
/// # Errors
/// The declarations nest deeper than [`PlanLimits::max_depth`], or are malformed.
pub(in crate::plan) fn check(
    bytes: &[u8],
    section: &ComponentTypeSectionReader<'_>,
    features: WasmFeatures,
    limits: &PlanLimits,
) -> Result<(), PlanError> {
    let entries = section.original_position()..section.range().end;
    let offset = entries.start;
    let Some(bytes) = bytes.get(entries) else {
        return Ok(());
    };
    let mut reader = BinaryReader::new_features(bytes, offset, features);
    // How many entries are left at each level: of the section, and of each declaration that is open.
    let mut left = vec![section.count()];
    while let Some(count) = left.last_mut() {
        if *count == 0 {
            left.pop();
            continue;
        }
        *count -= 1;
        let is_type = left.len() == 1 || skip_declaration(&mut reader)?;
        if !is_type {
            continue;
        }
        match reader.clone().read_u8()? {
            COMPONENT_TYPE | INSTANCE_TYPE => {
                reader.read_u8()?;
                left.push(reader.read_var_u32()?);
                if left.len() > limits.max_depth as usize {
                    return Err(PlanError::Limit {
                        what: "levels of nested type declarations",
                        limit: limits.max_depth.into(),
                        option: "max_depth",
                        offset: reader.original_position(),
                    });
                }
            }
            _ => {
                reader.read::<ComponentType<'_>>()?;
            }
        }
    }
    Ok(())
}

/// Skips a declaration, unless it is a type: then says so, with the reader at the type.
fn skip_declaration(reader: &mut BinaryReader<'_>) -> Result<bool, PlanError> {
    let offset = reader.original_position();
    match reader.read_u8()? {
        0x00 => {
            reader.read::<CoreType<'_>>()?;
        }
        0x01 => return Ok(true),
        0x02 => {
            reader.read::<ComponentAlias<'_>>()?;
        }
        0x03 => {
            reader.read::<ComponentImport<'_>>()?;
        }
        0x04 => {
            reader.read::<ComponentExternName<'_>>()?;
            reader.read::<ComponentTypeRef>()?;
        }
        byte => {
            return Err(PlanError::Invalid {
                message: format!(
                    "invalid leading byte ({byte:#x}) for component or instance type declaration"
                ),
                offset,
            });
        }
    }
    Ok(false)
}
