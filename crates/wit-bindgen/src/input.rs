//! The syntax of `bindgen!`.

use crate::generator::Direction;
use crate::options::{Features, FunctionFlags, Mode, Options, Remap, Rule, Rules};
use std::path::PathBuf;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{LitBool, LitStr, Token, braced, bracketed, token};

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(token::Brace) {
            let body;
            braced!(body in input);
            return parse_body(&body);
        }
        let mut options = Options::default();
        if input.peek(LitStr) {
            options.world = Some(input.parse::<LitStr>()?.value());
        }
        if input.parse::<Option<Token![in]>>()?.is_some() {
            options
                .paths
                .push(PathBuf::from(input.parse::<LitStr>()?.value()));
        }
        Ok(options)
    }
}

/// Parses the entries between the braces.
fn parse_body(input: ParseStream<'_>) -> syn::Result<Options> {
    let mut options = Options::default();
    let mut seen = Vec::new();
    while !input.is_empty() {
        let key = input.call(<syn::Ident as syn::ext::IdentExt>::parse_any)?;
        if seen.contains(&key) {
            return Err(syn::Error::new(
                key.span(),
                format!("`{key}` is given twice"),
            ));
        }
        input.parse::<Token![:]>()?;
        parse_entry(&key, input, &mut options)?;
        seen.push(key);
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(options)
}

fn parse_entry(key: &syn::Ident, input: ParseStream<'_>, options: &mut Options) -> syn::Result<()> {
    match key.to_string().as_str() {
        "path" => options.paths = parse_paths(input)?,
        "inline" => options.inline = Some(input.parse::<LitStr>()?.value()),
        "world" => options.world = Some(input.parse::<LitStr>()?.value()),
        "imports" => options.imports = parse_rules(input, Direction::Import)?,
        "exports" => options.exports = parse_rules(input, Direction::Export)?,
        "with" => options.with = parse_remaps(input, |input| input.parse::<Token![:]>().map(drop))?,
        "trappable_error_type" => {
            options.trappable_error_types =
                parse_remaps(input, |input| input.parse::<Token![=>]>().map(drop))?;
        }
        "additional_derives" => {
            let body;
            bracketed!(body in input);
            options.additional_derives =
                Punctuated::<syn::Path, Token![,]>::parse_terminated(&body)?
                    .into_iter()
                    .collect();
        }
        "features" => {
            let body;
            bracketed!(body in input);
            let names = Punctuated::<LitStr, Token![,]>::parse_terminated(&body)?;
            options.features = Features::Only(names.iter().map(LitStr::value).collect());
        }
        // The data of a store is always `Send`.
        "require_store_data_send" => {
            input.parse::<LitBool>()?;
        }
        "tidegate_crate" => options.tidegate_crate = input.parse()?,
        other => {
            return Err(syn::Error::new(
                key.span(),
                format!(
                    "unknown option `{other}`; there are `path`, `inline`, `world`, `imports`, `exports`, `with`, \
                     `trappable_error_type`, `additional_derives`, `features`, `require_store_data_send` and `tidegate_crate`"
                ),
            ));
        }
    }
    Ok(())
}

/// `"path"` or `["path", "path"]`.
fn parse_paths(input: ParseStream<'_>) -> syn::Result<Vec<PathBuf>> {
    if input.peek(token::Bracket) {
        let body;
        bracketed!(body in input);
        let paths = Punctuated::<LitStr, Token![,]>::parse_terminated(&body)?;
        return Ok(paths
            .iter()
            .map(|path| PathBuf::from(path.value()))
            .collect());
    }
    Ok(vec![PathBuf::from(input.parse::<LitStr>()?.value())])
}

fn parse_rules(input: ParseStream<'_>, side: Direction) -> syn::Result<Rules> {
    let body;
    braced!(body in input);
    let mut rules = Rules::default();
    while !body.is_empty() {
        if body.peek(LitStr) {
            let name = body.parse::<LitStr>()?;
            body.parse::<Token![:]>()?;
            rules.rules.push(Rule {
                name: name.value(),
                span: name.span(),
                flags: parse_flags(&body, side)?,
            });
        } else {
            body.parse::<Token![default]>()?;
            body.parse::<Token![:]>()?;
            rules.default = parse_flags(&body, side)?;
        }
        if !body.is_empty() {
            body.parse::<Token![,]>()?;
        }
    }
    Ok(rules)
}

/// `concurrent | trappable`.
fn parse_flags(input: ParseStream<'_>, side: Direction) -> syn::Result<FunctionFlags> {
    let mut flags = FunctionFlags::default();
    let mut modes = Vec::new();
    loop {
        let flag = input.call(<syn::Ident as syn::ext::IdentExt>::parse_any)?;
        let mode = match flag.to_string().as_str() {
            "sync" => Some(Mode::Sync),
            "async" => Some(Mode::Async),
            "concurrent" => Some(Mode::Concurrent),
            "store" => Some(Mode::Store),
            "trappable" => {
                flags.trappable = true;
                None
            }
            "tracing" => {
                flags.tracing = true;
                None
            }
            "verbose_tracing" => {
                flags.verbose_tracing = true;
                None
            }
            other => {
                return Err(syn::Error::new(
                    flag.span(),
                    format!(
                        "unknown flag `{other}`; there are `sync`, `async`, `concurrent`, `store`, `trappable`, `tracing` and \
                         `verbose_tracing`"
                    ),
                ));
            }
        };
        modes.extend(mode);
        flags.mode =
            combine(&modes, side).map_err(|message| syn::Error::new(flag.span(), message))?;
        if input.parse::<Option<Token![|]>>()?.is_none() {
            return Ok(flags);
        }
    }
}

/// What the flags that say how a function waits mean together.
fn combine(modes: &[Mode], side: Direction) -> Result<Option<Mode>, &'static str> {
    let has = |mode| modes.contains(&mode);
    if has(Mode::Sync) && modes.iter().any(|&mode| mode != Mode::Sync) {
        return Err(
            "`sync` says that a function does not wait and needs nothing but the host's data: it goes with neither `async` nor \
             `concurrent` nor `store`",
        );
    }
    if side == Direction::Export && has(Mode::Store) {
        return Err(
            "`store` is for imported functions: a call of an exported one is always given the store",
        );
    }
    let waits_with_store = has(Mode::Async) && has(Mode::Store);
    Ok(match () {
        () if has(Mode::Concurrent) || waits_with_store => Some(Mode::Concurrent),
        () => modes.first().copied(),
    })
}

