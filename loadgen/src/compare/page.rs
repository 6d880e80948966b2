//! The page of a result: one file that holds everything, asks nobody for anything, and can be mailed. Its looks and its script
//! stand in `assets/`; the template escapes what is put into it, for labels and plans are anybody's.
use std::io;

use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;

use crate::compare::comparison::Comparison;
use crate::compare::rows::Difference;
use crate::compare::side::Side;
use crate::result::chart::{COLOURS, Chart};
use crate::result::numbers::{bytes, count};
use crate::result::outcome::Outcome;
use crate::result::{checks, report};

// The name's end makes the template escape.
const NAME: &str = "page.html";
const TEMPLATE: &str = include_str!("../../assets/page.html");
const CSS: &str = include_str!("../../assets/page.css");
const JS: &str = include_str!("../../assets/page.js");
const UPLOT_JS: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
const UPLOT_CSS: &str = include_str!("../../assets/uplot/uPlot.min.css");
const UPLOT_LICENSE: &str = include_str!("../../assets/uplot/LICENSE");

/// The page of a run; `svg` is its picture for who has no scripts.
pub(crate) fn of_run(title: &str, outcome: &Outcome, charts: &[Chart], svg: &str) -> io::Result<String> {
    let block = report::block(outcome);
    // The last line of the block is what the checks came to.
    let checks = block.lines().last().unwrap_or_default();
    fill(
        title,
        context! {
            verdict => [report::line(outcome), checks.to_owned()],
            failed => !(outcome.tally.is_clean() && outcome.finished()),
            report => block.trim_start(),
            facts => facts(&[(None, outcome)]),
            plan => plan(outcome),
        },
        charts,
        svg,
    )
}

/// The page of a comparison.
pub(crate) fn of_both(
    title: &str,
    comparison: &Comparison,
    sides: [&Side; 2],
    charts: &[Chart],
    svg: &str,
) -> io::Result<String> {
    let outcomes = || sides.iter().filter_map(|side| side.outcomes.first());
    let firsts: Vec<(Option<&str>, &Outcome)> =
        outcomes().map(|outcome| (Some(outcome.label.as_str()), outcome)).collect();
    let mut groups = outcomes().flat_map(|outcome| outcome.measured()).flat_map(|phase| &phase.groups);
    let all = || sides.iter().flat_map(|side| &side.outcomes);
    fill(
        title,
        context! {
            verdict => comparison.verdict.clone(),
            failed => all().any(|outcome| !(outcome.tally.is_clean() && outcome.finished())),
            comparison => context! {
                names => comparison.sides.clone(),
                rounds => comparison.rounds,
                rows => rows(comparison),
            },
            closed => groups.any(|group| !group.open),
            sides => sides.map(|side| context! { label => side.label(), lines => findings(side) }),
            facts => facts(&firsts),
            plan => outcomes().next().map(plan),
        },
        charts,
        svg,
    )
}

fn fill(title: &str, about: Value, charts: &[Chart], svg: &str) -> io::Result<String> {
    let mut environment = Environment::new();
    environment.add_template(NAME, TEMPLATE).map_err(io::Error::other)?;
    let template = environment.get_template(NAME).map_err(io::Error::other)?;
    let colours = COLOURS.map(|(red, green, blue)| format!("#{red:02x}{green:02x}{blue:02x}"));
    let page = context! {
        title,
        css => CSS,
        js => JS,
        uplot_js => UPLOT_JS,
        uplot_css => UPLOT_CSS,
        uplot_license => UPLOT_LICENSE,
        charts => Value::from(Serde(charts.iter().map(values).collect::<Vec<_>>())),
        data => Value::from(Serde(Data { charts, colours })),
        svg,
        ..about
    };
    template.render(page).map_err(io::Error::other)
}

/// What the script of the page draws.
#[derive(Debug, Serialize)]
struct Data<'a> {
    charts: &'a [Chart],
    colours: [String; COLOURS.len()],
}

fn rows(comparison: &Comparison) -> Vec<Value> {
    let [a, b] = &comparison.sides;
    let row = |row: &crate::compare::rows::Row| {
        let [worst, middle, best] = row.factor.map(|factor| format!("{factor:.2}"));
        let class = match row.verdict {
            Difference::Better => "better",
            Difference::Worse => "worse",
            Difference::Equal | Difference::CannotTell | Difference::Closed | Difference::FewRounds => "",
        };
        let (phase, figure, verdict) = (&row.phase, &row.figure, row.verdict_said(a, b));
        context! { phase, figure, a => count(row.a), b => count(row.b), worst, middle, best, class, verdict }
    };
    comparison.rows.iter().map(row).collect()
}

