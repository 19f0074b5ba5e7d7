//! What can be told of a type from its tokens alone.

use quote::ToTokens;
use syn::{
    AngleBracketedGenericArguments, GenericArgument, Lifetime, PathArguments, PathSegment, Type, TypeImplTrait,
    TypeInfer, TypeReference, parse_quote,
    visit::{self, Visit},
    visit_mut::{self, VisitMut},
};

/// The type without the parentheses and invisible groups around it.
pub(crate) fn unwrapped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => unwrapped(&group.elem),
        Type::Paren(paren) => unwrapped(&paren.elem),
        _ => ty,
    }
}

/// The last part of a path: the `State<Pool>` of `taskq::State<Pool>`.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match unwrapped(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// Whether the type is `[u8]`, or a `Vec<u8>`.
pub(crate) fn is_bytes(ty: &Type) -> bool {
    match unwrapped(ty) {
        Type::Slice(slice) => is_u8(&slice.elem),
        ty => last_segment(ty).is_some_and(|last| last.ident == "Vec" && only_argument(last).is_some_and(is_u8)),
    }
}

fn is_u8(ty: &Type) -> bool {
    matches!(unwrapped(ty), Type::Path(path) if path.path.is_ident("u8"))
}

/// The `T` of `Name<T>`.
pub(crate) fn only_argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match (arguments.args.len(), arguments.args.first()) {
        (1, Some(GenericArgument::Type(ty))) => Some(ty),
        _ => None,
    }
}

/// What keeps a type from travelling, as far as its tokens show.
#[derive(Default)]
pub(crate) struct Obstacles {
    /// `&T`, `'a`.
    pub(crate) borrows: bool,
    /// The same, but for `'static`.
    pub(crate) borrows_for_a_while: bool,
    /// `impl Trait`.
    pub(crate) opaque: bool,
    /// `_`.
    pub(crate) inferred: bool,
}

impl Obstacles {
    /// Those of `ty`.
    pub(crate) fn of(ty: &Type) -> Self {
        let mut found = Obstacles::default();
        found.visit_type(ty);
        found
    }
}

impl<'ast> Visit<'ast> for Obstacles {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        self.borrows = true;
        self.borrows_for_a_while |= reference.lifetime.is_none();
        visit::visit_type_reference(self, reference);
    }

    fn visit_path_segment(&mut self, segment: &'ast PathSegment) {
        // Its lifetime may be left out, and is then missing in the code that is made of it.
        let has_lifetime = |arguments: &AngleBracketedGenericArguments| {
            arguments.args.iter().any(|argument| matches!(argument, GenericArgument::Lifetime(_)))
        };
        if let (true, PathArguments::AngleBracketed(arguments)) = (segment.ident == "Cow", &segment.arguments)
            && !has_lifetime(arguments)
        {
            self.borrows = true;
            self.borrows_for_a_while = true;
        }
        visit::visit_path_segment(self, segment);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        self.borrows = true;
        self.borrows_for_a_while |= lifetime.ident != "static";
    }

    fn visit_type_impl_trait(&mut self, _: &'ast TypeImplTrait) {
        self.opaque = true;
    }

    fn visit_type_infer(&mut self, _: &'ast TypeInfer) {
        self.inferred = true;
    }
}

/// The type that owns what `ty` borrows, as one would write it: `Option<String>` for `Option<&str>`.
pub(crate) fn owned(ty: &Type) -> String {
    let mut ty = ty.clone();
    Owner.visit_type_mut(&mut ty);
    tidy(&ty)
}

/// Replaces what borrows.
struct Owner;

impl VisitMut for Owner {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        let replacement = match unwrapped(ty) {
            Type::Reference(reference) => Some(owned_target(&reference.elem)),
            Type::Path(path) => path.path.segments.last().filter(|last| last.ident == "Cow").and_then(|cow| {
                let PathArguments::AngleBracketed(arguments) = &cow.arguments else { return None };
                arguments.args.iter().find_map(|argument| match argument {
                    GenericArgument::Type(target) => Some(owned_target(target)),
                    _ => None,
                })
            }),
            _ => None,
        };
        if let Some(replacement) = replacement {
            *ty = replacement;
        }
        visit_mut::visit_type_mut(self, ty);
    }
}

fn owned_target(target: &Type) -> Type {
    match unwrapped(target) {
        Type::Slice(slice) => {
            let item = &slice.elem;
            parse_quote!(Vec<#item>)
        }
        Type::Path(path) if path.path.is_ident("str") => parse_quote!(String),
        Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Path") => parse_quote!(PathBuf),
        other => other.clone(),
    }
}

/// The type as one would write it.
pub(crate) fn tidy(ty: &impl ToTokens) -> String {
    let text = ty.to_token_stream().to_string();
    let tight = [
        (" < ", "<"),
        (" <", "<"),
        ("< ", "<"),
        (" > ", ">"),
        (" >", ">"),
        (" :: ", "::"),
        (":: ", "::"),
        (" ,", ","),
        ("& ", "&"),
    ];
    tight.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owned_type_is_named_as_one_would_write_it() {
        for (borrowed, expected) in [
            ("Option<&str>", "Option<String>"),
            ("Vec<&'static str>", "Vec<String>"),
            ("std::borrow::Cow<'_, str>", "String"),
            ("&'static [u8]", "Vec<u8>"),
            ("HashMap<&str, Vec<&[&str]>>", "HashMap<String, Vec<Vec<String>>>"),
            ("Option<&std::path::Path>", "Option<PathBuf>"),
            ("(&Big, i64)", "(Big, i64)"),
        ] {
            assert_eq!(owned(&syn::parse_str(borrowed).unwrap()), expected);
        }
    }

    #[test]
    fn bytes_are_recognised() {
        for (ty, expected) in
            [("Vec<u8>", true), ("[u8]", true), ("std::vec::Vec<u8>", true), ("Vec<u16>", false), ("u8", false)]
        {
            assert_eq!(is_bytes(&syn::parse_str(ty).unwrap()), expected, "{ty}");
        }
    }
}
