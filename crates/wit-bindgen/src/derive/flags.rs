//! `flags!`: a set of labels as bits of a number.

use super::shape::Options;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Token, Visibility, braced};

/// The most labels that `flags` can have.
const MAX_FLAGS: usize = 32;

struct Flags {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
    flags: Vec<Flag>,
}

struct Flag {
    attributes: Vec<Attribute>,
    name: Ident,
}

impl Parse for Flags {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let name: Ident = input.parse()?;
        let body;
        braced!(body in input);
        let mut flags = Vec::new();
        while !body.is_empty() {
            let attributes = body.call(Attribute::parse_outer)?;
            body.parse::<Token![const]>()?;
            flags.push(Flag {
                attributes,
                name: body.parse()?,
            });
            body.parse::<Token![;]>()?;
        }
        if flags.is_empty() || flags.len() > MAX_FLAGS {
            let message = format!("`flags` has 1 to {MAX_FLAGS} labels");
            return Err(syn::Error::new(name.span(), message));
        }
        Ok(Self {
            attributes,
            visibility,
            name,
            flags,
        })
    }
}

/// `flags! { pub Name { const A; const B; } }`.
///
/// # Errors
/// For other syntax, no label or more than 32.
pub fn flags(input: TokenStream) -> syn::Result<TokenStream> {
    let Flags {
        attributes,
        visibility,
        name,
        flags,
    } = syn::parse2(input)?;
    let krate = Options::of_type(&attributes)?.krate();
    let kept = |attributes: &[Attribute]| -> TokenStream {
        (attributes.iter())
            .filter(|attribute| !attribute.path().is_ident("component"))
            .map(|attribute| quote!(#attribute))
            .collect()
    };
    let attributes = kept(&attributes);
    let mut constants = TokenStream::new();
    let (mut labels, mut names) = (Vec::new(), Vec::new());
    for (bit, flag) in flags.iter().enumerate() {
        let (docs, ident) = (kept(&flag.attributes), &flag.name);
        constants.extend(quote! {
            #docs
            pub const #ident: Self = Self(1 << #bit);
        });
        labels.push(Options::of_part(&flag.attributes)?.label_of(ident));
        names.push(ident.to_string());
    }
    let count = flags.len();
    let all: u32 = u32::MAX >> (MAX_FLAGS - count);
    let methods = methods(&name, all, &constants);
    let traits = traits(&name, all, &names);
    let abi = abi(&krate, &name, &labels, all);
    Ok(quote! {
        #attributes
        #[derive(
            ::core::clone::Clone, ::core::marker::Copy, ::core::default::Default,
            ::core::cmp::PartialEq, ::core::cmp::Eq, ::core::hash::Hash,
        )]
        #visibility struct #name(u32);
        #methods
        #traits
        #abi
    })
}

fn methods(name: &Ident, all: u32, constants: &TokenStream) -> TokenStream {
    quote! {
        #[allow(dead_code, clippy::all, clippy::pedantic)]
        impl #name {
            #constants

            /// No flag.
            pub const fn empty() -> Self {
                Self(0)
            }
            /// Every flag.
            pub const fn all() -> Self {
                Self(#all)
            }
            /// The flags as bits, the first one lowest.
            pub const fn bits(self) -> u32 {
                self.0
            }
            /// The flags of these bits; bits that are no flag are dropped.
            pub const fn from_bits_truncate(bits: u32) -> Self {
                Self(bits & #all)
            }
            /// Whether no flag is set.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }
            /// Whether every flag is set.
            pub const fn is_all(self) -> bool {
                self.0 == #all
            }
            /// Whether all of `other` are set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
            /// Whether any of `other` is set.
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }
            /// Sets `other`.
            pub const fn insert(&mut self, other: Self) {
                self.0 |= other.0;
            }
            /// Clears `other`.
            pub const fn remove(&mut self, other: Self) {
                self.0 &= !other.0;
            }
            /// Flips `other`.
            pub const fn toggle(&mut self, other: Self) {
                self.0 ^= other.0;
            }
            /// Sets or clears `other`.
            pub const fn set(&mut self, other: Self, value: bool) {
                if value {
                    self.insert(other);
                } else {
                    self.remove(other);
                }
            }
            /// What is set in either.
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
            /// What is set in both.
            pub const fn intersection(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
            /// What is set here and not in `other`.
            pub const fn difference(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }
    }
}

fn traits(name: &Ident, all: u32, names: &[String]) -> TokenStream {
    let operators = [
        ("BitOr", "bitor", quote!(self.0 | other.0)),
        ("BitAnd", "bitand", quote!(self.0 & other.0)),
        ("BitXor", "bitxor", quote!(self.0 ^ other.0)),
        ("Sub", "sub", quote!(self.0 & !other.0)),
    ];
    let operators = operators.iter().map(|(operator, method, value)| {
        let assign = quote::format_ident!("{operator}Assign");
        let assign_method = quote::format_ident!("{method}_assign");
        let (operator, method) = (
            quote::format_ident!("{operator}"),
            quote::format_ident!("{method}"),
        );
        quote! {
            impl ::core::ops::#operator for #name {
                type Output = Self;
                fn #method(self, other: Self) -> Self {
                    Self(#value)
                }
            }
            impl ::core::ops::#assign for #name {
                fn #assign_method(&mut self, other: Self) {
                    *self = ::core::ops::#operator::#method(*self, other);
                }
            }
        }
    });
    quote! {
        #(#operators)*
        impl ::core::ops::Not for #name {
            type Output = Self;
            fn not(self) -> Self {
                Self(!self.0 & #all)
            }
        }
        impl ::core::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(::core::stringify!(#name))?;
                f.write_str("(")?;
                let mut first = true;
                for (bit, name) in [#(#names),*].into_iter().enumerate() {
                    if self.0 & (1 << bit) != 0 {
                        if !::core::mem::take(&mut first) {
                            f.write_str(" | ")?;
                        }
                        f.write_str(name)?;
                    }
                }
                f.write_str(")")
            }
        }
    }
}

