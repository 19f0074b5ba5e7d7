//! How a worker runs the task, and how the plain call does.

use super::{Expansion, at, function::inner_ident, local, numbered};
use crate::parameter::Parameter;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

impl Expansion<'_> {
    /// What workers need.
    pub(super) fn run_impl(&self) -> TokenStream {
        let (marker, context, arguments, state) = (&self.marker, local("context"), local("arguments"), local("state"));
        let injected: Vec<_> = self.signature.injected_types().collect();
        let locals = (0..injected.len()).map(|position| numbered("injected", position));
        let spans = injected.iter().map(|ty| at(ty.span()));
        let taken = locals.zip(&injected).zip(spans).map(|((local, ty), span)| {
            quote_spanned!(span=> let #local = <#ty as __tq::FromContext>::from_context(&#context).await?;)
        });
        let checked = injected.iter().map(|ty| {
            let span = at(ty.span());
            quote_spanned!(span=> <#ty as __tq::FromContext>::check(#state)?;)
        });
        let (unpacked, _) = self.unpacked();
        let retryable = self.retryable();
        let (outcome, span) = (self.outcome(&context), at(self.function.sig.ident.span()));
        // What is lent to the function, or asked for before it, has to be kept by something.
        let is_kept = !injected.is_empty() || self.signature.arguments().any(|argument| argument.borrowed().is_some());
        let run = if is_kept { quote!(async move { #(#taken)* #outcome.await }) } else { outcome };
        // Where it is not `Send`, the error points at the function's name.
        let output = quote_spanned!(self.value_span()=> ::core::result::Result<Self::Output, __tq::BoxError>);
        let promised =
            quote_spanned!(span=> impl ::core::future::Future<Output = #output> + ::core::marker::Send + 'static);
        quote! {
            #retryable
            impl __tq::Run for #marker {
                #[allow(unused_variables)]
                fn run(#context: __tq::TaskContext, #arguments: Self::Args) -> #promised {
                    let #unpacked = #arguments;
                    #run
                }

                #[allow(unused_variables)]
                fn check(#state: &__tq::StateMap) -> ::core::result::Result<(), __tq::BoxError> {
                    #(#checked)*
                    ::core::result::Result::Ok(())
                }
            }
        }
    }

    /// The plain call, if nothing is injected.
    pub(super) fn direct_impl(&self) -> Option<TokenStream> {
        if self.signature.injected_types().next().is_some() {
            return None;
        }
        let (marker, arguments, (unpacked, _)) = (&self.marker, local("arguments"), self.unpacked());
        let call = self.call();
        let run =
            if self.signature.is_async { self.boxed(quote!(#call.await)) } else { quote!(__tq::inline(move || #call)) };
        Some(quote! {
            impl __tq::Direct for #marker {
                fn run_direct(#arguments: Self::Args) -> __tq::BoxFuture<'static, Self::Returns> {
                    let #unpacked = #arguments;
                    #run
                }
            }
        })
    }

    /// `retry_on`, with the type that it must have.
    fn retryable(&self) -> Option<TokenStream> {
        let path = self.attributes.retry_on.as_ref()?;
        let (returns, span) = (&self.signature.returns.ty, at(path.span()));
        Some(quote_spanned!(span=> const __RETRYABLE: fn(&<#returns as __tq::Fallible>::Err) -> bool = #path;))
    }

    /// A future of what the worker gets of one call.
    fn outcome(&self, context: &Ident) -> TokenStream {
        let (call, returned, span) = (self.call(), local("returned"), self.value_span());
        let finished = match (self.signature.returns.fallible, &self.attributes.retry_on) {
            (false, _) => quote!(::core::result::Result::Ok(#returned)),
            (true, None) => quote_spanned!(span=> __tq::Fallible::finish(#returned)),
            (true, Some(_)) => quote_spanned!(span=> __tq::Fallible::finish_if(#returned, __RETRYABLE)),
        };
        match self.signature.is_async {
            true => quote!(__tq::finished(#call, |#returned| #finished)),
            false => quote!(__tq::blocking(#context, move || #call, |#returned| #finished)),
        }
    }

    /// Where errors about the value point: a `Result` that is none that we can use is the fault of the return type.
    fn value_span(&self) -> Span {
        let returns = &self.signature.returns;
        at(if returns.fallible { returns.ty.span() } else { self.function.sig.ident.span() })
    }

    /// The call of the function itself, with everything in its place.
    fn call(&self) -> TokenStream {
        let (marker, inner) = (&self.marker, inner_ident(&self.function.sig.ident));
        let (mut injected, (_, mut arguments)) = (0.., self.unpacked());
        let mut arguments = arguments.drain(..);
        let values = self.signature.parameters.iter().map(|parameter| match parameter {
            Parameter::Argument(_) => arguments.next().unwrap_or_default(),
            Parameter::Injected(_) => {
                let local = numbered("injected", injected.next().unwrap_or_default());
                quote!(#local)
            }
        });
        quote!(#marker::#inner(#(#values),*))
    }

    /// A boxed future; where it is not `Send`, the error points at the function's name.
    fn boxed(&self, body: TokenStream) -> TokenStream {
        let span = at(self.function.sig.ident.span());
        quote_spanned!(span=> ::std::boxed::Box::pin(async move { #body }))
    }
}
