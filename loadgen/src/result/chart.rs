//! Line charts: what is in one, the marks of its axes in readable units, and its picture as SVG, complete in itself: no script,
//! no font, no request to anywhere. The library that draws is named here only; which curves there are stands elsewhere.
use std::io;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Serialize;

/// One chart.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Chart {
    /// What stands above it.
    pub(crate) title: String,
    /// The horizontal axis.
    pub(crate) x: Axis,
    /// The vertical axis.
    pub(crate) y: Axis,
    /// What is drawn.
    pub(crate) lines: Vec<Line>,
}

/// An axis.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Axis {
    /// What it shows, where its unit does not say so.
    pub(crate) title: String,
    /// What its numbers are.
    pub(crate) unit: Unit,
    /// True if equal distances are equal factors.
    pub(crate) logarithmic: bool,
    /// Marks with words of their own instead of numbers. What lines have there is marked on them too.
    pub(crate) marks: Vec<(f64, String)>,
}

/// What numbers are, and so how they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    /// Numbers as they stand, such as seconds on an axis that says so, or cores.
    #[default]
    Plain,
    /// Microseconds, written as ns, µs, ms or s.
    Micros,
    /// Counts, written with k and M.
    Count,
    /// Bytes, written as kB, MB, GB.
    Bytes,
}

/// A line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// What it is.
    pub(crate) name: String,
    /// Lines of the same number have the same colour.
    pub(crate) colour: usize,
    /// True for lines that only accompany another.
    pub(crate) dashed: bool,
    /// Its points, by rising x. Without a y there is a gap, which is drawn as one.
    pub(crate) points: Vec<(f64, Option<f64>)>,
    /// Values from this one on are lower bounds: it may be more.
    pub(crate) at_least: Option<f64>,
}

impl Line {
    /// A line without gaps.
    pub(crate) fn whole(name: &str, colour: usize, dashed: bool, points: Vec<(f64, f64)>) -> Line {
        let points = points.into_iter().map(|(x, y)| (x, Some(y))).collect();
        Line { name: name.to_owned(), colour, dashed, points, at_least: None }
    }
}

impl Line {
    /// A value of it in words, `>` before what may be more.
    pub(crate) fn say(&self, value: f64, unit: Unit) -> String {
        let more = self.at_least.is_some_and(|least| value >= least * 0.999);
        format!("{}{}", if more { ">" } else { "" }, unit.say(value))
    }
}

