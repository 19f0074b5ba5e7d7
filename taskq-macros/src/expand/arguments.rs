//! The arguments as one value that travels, a map by name.

use super::{Expansion, at, numbered};
use crate::parameter::{Argument, DefaultValue};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Type, spanned::Spanned};

impl Expansion<'_> {
    /// The struct of the arguments.
    ///
    /// Its fields have type parameters, so that an argument that cannot travel is not an error in each line that serde
    /// derives, but one where the parameters are named.
    pub(super) fn arguments_struct(&self) -> TokenStream {
        let parameters = self.numbered_arguments().filter(|(_, argument)| !is_concrete(argument));
        let parameters = parameters.map(|(position, _)| type_parameter(position));
        let fields = self.numbered_arguments().map(|(position, argument)| field(position, argument));
        let defaults =
            self.numbered_arguments().filter_map(|(position, argument)| default_function(position, argument));
        quote! {
            #[derive(__tq::serde::Serialize, __tq::serde::Deserialize)]
            #[serde(crate = "__tq::serde")]
            pub struct __Arguments<#(#parameters),*> { #(#fields),* }
            #(#defaults)*
        }
    }

    /// How the struct is made of what a caller gives.
    pub(super) fn arguments_constructor(&self) -> TokenStream {
        let marker = &self.marker;
        let idents: Vec<&Ident> = self.signature.arguments().map(|argument| &argument.ident).collect();
        let types = self.signature.arguments().map(|argument| &argument.written.ty);
        let values = self.signature.arguments().map(owned_value);
        quote! {
            impl #marker {
                fn __arguments(#(#idents: #types),*) -> <#marker as __tq::Task>::Args {
                    __Arguments { #(#idents: #values),* }
                }
            }
        }
    }

    /// The struct with its types.
    pub(super) fn arguments_type(&self) -> TokenStream {
        let types = self.signature.arguments().filter(|argument| !is_concrete(argument)).map(owned_type);
        let span = at(self.function.sig.ident.span());
        quote_spanned!(span=> __Arguments<#(#types),*>)
    }

    fn numbered_arguments(&self) -> impl Iterator<Item = (usize, &Argument)> {
        self.signature.arguments().enumerate()
    }

    /// A pattern that takes the arguments apart, and the expressions that `inner` is given for them.
    pub(super) fn unpacked(&self) -> (TokenStream, Vec<TokenStream>) {
        let idents = self.signature.arguments().map(|argument| &argument.ident);
        let (locals, values): (Vec<_>, Vec<_>) = self
            .numbered_arguments()
            .map(|(position, argument)| {
                let local = numbered("argument", position);
                let value = if argument.borrowed().is_some() { quote!(&#local) } else { quote!(#local) };
                (local, value)
            })
            .unzip();
        (quote!(__Arguments { #(#idents: #locals),* }), values)
    }
}

/// The type that travels.
pub(super) fn owned_type(argument: &Argument) -> TokenStream {
    match argument.borrowed() {
        Some(target) => {
            let span = at(target.span());
            quote_spanned!(span=> <#target as ::std::borrow::ToOwned>::Owned)
        }
        None => {
            let ty: &Type = &argument.written.ty;
            quote!(#ty)
        }
    }
}

/// Whether the field's type is written out, because serde is told how to handle it.
fn is_concrete(argument: &Argument) -> bool {
    argument.is_bytes() || matches!(argument.default, DefaultValue::Expr(_))
}

fn type_parameter(position: usize) -> Ident {
    format_ident!("__Argument{position}")
}

fn field(position: usize, argument: &Argument) -> TokenStream {
    let ident = &argument.ident;
    let ty = if is_concrete(argument) { owned_type(argument) } else { type_parameter(position).into_token_stream() };
    let default = match &argument.default {
        DefaultValue::None => None,
        DefaultValue::OfType => Some(quote!(#[serde(default)])),
        DefaultValue::Expr(_) => {
            let function = default_name(position).to_string();
            Some(quote!(#[serde(default = #function)]))
        }
    };
    let bytes = argument.is_bytes().then(|| quote!(#[serde(with = "__tq::serde_bytes")]));
    quote!(#default #bytes #ident: #ty)
}

fn owned_value(argument: &Argument) -> TokenStream {
    let ident = &argument.ident;
    match argument.borrowed() {
        Some(_) => quote!(::std::borrow::ToOwned::to_owned(#ident)),
        None => quote!(#ident),
    }
}

fn default_name(position: usize) -> Ident {
    format_ident!("__default{position}")
}

/// `#[arg(default = expr)]`: the expression has the type of the parameter.
fn default_function(position: usize, argument: &Argument) -> Option<TokenStream> {
    let DefaultValue::Expr(value) = &argument.default else { return None };
    let (name, ty) = (default_name(position), owned_type(argument));
    let value = match argument.borrowed() {
        Some(target) => quote!(<#target as ::std::borrow::ToOwned>::to_owned(#value)),
        None => quote!(#value),
    };
    Some(quote!(fn #name() -> #ty { #value }))
}
