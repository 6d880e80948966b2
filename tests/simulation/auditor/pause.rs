//! The chapter on paused functions: nothing of them is given out, and all goes on when they are resumed.
use super::job::{Job, Moment};
use super::{Auditor, audit};
use crate::act::Function;
use ringgear_engine::report::Pause;

/// What is known of the pauses of a function.
#[derive(Clone, Debug, Default)]
pub(super) struct PauseModel {
    /// It may be paused.
    maybe: bool,
    /// It is for sure, since an order that was answered then.
    surely: Option<Moment>,
    /// Orders to pause it that are not answered.
    open: u32,
    /// Orders to resume it that are not answered, and when the last one was handed in.
    resuming: u32,
    resume: Moment,
    /// Orders to resume it that were handed in since then come behind all that pause it.
    clear: Option<Moment>,
    /// It may have been paused up to then.
    until: Option<super::job::Stamp>,
    /// It was paused up to then, and who slept beside it was to be woken: an order has ended it, not its time.
    woken_at: Option<Moment>,
}

impl Auditor {
    pub(super) fn pauses(&mut self, function: Function) {
        let model = &mut self.functions[function].pause;
        (model.maybe, model.clear, model.surely) = (true, None, None);
        model.open += 1;
    }

    pub(super) fn paused(&mut self, at: Moment, function: Function, pause: &Pause) {
        let now = self.moment;
        let model = &mut self.functions[function].pause;
        model.open = model.open.saturating_sub(1);
        if pause.until.is_none() && model.maybe && model.open == 0 && model.resuming == 0 && model.resume < at
        {
            model.surely.get_or_insert(now);
        }
    }

    pub(super) fn resumes(&mut self, function: Function) {
        let now = self.moment;
        let model = &mut self.functions[function].pause;
        model.surely = None;
        (model.resuming, model.resume) = (model.resuming + 1, now);
        if model.open == 0 {
            model.clear.get_or_insert(now);
        }
    }

    /// The answer to an order to resume it, and whether it `was` paused.
    pub(super) fn resumed(&mut self, at: Moment, function: Function, was: bool) {
        let stamp = self.stamp();
        let model = &mut self.functions[function].pause;
        model.resuming = model.resuming.saturating_sub(1);
        if model.clear.is_some_and(|clear| clear <= at) {
            let PauseModel { resuming, resume, .. } = *model;
            let woken_at = was.then_some(stamp.0);
            *model = PauseModel { until: Some(stamp), woken_at, resuming, resume, ..PauseModel::default() };
        }
    }

    /// Nothing is under way: who left before the answer has had it carried out.
    pub(super) fn pauses_settle(&mut self) {
        for function in &mut self.functions {
            (function.pause.open, function.pause.resuming) = (0, 0);
        }
    }

    /// Since when the function of a job is not paused for sure; `None` if it may be.
    pub(super) fn unpaused_since(&self, job: &Job) -> Option<super::job::Stamp> {
        let model = &self.functions[job.function].pause;
        let never = (0, ringgear_engine::Instant(0));
        (!model.maybe).then(|| model.until.unwrap_or(never))
    }

    /// Whoever sleeps beside a function was to be woken since then, for it was resumed.
    pub(super) fn is_woken_since(&self, then: Moment, function: Function) -> bool {
        self.functions[function].pause.woken_at.is_some_and(|at| at > then)
    }

    /// A job was given to somebody who asked at this moment.
    pub(super) fn is_not_paused(&self, at: Moment, function: Function) {
        let model = &self.functions[function].pause;
        let fine = model.surely.is_none_or(|since| at < since);
        audit!(self, "a paused function gives out nothing", fine, "{:?}: {model:?}", self.names[function]);
    }
}