impl Unit {
    /// A number with its unit, in as few letters as tell it.
    pub(crate) fn say(self, value: f64) -> String {
        let steps: &[(f64, &str)] = match self {
            Unit::Plain => &[(1.0, "")],
            Unit::Micros => &[(1e6, " s"), (1e3, " ms"), (1.0, " µs"), (1e-3, " ns")],
            Unit::Count => &[(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")],
            Unit::Bytes => &[(1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1.0, " B")],
        };
        let usual = || steps.iter().find(|step| step.0 == 1.0).copied();
        let step = match value {
            0.0 => usual(),
            // What would be rounded up to 1000 of a unit is 1 of the next.
            _ => steps.iter().find(|step| value.abs() * 1.0005 >= step.0).or(steps.last()).copied(),
        };
        let (size, name) = step.unwrap_or((1.0, ""));
        format!("{}{name}", short(value / size))
    }
}

/// Three digits that matter, without zeros at the end; all digits of what is larger.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let digits = (2.0 - value.abs().log10().floor()).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Told apart also by those who see red and green alike (Okabe and Ito's colours).
pub(crate) const COLOURS: [(u8, u8, u8); 7] = [
    (0x00, 0x72, 0xb2),
    (0xd5, 0x5e, 0x00),
    (0x00, 0x9e, 0x73),
    (0xcc, 0x79, 0xa7),
    (0xe6, 0x9f, 0x00),
    (0x56, 0xb4, 0xe9),
    (0x77, 0x77, 0x77),
];

const WIDTH: u32 = 620;
const HEIGHT: u32 = 380;
const HEAD: u32 = 40;
const LEGEND: u32 = 17;
/// The vertical axis with its words, and where lines of the legend begin.
const LEFT: u32 = 76;
/// Beside the charts.
const BESIDE: u32 = 12;
/// Letters of 12 pixels; the library's sizes are larger by a quarter.
const LETTERS: f64 = 15.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Charts in rows of two.
pub(crate) fn svg(title: &str, charts: &[Chart]) -> io::Result<String> {
    let tall = |row: &[Chart]| {
        HEIGHT + LEGEND * row.iter().map(|chart| chart.lines.len() as u32).max().unwrap_or(0) + 10
    };
    let heights: Vec<u32> = charts.chunks(2).map(tall).collect();
    let width = WIDTH * charts.len().clamp(1, 2) as u32;
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (width, heights.iter().sum::<u32>() + HEAD))
            .into_drawing_area();
        draw_all(&root, title, charts, &heights).map_err(|error| io::Error::other(error.to_string()))?;
    }
    Ok(text)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw_all(root: &Area<'_>, title: &str, charts: &[Chart], heights: &[u32]) -> Drawn {
    root.fill(&WHITE)?;
    root.draw(&Text::new(sound(title), (16, 12), ("sans-serif", 20.0).into_font()))?;
    let mut top = HEAD;
    for (row, &height) in charts.chunks(2).zip(heights) {
        for (column, chart) in row.iter().enumerate() {
            draw(&root.clone().shrink((WIDTH * column as u32, top), (WIDTH, height)), chart)?;
        }
        top += height;
    }
    root.present()?;
    Ok(())
}

fn draw(area: &Area<'_>, chart: &Chart) -> Drawn {
    let all = || chart.lines.iter().flat_map(|line| &line.points).filter_map(|&(x, y)| Some((x, y?)));
    let x = Scale::new(&chart.x, all().map(|point| point.0));
    let y = Scale::new(&chart.y, all().map(|point| point.1));
    let (upper, legend) = area.split_vertically(HEIGHT);
    let mut context = ChartBuilder::on(&upper)
        .caption(sound(&chart.title), ("sans-serif", LETTERS + 2.0))
        .margin_left(BESIDE)
        .margin_right(20)
        .x_label_area_size(48)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(x, y)?;
    context
        .configure_mesh()
        .bold_line_style(RGBColor(0xdd, 0xdd, 0xdd))
        .axis_style(RGBColor(0xaa, 0xaa, 0xaa))
        .label_style(("sans-serif", LETTERS))
        .x_desc(sound(&chart.x.title))
        .y_desc(sound(&chart.y.title))
        .draw()?;
    for (number, line) in chart.lines.iter().enumerate() {
        let (red, green, blue) = COLOURS[line.colour % COLOURS.len()];
        let style = ShapeStyle::from(RGBColor(red, green, blue)).stroke_width(2);
        for run in runs(line) {
            match run[..] {
                [alone] => drop(context.draw_series([Circle::new(alone, 2, style.filled())])?),
                _ if line.dashed => drop(context.draw_series(DashedLineSeries::new(run, 5, 4, style))?),
                _ => drop(context.draw_series(LineSeries::new(run, style))?),
            }
        }
        let marked = |&(at, value): &(f64, Option<f64>)| {
            let marked = chart.x.marks.iter().any(|&(mark, _)| mark == at);
            value.filter(|_| marked && !line.dashed).map(|value| (at, value))
        };
        let marks = line.points.iter().filter_map(marked);
        context.draw_series(marks.map(|at| Circle::new(at, 3, style.filled())))?;
        let (left, middle) = ((BESIDE + LEFT) as i32, (LEGEND * number as u32 + LEGEND / 2 + 4) as i32);
        let sample = [(left, middle), (left + 26, middle)];
        match line.dashed {
            true => {
                legend.draw(&DashedPathElement::new(sample, 5, 4, style))?;
            }
            false => legend.draw(&PathElement::new(sample, style))?,
        }
        let words = ("sans-serif", LETTERS).into_text_style(&legend).pos(Pos::new(HPos::Left, VPos::Center));
        legend.draw(&Text::new(sound(&line.name), (left + 34, middle), words))?;
    }
    Ok(())
}

/// The stretches of a line between its gaps.
fn runs(line: &Line) -> Vec<Vec<(f64, f64)>> {
    let stretches = line.points.split(|point| point.1.is_none_or(|value| !value.is_finite()));
    let whole = |stretch: &[(f64, Option<f64>)]| -> Vec<_> {
        stretch.iter().filter_map(|&(at, value)| Some((at, value?))).collect()
    };
    stretches.map(whole).filter(|stretch| !stretch.is_empty()).collect()
}

/// Without what XML does not allow, whatever a label holds.
fn sound(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

/// From values to places on an axis, and its marks.
struct Scale<'a> {
    axis: &'a Axis,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

/// The largest number that is drawn; beyond it steps get lost in rounding.
const MOST: f64 = 1e15;

impl Scale<'_> {
    fn new(axis: &Axis, values: impl Iterator<Item = f64>) -> Scale<'_> {
        let sound = |value: &f64| value.abs() <= MOST && (!axis.logarithmic || *value > 0.0);
        let (low, high) = values
            .filter(sound)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
        let (low, high, ticks) = match (axis.marks.is_empty(), axis.logarithmic) {
            (false, _) => {
                let high = if high > low { high } else { low + low.abs().max(1.0) };
                let inside = axis.marks.iter().map(|mark| mark.0).filter(|at| (low..=high).contains(at));
                (low, high, inside.collect())
            }
            (true, true) => by_factors(low, high),
            (true, false) => by_steps(high.max(0.0)),
        };
        Scale { axis, low, high, ticks }
    }

    /// How far along the axis a value is, from 0 to 1. On a logarithmic one equal factors are equal distances.
    fn share(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        match self.axis.logarithmic {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        }
    }
}

impl Ranged for Scale<'_> {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (f64::from(to - from) * self.share(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Only what has a word has a line.
        if hint.weight().allow_light_points() { vec![] } else { self.ticks.clone() }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Scale<'_> {
    fn format_ext(&self, value: &f64) -> String {
        match self.axis.marks.iter().find(|mark| mark.0 == *value) {
            Some((_, word)) => word.clone(),
            None => self.axis.unit.say(*value),
        }
    }
}

