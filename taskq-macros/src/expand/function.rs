//! The functions that the user sees: the one that gives a call, and `inner`, the one that was written.

use super::Expansion;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{FnArg, Pat, Signature, Type};

impl Expansion<'_> {
    /// The function that gives a call.
    pub(super) fn public_function(&self) -> TokenStream {
        let (attrs, vis, name) = (&self.function.attrs, &self.function.vis, &self.function.sig.ident);
        let (everywhere, public) = (&attrs.everywhere, &attrs.public);
        let (marker, krate, docs) = (&self.marker, &self.krate, self.docs());
        let idents: Vec<_> = self.signature.arguments().map(|argument| &argument.ident).collect();
        let types = self.signature.arguments().map(|argument| &argument.written.ty);
        quote! {
            #(#everywhere)*
            #(#public)*
            #docs
            #[allow(dead_code, unreachable_pub, clippy::all, clippy::pedantic)]
            #vis fn #name(#(#idents: #types),*) -> #krate::__private::Call<#marker> {
                #krate::__private::Call::new(#marker::__arguments(#(#idents),*))
            }
        }
    }

    /// The function as it was written, for workers, for the plain call and for unit tests.
    pub(super) fn inner_function(&self) -> TokenStream {
        let attrs = &self.function.attrs;
        let (everywhere, inner, vis, marker) = (&attrs.everywhere, &attrs.inner, &self.function.vis, &self.marker);
        let (written, body) = (self.written_signature(), &self.function.body);
        let function = if self.signature.is_async {
            let signature = Signature { ident: inner_ident(&written.ident), ..written };
            quote!(#(#inner)* #vis #signature #body)
        } else {
            self.nested_function(&written)
        };
        quote! {
            #(#everywhere)*
            #[allow(unreachable_pub, clippy::missing_errors_doc, clippy::missing_panics_doc)]
            impl #marker {
                /// The task's function, as it was written.
                #function
            }
        }
    }

    /// `inner` around a plain `fn`, which keeps its own name so that it can call itself.
    fn nested_function(&self, written: &Signature) -> TokenStream {
        let (inner, vis, body) = (&self.function.attrs.inner, &self.function.vis, &self.function.body);
        let (name, inner_name, output) = (&written.ident, inner_ident(&written.ident), &written.output);
        let (parameters, types): (Vec<Ident>, Vec<&Type>) = self
            .signature
            .parameters
            .iter()
            .enumerate()
            .map(|(position, parameter)| {
                (passed_ident(position, &parameter.written().pat, name), &*parameter.written().ty)
            })
            .unzip();
        quote! {
            #vis fn #inner_name(#(#parameters: #types),*) #output {
                #(#inner)*
                #written #body
                #name(#(#parameters),*)
            }
        }
    }

    /// The signature without our marks on its parameters.
    fn written_signature(&self) -> Signature {
        let parameters = self.signature.parameters.iter().map(|parameter| FnArg::Typed(parameter.written().clone()));
        Signature { inputs: parameters.collect(), ..self.function.sig.clone() }
    }
}

pub(super) fn inner_ident(name: &Ident) -> Ident {
    Ident::new("inner", name.span())
}

/// What `inner` calls the parameter: as the function does, if that is a plain name, and not that of the function itself.
fn passed_ident(position: usize, pattern: &Pat, function: &Ident) -> Ident {
    match pattern {
        Pat::Ident(pattern) if pattern.ident != *function => pattern.ident.clone(),
        _ => format_ident!("parameter{position}"),
    }
}
