//! The paragraph that tells, in the function's docs, what the task is on the wire.

use super::Expansion;
use proc_macro2::TokenStream;
use quote::quote;

impl Expansion<'_> {
    /// One more paragraph of docs.
    pub(super) fn docs(&self) -> TokenStream {
        let (name, marker) = (self.name(), &self.marker);
        let queue = match &self.attributes.queue {
            Some(queue) => format!("queue `{queue}`"),
            None => "the default queue".to_owned(),
        };
        let runs = match self.attributes.retry {
            None | Some(0) => "not retried".to_owned(),
            Some(1) => "retried once".to_owned(),
            Some(retry) => format!("retried up to {retry} times"),
        };
        let rest = format!(
            "` on {queue}, {runs}. Await the call to run it here, `.kiq(..)` hands it to the broker; the function itself is \
             `{marker}::inner(..)`."
        );
        quote! {
            #[doc = ""]
            #[doc = ::core::concat!("**Task** `", #name, #rest)]
        }
    }
}
