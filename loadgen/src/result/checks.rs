//! What the checks of a run found, in lines, and what became of jobs on a job server that was killed. Figures stand in `report.rs`.
use std::fmt::Write;

use crate::result::numbers::{count, whole};
use crate::result::outcome::{Kill, Ledger, Outcome};

/// What the checks found, in lines.
pub(crate) fn checks(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let mut text = format!(
        "\nchecks: {} lost, {} doubled, {} altered, {} misdelivered, {} out of order, {} refused, {} connections closed\n",
        tally.lost,
        tally.doubled,
        tally.altered,
        tally.misdelivered,
        tally.out_of_order,
        tally.refused,
        tally.closed
    );
    if tally.stuck > 0 {
        let _ = writeln!(
            text,
            "STUCK: {} jobs are in the queues of the job server, which gives them to none of the workers that ask",
            tally.stuck
        );
    }
    if let Some(ledger) = &outcome.ledger {
        text.push_str(&self::ledger(outcome, ledger));
    } else if tally.unknown > 0 {
        let _ = writeln!(
            text,
            "note: {} jobs are unknown: their connection broke before they were answered",
            tally.unknown
        );
    }
    if tally.strangers > 0 {
        let _ = writeln!(
            text,
            "note: the job server also gave out {} jobs of other runs, which were failed; the figures contain them",
            tally.strangers
        );
    }
    if tally.elsewhere > 0 {
        let _ = writeln!(
            text,
            "note: {} jobs were answered by workers that are not of this run, and could not be checked",
            tally.elsewhere
        );
    }
    if outcome.left > 0 {
        let left = count(outcome.left as f64);
        let _ = writeln!(text, "note: {left} jobs were left in the queues of the job server, unchecked");
    }
    for phase in outcome.phases.iter().filter(|phase| !phase.finished && !phase.interrupted) {
        let _ = writeln!(text, "UNFINISHED: phase {} was broken off", phase.name);
    }
    for phase in outcome.phases.iter().filter(|phase| phase.did_nothing()) {
        let _ = writeln!(text, "UNFINISHED: phase {} did no job in its measured time", phase.name);
    }
    let verdict = match (tally.is_clean(), outcome.finished()) {
        (true, _) if outcome.interrupted() => "interrupted: nothing wrong was seen in what was done",
        (false, _) => "FAILED: a job server must not do this",
        (true, false) => "unfinished: nothing wrong was seen in what was done",
        (true, true) if outcome.left > 0 => "nothing wrong was seen in what was checked",
        (true, true) => "all jobs accounted for",
    };
    let _ = writeln!(text, "{verdict}");
    text
}

/// What became of background jobs on a job server that was killed, or whose connections broke.
fn ledger(outcome: &Outcome, ledger: &Ledger) -> String {
    let Ledger { acknowledged, run, repeated, unknown, run_unacknowledged } = *ledger;
    let cells = [acknowledged, run, repeated, unknown, run_unacknowledged].map(whole);
    let [acknowledged, run, repeated, unknown, ran] = cells;
    let mut text = format!(
        "ledger: {acknowledged} background jobs acknowledged, {run} of them done, {} not; {repeated} done again\n        \
         {unknown} unknown: their connection broke before an answer; {ran} jobs were run that had not been acknowledged\n",
        whole(ledger.missing())
    );
    let kills: Vec<&Kill> = outcome.phases.iter().flat_map(|phase| &phase.kills).collect();
    if kills.is_empty() {
        return text;
    }
    let times = |pick: fn(&Kill) -> Option<f64>| {
        let mut times: Vec<f64> = kills.iter().filter_map(|kill| pick(kill)).collect();
        times.sort_by(f64::total_cmp);
        match times.as_slice() {
            [] => "never".to_owned(),
            times => format!(
                "after {:.2} s ({:.2} to {:.2})",
                times[times.len() / 2],
                times[0],
                times[times.len() - 1]
            ),
        }
    };
    let _ = writeln!(
        text,
        "        killed {} times with SIGKILL; it answered again {}, a job was done {}; {} connections were made again",
        kills.len(),
        times(|kill| kill.listening),
        times(|kill| kill.first_job),
        outcome.tally.reconnects
    );
    text
}