fn abi(krate: &TokenStream, name: &Ident, labels: &[String], all: u32) -> TokenStream {
    let count = labels.len();
    let internal = quote!(#krate::__internal);
    let abi = quote!(#internal::abi);
    quote! {
        #[allow(clippy::all, clippy::pedantic)]
        const _: () = {
            impl #abi::ComponentType for #name {
                const LAYOUT: #abi::Layout = #abi::Layout::flags(#count);

                fn typecheck(
                    ty: #internal::ValType,
                    cx: &#abi::TypeContext<'_>,
                ) -> ::core::result::Result<(), #abi::TypeMismatch> {
                    #abi::parts::typecheck_flags(ty, cx, &[#(#labels),*])
                }
            }

            // Bits that are no label are ignored, as the specification has it.
            impl #abi::Lift for #name {
                #[inline]
                fn lift_flat(
                    _: &mut #abi::LiftContext<'_>,
                    _: #internal::ValType,
                    src: &mut #abi::FlatReader<'_>,
                ) -> #krate::Result<Self> {
                    ::core::result::Result::Ok(Self(src.word32()? & #all))
                }

                #[inline]
                fn lift_mem(
                    cx: &mut #abi::LiftContext<'_>,
                    _: #internal::ValType,
                    ptr: usize,
                ) -> #krate::Result<Self> {
                    <Self as #abi::Lift>::lift_plain(cx.memory, ptr)
                }

                const PLAIN: bool = true;

                #[inline]
                fn lift_plain(bytes: &[u8], at: usize) -> #krate::Result<Self> {
                    let bits = #abi::memory::load_uint(
                        bytes,
                        at,
                        <Self as #abi::ComponentType>::LAYOUT.size32,
                    )?;
                    ::core::result::Result::Ok(Self(bits as u32 & #all))
                }
            }

            impl #abi::Lower for #name {
                #[inline]
                fn lower_flat(
                    &self,
                    _: &mut #abi::LowerContext<'_>,
                    _: #internal::ValType,
                    dst: &mut #abi::FlatWriter<'_>,
                ) -> #krate::Result<()> {
                    dst.push(self.0 as u64)
                }

                #[inline]
                fn lower_mem(
                    &self,
                    cx: &mut #abi::LowerContext<'_>,
                    _: #internal::ValType,
                    ptr: usize,
                ) -> #krate::Result<()> {
                    <Self as #abi::Lower>::lower_plain(self, cx.memory(), ptr)
                }

                const PLAIN: bool = true;

                #[inline]
                fn lower_plain(&self, bytes: &mut [u8], at: usize) -> #krate::Result<()> {
                    #abi::memory::store_uint(
                        bytes,
                        at,
                        self.0 as u64,
                        <Self as #abi::ComponentType>::LAYOUT.size32,
                    )
                }
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::flags;

    #[test]
    fn flags_are_rust() {
        let tokens = flags(
            "pub Modes { const READ; #[component(name = \"W\")] const WRITE; }"
                .parse()
                .unwrap(),
        );
        syn::parse2::<syn::File>(tokens.unwrap()).unwrap();
    }

    #[test]
    fn no_more_labels_than_the_specification_allows() {
        let labels =
            |count: usize| -> String { (0..count).map(|i| format!("const A{i};")).collect() };
        assert!(flags(format!("A {{ {} }}", labels(32)).parse().unwrap()).is_ok());
        assert!(flags(format!("A {{ {} }}", labels(33)).parse().unwrap()).is_err());
        assert!(flags("A {}".parse().unwrap()).is_err());
    }
}
