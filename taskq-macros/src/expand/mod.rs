//! The code that `#[task]` gives.
//!
//! `pub async fn add(a: i64, b: i64) -> i64 { a + b }` becomes
//! * `pub fn add(a: i64, b: i64) -> Call<add>`, what callers see;
//! * `pub struct add {}`, the task's type: with braces, so that it takes no name from functions and variables;
//! * `add::inner`, the function as it was;
//! * in a `const _` of their own: the arguments as a struct, the impls of `Task`, `Run` and `Direct`, the registration.
//!
//! Everything is named by its full path, for the user's scope may have a `Result` or an `Ok` of its own. Lints are
//! silenced on what the macro made, never on what the user wrote.

mod arguments;
mod config;
mod docs;
mod function;
mod run;
mod stub;

use crate::{attributes::Attributes, errors::Errors, function::Function, signature::Signature};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{FnArg, Path, parse_quote};

/// The expansion: the code, and behind it the errors.
pub(crate) fn task(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#item #error);
        }
    };
    let mut errors = Errors::default();
    let attributes = Attributes::parse(attributes, &mut errors);
    let before = errors.count();
    let signature = Signature::analyse(&function, &attributes, &mut errors);
    let task = Expansion::new(&function, &attributes, &signature);
    let code = match errors.count() == before {
        true => task.code(),
        false if matches!(function.sig.inputs.first(), Some(FnArg::Receiver(_))) => quote!(#function),
        false => task.stub(),
    };
    let errors = errors.into_tokens();
    quote!(#code #errors)
}

/// What the parts of the expansion have in common.
struct Expansion<'a> {
    function: &'a Function,
    attributes: &'a Attributes,
    signature: &'a Signature,
    /// The task's type.
    marker: Ident,
    /// The path of taskq.
    krate: Path,
}

impl<'a> Expansion<'a> {
    fn new(function: &'a Function, attributes: &'a Attributes, signature: &'a Signature) -> Self {
        let marker = attributes.marker.clone().unwrap_or_else(|| function.sig.ident.clone());
        let krate = attributes.krate.clone().unwrap_or_else(|| parse_quote!(::taskq));
        Expansion { function, attributes, signature, marker, krate }
    }

    fn code(&self) -> TokenStream {
        let parts = [
            self.checks(),
            self.arguments_struct(),
            self.arguments_constructor(),
            self.task_impl(),
            self.run_impl(),
            self.direct_impl().unwrap_or_default(),
            self.registration(),
        ];
        let (public, marker, inner) = (self.public_function(), self.marker_type(), self.inner_function());
        let hidden = self.hidden(parts.into_iter().collect());
        quote! { #public #marker #inner #hidden }
    }

    /// Items that nobody names from outside.
    fn hidden(&self, items: TokenStream) -> TokenStream {
        let (everywhere, krate) = (&self.function.attrs.everywhere, &self.krate);
        quote! {
            #(#everywhere)*
            #[allow(unreachable_pub, missing_debug_implementations, clippy::all, clippy::pedantic)]
            const _: () = {
                use #krate::__private as __tq;
                #items
            };
        }
    }

    fn marker_type(&self) -> TokenStream {
        let (everywhere, vis, marker) = (&self.function.attrs.everywhere, &self.function.vis, &self.marker);
        quote! {
            #(#everywhere)*
            #[doc(hidden)]
            #[allow(non_camel_case_types, missing_debug_implementations, unreachable_pub, dead_code)]
            #vis struct #marker {}
        }
    }

    fn registration(&self) -> TokenStream {
        let marker = &self.marker;
        quote! {
            __tq::inventory::submit! { __tq::TaskDef::of::<#marker>(::core::file!(), ::core::line!()) }
        }
    }

    /// The task's name on the wire.
    fn name(&self) -> TokenStream {
        match &self.attributes.name {
            Some(name) => quote!(#name),
            None => {
                let name = unraw(&self.function.sig.ident);
                quote!(::core::concat!(::core::module_path!(), "::", #name))
            }
        }
    }
}

/// The name without `r#`.
fn unraw(ident: &Ident) -> String {
    syn::ext::IdentExt::unraw(ident).to_string()
}

/// A variable of ours, which no variable of the user's can meet.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The same, numbered.
fn numbered(name: &str, number: usize) -> Ident {
    format_ident!("{name}{number}", span = Span::mixed_site())
}

/// Where errors of our own code point to: the user's, though the code stays ours to the lints.
fn at(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}
