//! What the command line grants to the guest.

use crate::args::{Dir, RunArgs, WasiOption};
use crate::status::Failure;
use anyhow::Context as _;
use std::ffi::OsString;
use std::path::Path;
use tidegate_wasi::fs::Access;
use tidegate_wasi::net::Policy;
use tidegate_wasi::{WasiCtx, WasiCtxBuilder};

/// The guest's context: the standard streams of this process, and what was asked for.
pub fn context(args: &RunArgs) -> Result<WasiCtx, Failure> {
    let mut builder = WasiCtx::builder().inherit_stdio();
    // The folders of this machine are no business of the guest's.
    let name = args
        .command
        .first()
        .and_then(|file| Path::new(file).file_name());
    let words = args.command.iter().skip(1).map(OsString::as_os_str);
    for word in name.into_iter().chain(words) {
        let word = word
            .to_str()
            .with_context(|| format!("{word:?} is not Unicode, as arguments of guests are"))?;
        builder = builder.arg(word);
    }
    for dir in &args.dirs {
        builder = grant(builder, dir)?;
    }
    if args.wasi.contains(&WasiOption::InheritEnv) {
        builder = builder.inherit_env();
    }
    for variable in &args.env {
        let value = match &variable.value {
            Some(value) => value.clone(),
            None => std::env::var(&variable.name).map_err(|_| {
                Failure::usage(format_args!(
                    "--env {0}: this process has no variable {0}",
                    variable.name
                ))
                .help(format!("give a value: --env {}=VALUE", variable.name))
            })?,
        };
        builder = builder.env(&variable.name, value);
    }
    if let Some(zone) = &args.time_zone {
        builder = builder.time_zone(zone.clone());
    }
    Ok(builder.network(policy(&args.wasi)).build())
}

fn grant(builder: WasiCtxBuilder, dir: &Dir) -> Result<WasiCtxBuilder, Failure> {
    let access = if dir.read_only {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    builder
        .preopened_dir(&dir.host, &dir.guest, access)
        .with_context(|| format!("--dir: cannot open the folder {}", dir.host.display()))
        .map_err(|error| Failure::new(crate::status::Status::Usage, error))
}

fn policy(options: &[WasiOption]) -> Policy {
    options
        .iter()
        .fold(Policy::nothing(), |policy, option| match option {
            WasiOption::InheritEnv => policy,
            WasiOption::InheritNetwork => Policy::everything(),
            WasiOption::NameLookup => policy.allow_lookup(true),
            WasiOption::Connect(rule) => policy.allow_connect(rule.clone()),
            WasiOption::Bind(rule) => policy.allow_bind(rule.clone()),
        })
}
