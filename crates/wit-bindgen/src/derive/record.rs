//! Records.

use super::shape::{Field, Input};
use super::{Heads, Trait};
use proc_macro2::TokenStream;
use quote::quote;

pub(super) fn body(input: &Input, fields: &[Field], which: Trait) -> TokenStream {
    let abi = input.abi();
    let heads = Heads::new(input);
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let index: Vec<_> = (0..fields.len()).collect();
    match which {
        Trait::ComponentType => {
            let labels = fields.iter().map(|field| &field.label);
            let typecheck = &heads.typecheck;
            quote! {
                const LAYOUT: #abi::Layout =
                    #abi::Layout::record(&[#(<#types as #abi::ComponentType>::LAYOUT),*]);

                #typecheck {
                    #abi::parts::typecheck_record(
                        ty,
                        cx,
                        &[#((#labels, <#types as #abi::ComponentType>::typecheck)),*],
                    )
                }
            }
        }
        Trait::Lift => {
            let (flat, mem) = (&heads.lift_flat, &heads.lift_mem);
            let plain = &heads.lift_plain;
            quote! {
                const PLAIN: bool = true #(&& <#types as #abi::Lift>::PLAIN)*;

                #plain {
                    let mut fields = #abi::layout::Fields::plain(at);
                    ::core::result::Result::Ok(Self {
                        #(#idents: <#types as #abi::Lift>::lift_plain(
                            bytes,
                            fields.next(<#types as #abi::ComponentType>::LAYOUT),
                        )?,)*
                    })
                }

                #flat {
                    ::core::result::Result::Ok(Self {
                        #(#idents: <#types as #abi::Lift>::lift_flat(
                            cx,
                            #abi::parts::field(cx.types, ty, #index),
                            src,
                        )?,)*
                    })
                }

                #mem {
                    let mut fields = #abi::layout::Fields::new(ptr, cx.memory64);
                    ::core::result::Result::Ok(Self {
                        #(#idents: <#types as #abi::Lift>::lift_mem(
                            cx,
                            #abi::parts::field(cx.types, ty, #index),
                            fields.next(<#types as #abi::ComponentType>::LAYOUT),
                        )?,)*
                    })
                }
            }
        }
        Trait::Lower => {
            let (flat, mem) = (&heads.lower_flat, &heads.lower_mem);
            let plain = &heads.lower_plain;
            quote! {
                const PLAIN: bool = true #(&& <#types as #abi::Lower>::PLAIN)*;

                #plain {
                    let mut fields = #abi::layout::Fields::plain(at);
                    #(<#types as #abi::Lower>::lower_plain(
                        &self.#idents,
                        bytes,
                        fields.next(<#types as #abi::ComponentType>::LAYOUT),
                    )?;)*
                    ::core::result::Result::Ok(())
                }

                #flat {
                    #(<#types as #abi::Lower>::lower_flat(
                        &self.#idents,
                        cx,
                        #abi::parts::field(cx.types, ty, #index),
                        dst,
                    )?;)*
                    ::core::result::Result::Ok(())
                }

                #mem {
                    if <Self as #abi::Lower>::PLAIN {
                        return <Self as #abi::Lower>::lower_plain(self, cx.memory(), ptr);
                    }
                    let mut fields = #abi::layout::Fields::new(ptr, cx.memory64);
                    #(<#types as #abi::Lower>::lower_mem(
                        &self.#idents,
                        cx,
                        #abi::parts::field(cx.types, ty, #index),
                        fields.next(<#types as #abi::ComponentType>::LAYOUT),
                    )?;)*
                    ::core::result::Result::Ok(())
                }
            }
        }
    }
}
