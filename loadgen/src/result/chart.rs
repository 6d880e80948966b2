//! A line chart as SVG, complete in itself: no script, no font, no request to anywhere.
use std::fmt::Write;

/// One chart.
#[derive(Clone, Debug, Default)]
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
#[derive(Clone, Debug, Default)]
pub(crate) struct Axis {
    /// What it shows, with its unit.
    pub(crate) title: String,
    /// True if equal distances are equal factors.
    pub(crate) logarithmic: bool,
    /// Marks with words of their own instead of numbers.
    pub(crate) marks: Vec<(f64, String)>,
}

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What it is.
    pub(crate) name: String,
    /// Lines of the same number have the same colour.
    pub(crate) colour: usize,
    /// True for lines that only accompany another.
    pub(crate) dashed: bool,
    /// Its points, by rising x.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Told apart also by those who see red and green alike (Okabe and Ito's colours).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"];

const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 15.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 46.0;
const LEGEND: f64 = 16.0;

/// Charts in rows of two.
pub(crate) fn svg(title: &str, charts: &[Chart]) -> String {
    let heights: Vec<f64> = charts
        .chunks(2)
        .map(|row| row.iter().map(|chart| HEIGHT + LEGEND * chart.lines.len() as f64).fold(0.0, f64::max))
        .collect();
    let columns = charts.len().min(2) as f64;
    let (width, height) = (WIDTH * columns, heights.iter().sum::<f64>() + 40.0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\">{}</text>\n",
        escape(title)
    );
    let mut top = 40.0;
    for (row, height) in charts.chunks(2).zip(heights) {
        for (column, chart) in row.iter().enumerate() {
            let left = WIDTH * column as f64;
            let _ = writeln!(text, "<g transform=\"translate({left} {top})\">\n{}</g>", draw(chart));
        }
        top += height;
    }
    text.push_str("</svg>\n");
    text
}

fn draw(chart: &Chart) -> String {
    let all = || chart.lines.iter().flat_map(|line| line.points.iter());
    let x = Scale::new(&chart.x, all().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let y = Scale::new(&chart.y, all().map(|point| point.1), HEIGHT - BOTTOM, TOP);
    let mut text = String::new();
    // Writing into a String does not fail.
    let _ =
        writeln!(text, "<text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">{}</text>", escape(&chart.title));
    for (value, mark) in x.marks() {
        let at = x.place(value);
        let (bottom, below) = (HEIGHT - BOTTOM, HEIGHT - BOTTOM + 16.0);
        let _ = writeln!(text, "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            text,
            "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>",
            escape(&mark)
        );
    }
    for (value, mark) in y.marks() {
        let at = y.place(value);
        let (right, beside, text_at) = (WIDTH - RIGHT, LEFT - 6.0, at + 4.0);
        let _ = writeln!(text, "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            text,
            "<text x=\"{beside}\" y=\"{text_at:.1}\" text-anchor=\"end\">{}</text>",
            escape(&mark)
        );
    }
    let (middle, low) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10.0);
    let _ = writeln!(
        text,
        "<text x=\"{middle}\" y=\"{low}\" text-anchor=\"middle\">{}</text>",
        escape(&chart.x.title)
    );
    let up = (TOP + HEIGHT - BOTTOM) / 2.0;
    let _ = writeln!(
        text,
        "<text transform=\"translate(14 {up}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        escape(&chart.y.title)
    );
    for (number, line) in chart.lines.iter().enumerate() {
        let colour = COLOURS[line.colour % COLOURS.len()];
        let dash = if line.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let mut path = String::new();
        for (at, point) in line.points.iter().enumerate() {
            let letter = if at == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", x.place(point.0), y.place(point.1));
        }
        let _ = writeln!(
            text,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"{dash}/>"
        );
        let at = HEIGHT + LEGEND * number as f64;
        let (end, beside, base) = (LEFT + 26.0, LEFT + 32.0, at + 4.0);
        let _ =
            writeln!(text, "<path d=\"M{LEFT} {at}H{end}\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>");
        let _ = writeln!(text, "<text x=\"{beside}\" y=\"{base}\">{}</text>", escape(&line.name));
    }
    text
}

/// From values to places.
struct Scale<'a> {
    axis: &'a Axis,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale<'_> {
    fn new(axis: &Axis, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Scale<'_> {
        let sound = |value: &f64| value.is_finite() && (!axis.logarithmic || *value > 0.0);
        let (mut low, mut high) = values
            .filter(sound)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        if axis.logarithmic && axis.marks.is_empty() {
            (low, high) = (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()));
            high = if high <= low { low * 10.0 } else { high };
        } else if axis.marks.is_empty() {
            low = 0.0;
            high = if high > 0.0 { high * 1.05 } else { 1.0 };
        } else if high <= low {
            high = low * 10.0;
        }
        Scale { axis, low, high, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = if self.axis.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }

    fn marks(&self) -> Vec<(f64, String)> {
        if !self.axis.marks.is_empty() {
            let inside = |(value, _): &&(f64, String)| (self.low..=self.high).contains(value);
            return self.axis.marks.iter().filter(inside).cloned().collect();
        }
        let mut marks = vec![];
        if self.axis.logarithmic {
            let mut value = self.low;
            while value <= self.high * 1.001 {
                marks.push((value, short(value)));
                value *= 10.0;
            }
            return marks;
        }
        let rough = (self.high - self.low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(power * 10.0);
        let mut value = self.low;
        while value <= self.high {
            marks.push((value, short(value)));
            value += step;
        }
        marks
    }
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        // Steps of binary fractions add up to numbers like 0.30000000000000004.
        value => format!("{}", (value * 1e6).round() / 1e6),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_complete_and_asks_nobody() {
        let line = Line {
            name: "a < b".to_owned(),
            colour: 0,
            dashed: true,
            points: vec![(1.0, 5.0), (100.0, 700.0)],
        };
        let axis = |logarithmic| Axis { title: "t".to_owned(), logarithmic, marks: vec![] };
        let chart = Chart { title: "c".to_owned(), x: axis(true), y: axis(false), lines: vec![line] };
        let text = svg("title & more", &[chart.clone(), chart, Chart::default()]);
        assert!(text.contains("a &lt; b") && text.contains("title &amp; more"));
        assert!(!text.contains("NaN") && !text.contains("inf"));
        let references = text.matches("http").count();
        assert_eq!(references, 1, "only the name space: {text}");
        for tag in ["svg", "g"] {
            assert_eq!(text.matches(&format!("<{tag} ")).count(), text.matches(&format!("</{tag}>")).count());
        }
    }
}
