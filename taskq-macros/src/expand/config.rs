//! The `Task` impl, and the checks that give a readable message before the compiler gives its own.

use super::{Expansion, arguments::owned_type, at};
use crate::{attributes::Ack, duration};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

impl Expansion<'_> {
    pub(super) fn task_impl(&self) -> TokenStream {
        let (marker, name, config, returns, output) =
            (&self.marker, self.name(), self.config(), &self.signature.returns.ty, self.output());
        quote! {
            impl __tq::Task for #marker {
                type Args = __Arguments;
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

    /// One assertion per type, pointing at it.
    pub(super) fn checks(&self) -> TokenStream {
        let name = self.attributes.name.is_none().then(|| {
            let (marker, span) = (&self.marker, at(self.function.sig.ident.span()));
            quote_spanned!(span=> const _: () = __tq::assert_name(<#marker as __tq::Task>::NAME);)
        });
        let borrowed = self.signature.arguments().filter_map(|argument| argument.borrowed()).map(|target| {
            let span = at(target.span());
            quote_spanned!(span=> const _: () = __tq::assert_borrowed::<#target>();)
        });
        let arguments = self.signature.arguments().map(|argument| {
            let (ty, span) = (owned_type(argument), at(argument.written.ty.span()));
            quote_spanned!(span=> const _: () = __tq::assert_arg::<#ty>();)
        });
        let returns = self.return_checks();
        quote!(#name #(#borrowed)* #(#arguments)* #returns)
    }

    fn return_checks(&self) -> TokenStream {
        let (returns, output) = (&self.signature.returns.ty, self.output());
        let span = at(returns.span());
        let kind = match self.signature.returns.fallible {
            true => quote_spanned!(span=> const _: () = __tq::assert_fallible::<#returns>();),
            false => quote_spanned!(span=> const _: () = {
                use __tq::NotAResult as _;
                __tq::assert_not_a_result(__tq::ReturnType::<#returns>::IS_A_RESULT)
            };),
        };
        quote_spanned!(span=> #kind const _: () = __tq::assert_value::<#output>();)
    }
}
