//! How metrics are written: Prometheus' text, and OpenMetrics. Which metrics there are stands in `metrics.rs`.
use std::fmt::{Display, Write};

/// How the numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Prometheus' own, which everything reads.
    Text,
    /// Its standard.
    OpenMetrics,
}

impl Form {
    pub(super) fn kind(self) -> &'static str {
        match self {
            Form::Text => "text/plain; version=0.0.4; charset=utf-8",
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Milliseconds, as seconds.
pub(super) struct Seconds(pub(super) u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Seconds(ms) = self;
        match ms % 1000 {
            0 => write!(f, "{}", ms / 1000),
            rest => write!(f, "{}.{rest:03}", ms / 1000),
        }
    }
}

/// Metrics, one behind the other: each with what it is, then its samples.
pub(super) struct Families {
    form: Form,
    text: String,
    family: String,
}

impl Families {
    pub(super) fn new(form: Form) -> Families {
        Families { form, text: String::with_capacity(16 << 10), family: String::new() }
    }

    pub(super) fn gauge(&mut self, name: impl Into<String>, help: &str) {
        let name = name.into();
        self.begin(&name, "gauge", help);
        self.family = name;
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str) {
        self.begin(name, "histogram", help);
        name.clone_into(&mut self.family);
    }

    /// What belongs to one histogram of this family: counts by bucket, of which the last has no bound.
    pub(super) fn buckets(
        &mut self,
        labels: &[(&str, &str)],
        bounds: impl Iterator<Item = String>,
        counts: &[u64],
        taken: impl Display,
    ) {
        let name = self.family.clone();
        self.family = format!("{name}_bucket");
        let mut sum = 0;
        for (mut bound, count) in bounds.chain(["+Inf".to_owned()]).zip(counts) {
            sum += count;
            // There all bounds are numbers with a point.
            if self.form == Form::OpenMetrics && !bound.contains(['.', 'I']) {
                bound += ".0";
            }
            self.sample(&[labels, &[("le", &bound)]].concat(), sum);
        }
        self.family = format!("{name}_sum");
        self.sample(labels, taken);
        self.family = format!("{name}_count");
        self.sample(labels, sum);
        self.family = name;
    }

    /// The name ends with `_total`, which OpenMetrics has in samples only.
    pub(super) fn counter(&mut self, name: impl Into<String>, help: &str) {
        let name = name.into();
        let told = match self.form {
            Form::Text => &name[..],
            Form::OpenMetrics => name.strip_suffix("_total").unwrap_or(&name),
        };
        let told = told.to_owned();
        self.begin(&told, "counter", help);
        self.family = name;
    }

    pub(super) fn begin(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.text, "# HELP {name} ");
        escape(&mut self.text, help, self.form == Form::OpenMetrics);
        let _ = write!(self.text, "\n# TYPE {name} {kind}\n");
    }

    /// Writing to memory cannot fail.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(&self.family);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(&mut self.text, text, true);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    pub(super) fn end(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// Appends text as it must stand in a help line or, with its quotes, in a label.
fn escape(out: &mut String, text: &str, quotes: bool) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_escaped() {
        let write = |form| {
            let mut some = Families::new(form);
            some.counter("a_total", "say \"a\\b\"\n.");
            some.sample(&[("f", "\"x\\\n"), ("g", "y")], 7);
            some.end()
        };
        assert_eq!(
            write(Form::Text),
            "# HELP a_total say \"a\\\\b\"\\n.\n# TYPE a_total counter\na_total{f=\"\\\"x\\\\\\n\",g=\"y\"} 7\n"
        );
        assert_eq!(
            write(Form::OpenMetrics),
            "# HELP a say \\\"a\\\\b\\\"\\n.\n# TYPE a counter\na_total{f=\"\\\"x\\\\\\n\",g=\"y\"} 7\n# EOF\n"
        );
    }
}
