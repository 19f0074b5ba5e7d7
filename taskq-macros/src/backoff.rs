//! The rule for the time between runs, as text: `exp(1s, x2, max = 60s)`, `fixed(5s)`, `list(1s, 5s, 30s)`.

use crate::duration;
use proc_macro2::TokenStream;
use quote::quote;
use std::time::Duration;

/// What a rule looks like.
const SHAPES: &str = "write \"exp(1s, x2, max = 60s)\", \"fixed(5s)\" or \"list(1s, 5s, 30s)\"";

/// A rule.
#[derive(Debug, PartialEq)]
pub(crate) enum Backoff {
    Exp { base: Duration, factor: Option<f64>, max: Option<Duration> },
    Fixed(Duration),
    List(Vec<Duration>),
}

impl Backoff {
    /// The rule that the text says.
    ///
    /// # Errors
    /// It says none; the error says what is wrong and shows how to write one.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let not_a_rule = || format!("`{text}` is not a back-off rule; {SHAPES}");
        let (name, parts) =
            text.trim().strip_suffix(')').and_then(|rest| rest.split_once('(')).ok_or_else(not_a_rule)?;
        let parts: Vec<&str> = parts.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        match (name.trim(), parts.as_slice()) {
            ("exp", [base, options @ ..]) => parse_exp(base, options),
            ("exp", []) => Err(format!("`exp` needs its first delay: \"exp(1s)\"; {SHAPES}")),
            ("fixed", [delay]) => duration::parse(delay).map(Backoff::Fixed),
            ("fixed", _) => Err(format!("`fixed` takes one delay: \"fixed(5s)\"; {SHAPES}")),
            ("list", []) => Err(format!("`list` needs at least one delay: \"list(1s, 5s)\"; {SHAPES}")),
            ("list", delays) => {
                delays.iter().map(|delay| duration::parse(delay)).collect::<Result<_, _>>().map(Backoff::List)
            }
            _ => Err(not_a_rule()),
        }
    }

    /// The code of the rule.
    pub(crate) fn tokens(&self) -> TokenStream {
        match self {
            Backoff::Exp { base, factor, max } => {
                let base = duration::tokens(*base);
                let factor = factor.map(|factor| quote!(.factor(#factor)));
                let max = max.map(duration::tokens).map(|max| quote!(.max(#max)));
                quote!(__tq::Backoff::exp(#base) #factor #max)
            }
            Backoff::Fixed(delay) => {
                let delay = duration::tokens(*delay);
                quote!(__tq::Backoff::fixed(#delay))
            }
            Backoff::List(delays) => {
                let delays = delays.iter().copied().map(duration::tokens);
                quote!(__tq::Backoff::list(&[#(#delays),*]))
            }
        }
    }
}

fn parse_exp(base: &str, options: &[&str]) -> Result<Backoff, String> {
    let base = duration::parse(base)?;
    if base.is_zero() {
        return Err("`exp` cannot grow from zero; write \"fixed(0s)\" to run again at once".into());
    }
    let (mut factor, mut max) = (None, None);
    for option in options {
        let doubled = match option.split_once('=') {
            Some((name, limit)) if name.trim() == "max" => max.replace(parse_max(base, limit.trim())?).is_some(),
            None if option.starts_with('x') => factor.replace(parse_factor(option)?).is_some(),
            _ => return Err(format!("`{option}` is not a part of `exp`; {SHAPES}")),
        };
        if doubled {
            return Err(format!("`{option}` is given twice"));
        }
    }
    Ok(Backoff::Exp { base, factor, max })
}

fn parse_max(base: Duration, text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        max if max < base => Err(format!("`max = {text}` is shorter than the first delay")),
        max => Ok(max),
    }
}

fn parse_factor(text: &str) -> Result<f64, String> {
    let factor = text.trim_start_matches('x').trim().parse().ok();
    factor.filter(|factor: &f64| factor.is_finite() && *factor >= 1.0).ok_or_else(|| {
        format!("`{text}` is not a factor; write `x` and a number of at least 1, for example `x2` or `x1.5`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let seconds = Duration::from_secs;
        for (text, expected) in [
            ("exp(1s)", Backoff::Exp { base: seconds(1), factor: None, max: None }),
            (
                " exp ( 2s , x1.5 , max = 1m ) ",
                Backoff::Exp { base: seconds(2), factor: Some(1.5), max: Some(seconds(60)) },
            ),
            ("exp(1s, max=60s, x3)", Backoff::Exp { base: seconds(1), factor: Some(3.0), max: Some(seconds(60)) }),
            ("fixed(5s)", Backoff::Fixed(seconds(5))),
            ("fixed(0s)", Backoff::Fixed(Duration::ZERO)),
            ("list(1s, 5s, 1m 30s)", Backoff::List([1, 5, 90].map(seconds).to_vec())),
        ] {
            assert_eq!(Backoff::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "",
            "5s",
            "exp",
            "exp()",
            "exp(0s)",
            "exp(1s, 2)",
            "exp(1s, x0.5)",
            "exp(1s, xinf)",
            "exp(1s, xNaN)",
            "exp(10s, max = 1s)",
            "exp(1s, x2, x3)",
            "exp(1s, min = 1s)",
            "fixed()",
            "fixed(1s, 2s)",
            "fixed(1)",
            "list()",
            "list(1s, 5)",
            "linear(1s)",
            "fixed(1s",
            "fixed(1s))",
        ] {
            assert!(Backoff::parse(text).is_err(), "{text}");
        }
    }
}
