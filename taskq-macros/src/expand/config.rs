//! The `Task` impl, and the checks that give a readable message before the compiler gives its own.

use super::{Expansion, arguments::owned_type, at};
use crate::{
    attributes::Ack,
    duration,
    parameter::{Argument, DefaultValue},
};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

impl Expansion<'_> {
    pub(super) fn task_impl(&self) -> TokenStream {
        let (marker, name, config, arguments) = (&self.marker, self.name(), self.config(), self.arguments_type());
        let (returns, output) = (&self.signature.returns.ty, self.output());
        quote! {
            impl __tq::Task for #marker {
                type Args = #arguments;
                type Output = #output;
                type Returns = #returns;
                const NAME: &'static str = #name;
                const CONFIG: __tq::TaskConfig = #config;
            }
        }
    }

    /// The type of the value.
    pub(super) fn output(&self) -> TokenStream {
        let returns = &self.signature.returns.ty;
        let span = at(returns.span());
        match self.signature.returns.fallible {
            true => quote_spanned!(span=> <#returns as __tq::Fallible>::Ok),
            false => quote!(#returns),
        }
    }

    /// The attributes, by the builder methods of `TaskConfig`.
    fn config(&self) -> TokenStream {
        let attributes = self.attributes;
        let time =
            |method: TokenStream, time: Option<_>| time.map(duration::tokens).map(|time| quote!(.#method(#time)));
        let retry = attributes.retry.map(|retry| quote!(.retry(#retry)));
        let timeout = time(quote!(timeout), attributes.timeout);
        let backoff =
            attributes.backoff.as_ref().map(|backoff| backoff.tokens()).map(|backoff| quote!(.backoff(#backoff)));
        let queue = attributes.queue.as_ref().map(|queue| quote!(.queue(#queue)));
        let expires = time(quote!(expires), attributes.expires);
        let ack = attributes.ack.map(|ack| match ack {
            Ack::OnDone => quote!(.ack(__tq::Ack::OnDone)),
            Ack::OnReceive => quote!(.ack(__tq::Ack::OnReceive)),
        });
        let result_ttl = time(quote!(result_ttl), attributes.result_ttl);
        let store_result = attributes.store_result.map(|store| quote!(.store_result(#store)));
        let dead_letter = attributes.dead_letter.map(|dead_letter| quote!(.dead_letter(#dead_letter)));
        let track = attributes.track.map(|track| quote!(.track(#track)));
        let blocking = (!self.signature.is_async).then(|| quote!(.blocking()));
        quote! {
            __tq::TaskConfig::new()
                #retry #timeout #backoff #queue #expires #ack #result_ttl #store_result #dead_letter #track #blocking
        }
    }

    /// One assertion per type, pointing at it, before anything else that could fail for the same reason.
    pub(super) fn checks(&self) -> TokenStream {
        let arguments = self.signature.arguments().map(argument_check);
        let (value, span) = (self.output(), at(self.signature.returns.ty.span()));
        let value = quote_spanned!(span=> __tq::Value<#value>);
        let name = self.attributes.name.is_none().then(|| self.name_check());
        let plain = (!self.signature.returns.fallible).then(|| self.plain_return_check());
        quote! {
            #[allow(dead_code)]
            struct __Checks(#(#arguments,)* #value);
            #name
            #plain
        }
    }

    fn name_check(&self) -> TokenStream {
        let (marker, span) = (&self.marker, at(self.function.sig.ident.span()));
        quote_spanned!(span=> const _: () = __tq::assert_name(<#marker as __tq::Task>::NAME);)
    }

    fn plain_return_check(&self) -> TokenStream {
        let returns = &self.signature.returns.ty;
        let span = at(returns.span());
        quote_spanned! {span=>
            const _: () = {
                use __tq::NotAResult as _;
                __tq::assert_not_a_result(__tq::ReturnType::<#returns>::IS_A_RESULT)
            };
        }
    }
}

fn argument_check(argument: &Argument) -> TokenStream {
    let (ty, named) = (owned_type(argument), argument.borrowed().unwrap_or(&argument.written.ty));
    let span = at(named.span());
    let default = match argument.default {
        DefaultValue::OfType => Some(quote_spanned!(span=> , __tq::Defaulted<#ty>)),
        _ => None,
    };
    match argument.borrowed() {
        Some(target) => quote_spanned!(span=> __tq::Borrowed<#target> #default),
        None => quote_spanned!(span=> __tq::Arg<#ty> #default),
    }
}
