//! From WIT documents to a resolved world.

use crate::options::{Features, Options};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use wit_parser::{Resolve, WorldId};

/// A world with everything it refers to.
pub(crate) struct Source {
    /// All packages. Each interface of the world's imports and exports has types of its own: an interface that is both imported and
    /// exported stands here twice.
    pub(crate) resolve: Resolve,
    /// The world to bind.
    pub(crate) world: WorldId,
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
}

impl Source {
    /// Reads the packages that `options` name, relative to `root`, and finds the world.
    pub(crate) fn read(options: &Options, root: &Path) -> Result<Self> {
        let mut resolve = Resolve::default();
        match &options.features {
            Features::All => resolve.all_features = true,
            Features::Only(names) => resolve.features.extend(names.iter().cloned()),
        }
        let mut paths = options.paths.clone();
        if paths.is_empty() && options.inline.is_none() {
            paths.push(PathBuf::from("wit"));
        }
        let mut packages = Vec::new();
        let mut files = Vec::new();
        for path in &paths {
            let path = root.join(path);
            if !path.exists() {
                bail!("there is no file or folder `{}`", path.display());
            }
            let (package, sources) = resolve
                .push_path(&path)
                .map_err(|error| anyhow::anyhow!(resolve.render_error(&error)))?;
            packages.push(package);
            files.extend(sources.paths().map(Path::to_path_buf));
        }
        // An inline document is about something: the world is its own unless the name says otherwise.
        if let Some(inline) = &options.inline {
            let package = resolve
                .push_str("inline.wit", inline)
                .map_err(|error| anyhow::anyhow!(resolve.render_error(&error)))?;
            packages = vec![package];
        }
        let world = resolve
            .select_world(&packages, options.world.as_deref())
            .context("cannot choose a world")?;
        resolve.generate_nominal_type_ids(world);
        Ok(Self {
            resolve,
            world,
            files,
        })
    }
}
