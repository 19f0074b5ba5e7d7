//! What stands in `#[task(..)]`.

use crate::{backoff::Backoff, duration, errors::Errors, names, spelling};
use proc_macro2::TokenStream;
use std::time::Duration;
use syn::{
    Expr, ExprLit, ExprPath, Ident, Lit, LitStr, Path, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    token,
};

/// All attributes, as the table in the docs of `#[task]` has them.
const KNOWN: &[&str] = &[
    "retry",
    "timeout",
    "backoff",
    "retry_on",
    "name",
    "queue",
    "expires",
    "ack",
    "result_ttl",
    "store_result",
    "dead_letter",
    "track",
    "marker",
    "fallible",
    "crate",
];

/// The attributes that were given.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) retry: Option<u32>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) retry_on: Option<Path>,
    pub(crate) name: Option<String>,
    pub(crate) queue: Option<String>,
    pub(crate) expires: Option<Duration>,
    pub(crate) ack: Option<Ack>,
    pub(crate) result_ttl: Option<Duration>,
    pub(crate) store_result: Option<bool>,
    pub(crate) dead_letter: Option<bool>,
    pub(crate) track: Option<bool>,
    pub(crate) marker: Option<Ident>,
    pub(crate) fallible: Option<bool>,
    pub(crate) krate: Option<Path>,
}

/// When a delivery is acknowledged.
#[derive(Clone, Copy)]
pub(crate) enum Ack {
    OnDone,
    OnReceive,
}

impl Attributes {
    /// Reads them all; what is wrong goes to `errors`, and is left out.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut attributes = Attributes::default();
        let settings = Parser::parse2(|input: ParseStream<'_>| Ok(Setting::parse_all(input, errors)), tokens);
        let mut seen: Vec<Setting> = Vec::new();
        for setting in errors.check(settings).unwrap_or_default() {
            let name = &setting.name;
            if seen.iter().any(|earlier| earlier.name == *name) {
                errors.push(setting.error(format!("`{name}` is given twice")));
                continue;
            }
            errors.check(attributes.set(&setting));
            seen.push(setting);
        }
        if let (Some(_), Some(false)) = (attributes.result_ttl, attributes.store_result)
            && let Some(ttl) = seen.iter().find(|setting| setting.name == "result_ttl")
        {
            errors.push(ttl.error("`result_ttl` contradicts `store_result = false`: leave one of them out"));
        }
        attributes
    }

    fn set(&mut self, setting: &Setting) -> syn::Result<()> {
        match setting.name.to_string().as_str() {
            "retry" => self.retry = Some(setting.number()?),
            "timeout" => self.timeout = Some(setting.span_of_time()?),
            "backoff" => self.backoff = Some(setting.text("exp(1s, max = 60s)", Backoff::parse)?),
            "retry_on" => self.retry_on = Some(setting.path("MyError::is_transient")?),
            "name" => self.name = Some(setting.text("mail.send", checked(names::check_task_name))?),
            "queue" => self.queue = Some(setting.text("mail", checked(names::check_queue_name))?),
            "expires" => self.expires = Some(setting.span_of_time()?),
            "ack" => self.ack = Some(setting.text("on_receive", parse_ack)?),
            "result_ttl" => self.result_ttl = Some(setting.span_of_time()?),
            "store_result" => self.store_result = Some(setting.truth()?),
            "dead_letter" => self.dead_letter = Some(setting.truth()?),
            "track" => self.track = Some(setting.flag()?),
            "fallible" => self.fallible = Some(setting.flag()?),
            "marker" => self.marker = Some(setting.identifier()?),
            "crate" => self.krate = Some(setting.path("my_crate::taskq")?),
            "priority" => {
                let message = "a task has no priority of its own: give it per call, `name.kiq(..).priority(5)`, and \
                               declare the queue with `QueueSpec::priorities`";
                return Err(setting.error(message));
            }
            unknown => {
                let hint = spelling::hint(unknown, KNOWN);
                return Err(setting.error(format!("`#[task]` has no attribute `{unknown}`; {hint}")));
            }
        }
        Ok(())
    }
}

fn checked(check: fn(&str) -> Result<(), String>) -> impl Fn(&str) -> Result<String, String> {
    move |text| check(text).map(|()| text.to_owned())
}

fn parse_ack(text: &str) -> Result<Ack, String> {
    match text {
        "on_done" => Ok(Ack::OnDone),
        "on_receive" => Ok(Ack::OnReceive),
        _ => Err(format!(
            "`ack` is \"on_done\" (when the outcome is durable) or \"on_receive\" (before the task runs), not `{text}`"
        )),
    }
}

