//! The chapter on orders: what administrators may change, and what becomes of an order whose giver has left.
use super::job::{CANCELLED, DROPPED, Moment};
use super::peer::{Asked, bit};
use super::{Auditor, audit};
use crate::act::Function;
use bytes::Bytes;
use ringgear_engine::report::DropRow;
use ringgear_engine::{Ask, JobId, Order, SessionId};

impl Auditor {
    pub(super) fn asks(&mut self, session: SessionId, ask: Ask) {
        if let Ask::Order(order) = &ask {
            self.orders(order);
        }
        self.ask(session, Asked::Ask(ask));
    }

    fn orders(&mut self, order: &Order) {
        match order {
            Order::MaxQueue { function, limits } => {
                if let Some(function) = self.function(function) {
                    self.order(function);
                    self.functions[function].limits_ever.push(*limits);
                }
            }
            Order::CreateFunction { function } => {
                if let Some(function) = self.function(function) {
                    self.use_function(function);
                }
            }
            Order::DropFunction { function } => {
                for function in self.in_any_case(function) {
                    self.order(function);
                    self.functions[function].exists = None;
                    self.functions[function].drops += 1;
                    self.functions[function].begun_again = true;
                    self.may_be_dropped(function);
                }
            }
            Order::CancelJob { handle } => self.cancel(handle),
            Order::Pause { function, .. } => {
                if let Some(function) = self.function(function) {
                    self.pauses(function);
                }
            }
            Order::Resume { function } => {
                if let Some(function) = self.function(function) {
                    self.resumes(function);
                }
            }
            // Whatever they do is done by other orders, too, or seen at once.
            Order::RetryJob { .. } | Order::Batch(_) | Order::Dismiss { .. } => {}
        }
    }

    /// Functions of this name, in any case.
    pub(super) fn in_any_case(&self, name: &[u8]) -> Vec<Function> {
        let matching = self.names.iter().enumerate().filter(|(_, other)| other.eq_ignore_ascii_case(name));
        matching.map(|(function, _)| function).collect()
    }

    /// An order that may change the limits of a function is under way.
    fn order(&mut self, function: Function) {
        let model = &mut self.functions[function];
        model.limits = None;
        model.orders += 1;
        if model.orders > 1 {
            model.confused = self.moment;
        }
    }

    /// An order that may change the limits of a function was carried out.
    pub(super) fn order_done(&mut self, at: Moment, function: Function, limits: Option<[u32; 3]>) {
        let now = self.moment;
        let model = &mut self.functions[function];
        model.orders -= 1;
        let confused = model.orders > 0 || model.confused >= at;
        let (exists, used) = (model.exists == Some(true), model.used);
        let exists = exists && self.quiet_after(used).is_some_and(|(quiet, _)| quiet <= at);
        let clear =
            !confused && self.quiet_after(self.functions[function].confused).is_some_and(|(q, _)| q <= at);
        self.functions[function].limits = limits.filter(|_| clear && exists).map(|limits| (limits, now));
    }

    /// Whoever gave the order is gone, and nobody will be told whether it was carried out.
    pub(super) fn order_forgotten(&mut self, order: &Order) {
        let functions = match order {
            Order::MaxQueue { function, .. } => self.function(function).into_iter().collect(),
            Order::DropFunction { function } => self.in_any_case(function),
            _ => return,
        };
        for function in functions {
            self.functions[function].orders -= 1;
            self.functions[function].confused = self.moment;
        }
    }

    fn cancel(&mut self, handle: &[u8]) {
        let now = self.moment;
        self.disturbed = now;
        let Some(job) = self.policy.handle_prefix.parse(handle).and_then(|id| self.jobs.get_mut(&id)) else {
            return;
        };
        let plain = job.only_waits().is_some() && self.grabs.is_empty() && job.cancel_sent.is_none();
        job.cancel_plain = plain;
        self.odd_cancels += 1;
        job.cancel_sent.get_or_insert(now);
        job.dead_surely = false;
        job.passed_over = None;
        if job.held.is_none() && job.gone.is_none() {
            job.ends |= CANCELLED;
        }
    }

