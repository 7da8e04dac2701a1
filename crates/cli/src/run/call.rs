//! `--invoke NAME(ARGS)`, as far as it is the same for modules and components.

use crate::status::Failure;
use wasm_wave::untyped::UntypedFuncCall;

/// A call as the user wrote it.
pub struct Call<'a> {
    /// The function's name, or an instance's and the function's with `#` between.
    pub name: &'a str,
    /// The arguments, parsed but of no type yet.
    pub arguments: UntypedFuncCall<'static>,
}

impl<'a> Call<'a> {
    /// Reads `NAME(ARGS)`, or `NAME` for a function without parameters.
    pub fn parse(text: &'a str) -> Result<Self, Failure> {
        let (name, arguments) = text.split_at(text.find('(').unwrap_or(text.len()));
        let arguments = if arguments.is_empty() {
            "()"
        } else {
            arguments
        };
        // Only the arguments are WAVE: a name may be an interface's with a version.
        let call = format!("call{arguments}");
        let parsed = UntypedFuncCall::parse(&call).map_err(|error| {
            Failure::usage(format_args!(
                "--invoke: {arguments} are no arguments in WAVE: {error}"
            ))
            .help("write them as in --invoke 'greet(\"you\", [1, 2], {x: 1.5})'")
        })?;
        Ok(Self {
            name: name.trim(),
            arguments: parsed.into_owned(),
        })
    }
}

/// The failure of a name that is not exported, with the names that are.
pub fn unknown<'a>(name: &str, exported: impl Iterator<Item = &'a str>) -> Failure {
    let exported: Vec<&str> = exported.collect();
    let failure = Failure::usage(format_args!("--invoke: no function {name:?} is exported"));
    match exported[..] {
        [] => failure.help("the program exports no functions"),
        _ => failure.help(format!("exported are {}", exported.join(", "))),
    }
}
