//! The annotated item, as far as the macro reads it. The body stays tokens: it is the compiler's to judge, and half-typed
//! code in it keeps its completions.

use proc_macro2::{Delimiter, Group, TokenStream};
use quote::ToTokens;
use syn::{
    Attribute, Signature, Token, Visibility,
    parse::{Parse, ParseStream},
};

/// A function.
pub(crate) struct Function {
    pub(crate) attrs: FunctionAttributes,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = FunctionAttributes::sort(input.call(Attribute::parse_outer)?);
        let vis = input.parse()?;
        if !starts_function(input) {
            return Err(input.error("`#[task]` goes on a function: an `async fn` or a `fn`"));
        }
        let sig: Signature = input.parse()?;
        if input.peek(Token![;]) {
            return Err(syn::Error::new_spanned(sig, "a task needs a body: `{ .. }` instead of `;`"));
        }
        let body: Group = input.parse()?;
        match body.delimiter() {
            Delimiter::Brace => Ok(Function { attrs, vis, sig, body }),
            _ => Err(syn::Error::new(body.span(), "expected the function's body: `{ .. }`")),
        }
    }
}

fn starts_function(input: ParseStream<'_>) -> bool {
    let qualified = input.peek(Token![const]) || input.peek(Token![unsafe]) || input.peek(Token![extern]);
    if !qualified {
        return input.peek(Token![fn]) || (input.peek(Token![async]) && !input.peek2(Token![move]));
    }
    input.fork().parse::<Signature>().is_ok()
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let FunctionAttributes { everywhere, public, inner } = &self.attrs;
        for attribute in everywhere.iter().chain(public).chain(inner) {
            attribute.to_tokens(tokens);
        }
        self.vis.to_tokens(tokens);
        self.sig.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

/// The function's other attributes, by the item that they belong to.
pub(crate) struct FunctionAttributes {
    /// On every item of the expansion: without it an item would name another that is not there.
    pub(crate) everywhere: Vec<Attribute>,
    /// On the function that callers see.
    pub(crate) public: Vec<Attribute>,
    /// On the function as it was written.
    pub(crate) inner: Vec<Attribute>,
}

impl FunctionAttributes {
    fn sort(attrs: Vec<Attribute>) -> Self {
        let mut sorted = FunctionAttributes { everywhere: Vec::new(), public: Vec::new(), inner: Vec::new() };
        for attr in attrs {
            let is = |name| attr.path().is_ident(name);
            let place = if is("cfg") || is("allow") {
                &mut sorted.everywhere
            } else if is("doc") || is("deprecated") {
                &mut sorted.public
            } else {
                &mut sorted.inner
            };
            place.push(attr);
        }
        sorted
    }
}
