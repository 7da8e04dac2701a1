//! A module's sections, as far as the adapter must look at or change them.
//!
//! wasmi runs a module's start function with a call that cannot be suspended. So the start section is taken out and the
//! function exported instead, under a name that no other export has, for the adapter to call it as it sees fit.

use wasmparser::{BinaryReader, ImportSectionReader, Name, NameSectionReader, TypeRef};

/// Section ids.
mod id {
    pub(super) const CUSTOM: u8 = 0;
    pub(super) const IMPORT: u8 = 2;
    pub(super) const TABLE: u8 = 4;
    pub(super) const MEMORY: u8 = 5;
    pub(super) const EXPORT: u8 = 7;
    pub(super) const START: u8 = 8;
}

/// What was found in a module.
#[derive(Debug, Default)]
pub(super) struct Sections {
    pub(super) name: Option<String>,
    /// The kinds of its imports, in order.
    pub(super) imports: Vec<ImportKind>,
    /// Memories it defines.
    pub(super) memories: u32,
    /// Tables it defines.
    pub(super) tables: u32,
    /// The module without its start section, and what the start function is exported as.
    pub(super) rewritten: Option<(Vec<u8>, String)>,
}

/// What kind of thing is imported, in the order in which the engine groups imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ImportKind {
    Func,
    Table,
    Memory,
    Global,
    Tag,
}

struct Section<'a> {
    id: u8,
    /// With id and size.
    whole: &'a [u8],
    content: &'a [u8],
}

/// Looks a binary module through. Of one that is malformed nothing is changed: the engine says what is wrong.
pub(super) fn read(wasm: &[u8]) -> Sections {
    let Some(sections) = split(wasm) else {
        return Sections::default();
    };
    let count = |id| {
        sections
            .iter()
            .find(|section| section.id == id)
            .and_then(|section| reader(section.content).read_var_u32().ok())
            .unwrap_or(0)
    };
    Sections {
        name: sections.iter().find_map(module_name),
        imports: sections
            .iter()
            .find(|section| section.id == id::IMPORT)
            .and_then(import_kinds)
            .unwrap_or_default(),
        memories: count(id::MEMORY),
        tables: count(id::TABLE),
        rewritten: export_start(wasm, &sections),
    }
}

fn reader(bytes: &[u8]) -> BinaryReader<'_> {
    BinaryReader::new(bytes, 0)
}

/// The sections, if their sizes add up.
fn split(wasm: &[u8]) -> Option<Vec<Section<'_>>> {
    let mut at = 8;
    let mut sections = Vec::new();
    while at < wasm.len() {
        let mut header = reader(&wasm[at..]);
        let id = header.read_u8().ok()?;
        let size = usize::try_from(header.read_var_u32().ok()?).ok()?;
        let content = at + header.original_position();
        let end = content.checked_add(size)?;
        sections.push(Section {
            id,
            whole: wasm.get(at..end)?,
            content: wasm.get(content..end)?,
        });
        at = end;
    }
    Some(sections)
}

fn import_kinds(section: &Section<'_>) -> Option<Vec<ImportKind>> {
    let imports = ImportSectionReader::new(reader(section.content)).ok()?;
    imports
        .into_imports()
        .map(|import| {
            Some(match import.ok()?.ty {
                TypeRef::Func(_) | TypeRef::FuncExact(_) => ImportKind::Func,
                TypeRef::Table(_) => ImportKind::Table,
                TypeRef::Memory(_) => ImportKind::Memory,
                TypeRef::Global(_) => ImportKind::Global,
                TypeRef::Tag(_) => ImportKind::Tag,
            })
        })
        .collect()
}

fn module_name(section: &Section<'_>) -> Option<String> {
    if section.id != id::CUSTOM {
        return None;
    }
    let mut content = reader(section.content);
    if content.read_string().ok()? != "name" {
        return None;
    }
    let names = &section.content[content.original_position()..];
    NameSectionReader::new(reader(names)).find_map(|name| match name {
        Ok(Name::Module { name, .. }) => Some(name.to_owned()),
        _ => None,
    })
}

/// Where a section with this id stands among the others.
fn order(id: u8) -> u8 {
    match id {
        // Tags stand between memories and globals, the data count between elements and code.
        1..=5 => id,
        13 => 6,
        6..=9 => id + 1,
        12 => 11,
        10 | 11 => id + 2,
        _ => 0,
    }
}

fn export_start(wasm: &[u8], sections: &[Section<'_>]) -> Option<(Vec<u8>, String)> {
    let start = sections.iter().find(|section| section.id == id::START)?;
    // A module whose sections are out of order is left for the engine to refuse.
    let known = sections
        .iter()
        .filter(|section| section.id != id::CUSTOM)
        .map(|section| order(section.id));
    if !known.is_sorted_by(|before, after| before < after && *after != 0) {
        return None;
    }
    let mut content = reader(start.content);
    let func = content.read_var_u32().ok()?;
    if !content.eof() {
        return None;
    }

    let exports = sections.iter().find(|section| section.id == id::EXPORT);
    let (count, entries) = match exports {
        Some(section) => {
            let mut content = reader(section.content);
            let count = content.read_var_u32().ok()?;
            (count, &section.content[content.original_position()..])
        }
        None => (0, &[][..]),
    };
    let name = unused_name(entries);
    let mut content = Vec::with_capacity(entries.len() + name.len() + 16);
    leb128(&mut content, count.checked_add(1)?);
    content.extend_from_slice(entries);
    leb128(&mut content, u32::try_from(name.len()).ok()?);
    content.extend_from_slice(name.as_bytes());
    content.push(0);
    leb128(&mut content, func);

    let mut out = Vec::with_capacity(wasm.len() + name.len() + 16);
    out.extend_from_slice(wasm.get(..8)?);
    let mut pending = Some(content);
    for section in sections {
        let is_past_exports = section.id != id::CUSTOM && order(section.id) >= order(id::EXPORT);
        if is_past_exports && let Some(content) = pending.take() {
            out.push(id::EXPORT);
            leb128(&mut out, u32::try_from(content.len()).ok()?);
            out.extend_from_slice(&content);
        }
        if section.id != id::EXPORT && section.id != id::START {
            out.extend_from_slice(section.whole);
        }
    }
    Some((out, name))
}

/// A name that does not occur anywhere among the exports.
fn unused_name(entries: &[u8]) -> String {
    let mut name = "\0start".to_owned();
    while entries
        .windows(name.len())
        .any(|window| window == name.as_bytes())
    {
        name.insert(0, '\0');
    }
    name
}

fn leb128(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
