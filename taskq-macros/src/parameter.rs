//! One parameter: injected by the worker, or an argument that travels.

use crate::{errors::Errors, spelling, types};
use proc_macro2::Span;
use syn::{Attribute, Expr, Ident, Meta, Pat, PatType, Token, Type, parse::ParseStream, spanned::Spanned};

/// A parameter.
pub(crate) enum Parameter {
    Injected(Injected),
    Argument(Argument),
}

/// A parameter that comes from the worker.
pub(crate) struct Injected {
    /// As it was written, without `#[inject]`.
    pub(crate) written: PatType,
}

/// A parameter that comes from the sender.
pub(crate) struct Argument {
    /// As it was written, without `#[arg]`.
    pub(crate) written: PatType,
    pub(crate) ident: Ident,
    pub(crate) default: DefaultValue,
}

/// What an argument is when a message does not have it.
pub(crate) enum DefaultValue {
    /// The message cannot be decoded.
    None,
    /// `Default::default()`.
    OfType,
    Expr(Box<Expr>),
}

impl Parameter {
    /// What the parameter is, or nothing and some errors.
    pub(crate) fn parse(mut written: PatType, errors: &mut Errors) -> Option<Self> {
        let marks = Marks::take(&mut written.attrs, errors);
        let injected = marks.inject.is_some() || (!marks.arg && is_injected_by_name(&written.ty));
        let before = errors.count();
        if let (Some(inject), true) = (marks.inject, marks.arg) {
            errors.push(syn::Error::new(inject, "a parameter is either `#[inject]` or `#[arg]`: remove one of them"));
        }
        let parameter = if injected {
            check_injected_type(&written.ty, errors);
            Parameter::Injected(Injected { written })
        } else {
            check_argument_type(&written.ty, errors);
            let ident = errors.check(argument_ident(&written))?;
            Parameter::Argument(Argument { written, ident, default: marks.default })
        };
        (errors.count() == before).then_some(parameter)
    }

    /// As it was written, without our marks.
    pub(crate) fn written(&self) -> &PatType {
        match self {
            Parameter::Injected(injected) => &injected.written,
            Parameter::Argument(argument) => &argument.written,
        }
    }
}

impl Argument {
    /// What is borrowed, for `&T`.
    pub(crate) fn borrowed(&self) -> Option<&Type> {
        match types::unwrapped(&self.written.ty) {
            Type::Reference(reference) => Some(&reference.elem),
            _ => None,
        }
    }

    /// Whether it travels as a byte string.
    pub(crate) fn is_bytes(&self) -> bool {
        types::is_bytes(self.borrowed().unwrap_or(&self.written.ty))
    }
}

/// `TaskContext` and `State<..>`.
pub(crate) fn is_injected_by_name(ty: &Type) -> bool {
    let target = match types::unwrapped(ty) {
        Type::Reference(reference) => &reference.elem,
        ty => ty,
    };
    types::last_segment(target).is_some_and(|last| match last.ident.to_string().as_str() {
        "TaskContext" => last.arguments.is_none(),
        "State" => types::only_argument(last).is_some(),
        _ => false,
    })
}

/// What `#[inject]` and `#[arg]` say.
struct Marks {
    inject: Option<Span>,
    arg: bool,
    default: DefaultValue,
}

