//! Reading a binary into nested lists of definitions, without interpreting them.

use super::{ModuleIdx, PlanError, PlanLimits};
use std::collections::HashMap;
use std::ops::Range;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentImport, ComponentInstance,
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

/// What the reader is in the midst of.
enum Frame<'a> {
    Module,
    Component {
        offset: usize,
        definition: Definition<'a>,
    },
}

/// Reads a component. Core modules are skipped.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    features: wasmparser::WasmFeatures,
    limits: &PlanLimits,
) -> Result<Decoded<'a>, PlanError> {
    let mut modules = Vec::new();
    let mut frames: Vec<Frame<'a>> = Vec::new();
    // Where the frame begins whose version comes next.
    let mut begin = 0;
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(bytes) {
        let payload = payload?;
        if let Payload::Version { encoding, .. } = payload {
            if frames.len() >= limits.max_depth as usize {
                return Err(PlanError::Limit {
                    what: "levels of nested components",
                    limit: limits.max_depth.into(),
                    option: "max_depth",
                    offset: begin,
                });
            }
            frames.push(match encoding {
                Encoding::Component => Frame::Component {
                    offset: begin,
                    definition: Definition::default(),
                },
                Encoding::Module if frames.is_empty() => return Err(PlanError::CoreModule),
                Encoding::Module => Frame::Module,
            });
            continue;
        }
        let Some(Frame::Component { definition, .. }) = frames.last_mut() else {
            // Inside a core module; its end is the end of its frame.
            if matches!(payload, Payload::End(_)) {
                frames.pop();
            }
            continue;
        };
        match payload {
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                begin = unchecked_range.start;
                let index = ModuleIdx(modules.len() as u32);
                definition.items.push((begin, Item::CoreModule(index)));
                modules.push(unchecked_range);
            }
            Payload::ComponentSection {
                unchecked_range, ..
            } => begin = unchecked_range.start,
            Payload::End(end) => {
                let Some(Frame::Component { offset, definition }) = frames.pop() else {
                    return Err(bug(end));
                };
                match frames.last_mut() {
                    None => {
                        return Ok(Decoded {
                            root: definition,
                            modules,
                        });
                    }
                    Some(Frame::Component {
                        definition: outer, ..
                    }) => outer.items.push((offset, Item::Component(definition))),
                    Some(Frame::Module) => return Err(bug(end)),
                }
            }
            payload => {
                if let Payload::ComponentTypeSection(section) = &payload {
                    super::valid::check_nesting(bytes, section, features, limits)?;
                }
                read_section(definition, payload)?;
            }
        }
    }
    Err(PlanError::Invalid {
        message: "unexpected end of the binary".into(),
        offset: bytes.len(),
    })
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

fn bug(offset: usize) -> PlanError {
    PlanError::Bug {
        what: "the component around an end",
        offset,
    }
}
