//! A curve as a picture: rates by what changes, both in powers of ten, and the ratio of each pair below.

use crate::{findings::Curve, stats::Quartiles};
use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 80.0;

/// Dark enough for a white page, light enough for a black one.
const COLOURS: [&str; 2] = ["#888888", "#d9480f"];
const INK: &str = "#666666";

/// Where values go.
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    /// From one power of ten to another, around all values.
    fn around(values: &[f64]) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min).max(1.0);
        let most = values.iter().copied().fold(1.0, f64::max);
        let (from, to) = (least.log10().floor(), most.log10().ceil());
        Scale { from, to: to.max(from + 1.0) }
    }

    /// From 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (value.max(1.0).log10() - self.from) / (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.to as i32).map(|power| 10_f64.powi(power))
    }
}

pub(super) fn of(curve: &Curve) -> String {
    let contenders: Vec<String> =
        curve.points.first().map(|point| point.contest.contenders.clone()).unwrap_or_default();
    let rates: Vec<Vec<(f64, Quartiles)>> = contenders
        .iter()
        .map(|name| {
            let rate = |point: &crate::findings::Point| Some((point.at, point.contest.quartiles(name, "per second")?));
            curve.points.iter().filter_map(rate).collect()
        })
        .collect();
    let across = Scale::around(&curve.points.iter().map(|point| point.at).collect::<Vec<_>>());
    let all: Vec<f64> = rates.iter().flatten().flat_map(|(_, rate)| [rate.lower, rate.upper]).collect();
    let up = Scale::around(&all);
    let mut picture = Picture { text: String::new(), across, up };
    picture.begin(curve);
    for ((name, rates), (colour, number)) in contenders.iter().zip(&rates).zip(COLOURS.iter().zip(0..)) {
        picture.line(name, rates, colour, number);
    }
    picture.ratios(curve, &contenders);
    picture.text + "</svg>\n"
}

struct Picture {
    text: String,
    across: Scale,
    up: Scale,
}

impl Picture {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.across.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.up.place(value) * (HEIGHT - TOP - BOTTOM)
    }

    fn label(&mut self, x: f64, y: f64, anchor: &str, colour: &str, text: &str) {
        let _ =
            writeln!(self.text, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{colour}">{text}</text>"#);
    }

    fn stroke(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.text,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}"/>"#
        );
    }

    /// Title, axes and their marks.
    fn begin(&mut self, curve: &Curve) {
        let _ = writeln!(
            self.text,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">"#
        );
        self.label(LEFT, 20.0, "start", INK, &format!("{}: tasks per second", curve.name));
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for rate in self.up.powers().collect::<Vec<_>>() {
            let y = self.y(rate);
            self.stroke((LEFT, y), (right, y), INK, 0.3);
            self.label(LEFT - 6.0, y + 4.0, "end", INK, &short(rate));
        }
        for value in self.across.powers().collect::<Vec<_>>() {
            let x = self.x(value);
            self.stroke((x, bottom), (x, bottom + 5.0), INK, 1.0);
            self.label(x, bottom + 18.0, "middle", INK, &short(value));
        }
        self.label((LEFT + right) / 2.0, bottom + 34.0, "middle", INK, &curve.axis);
    }

    /// A contender's medians, with a stroke from quartile to quartile.
    fn line(&mut self, name: &str, rates: &[(f64, Quartiles)], colour: &str, number: u8) {
        let points: Vec<String> =
            rates.iter().map(|(at, rate)| format!("{:.1},{:.1}", self.x(*at), self.y(rate.median))).collect();
        let _ = writeln!(
            self.text,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            points.join(" ")
        );
        for (at, rate) in rates {
            let x = self.x(*at);
            self.stroke((x, self.y(rate.lower)), (x, self.y(rate.upper)), colour, 4.0);
        }
        let x = LEFT + 120.0 * f64::from(number);
        self.stroke((x, 36.0), (x + 20.0, 36.0), colour, 2.0);
        self.label(x + 26.0, 40.0, "start", colour, name);
    }

    fn ratios(&mut self, curve: &Curve, contenders: &[String]) {
        let [floor, ours, ..] = contenders else { return };
        let y = HEIGHT - 14.0;
        self.label(LEFT - 6.0, y, "end", INK, "ratio");
        for point in &curve.points {
            if let Some(ratio) = Quartiles::of(&point.contest.ratios("per second", ours, floor)) {
                self.label(self.x(point.at), y, "middle", COLOURS[1], &format!("{:.2}", ratio.median));
            }
        }
    }
}

/// With a letter for thousands and millions.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => value.to_string(),
    }
}