    pub(super) fn cancelled(&mut self, at: Moment, handle: &[u8], found: bool) {
        let now = self.moment;
        self.disturbed = now;
        let Some(job) = self.policy.handle_prefix.parse(handle).and_then(|id| self.jobs.get_mut(&id)) else {
            audit!(self, "only jobs are cancelled", !found, "{handle:?}");
            return;
        };
        if found {
            let lived = job.dead_maybe || job.gone.is_none_or(|gone| gone > at);
            audit!(self, "only what lives is cancelled", lived, "{job:?}");
            (job.cancel_done, job.background) = (true, false);
            if job.dead_maybe {
                (job.dead_maybe, job.gone) = (false, Some(now));
            }
            if job.cancel_plain && self.grabbed < at {
                // It waited, nobody can have taken it meanwhile: this is how it ended.
                self.odd_cancels -= 1;
            }
        } else {
            audit!(self, "what lives can be cancelled", !job.surely_alive(), "{job:?}");
            job.end(now);
        }
    }

    pub(super) fn dropped(&mut self, at: Moment, rows: &[DropRow], exact: bool) {
        for row in rows {
            let Some(function) = self.function(&row.function) else {
                panic!("[functions are those that were used] {row:?}");
            };
            let mut jobs = self.alive.iter().map(|id| &self.jobs[id]).filter(|job| job.function == function);
            let runs = jobs.clone().any(|job| job.only_held().is_some_and(|hold| hold.got <= at));
            let in_use = runs || self.is_known(at, function);
            audit!(self, "what is used is not dropped", !(row.dropped && in_use), "{row:?}");
            if exact {
                let used = jobs.any(|job| job.held.is_some())
                    || self.peers.values().any(|p| p.functions() & bit(function) != 0);
                audit!(self, "what is not used is dropped", row.dropped || used, "{row:?}");
                self.functions[function].exists = Some(!row.dropped);
            }
            if row.dropped {
                self.jobs_dropped(at, function, exact);
            }
        }
    }

    /// A function was dropped, not before a moment: what was there then has ended.
    fn jobs_dropped(&mut self, at: Moment, function: Function, exact: bool) {
        let now = self.moment;
        for (_, job) in self.jobs.iter_mut().filter(|(_, job)| job.function == function) {
            if job.gone.is_none() && job.waiting.is_some() && job.known <= at {
                job.ends |= DROPPED;
                job.end(now);
            }
            if exact && job.dead_maybe {
                (job.dead_surely, job.dead_maybe, job.gone) = (false, false, Some(now));
            }
        }
    }

    /// A function may be dropped, and what waits with it.
    fn may_be_dropped(&mut self, function: Function) {
        for (_, job) in self.jobs.iter_mut().filter(|(_, job)| job.function == function) {
            job.dead_surely = false;
        }
        let its = |id: &&JobId| self.jobs[*id].function == function;
        let alive: Vec<JobId> = self.alive.iter().filter(its).copied().collect();
        alive.into_iter().for_each(|id| self.may_be_abandoned(id));
    }

    /// The log says that all jobs of a function have ended that was dropped.
    pub(super) fn function_dropped(&mut self, name: &Bytes, [queued, scheduled, dead]: [u64; 3]) {
        let known = self.function(name).is_some() && queued + scheduled + dead > 0;
        audit!(self, "functions are those that were used", known, "{name:?} was dropped");
        self.tally.dropped += queued + scheduled;
    }

    /// Some worker was registered for sure before a moment, and is still.
    fn is_known(&self, at: Moment, function: usize) -> bool {
        let mut abilities = self.peers.values().filter_map(|peer| peer.ability(function));
        abilities.any(|ability| self.quiet_after(ability.at).is_some_and(|(quiet, _)| quiet < at))
    }
}
