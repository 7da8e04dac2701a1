//! Variants and enums.

use super::shape::{Case, Input};
use super::{Heads, Trait};
use proc_macro2::TokenStream;
use quote::quote;

pub(super) fn body(input: &Input, cases: &[Case], which: Trait) -> TokenStream {
    let abi = input.abi();
    let heads = Heads::new(input);
    let layouts = cases.iter().map(|case| match &case.payload {
        Some(ty) => quote!(<#ty as #abi::ComponentType>::LAYOUT),
        None => quote!(#abi::Layout::EMPTY),
    });
    let layout = quote!(#abi::VariantLayout::new(&[#(#layouts),*]));
    match which {
        Trait::ComponentType => {
            let checks = cases.iter().map(|case| {
                let label = &case.label;
                match &case.payload {
                    Some(ty) => {
                        quote!((#label, ::core::option::Option::Some(<#ty as #abi::ComponentType>::typecheck)))
                    }
                    None => quote!((#label, ::core::option::Option::None)),
                }
            });
            let typecheck = &heads.typecheck;
            quote! {
                const LAYOUT: #abi::Layout = #layout.layout;

                #typecheck {
                    #abi::parts::typecheck_variant(ty, cx, &[#(#checks),*])
                }
            }
        }
        Trait::Lift => lift(cases, &heads, &abi, &layout),
        Trait::Lower => lower(cases, &heads, &abi, &layout),
    }
}

fn lift(cases: &[Case], heads: &Heads, abi: &TokenStream, layout: &TokenStream) -> TokenStream {
    let count = cases.len() as u32;
    let arms = |payload: &dyn Fn(&syn::Type, usize) -> TokenStream| -> TokenStream {
        (cases.iter().enumerate())
            .map(|(index, case)| {
                let ident = &case.ident;
                // The discriminant has been checked: what is none of the others is the last.
                let pattern = match index + 1 == cases.len() {
                    true => quote!(_),
                    false => {
                        let index = index as u32;
                        quote!(#index)
                    }
                };
                let payload = case.payload.as_ref().map(|ty| {
                    let payload = payload(ty, index);
                    quote!((#payload))
                });
                quote!(#pattern => Self::#ident #payload,)
            })
            .collect()
    };
    let flat_arms = arms(
        &|ty, index| quote!(<#ty as #abi::Lift>::lift_flat(cx, #abi::parts::payload(cx.types, ty, #index), src)?),
    );
    let mem_arms = arms(
        &|ty, index| quote!(<#ty as #abi::Lift>::lift_mem(cx, #abi::parts::payload(cx.types, ty, #index), payload)?),
    );
    let plain_arms = arms(&|ty, _| quote!(<#ty as #abi::Lift>::lift_plain(bytes, payload)?));
    let (flat, mem, plain) = (&heads.lift_flat, &heads.lift_mem, &heads.lift_plain);
    let payloads = cases.iter().filter_map(|case| case.payload.as_ref());
    quote! {
        const PLAIN: bool = true #(&& <#payloads as #abi::Lift>::PLAIN)*;

        #plain {
            let layout = const { #layout };
            let payload = at + layout.payload(false);
            let value = match layout.lift_discriminant(bytes, at)? {
                #plain_arms
            };
            ::core::result::Result::Ok(value)
        }

        #flat {
            let end = src.position() + <Self as #abi::ComponentType>::LAYOUT.flat as usize;
            let value = match #abi::variant::lift_discriminant_flat(src, #count)? {
                #flat_arms
            };
            src.skip_to(end);
            ::core::result::Result::Ok(value)
        }

        #mem {
            let layout = const { #layout };
            let payload = ptr + layout.payload(cx.memory64);
            let value = match layout.lift_discriminant(cx.memory, ptr)? {
                #mem_arms
            };
            ::core::result::Result::Ok(value)
        }
    }
}

fn lower(cases: &[Case], heads: &Heads, abi: &TokenStream, layout: &TokenStream) -> TokenStream {
    let arms = |discriminant: &dyn Fn(u32) -> TokenStream,
                payload: &dyn Fn(&syn::Type, usize) -> TokenStream|
     -> TokenStream {
        (cases.iter().enumerate())
            .map(|(index, case)| {
                let ident = &case.ident;
                let pattern = case.payload.as_ref().map(|_| quote!((value)));
                let discriminant = discriminant(index as u32);
                let payload = case.payload.as_ref().map(|ty| payload(ty, index));
                quote! {
                    Self::#ident #pattern => {
                        #discriminant
                        #payload
                    }
                }
            })
            .collect()
    };
    let flat_arms = arms(
        &|index| quote!(dst.push(#index as u64)?;),
        &|ty, index| quote!(<#ty as #abi::Lower>::lower_flat(value, cx, #abi::parts::payload(cx.types, ty, #index), dst)?;),
    );
    let mem_arms = arms(
        &|index| quote!(layout.lower_discriminant(cx.memory(), ptr, #index)?;),
        &|ty, index| quote!(<#ty as #abi::Lower>::lower_mem(value, cx, #abi::parts::payload(cx.types, ty, #index), payload)?;),
    );
    let plain_arms = arms(
        &|index| quote!(layout.lower_discriminant(bytes, at, #index)?;),
        &|ty, _| quote!(<#ty as #abi::Lower>::lower_plain(value, bytes, payload)?;),
    );
    let (flat, mem, plain) = (&heads.lower_flat, &heads.lower_mem, &heads.lower_plain);
    let payloads = cases.iter().filter_map(|case| case.payload.as_ref());
    quote! {
        const PLAIN: bool = true #(&& <#payloads as #abi::Lower>::PLAIN)*;

        #plain {
            let layout = const { #layout };
            let payload = at + layout.payload(false);
            match self {
                #plain_arms
            }
            ::core::result::Result::Ok(())
        }

        #flat {
            let end = dst.position() + <Self as #abi::ComponentType>::LAYOUT.flat as usize;
            match self {
                #flat_arms
            }
            dst.pad_to(end)
        }

        #mem {
            let layout = const { #layout };
            let payload = ptr + layout.payload(cx.memory64);
            match self {
                #mem_arms
            }
            ::core::result::Result::Ok(())
        }
    }
}

pub(super) fn enum_body(input: &Input, cases: &[Case], which: Trait) -> TokenStream {
    let abi = input.abi();
    let heads = Heads::new(input);
    let length = cases.len();
    let count = length as u32;
    let layout = quote!(#abi::VariantLayout::new(&[#abi::Layout::EMPTY; #length]));
    let to_case = cases.iter().enumerate().map(|(index, case)| {
        let ident = &case.ident;
        match index + 1 == cases.len() {
            true => quote!(_ => Self::#ident,),
            false => {
                let index = index as u32;
                quote!(#index => Self::#ident,)
            }
        }
    });
    let to_case = quote!(match discriminant { #(#to_case)* });
    let from_case = cases.iter().enumerate().map(|(index, case)| {
        let (ident, index) = (&case.ident, index as u32);
        quote!(Self::#ident => #index,)
    });
    let from_case = quote!(match self { #(#from_case)* });
    let Heads {
        typecheck,
        lift_flat,
        lift_mem,
        lift_plain,
        lower_flat,
        lower_mem,
        lower_plain,
    } = &heads;
    match which {
        Trait::ComponentType => {
            let labels = cases.iter().map(|case| &case.label);
            quote! {
                const LAYOUT: #abi::Layout = #abi::Layout::enumeration(#length);

                #typecheck {
                    #abi::parts::typecheck_enum(ty, cx, &[#(#labels),*])
                }
            }
        }
        Trait::Lift => quote! {
            #lift_flat {
                let _ = (cx, ty);
                let discriminant = #abi::variant::lift_discriminant_flat(src, #count)?;
                ::core::result::Result::Ok(#to_case)
            }

            #lift_mem {
                let _ = ty;
                <Self as #abi::Lift>::lift_plain(cx.memory, ptr)
            }

            const PLAIN: bool = true;

            #lift_plain {
                let discriminant = const { #layout }.lift_discriminant(bytes, at)?;
                ::core::result::Result::Ok(#to_case)
            }
        },
        Trait::Lower => quote! {
            #lower_flat {
                let _ = (cx, ty);
                let discriminant: u32 = #from_case;
                dst.push(discriminant as u64)
            }

            #lower_mem {
                let _ = ty;
                <Self as #abi::Lower>::lower_plain(self, cx.memory(), ptr)
            }

            const PLAIN: bool = true;

            #lower_plain {
                let discriminant: u32 = #from_case;
                const { #layout }.lower_discriminant(bytes, at, discriminant)
            }
        },
    }
}
