//! What histograms of a result are called, as a file and as a tag. What is in them stands in `files.rs` and `histograms.rs`.
use crate::job::names::slug;
use crate::plan::names;
use crate::plan::terms::Plan;
use crate::result::span::Kind;

/// What a histogram of phase `phase`, counted from 0, is called.
pub(crate) fn tag(plan: &Plan, phase: usize, kind: Kind) -> String {
    let name = plan.phases.get(phase).map_or("", |phase| phase.name.as_str());
    let prefix = format!("{}-{}", phase + 1, slug(name));
    match kind {
        Kind::TimerError => format!("{prefix}-timer-error"),
        Kind::Latency { group, span, service } => {
            let group = names::in_phase(plan, phase).get(group).map_or_else(String::new, |name| slug(name));
            let service = if service { "-service" } else { "" };
            format!("{prefix}-{group}-{}{service}", span.name())
        }
    }
}