/// One `name = value`, or a name alone.
struct Setting {
    name: Ident,
    value: Option<Expr>,
}

impl Setting {
    /// All of them; after one that cannot be read goes on behind the next comma.
    fn parse_all(input: ParseStream<'_>, errors: &mut Errors) -> Vec<Self> {
        let mut settings = Vec::new();
        while !input.is_empty() {
            settings.extend(errors.check(Setting::parse(input)));
            while !input.is_empty() && !input.peek(Token![,]) {
                let _ = input.parse::<proc_macro2::TokenTree>();
            }
            let _ = input.parse::<Token![,]>();
        }
        settings
    }

    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error("expected the name of an attribute, such as `retry = 3`"));
        }
        let name = Ident::parse_any(input)?;
        if input.peek(token::Paren) {
            return Err(input.error(format!("write `{name} = ..`: attributes of `#[task]` take one value each")));
        }
        let value = match input.parse::<Option<Token![=]>>()? {
            Some(_) if input.is_empty() || input.peek(Token![,]) => {
                return Err(syn::Error::new_spanned(&name, format!("the value of `{name}` is missing")));
            }
            Some(_) => Some(ungrouped(input.parse()?)),
            None => None,
        };
        if !input.is_empty() && !input.peek(Token![,]) {
            let missing = if value.is_some() { "`,` before the next attribute" } else { "`=` before the value" };
            return Err(input.error(format!("expected {missing}")));
        }
        Ok(Setting { name, value })
    }

    /// An error about the whole of it.
    fn error(&self, message: impl std::fmt::Display) -> syn::Error {
        syn::Error::new(self.name.span(), message)
    }

    /// An error about the value.
    fn expected(&self, what: &str, example: &str) -> syn::Error {
        let name = &self.name;
        let message = format!("`{name}` takes {what}: `{name} = {example}`");
        match &self.value {
            Some(value) => syn::Error::new_spanned(value, message),
            None => syn::Error::new_spanned(name, message),
        }
    }

    fn literal(&self) -> Option<&Lit> {
        match &self.value {
            Some(Expr::Lit(ExprLit { lit, .. })) => Some(lit),
            _ => None,
        }
    }

    fn number(&self) -> syn::Result<u32> {
        let expected = || self.expected("a whole number, the further runs after the first", "3");
        match self.literal() {
            Some(Lit::Int(number)) => number.base10_parse().map_err(|_| expected()),
            _ => Err(expected()),
        }
    }

    fn text<T>(&self, example: &str, parse: impl Fn(&str) -> Result<T, String>) -> syn::Result<T> {
        match self.literal() {
            Some(Lit::Str(text)) => parse_text(text, parse),
            _ => Err(self.expected("text", &format!("{example:?}"))),
        }
    }

    fn span_of_time(&self) -> syn::Result<Duration> {
        let Some(Lit::Str(text)) = self.literal() else {
            return Err(self.expected("a duration, as text with a unit", "\"300s\""));
        };
        match parse_text(text, duration::parse)? {
            Duration::ZERO => {
                Err(syn::Error::new(text.span(), format!("`{}` cannot be zero; leave it out", self.name)))
            }
            span => Ok(span),
        }
    }

    fn truth(&self) -> syn::Result<bool> {
        match self.literal() {
            Some(Lit::Bool(truth)) => Ok(truth.value),
            _ => Err(self.expected("`true` or `false`", "false")),
        }
    }

    fn flag(&self) -> syn::Result<bool> {
        if self.value.is_some() { self.truth() } else { Ok(true) }
    }

    fn path(&self, example: &str) -> syn::Result<Path> {
        match &self.value {
            Some(Expr::Path(ExprPath { path, qself: None, .. })) => Ok(path.clone()),
            _ => Err(self.expected("a path", example)),
        }
    }

    fn identifier(&self) -> syn::Result<Ident> {
        let expected = || self.expected("a name for the type beside the function", "AddTask");
        match &self.value {
            Some(Expr::Path(path)) => path.path.get_ident().cloned().ok_or_else(expected),
            _ => Err(expected()),
        }
    }
}

/// The value without the invisible group that a variable of `macro_rules!` puts around it.
fn ungrouped(value: Expr) -> Expr {
    match value {
        Expr::Group(group) => ungrouped(*group.expr),
        value => value,
    }
}

fn parse_text<T>(text: &LitStr, parse: impl Fn(&str) -> Result<T, String>) -> syn::Result<T> {
    parse(&text.value()).map_err(|reason| syn::Error::new(text.span(), reason))
}
