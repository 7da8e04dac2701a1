//! Reading a binary into nested lists of definitions, without interpreting them.

use super::{ModuleIdx, PlanError, PlanLimits};
use std::collections::HashMap;
use std::ops::Range;
use wasmparser::{
    CanonicalFunction, Chunk, ComponentAlias, ComponentExport, ComponentImport, ComponentInstance,
    ComponentName, ComponentNameSectionReader, ComponentType, CoreType, Encoding, FromReader,
    Instance, KnownCustom, Parser, Payload, SectionLimited,
};

/// A component's definitions, in the order of the binary.
#[derive(Debug, Default)]
pub(super) struct Definition<'a> {
    pub items: Vec<(usize, Item<'a>)>,
    /// The name that the binary's name section gives the component.
    pub name: Option<&'a str>,
    /// Names of component instances by index, from the name section.
    pub instance_names: HashMap<u32, &'a str>,
}

/// One definition.
#[derive(Debug)]
pub(super) enum Item<'a> {
    CoreModule(ModuleIdx),
    CoreInstance(Instance<'a>),
    CoreType(CoreType<'a>),
    Component(Definition<'a>),
    Instance(ComponentInstance<'a>),
    Alias(ComponentAlias<'a>),
    Type(ComponentType<'a>),
    Canon(CanonicalFunction),
    Start,
    Import(ComponentImport<'a>),
    Export(ComponentExport<'a>),
}

/// A decoded binary.
pub(super) struct Decoded<'a> {
    pub root: Definition<'a>,
    /// The core modules of all components, as ranges of the binary.
    pub modules: Vec<Range<usize>>,
}

/// Reads a component. Core modules are stepped over.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    features: wasmparser::WasmFeatures,
    limits: &PlanLimits,
) -> Result<Decoded<'a>, PlanError> {
    let mut modules = Vec::new();
    let mut parser = Parser::new(0);
    parser.set_features(features);
    // The components around the one that is read, outermost first: where the inner one begins, their definitions, their parsers.
    let mut outer: Vec<(usize, Definition<'a>, Parser)> = Vec::new();
    let mut definition = Definition::default();
    let mut rest = bytes;
    loop {
        let (consumed, payload) = match parser.parse(rest, true)? {
            Chunk::Parsed { consumed, payload } => (consumed, payload),
            Chunk::NeedMoreData(_) => return Err(ends_early(bytes)),
        };
        rest = rest.get(consumed..).ok_or_else(|| ends_early(bytes))?;
        match payload {
            Payload::Version { encoding, .. } => {
                if encoding == Encoding::Module {
                    return Err(match outer.last() {
                        None => PlanError::CoreModule,
                        Some((offset, ..)) => PlanError::Invalid {
                            message: "expected a version header for a component, found that of a core module"
                                .into(),
                            offset: *offset,
                        },
                    });
                }
            }
            Payload::ModuleSection {
                unchecked_range: range,
                ..
            } => {
                rest = rest.get(range.len()..).ok_or_else(|| ends_early(bytes))?;
                let index = ModuleIdx(modules.len() as u32);
                definition
                    .items
                    .push((range.start, Item::CoreModule(index)));
                modules.push(range);
            }
            Payload::ComponentSection {
                parser: inner,
                unchecked_range: range,
            } => {
                if outer.len() + 1 >= limits.max_depth as usize {
                    return Err(PlanError::Limit {
                        what: "levels of nested components",
                        limit: limits.max_depth.into(),
                        option: "max_depth",
                        offset: range.start,
                    });
                }
                let around = std::mem::take(&mut definition);
                outer.push((range.start, around, std::mem::replace(&mut parser, inner)));
            }
            Payload::End(_) => {
                let Some((offset, around, around_parser)) = outer.pop() else {
                    return Ok(Decoded {
                        root: definition,
                        modules,
                    });
                };
                let nested = std::mem::replace(&mut definition, around);
                definition.items.push((offset, Item::Component(nested)));
                parser = around_parser;
            }
            payload => {
                if let Payload::ComponentTypeSection(section) = &payload {
                    super::valid::check_nesting(bytes, section, features, limits)?;
                }
                read_section(&mut definition, payload)?;
            }
        }
    }
}

fn ends_early(bytes: &[u8]) -> PlanError {
    PlanError::Invalid {
        message: "unexpected end of the binary".into(),
        offset: bytes.len(),
    }
}

fn read_section<'a>(
    definition: &mut Definition<'a>,
    payload: Payload<'a>,
) -> Result<(), PlanError> {
    match payload {
        Payload::InstanceSection(section) => read(definition, section, Item::CoreInstance),
        Payload::CoreTypeSection(section) => read(definition, section, Item::CoreType),
        Payload::ComponentInstanceSection(section) => read(definition, section, Item::Instance),
        Payload::ComponentAliasSection(section) => read(definition, section, Item::Alias),
        Payload::ComponentTypeSection(section) => read(definition, section, Item::Type),
        Payload::ComponentCanonicalSection(section) => read(definition, section, Item::Canon),
        Payload::ComponentImportSection(section) => read(definition, section, Item::Import),
        Payload::ComponentExportSection(section) => read(definition, section, Item::Export),
        Payload::ComponentStartSection { range, .. } => {
            definition.items.push((range.start, Item::Start));
            Ok(())
        }
        Payload::CustomSection(section) => {
            if let KnownCustom::ComponentName(names) = section.as_known() {
                read_names(definition, names);
            }
            Ok(())
        }
        // The validator refuses what else there is.
        _ => Ok(()),
    }
}

fn read<'a, T: FromReader<'a>>(
    definition: &mut Definition<'a>,
    section: SectionLimited<'a, T>,
    item: fn(T) -> Item<'a>,
) -> Result<(), PlanError> {
    for entry in section.into_iter_with_offsets() {
        let (offset, entry) = entry?;
        definition.items.push((offset, item(entry)));
    }
    Ok(())
}

/// Takes what can be read of a name section; names are for messages only, so that errors do not matter.
fn read_names<'a>(definition: &mut Definition<'a>, section: ComponentNameSectionReader<'a>) {
    for subsection in section {
        match subsection {
            Ok(ComponentName::Component { name, .. }) => definition.name = Some(name),
            Ok(ComponentName::Instances(names)) => {
                for naming in names.into_iter().flatten() {
                    definition.instance_names.insert(naming.index, naming.name);
                }
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
