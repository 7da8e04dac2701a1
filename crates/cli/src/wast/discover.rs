//! Finds scripts in folders.

use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// The given files, and every `.wast` file in and below the given folders, each folder in the order of names.
pub fn scripts(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let metadata = path
            .metadata()
            .with_context(|| format!("cannot read {}", path.display()))?;
        if metadata.is_dir() {
            search(path, &mut found)?;
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = || format!("cannot read the folder {}", folder.display());
    let entries = std::fs::read_dir(folder).with_context(unreadable)?;
    let mut entries = entries
        .collect::<Result<Vec<_>, _>>()
        .with_context(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Links to folders are not followed: they may form a cycle.
        if entry.file_type().with_context(unreadable)?.is_dir() {
            search(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "wast")
        {
            found.push(path);
        }
    }
    Ok(())
}