impl Marks {
    /// Takes ours out of the parameter's attributes; the others stay with the function as it was written.
    fn take(attrs: &mut Vec<Attribute>, errors: &mut Errors) -> Self {
        let mut marks = Marks { inject: None, arg: false, default: DefaultValue::None };
        attrs.retain(|attr| {
            if attr.path().is_ident("inject") {
                errors.check(attr.meta.require_path_only().map_err(|_| {
                    syn::Error::new_spanned(attr, "`#[inject]` takes nothing: the type says what is injected")
                }));
                marks.inject = Some(attr.span());
                return false;
            }
            if attr.path().is_ident("arg") {
                marks.arg = true;
                errors.check(marks.read_arg(attr));
                return false;
            }
            if attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr") {
                let message = "a parameter of a task cannot come and go by `cfg`: it is part of the message; put `#[cfg]` on \
                               the whole task, or use `#[arg(default)]`";
                errors.push(syn::Error::new_spanned(attr, message));
            }
            true
        });
        marks
    }

    fn read_arg(&mut self, attr: &Attribute) -> syn::Result<()> {
        if matches!(attr.meta, Meta::Path(_)) {
            return Ok(());
        }
        attr.parse_nested_meta(|option| {
            if !option.path.is_ident("default") {
                let hint = spelling::hint(&types::tidy(&option.path), &["default"]);
                return Err(option.error(format!("`#[arg]` has no such option; {hint}")));
            }
            if !matches!(self.default, DefaultValue::None) {
                return Err(option.error("`default` is given twice"));
            }
            self.default = parse_default(option.input)?;
            Ok(())
        })
    }
}

fn parse_default(input: ParseStream<'_>) -> syn::Result<DefaultValue> {
    if !input.peek(Token![=]) {
        return Ok(DefaultValue::OfType);
    }
    input.parse::<Token![=]>()?;
    Ok(DefaultValue::Expr(input.parse()?))
}

fn check_injected_type(ty: &Type, errors: &mut Errors) {
    if let Type::Reference(reference) = types::unwrapped(ty) {
        let owned = types::tidy(&reference.elem);
        let message = format!("an injected parameter is taken by value: write `{owned}` (cloning it is cheap)");
        errors.push(syn::Error::new_spanned(ty, message));
    }
    if types::Obstacles::of(ty).opaque {
        errors.push(syn::Error::new_spanned(
            ty,
            "a worker must know the type that it injects: name it instead of `impl ..`",
        ));
    }
}

fn check_argument_type(ty: &Type, errors: &mut Errors) {
    let found = types::Obstacles::of(ty);
    if found.opaque {
        let message = "an argument needs one concrete type, which a worker can decode: name it instead of `impl ..`";
        return errors.push(syn::Error::new_spanned(ty, message));
    }
    if found.inferred {
        return errors.push(syn::Error::new_spanned(ty, "an argument's type has to be written out"));
    }
    let Type::Reference(reference) = types::unwrapped(ty) else {
        if found.borrows {
            let owned = types::owned(ty);
            let message = format!("an argument travels to another process, so it must own its data: write `{owned}`");
            errors.push(syn::Error::new_spanned(ty, message));
        }
        return;
    };
    if reference.mutability.is_some() {
        let owned = types::owned(ty);
        let message = format!("a task cannot change its sender's data: take `{owned}`, and return what came of it");
        return errors.push(syn::Error::new_spanned(ty, message));
    }
    if types::Obstacles::of(&reference.elem).borrows {
        let owned = types::owned(ty);
        let message = format!("an argument travels to another process, so it must own its data: write `{owned}`");
        return errors.push(syn::Error::new_spanned(ty, message));
    }
    if let Some(lifetime) = &reference.lifetime {
        let (elem, owned) = (types::tidy(&reference.elem), types::owned(ty));
        let message = format!(
            "an argument is decoded for each run, so it cannot outlive it: write `&{elem}` or `{owned}`, without `{lifetime}`"
        );
        errors.push(syn::Error::new_spanned(ty, message));
    }
}

/// The name that the argument travels by.
fn argument_ident(written: &PatType) -> syn::Result<Ident> {
    match &*written.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => Ok(pat.ident.clone()),
        Pat::Wild(_) => {
            Err(syn::Error::new_spanned(&written.pat, "an argument travels by its name: write `_name` instead of `_`"))
        }
        _ => {
            let message = "an argument travels by its name: write a plain name, and take it apart in the body \
                           (`let (a, b) = pair;`); if this parameter comes from the worker, mark it `#[inject]`";
            Err(syn::Error::new_spanned(&written.pat, message))
        }
    }
}
