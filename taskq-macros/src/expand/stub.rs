//! What stands in for a task whose signature is wrong, so that its callers are not wrong too.

use super::{Expansion, function::inner_ident};
use crate::parameter;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, Pat, PatType, Safety, Signature};

impl Expansion<'_> {
    /// The same items, without anything behind them.
    pub(super) fn stub(&self) -> TokenStream {
        let (function, marker, krate) = (self.function, &self.marker, &self.krate);
        let (everywhere, vis, name) = (&function.attrs.everywhere, &function.vis, &function.sig.ident);
        let (generics, clause) = (&function.sig.generics, &function.sig.generics.where_clause);
        let parameters = function.sig.inputs.iter().filter_map(visible_parameter);
        let (written, marker_type, task) = (self.written_function(), self.marker_type(), self.stub_impls());
        quote! {
            #(#everywhere)*
            #[allow(missing_docs, unused_variables, dead_code)]
            #vis fn #name #generics (#(#parameters),*) -> #krate::__private::Call<#marker> #clause {
                ::core::unimplemented!()
            }
            #marker_type
            #written
            #task
        }
    }

    /// The function as it was written, for whoever is about to mend it.
    fn written_function(&self) -> TokenStream {
        let (everywhere, marker) = (&self.function.attrs.everywhere, &self.marker);
        let (inner, vis, body) = (&self.function.attrs.inner, &self.function.vis, &self.function.body);
        let mut signature = Signature {
            constness: None,
            safety: Safety::Default,
            abi: None,
            variadic: None,
            ident: inner_ident(&self.function.sig.ident),
            ..self.function.sig.clone()
        };
        for input in &mut signature.inputs {
            if let FnArg::Typed(written) = input {
                written.attrs.clear();
            }
        }
        quote! {
            #(#everywhere)*
            #[allow(missing_docs, dead_code)]
            impl #marker {
                #(#inner)*
                #vis #signature #body
            }
        }
    }

    fn stub_impls(&self) -> TokenStream {
        let marker = &self.marker;
        let sound = self.signature.returns.is_sound && self.function.sig.generics.params.is_empty();
        let (output, returns) = match sound {
            true => (self.output(), self.signature.returns.ty.to_token_stream()),
            false => (quote!(()), quote!(())),
        };
        self.hidden(quote! {
            impl __tq::Task for #marker {
                type Args = ();
                type Output = #output;
                type Returns = #returns;
                const NAME: &'static str = "";
                const CONFIG: __tq::TaskConfig = __tq::TaskConfig::new();
            }
            impl __tq::Direct for #marker {
                fn run_direct(_: ()) -> __tq::BoxFuture<'static, Self::Returns> {
                    ::core::unimplemented!()
                }
            }
        })
    }
}

/// The parameter as callers see it, unless it is injected.
fn visible_parameter(input: &FnArg) -> Option<TokenStream> {
    let FnArg::Typed(PatType { attrs, pat, ty, .. }) = input else { return None };
    if attrs.iter().any(|attr| attr.path().is_ident("inject")) || parameter::is_injected_by_name(ty) {
        return None;
    }
    match &**pat {
        Pat::Ident(pattern) => {
            let ident = &pattern.ident;
            Some(quote!(#ident: #ty))
        }
        _ => Some(quote!(_: #ty)),
    }
}
