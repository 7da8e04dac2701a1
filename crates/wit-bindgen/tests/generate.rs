//! What is generated for small worlds. The code is looked at as items, by path, so that its formatting does not matter.

use quote::ToTokens;
use std::path::Path;
use syn::{Item, ItemMod};
use tidegate_wit_bindgen::{Options, generate};

/// The generated items, or the error.
fn bindgen(options: &str) -> Result<Vec<Item>, String> {
    let options: Options = syn::parse_str(options).map_err(|error| error.to_string())?;
    let bindings = generate(&options, Path::new(env!("CARGO_MANIFEST_DIR")))
        .map_err(|error| format!("{error:#}"))?;
    Ok(syn::parse2::<syn::File>(bindings.tokens).unwrap().items)
}

fn inline(wit: &str, more: &str) -> Result<Vec<Item>, String> {
    bindgen(&format!("{{ inline: r#\"package a:b;\n{wit}\"#, {more} }}"))
}

/// The items of a module, by its path.
fn module<'a>(items: &'a [Item], path: &str) -> &'a [Item] {
    path.split("::").fold(items, |items, name| {
        let found = items.iter().find_map(|item| match item {
            Item::Mod(ItemMod {
                ident,
                content: Some((_, items)),
                ..
            }) if ident == name => Some(items),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no module `{name}` of `{path}`"))
    })
}

/// An item by its name, as text without spaces.
fn text(items: &[Item], name: &str) -> String {
    let found = items.iter().find(|item| match item {
        Item::Struct(item) => item.ident == name,
        Item::Enum(item) => item.ident == name,
        Item::Trait(item) => item.ident == name,
        Item::Type(item) => item.ident == name,
        Item::Fn(item) => item.sig.ident == name,
        _ => false,
    });
    let item = found.unwrap_or_else(|| panic!("no item `{name}`"));
    item.to_token_stream()
        .to_string()
        .split_whitespace()
        .collect()
}

fn has(items: &[Item], name: &str) -> bool {
    items.iter().any(|item| match item {
        Item::Trait(item) => item.ident == name,
        Item::Struct(item) => item.ident == name,
        Item::Mod(item) => item.ident == name,
        _ => false,
    })
}

#[test]
fn host_functions_are_sync_and_cannot_trap_unless_asked() {
    let wit = "interface i { f: func(x: list<string>) -> option<u8>; } world w { import i; }";
    let items = inline(wit, "").unwrap();
    let host = text(module(&items, "a::b::i"), "Host");
    assert!(
        host.contains("fnf(&mutself,x:::tidegate::__internal::Vec<::tidegate::__internal::String>)->::core::option::Option<u8>;"),
        "{host}"
    );
    let items = inline(wit, r#"imports: { default: trappable }"#).unwrap();
    let host = text(module(&items, "a::b::i"), "Host");
    assert!(
        host.contains("->::tidegate::Result<::core::option::Option<u8>>;"),
        "{host}"
    );
    let items = inline(wit, r#"imports: { "a:b/i.f": async | trappable }"#).unwrap();
    let host = text(module(&items, "a::b::i"), "Host");
    assert!(host.contains("traitHost:::core::marker::Send"), "{host}");
    assert!(
        host.contains("->impl::core::future::Future<Output=::tidegate::Result<::core::option::Option<u8>>>+::core::marker::Send;"),
        "{host}"
    );
}

#[test]
fn the_first_matching_rule_decides_alone() {
    let wit = "interface i { f: func(); g: func(); } interface j { f: func(); } world w { import i; import j; }";
    let rules = r#"imports: { "a:b/i.f": trappable, "a:b/i": async, default: tracing }"#;
    let items = inline(wit, rules).unwrap();
    let (i, j) = (
        text(module(&items, "a::b::i"), "Host"),
        text(module(&items, "a::b::j"), "Host"),
    );
    assert!(i.contains("fnf(&mutself,)->::tidegate::Result<()>;"), "{i}");
    assert!(
        i.contains("fng(&mutself,)->impl::core::future::Future<Output=()>"),
        "{i}"
    );
    assert!(j.contains("fnf(&mutself,)->();"), "{j}");
    let link = text(module(&items, "a::b::j"), "__link");
    assert!(link.contains("trace_call"), "{link}");
}

#[test]
fn a_rule_or_remap_for_nothing_is_an_error() {
    let wit = "interface i { f: func(); } world w { import i; }";
    for options in [
        r#"imports: { "a:b/i.g": async }"#,
        r#"exports: { "a:b/i": async }"#,
        r#"imports: { "a:b/i": async, "a:b/i.f": trappable }"#,
        r#"with: { "a:b/i.res": Vec<u8> }"#,
        r#"trappable_error_type: { "a:b/i.error" => E }"#,
    ] {
        let error = inline(wit, options).unwrap_err();
        assert!(
            error.contains("nothing in this world") && error.contains("a:b/i"),
            "{error}"
        );
    }
}

#[test]
fn packages_interfaces_and_types_are_found_elsewhere() {
    let wit = "interface i { record r { x: u8 } resource s; f: func(r: r); } \
               interface j { use i.{r, s}; g: func(r: r, s: s); } world w { import i; import j; export k: func(r: r); use i.{r}; }";
    // The interface, by its own path.
    let items = inline(wit, r#"with: { "a:b/i": crate::elsewhere::i }"#).unwrap();
    assert!(!has(module(&items, "a::b"), "i"));
    let j = module(&items, "a::b::j");
    assert_eq!(text(j, "R"), "pubtypeR=super::super::super::__with0::R;");
    // The package: modules go on below it.
    let items = inline(wit, r#"with: { "a:b": crate::elsewhere }"#).unwrap();
    assert!(!has(&items, "a"));
    assert!(text(&items, "R").ends_with("pubtypeR=self::__with0::i::R;"));
    // Single types, and the rest here.
    let items = inline(wit, r#"with: { "a:b/i.r": Mine, "a:b/i.s": Vec<u8> }"#).unwrap();
    let i = module(&items, "a::b::i");
    assert_eq!(text(i, "R"), "pubtypeR=super::super::super::__with0;");
    assert_eq!(text(i, "S"), "pubtypeS=super::super::super::__with1;");
    assert!(has(i, "HostS"));
}

#[test]
fn what_is_exported_has_types_of_its_own_where_it_is_imported_too() {
    let wit = "interface i { resource r { m: func() -> r; } f: func(r: borrow<r>) -> r; } world w { import i; export i; }";
    let items = inline(wit, "").unwrap();
    let (imported, exported) = (
        module(&items, "a::b::i"),
        module(&items, "exports::a::b::i"),
    );
    assert!(text(imported, "HostR").contains("Resource<"));
    assert_eq!(text(exported, "R"), "pubtypeR=::tidegate::ResourceAny;");
    assert!(has(exported, "GuestR") && has(exported, "Guest") && has(exported, "GuestIndices"));
}

#[test]
fn an_exported_interface_uses_the_imported_types_that_it_names() {
    let wit = "interface t { record r { x: u8 } resource s; } interface i { use t.{r, s}; f: func(r: r, s: s); } \
               world w { import t; export i; }";
    let items = inline(wit, "").unwrap();
    let exported = module(&items, "exports::a::b::i");
    assert_eq!(
        text(exported, "R"),
        "pubtypeR=super::super::super::super::a::b::t::R;"
    );
    assert_eq!(
        text(exported, "S"),
        "pubtypeS=super::super::super::super::a::b::t::S;"
    );
}

#[test]
fn an_interface_of_plain_types_asks_nothing_of_the_host() {
    let wit = "interface t { record r { x: u8 } } interface i { use t.{r}; f: func(r: r); } world w { import i; }";
    let items = inline(wit, "").unwrap();
    let types = module(&items, "a::b::t");
    assert!(!has(types, "Host"));
    text(types, "add_to_linker");
}

#[test]
fn what_can_be_copied_and_compared_is() {
    let wit = "interface t { resource s; record copied { x: u8 } record cloned { x: string } record neither { s: s } \
               variant nested { a(copied), b(cloned) } f: func(n: neither, v: nested); } world w { import t; }";
    let items = inline(wit, "additional_derives: [Hash, Clone, serde::Serialize]").unwrap();
    let types = module(&items, "a::b::t");
    let derived = |name| {
        let text = text(types, name);
        [
            "Copy",
            "Clone",
            "PartialEq",
            "Debug",
            "Hash",
            "serde::Serialize",
        ]
        .into_iter()
        .filter(|derive| text.split(']').next().unwrap().contains(derive))
        .collect::<Vec<_>>()
    };
    assert_eq!(
        derived("Copied"),
        [
            "Copy",
            "Clone",
            "PartialEq",
            "Debug",
            "Hash",
            "serde::Serialize"
        ]
    );
    assert_eq!(
        derived("Cloned"),
        ["Clone", "PartialEq", "Debug", "Hash", "serde::Serialize"]
    );
    assert_eq!(
        derived("Nested"),
        ["Clone", "PartialEq", "Debug", "Hash", "serde::Serialize"]
    );
    // `Clone` was asked for by name.
    assert_eq!(
        derived("Neither"),
        ["Clone", "Debug", "Hash", "serde::Serialize"]
    );
}

#[test]
fn errors_are_errors() {
    let wit = "interface t { enum code { again, gone } variant v { a } f: func() -> result<_, code>; g: func(v: v); } \
               world w { import t; }";
    let items = inline(wit, "").unwrap();
    let implemented = |name: &str| {
        module(&items, "a::b::t").iter().any(|item| match item {
            Item::Impl(item) => {
                let trait_ = item
                    .trait_
                    .as_ref()
                    .map(|(path, _)| path.to_token_stream().to_string());
                item.self_ty.to_token_stream().to_string() == name
                    && trait_.is_some_and(|path| path.ends_with("error :: Error"))
            }
            _ => false,
        })
    };
    assert!(implemented("Code"));
    assert!(!implemented("V"));
}

#[test]
fn a_trappable_error_type_replaces_the_error_and_brings_a_converter() {
    let wit = "interface t { enum code { again } f: func() -> result<u8, code>; } \
               interface u { use t.{code as problem}; g: func() -> result<_, problem>; } world w { import t; import u; }";
    let options = r#"trappable_error_type: { "a:b/t.code" => crate::Fault }"#;
    let items = inline(wit, options).unwrap();
    let t = text(module(&items, "a::b::t"), "Host");
    assert!(
        t.contains("fnf(&mutself,)->::core::result::Result<u8,super::super::super::__error0>;"),
        "{t}"
    );
    assert!(
        t.contains(
            "fnconvert_code(&mutself,error:super::super::super::__error0)->::tidegate::Result<"
        ),
        "{t}"
    );
    // Whoever fails with it must be able to convert it.
    let u = text(module(&items, "a::b::u"), "Host");
    assert!(
        u.contains("traitHost:super::super::super::a::b::t::Host"),
        "{u}"
    );
    assert!(
        u.contains("fng(&mutself,)->::core::result::Result<(),super::super::super::__error0>;"),
        "{u}"
    );
}

#[test]
fn names_stay_apart() {
    let wit = "interface i { type host = u8; resource r { constructor(); new: static func() -> r; drop: func(); } \
               %type: func(self: u8, %async: host) -> u8; } world w { import i; }";
    let items = inline(wit, "").unwrap();
    let i = module(&items, "a::b::i");
    let r = text(i, "HostR");
    for method in ["fnconstructor(", "fnnew(", "fndrop_(", "fndrop("] {
        assert!(r.contains(method), "{method}: {r}");
    }
    assert!(text(i, "Host").contains("fntype_(&mutself,self_:u8,async_:"));
    assert_eq!(text(i, "Host_"), "pubtypeHost_=u8;");
}

#[test]
fn interfaces_inside_the_world_and_functions_of_it() {
    let wit = "world my-world { import inner: interface { f: func(); } import g: func() -> string; resource r; \
               export outer: interface { h: func(); } export k: func(x: string, y: list<u8>); }";
    let items = inline(wit, r#"exports: { "k": async }"#).unwrap();
    assert!(has(module(&items, "inner"), "Host"));
    assert!(has(module(&items, "exports::outer"), "Guest"));
    assert!(text(&items, "MyWorldImports").contains("fng("));
    assert!(has(&items, "HostR"));
    let file = syn::File {
        shebang: None,
        frontmatter: None,
        attrs: Vec::new(),
        items,
    };
    let text = prettyplease::unparse(&file);
    assert!(text.contains("pub async fn call_k"), "{text}");
    assert!(
        text.contains("x: &str") && text.contains("y: &[u8]"),
        "{text}"
    );
    assert!(text.contains("pub fn outer(&self)"), "{text}");
}

#[test]
fn versions_of_a_package_get_modules_of_their_own() {
    let wit = "world w { import c:d/i@1.0.0; import c:d/i@2.0.0-rc.1; } \
               package c:d@1.0.0 { interface i { f: func(); } } package c:d@2.0.0-rc.1 { interface i { f: func(); } }";
    // Nested packages come after the root's items.
    let items = inline(wit, r#"imports: { "c:d/i@1.0.0": async }"#).unwrap();
    let one = text(module(&items, "c::d1_0_0::i"), "Host");
    let two = text(module(&items, "c::d2_0_0_rc_1::i"), "Host");
    assert!(one.contains("Future") && !two.contains("Future"));
}

#[test]
fn unstable_features_are_there_unless_a_list_says_which() {
    let wit =
        "interface i { @unstable(feature = new) f: func(); g: func(); } world w { import i; }";
    let host = |options: &str| text(module(&inline(wit, options).unwrap(), "a::b::i"), "Host");
    assert!(host("").contains("fnf("));
    assert!(!host("features: []").contains("fnf("));
    assert!(host(r#"features: ["new"]"#).contains("fnf("));
}

#[test]
fn what_wit_calls_async_gets_an_accessor() {
    let wit = "interface i { f: async func(x: string) -> u8; g: func(); resource r { m: async func(); } } world w { import i; }";
    let items = inline(wit, "").unwrap();
    let i = module(&items, "a::b::i");
    let host = text(i, "Host");
    assert!(
        host.contains("traitHost<D=::tidegate::HasSelf<Self>>:HostR<D>"),
        "{host}"
    );
    assert!(
        host.contains(
            "fnf<T>(accessor:&::tidegate::Accessor<T,D>,x:::tidegate::__internal::String)\
             ->impl::core::future::Future<Output=u8>+::core::marker::Send\
             whereT:::core::marker::Send+'static,D:::tidegate::HasData+'static;"
        ),
        "{host}"
    );
    assert!(host.contains("fng(&mutself,)->();"), "{host}");
    let r = text(i, "HostR");
    assert!(
        r.contains("fnm<T>(accessor:&::tidegate::Accessor<T,D>,self_:::tidegate::Resource<"),
        "{r}"
    );
    assert!(
        text(i, "__link").contains("func_wrap_concurrent(\"f\""),
        "{host}"
    );
}

#[test]
fn the_way_of_binding_can_be_chosen_against_wit() {
    let wit = "interface i { f: async func(); g: func(); } world w { import i; }";
    let host = |options: &str| text(module(&inline(wit, options).unwrap(), "a::b::i"), "Host");
    // Nothing of it needs the name of the data.
    let sync = host(r#"imports: { "a:b/i.f": sync }"#);
    assert!(
        sync.contains("traitHost{") && sync.contains("fnf(&mutself,)->();"),
        "{sync}"
    );
    // Where WIT says `async` already, the flag says nothing new.
    let waiting = host("imports: { default: async | trappable }");
    assert!(
        waiting.contains("fnf<T>(accessor:") && waiting.contains("fng(&mutself,)->impl"),
        "{waiting}"
    );
    for flags in ["concurrent", "async | store"] {
        let concurrent = host(&format!(r#"imports: {{ "a:b/i.g": {flags} }}"#));
        assert!(concurrent.contains("fng<T>(accessor:"), "{concurrent}");
    }
    let store = host(r#"imports: { "a:b/i.g": store | trappable }"#);
    assert!(
        store.contains("fng<T>(access:::tidegate::Access<'_,T,D>,)->::tidegate::Result<()>where"),
        "{store}"
    );
}

#[test]
fn flags_that_contradict_each_other_are_an_error() {
    let wit = "interface i { f: func(); } world w { import i; export f: func(); }";
    for options in [
        "imports: { default: sync | async }",
        "imports: { default: sync | concurrent }",
        "imports: { default: sync | store }",
    ] {
        let error = inline(wit, options).unwrap_err();
        assert!(error.contains("`sync`"), "{error}");
    }
    let error = inline(wit, "exports: { default: store }").unwrap_err();
    assert!(
        error.contains("`store`") && error.contains("imported"),
        "{error}"
    );
}

#[test]
fn who_converts_errors_of_a_concurrent_interface_is_named_too() {
    let wit = "interface t { enum code { again } f: async func() -> result<_, code>; } \
               interface u { use t.{code}; g: func() -> result<_, code>; } world w { import t; import u; }";
    let options = r#"trappable_error_type: { "a:b/t.code" => crate::Fault }"#;
    let items = inline(wit, options).unwrap();
    let u = text(module(&items, "a::b::u"), "Host");
    assert!(
        u.contains("traitHost<D=::tidegate::HasSelf<Self>>:super::super::super::a::b::t::Host<D>"),
        "{u}"
    );
    // Where the interface is bound elsewhere, it is not known whether that is so: a trait there stands for both.
    let options = r#"imports: { "a:b/u": trappable }, with: { "a:b/t": crate::t },
                     trappable_error_type: { "a:b/t.code" => crate::Fault }"#;
    let items = inline(wit, options).unwrap();
    let u = text(module(&items, "a::b::u"), "Host");
    assert!(u.contains("__with0::__Converts<D>"), "{u}");
}

#[test]
fn asynchronous_values_have_types() {
    let wit = "interface i { resource r; f: func(a: stream<u8>, b: future<result<_, string>>, c: stream, d: error-context) \
               -> tuple<stream<own<r>>, future>; } world w { import i; export g: async func(x: stream<string>); }";
    let items = inline(wit, "").unwrap();
    let host = text(module(&items, "a::b::i"), "Host");
    for part in [
        "a:::tidegate::StreamReader<u8>",
        "b:::tidegate::FutureReader<::core::result::Result<(),::tidegate::__internal::String>>",
        "c:::tidegate::StreamReader<()>",
        "d:::tidegate::ErrorContext",
        "(::tidegate::StreamReader<::tidegate::Resource<super::super::super::a::b::i::R>>,::tidegate::FutureReader<()>,)",
    ] {
        assert!(host.contains(part), "{part}: {host}");
    }
}

#[test]
fn an_export_that_wit_calls_async_is_called_from_a_store_or_an_accessor() {
    let wit = "world w { export f: async func(x: string) -> u8; export g: async func(); export h: func(); }";
    let items = inline(wit, r#"exports: { "g": sync, "h": concurrent }"#).unwrap();
    let file = syn::File {
        shebang: None,
        frontmatter: None,
        attrs: Vec::new(),
        items,
    };
    let text: String = prettyplease::unparse(&file).split_whitespace().collect();
    for part in [
        "pubasyncfncall_f<C:::tidegate::Caller>(&self,caller:C,x:::tidegate::__internal::String,)->::tidegate::Result<u8>",
        "pubfncall_g<S:::tidegate::AsContextMut>(&self,mutstore:S,)->::tidegate::Result<()>",
        "pubasyncfncall_h<C:::tidegate::Caller>(&self,caller:C,)->::tidegate::Result<()>",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn mistakes_in_wit_are_shown_with_their_place() {
    let error = inline("world w { import f: func(x: nonsense); }", "").unwrap_err();
    assert!(
        error.contains("nonsense") && error.contains("inline.wit:2"),
        "{error}"
    );
    let error = bindgen(r#"{ path: "no/such/folder" }"#).unwrap_err();
    assert!(error.contains("no/such/folder"), "{error}");
    let error = inline("world v {} world w {}", "").unwrap_err();
    assert!(
        error.contains("a:b/v") && error.contains("a:b/w"),
        "{error}"
    );
}