fn parse_remaps(
    input: ParseStream<'_>,
    separator: impl Fn(ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<Vec<Remap>> {
    let body;
    braced!(body in input);
    let mut remaps = Vec::new();
    while !body.is_empty() {
        let name = body.parse::<LitStr>()?;
        separator(&body)?;
        remaps.push(Remap {
            name: name.value(),
            span: name.span(),
            target: body.parse()?,
        });
        if !body.is_empty() {
            body.parse::<Token![,]>()?;
        }
    }
    Ok(remaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms() {
        let options: Options = syn::parse_str(r#""my-world" in "some/wit""#).unwrap();
        assert_eq!(options.world.as_deref(), Some("my-world"));
        assert_eq!(options.paths, [PathBuf::from("some/wit")]);
        let options: Options = syn::parse_str(r#"in "some/wit""#).unwrap();
        assert_eq!(options.world, None);
        let options: Options = syn::parse_str("").unwrap();
        assert!(options.paths.is_empty());
    }

    #[test]
    fn every_option() {
        let options: Options = syn::parse_str(
            r#"{
                path: ["a", "b"], inline: "package a:b;", world: "w", features: ["x"],
                imports: { "a:b/c.d": async | trappable, default: tracing },
                exports: { default: async },
                with: { "a:b/c": crate::bound, "a:b/c.res": Vec<u8> },
                trappable_error_type: { "a:b/c.error" => MyError },
                additional_derives: [Hash, serde::Serialize],
                require_store_data_send: true,
                tidegate_crate: crate,
            }"#,
        )
        .unwrap();
        assert_eq!(options.paths.len(), 2);
        assert_eq!(options.imports.rules[0].flags.mode, Some(Mode::Async));
        assert!(options.imports.rules[0].flags.trappable);
        assert!(!options.imports.rules[0].flags.tracing);
        assert!(options.imports.default.tracing);
        assert_eq!(options.exports.default.mode, Some(Mode::Async));
        assert_eq!(options.with[1].name, "a:b/c.res");
        assert_eq!(options.trappable_error_types.len(), 1);
        assert_eq!(options.additional_derives.len(), 2);
        assert!(options.tidegate_crate.is_ident("crate"));
    }

    #[test]
    fn misspelt_options_and_flags_are_named() {
        let error = syn::parse_str::<Options>(r#"{ wrld: "x" }"#).unwrap_err();
        assert!(
            error.to_string().contains("unknown option `wrld`"),
            "{error}"
        );
        let error = syn::parse_str::<Options>("{ imports: { default: asink } }").unwrap_err();
        assert!(
            error.to_string().contains("unknown flag `asink`"),
            "{error}"
        );
    }
}