/// What lines have at the marks of a chart, as a table: those at which ten values or more lie beyond.
#[derive(Debug, Serialize)]
struct Values {
    title: String,
    marks: Vec<String>,
    values: Vec<Cells>,
}

#[derive(Debug, Serialize)]
struct Cells {
    name: String,
    cells: Vec<String>,
}

fn values(chart: &Chart) -> Values {
    // Those up to which any line tells something.
    let told = |line: &crate::result::chart::Line, mark: f64| {
        line.points.last().is_some_and(|last| mark == 1.0 || last.0 >= mark * 9.999)
    };
    let marks: Vec<&(f64, String)> =
        chart.x.marks.iter().filter(|mark| chart.lines.iter().any(|line| told(line, mark.0))).collect();
    let cells = |line: &crate::result::chart::Line| {
        let at = |mark: f64| line.points.iter().find(|point| point.0 == mark).and_then(|point| point.1);
        let cell =
            |mark: f64| at(mark).filter(|_| told(line, mark)).map(|value| line.say(value, chart.y.unit));
        let mut cells: Vec<String> =
            marks.iter().map(|mark| cell(mark.0).unwrap_or_else(|| "-".to_owned())).collect();
        cells.extend(line.points.last().and_then(|last| last.1).map(|most| line.say(most, chart.y.unit)));
        Cells { name: line.name.clone(), cells }
    };
    let values = chart.lines.iter().map(cells).collect();
    let mut marks: Vec<String> = marks.iter().map(|mark| mark.1.clone()).collect();
    if !marks.is_empty() {
        marks.push("max".to_owned());
    }
    Values { title: chart.title.clone(), marks, values }
}

/// What the checks found of a job server, what limited it and what is to be doubted, and in how many rounds.
fn findings(side: &Side) -> Vec<String> {
    let rounds = side.outcomes.len();
    // What it is, as it is said first, and how often.
    let mut said: Vec<(String, String, usize)> = vec![];
    let mut note = |key: String, line: String| match said.iter_mut().find(|(known, ..)| *known == key) {
        Some((.., times)) => *times += 1,
        None => said.push((key, line, 1)),
    };
    for outcome in &side.outcomes {
        for line in checks::checks(outcome).lines().filter(|line| !line.is_empty()) {
            note(line.to_owned(), line.to_owned());
        }
    }
    for phase in side.outcomes.iter().flat_map(Outcome::measured) {
        // The sentence has figures of its round in it; what it is of is the same.
        let limited = format!("{}: limited by {}", phase.name, report::limit(phase));
        note(format!("{} {:?}", phase.name, phase.limit), limited);
        if let Some(fates) = phase.fates.filter(|fates| fates.unanswered() > 0) {
            let unanswered = format!(
                "{}: {} of {} jobs were not answered; they stand in the percentiles with the time until the phase ended",
                phase.name,
                count(fates.unanswered() as f64),
                count(fates.due as f64)
            );
            note(format!("{} unanswered", phase.name), unanswered);
        }
        for doubt in report::doubts(phase) {
            let doubt = format!("{}: doubt: {doubt}", phase.name);
            note(doubt.clone(), doubt);
        }
    }
    let in_rounds = |(_, line, times): (String, String, usize)| match times {
        times if times >= rounds => line,
        times => format!("{line} (in {times} of {rounds} rounds)"),
    };
    said.into_iter().map(in_rounds).collect()
}

