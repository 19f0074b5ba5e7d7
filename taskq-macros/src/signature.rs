//! What the function's signature means to a task: which parameters travel, what comes back.

use crate::{
    attributes::Attributes,
    errors::Errors,
    function::Function,
    parameter::{Argument, Parameter},
    types,
};
use proc_macro2::Span;
use quote::ToTokens;
use syn::{
    FnArg, GenericArgument, GenericParam, Generics, PathArguments, Receiver, ReturnType, Safety, Type, parse_quote,
    spanned::Spanned,
};

/// Most arguments of one task: `.kiq(..)` is written out for each number of them.
const MAX_ARGUMENTS: usize = 16;

/// The signature of a task.
pub(crate) struct Signature {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) returns: Returns,
    pub(crate) is_async: bool,
}

/// What comes back.
pub(crate) struct Returns {
    pub(crate) ty: Type,
    /// Whether it is a `Result`.
    pub(crate) fallible: bool,
    /// Whether the type can be used as it is.
    pub(crate) is_sound: bool,
}

impl Signature {
    /// What the signature means; what is wrong with it goes to `errors`.
    pub(crate) fn analyse(function: &Function, attributes: &Attributes, errors: &mut Errors) -> Self {
        let sig = &function.sig;
        check_qualifiers(sig, errors);
        check_generics(&sig.generics, errors);
        let mut parameters = Vec::new();
        for input in &sig.inputs {
            match input {
                FnArg::Receiver(receiver) => errors.push(no_receiver(receiver)),
                FnArg::Typed(written) => parameters.extend(Parameter::parse(written.clone(), errors)),
            }
        }
        let returns = Returns::analyse(&sig.output, attributes, errors);
        let signature = Signature { parameters, returns, is_async: sig.asyncness.is_some() };
        if let Some(seventeenth) = signature.arguments().nth(MAX_ARGUMENTS) {
            let message = format!("a task takes at most {MAX_ARGUMENTS} arguments: put some of them into a struct");
            errors.push(syn::Error::new_spanned(&seventeenth.written, message));
        }
        signature
    }

    /// The parameters that travel.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Argument> {
        self.parameters.iter().filter_map(|parameter| match parameter {
            Parameter::Argument(argument) => Some(argument),
            Parameter::Injected(_) => None,
        })
    }

    /// The types of the parameters that the worker injects.
    pub(crate) fn injected_types(&self) -> impl Iterator<Item = &Type> {
        self.parameters.iter().filter_map(|parameter| match parameter {
            Parameter::Injected(injected) => Some(&*injected.written.ty),
            Parameter::Argument(_) => None,
        })
    }
}

impl Returns {
    fn analyse(output: &ReturnType, attributes: &Attributes, errors: &mut Errors) -> Self {
        let ty = match output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        };
        let named_result = types::last_segment(&ty).is_some_and(|last| last.ident == "Result");
        let mut returns = Returns { ty, fallible: attributes.fallible.unwrap_or(named_result), is_sound: true };
        if let Err(error) = returns.check(output) {
            returns.is_sound = false;
            errors.push(error);
        }
        if let (Some(path), false) = (&attributes.retry_on, returns.fallible) {
            let message = "`retry_on` looks at the error, but this task returns no `Result`: return one (or say `fallible` if it \
                           is one under another name)";
            errors.push(syn::Error::new_spanned(path, message));
        }
        returns
    }

    fn check(&self, output: &ReturnType) -> syn::Result<()> {
        if matches!(output, ReturnType::Default) {
            return Ok(());
        }
        let wrong = |message: &str| Err(syn::Error::new_spanned(&self.ty, message));
        if matches!(types::unwrapped(&self.ty), Type::Never(_)) {
            return wrong("a task ends and gives a value, and `!` has none: return `()` or a `Result<(), E>`");
        }
        let found = types::Obstacles::of(&self.ty);
        if found.opaque {
            return wrong(
                "a task's value needs one concrete type: name it instead of `impl ..`; for a future, write `async fn`",
            );
        }
        if found.inferred {
            return wrong("a task's return type has to be written out");
        }
        if found.borrows && !(self.fallible && only_the_error_borrows(&self.ty)) {
            let owned = types::owned(&self.ty);
            return wrong(&format!(
                "a task's value travels to another process, so it must own its data: return `{owned}`"
            ));
        }
        Ok(())
    }
}

/// Whether only the error borrows, and only what is `'static`: `Result<T, &'static str>`.
fn only_the_error_borrows(ty: &Type) -> bool {
    let Some(last) = types::last_segment(ty) else { return false };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return false };
    let Some(GenericArgument::Type(value)) = arguments.args.first() else { return false };
    !types::Obstacles::of(value).borrows && !types::Obstacles::of(ty).borrows_for_a_while
}

fn no_receiver(receiver: &Receiver) -> syn::Error {
    let message = "a task is a free function, without `self`: move it out of the `impl`, and take what it needs as arguments \
                   or as `State<..>`";
    syn::Error::new_spanned(receiver, message)
}

fn check_qualifiers(sig: &syn::Signature, errors: &mut Errors) {
    let mut refuse = |token: &dyn ToTokens, message: &str| errors.push(syn::Error::new(token_span(token), message));
    if let Some(token) = &sig.constness {
        refuse(token, "a task runs on a worker, never at compile time: remove `const`");
    }
    if let Safety::Unsafe(token) = &sig.safety {
        refuse(
            token,
            "a worker cannot promise what an `unsafe fn` asks for: make the task safe, with an `unsafe` block inside",
        );
    }
    if let Some(abi) = &sig.abi {
        refuse(abi, "a task is an ordinary Rust function: remove `extern`");
    }
    if let Some(variadic) = &sig.variadic {
        refuse(variadic, "a task has a fixed list of arguments: take a `Vec` instead of `...`");
    }
}

fn token_span(token: &dyn ToTokens) -> Span {
    token.to_token_stream().span()
}

fn check_generics(generics: &Generics, errors: &mut Errors) {
    for parameter in &generics.params {
        let message = match parameter {
            GenericParam::Type(_) => {
                "a task cannot be generic, for a worker must know what to decode: name the type, and write one task per type"
            }
            GenericParam::Const(_) => "a task cannot be generic: take the value as an argument",
            GenericParam::Lifetime(_) => {
                "a task cannot have lifetime parameters: write `&T` without a lifetime, or an owned type"
            }
        };
        errors.push(syn::Error::new_spanned(parameter, message));
    }
    if let (true, Some(clause)) = (generics.params.is_empty(), &generics.where_clause) {
        errors.push(syn::Error::new_spanned(
            clause,
            "a task is not generic, so it has no use for a `where` clause: remove it",
        ));
    }
}
