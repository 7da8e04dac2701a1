//! `walk-p3 [DIRECTORY...]`: lists whole directory trees: WASI 0.3.
//!
//! A line for each entry, by name: its kind, its size in bytes, its path, and where a symbolic link points. Without arguments it
//! walks all directories it was given.

use std::fmt::Write;

use console_p3::{Arguments, outcome, print};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags, PathFlags,
};

/// How many entries are looked at at once.
const AT_ONCE: usize = 16;

struct Walk;

impl wasip3::exports::cli::run::Guest for Walk {
    async fn run() -> Result<(), ()> {
        outcome(walk().await).await
    }
}

async fn walk() -> Result<(), String> {
    let granted = get_directories();
    let mut wanted = Arguments::new().rest();
    if wanted.is_empty() {
        wanted = granted.iter().map(|(_, name)| name.clone()).collect();
    }
    for path in wanted {
        let (directory, rest) = granted
            .iter()
            .find_map(|(directory, name)| Some((directory, beneath(name, &path)?)))
            .ok_or_else(|| format!("{path}: in no directory that was given"))?;
        let failed = |code: ErrorCode| format!("{path}: {code:?}");
        if rest.is_empty() {
            tree(directory, &path).await?;
        } else {
            let directory = directory
                .open_at(
                    PathFlags::SYMLINK_FOLLOW,
                    rest.to_owned(),
                    OpenFlags::DIRECTORY,
                    DescriptorFlags::READ,
                )
                .await
                .map_err(failed)?;
            tree(&directory, &path).await?;
        }
    }
    Ok(())
}

/// What of `path` lies beneath the directory `name`.
fn beneath<'a>(name: &str, path: &'a str) -> Option<&'a str> {
    if name == "." {
        return Some(if path == "." { "" } else { path });
    }
    let rest = path.strip_prefix(name)?;
    if name.ends_with('/') || rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix('/')
}

/// Prints what is in `directory`, then what is in its subdirectories.
async fn tree(directory: &Descriptor, path: &str) -> Result<(), String> {
    let failed = |code: ErrorCode| format!("{path}: {code:?}");
    let (entries, read) = directory.read_directory();
    let mut entries = entries.collect().await;
    read.await.map_err(failed)?;
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    let lines: Vec<String> = stream::iter(&entries)
        .map(|entry| line(directory, path, entry))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    print(lines.concat())
        .await
        .map_err(|code| format!("cannot write standard output: {code:?}"))?;
    for entry in entries {
        if matches!(entry.type_, DescriptorType::Directory) {
            let path = join(path, &entry.name);
            let subdirectory = directory
                .open_at(
                    PathFlags::empty(),
                    entry.name,
                    OpenFlags::DIRECTORY,
                    DescriptorFlags::READ,
                )
                .await
                .map_err(|code| format!("{path}: {code:?}"))?;
            Box::pin(tree(&subdirectory, &path)).await?;
        }
    }
    Ok(())
}

async fn line(
    directory: &Descriptor,
    path: &str,
    entry: &DirectoryEntry,
) -> Result<String, String> {
    let path = join(path, &entry.name);
    let failed = |code: ErrorCode| format!("{path}: {code:?}");
    let kind = match entry.type_ {
        DescriptorType::Directory => 'd',
        DescriptorType::RegularFile => '-',
        DescriptorType::SymbolicLink => 'l',
        _ => '?',
    };
    let mut line = String::from(kind);
    if kind == '-' {
        let stat = directory
            .stat_at(PathFlags::empty(), entry.name.clone())
            .await
            .map_err(failed)?;
        let _ = write!(line, "{:>12}  {path}", stat.size);
    } else {
        let _ = write!(line, "{:>12}  {path}", "");
    }
    if kind == 'l' {
        let target = directory
            .readlink_at(entry.name.clone())
            .await
            .map_err(failed)?;
        let _ = write!(line, " -> {target}");
    }
    line.push('\n');
    Ok(line)
}

fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

wasip3::cli::command::export!(Walk);