/// Where and with what it was measured.
fn facts(outcomes: &[(Option<&str>, &Outcome)]) -> Vec<(String, String)> {
    let mut facts = vec![];
    for (label, outcome) in outcomes {
        let server = &outcome.server;
        let name = |what: &str| label.map_or(what.to_owned(), |label| format!("{label}, {what}"));
        let mut fact = |what: &str, value: Option<&str>| {
            facts.extend(value.map(|value| (name(what), value.to_owned())));
        };
        fact("version", server.version.as_deref());
        fact("command", server.command.as_deref());
        fact("commit", outcome.commit.as_deref());
        fact("address", Some(&server.address));
    }
    let Some((_, outcome)) = outcomes.first() else { return facts };
    let machine = &outcome.machine;
    let kind = if machine.virtual_machine { " (virtual)" } else { "" };
    let pinned = match outcome.cores.is_empty() {
        true => String::new(),
        false => format!(", on cores {:?}", outcome.cores),
    };
    let mut fact = |what: &str, value: String| facts.push((what.to_owned(), value));
    fact("machine", format!("{}{kind}, {} cores, {}", machine.cpu, machine.cores, bytes(machine.memory)));
    fact("kernel", format!("Linux {}", machine.kernel));
    fact(
        "load generator",
        format!("ringgear-load {}, load threads: {}{pinned}", outcome.generator, outcome.threads),
    );
    fact("its command", outcome.command.join(" "));
    fact("plan", format!("{}: {}", outcome.plan.name, outcome.plan.about));
    let began = jiff::Timestamp::from_second(outcome.began as i64).ok();
    facts.extend(began.map(|began| ("began".to_owned(), began.to_string())));
    facts
}

fn plan(outcome: &Outcome) -> String {
    toml::to_string(&outcome.plan).unwrap_or_else(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::plot;
    use crate::result::chart::svg;
    use crate::tests::background;

    const EVIL: &str = "</script></noscript><script>alert('1')</script>{{ js }}<!--\"&";

    fn evil() -> Side {
        let mut finding = background();
        EVIL.clone_into(&mut finding.outcome.label);
        for name in [&mut finding.outcome.plan.name, &mut finding.outcome.phases[0].name] {
            EVIL.clone_into(name);
        }
        finding.outcome.server.version = Some(EVIL.to_owned());
        finding.outcome.command = vec![EVIL.to_owned()];
        Side { outcomes: vec![finding.outcome], recorders: finding.recorders }
    }

    fn both(a: &Side, b: &Side) -> String {
        let comparison = Comparison::of([a, b]).unwrap();
        let charts = plot::of_both([a, b]);
        of_both(EVIL, &comparison, [a, b], &charts, &svg(EVIL, &charts).unwrap()).unwrap()
    }

    fn sound(page: &str) {
        for tag in ["script", "noscript", "section", "table", "html", "svg", "style"] {
            let open = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(open, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert_eq!(page.matches("</script>").count(), 3);
        assert!(!page.contains("alert('1')") && !page.contains("<!--"));
        for attribute in ["src=", "href=", "url(", "@import"] {
            assert!(!page.contains(attribute), "it asks nobody: {attribute}");
        }
    }

    /// A label must not become a script, wherever it stands.
    #[test]
    fn a_page_is_complete_and_holds_labels_as_text() {
        let (a, b) = (evil(), evil());
        let page = both(&a, &b);
        sound(&page);
        assert!(page.contains("&lt;&#x2f;script&gt;"), "escaped in the text");
        let outcome = &a.outcomes[0];
        sound(&of_run(EVIL, outcome, &[], "").unwrap());
    }

    #[test]
    fn the_data_of_a_page_are_those_of_its_charts() {
        let (a, b) = (evil(), evil());
        let page = both(&a, &b);
        let begin = page.find("id=\"data\">").unwrap() + "id=\"data\">".len();
        let data = &page[begin..begin + page[begin..].find("</script>").unwrap()];
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        let charts = plot::of_both([&a, &b]);
        assert_eq!(data["charts"].as_array().unwrap().len(), charts.len());
        assert_eq!(data["charts"][0]["lines"][0]["name"], EVIL);
        assert_eq!(data["charts"][0]["y"]["unit"], "micros");
        assert_eq!(
            data["charts"][0]["lines"][0]["points"].as_array().unwrap().len(),
            charts[0].lines[0].points.len()
        );
    }

    #[test]
    fn the_table_below_a_chart_has_what_its_values_can_tell() {
        let (a, b) = (evil(), evil());
        // Two thousand jobs tell nothing of p99.9.
        let mut charts = plot::of_both([&a, &b]);
        let table = values(&charts[0]);
        assert_eq!(table.marks, ["min", "p50", "p90", "p99", "max"]);
        assert_eq!(table.values.len(), 2);
        assert!(table.values.iter().all(|line| line.cells.len() == 5));
        // What was not answered took at least so long.
        charts[0].lines[1].at_least = charts[0].lines[1].points.last().unwrap().1;
        let more = values(&charts[0]).values.remove(1).cells;
        assert!(more[4].starts_with('>') && !more[0].starts_with('>'), "{more:?}");
    }
}