/// Bounds and marks at 1, 2 and 5 times powers of ten; at powers alone where there are many.
fn by_factors(low: f64, high: f64) -> (f64, f64, Vec<f64>) {
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let fine: Vec<f64> =
        powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power))).collect();
    let begin = fine.iter().copied().rfind(|&tick| tick <= low * 1.0001).unwrap_or(low);
    let end = fine.iter().copied().find(|&tick| tick >= high * 0.9999 && tick > begin).unwrap_or(high * 10.0);
    let mut ticks: Vec<f64> = fine.into_iter().filter(|tick| (begin..=end).contains(tick)).collect();
    if ticks.len() > 9 {
        ticks.retain(|tick| (tick.log10() - tick.log10().round()).abs() < 1e-9);
    }
    (begin, end, ticks)
}

/// From 0, with marks at equal steps that are round.
fn by_steps(high: f64) -> (f64, f64, Vec<f64>) {
    let high = if high > 0.0 { high * 1.05 } else { 1.0 };
    let rough = high / 6.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(power * 10.0);
    (0.0, high, (0..=(high / step) as u32).map(|number| f64::from(number) * step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(unit: Unit, logarithmic: bool) -> Axis {
        Axis { title: "t".to_owned(), unit, logarithmic, marks: vec![] }
    }

    fn chart(lines: Vec<Line>) -> Chart {
        Chart { title: "c".to_owned(), x: axis(Unit::Plain, false), y: axis(Unit::Micros, true), lines }
    }

    #[test]
    fn a_chart_is_complete_and_asks_nobody() {
        let line = Line::whole("a < b\u{0}", 0, true, vec![(1.0, 5.0), (100.0, 700.0)]);
        let text =
            svg("title & more", &[chart(vec![line.clone()]), chart(vec![line]), Chart::default()]).unwrap();
        assert!(text.contains("a &lt; b") && text.contains("title &amp; more"));
        assert!(!text.contains("NaN") && !text.contains("inf") && !text.contains('\u{0}'));
        assert_eq!(text.matches("http").count(), 1, "only the name space: {text}");
        assert_eq!((text.matches("<svg ").count(), text.matches("</svg>").count()), (1, 1));
    }

    #[test]
    fn a_gap_is_no_line() {
        let line = |points: &[(f64, Option<f64>)]| {
            let line = Line {
                name: "n".to_owned(),
                colour: 0,
                dashed: false,
                points: points.to_vec(),
                at_least: None,
            };
            let colour = "stroke=\"#0072B2\"";
            svg("", &[chart(vec![line])]).unwrap().lines().filter(|line| line.contains(colour)).count()
        };
        let whole = [(0.0, Some(1.0)), (1.0, Some(2.0)), (2.0, Some(3.0)), (3.0, Some(4.0))];
        let mut gap = whole;
        gap[1].1 = None;
        // The line and its sample in the legend; a point alone is a dot.
        assert_eq!((line(&whole), line(&gap)), (2, 2));
        let gap = [whole[0], whole[1], (1.5, None), whole[2], whole[3]];
        assert_eq!(line(&gap), 3);
    }

    #[test]
    fn numbers_have_readable_units() {
        let said =
            |unit: Unit, values: &[f64]| values.iter().map(|&value| unit.say(value)).collect::<Vec<_>>();
        let micros = said(Unit::Micros, &[0.0, 0.5, 1.0, 20.0, 999.9, 1000.0, 1500.0, 2e6]);
        assert_eq!(micros, ["0 µs", "500 ns", "1 µs", "20 µs", "1 ms", "1 ms", "1.5 ms", "2 s"]);
        assert_eq!(
            said(Unit::Count, &[0.0, 0.5, 800.0, 25_000.0, 1.5e6]),
            ["0", "0.5", "800", "25k", "1.5M"]
        );
        assert_eq!(said(Unit::Bytes, &[1.0, 2e3, 3.25e6]), ["1 B", "2 kB", "3.25 MB"]);
        assert_eq!(said(Unit::Plain, &[0.30000000000000004, 1234.0]), ["0.3", "1234"]);
    }

    #[test]
    fn marks_are_few_and_inside_whatever_is_drawn() {
        let values = [0.0, -5.0, 1e-9, 1.0, 3.0, 1e6, 1e14, 1e300, f64::NAN, f64::INFINITY];
        for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (*a, *b))) {
            for logarithmic in [true, false] {
                let axis = axis(Unit::Count, logarithmic);
                let scale = Scale::new(&axis, [a, b].into_iter());
                assert!(scale.low < scale.high && scale.ticks.len() < 30, "{a} {b}: {:?}", scale.ticks);
                assert!(scale.ticks.iter().all(|tick| (scale.low..=scale.high).contains(tick)), "{a} {b}");
            }
        }
        assert_eq!(
            by_factors(12.0, 900.0),
            (10.0, 1000.0, vec![10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0])
        );
        assert_eq!(by_steps(10.0).2, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    }
}
