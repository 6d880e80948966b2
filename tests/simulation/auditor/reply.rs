//! Which reply answers which request, and that they come in order.
use super::job::Moment;
use super::peer::{Asked, Exceptions, Pending, Verdict, is_exceptions};
use super::{Auditor, audit};
use ringgear_engine::{Ask, Reply, SessionId};

impl Auditor {
    pub(super) fn reply(&mut self, session: SessionId, reply: &Reply) {
        audit!(
            self,
            "replies go to those who are there",
            self.peers.contains_key(&session),
            "{session:?} is gone and is told {reply:?}"
        );
        match reply {
            Reply::Noop => self.noop(session),
            Reply::Work(job, update) => self.heard(session, *job, update),
            answer => self.answer(session, answer),
        }
    }

    /// Finds the request that a reply answers: the first that can be meant, and none may be skipped that must be
    /// answered.
    fn answer(&mut self, session: SessionId, reply: &Reply) {
        let mut skipped = Vec::new();
        loop {
            let pending = self.peers.get_mut(&session).and_then(|peer| peer.pending.pop_front());
            let Some(Pending { at, asked }) = pending else {
                panic!("[replies answer requests in order] {session:?} is told {reply:?} after {skipped:?}");
            };
            if asked.fits(reply) {
                audit!(self, "replies answer requests in order", true, "");
                return self.answered(session, at, asked, reply);
            }
            audit!(
                self,
                "replies answer requests in order",
                asked.may_be_silent(),
                "{session:?} asked {asked:?} and is told {reply:?}"
            );
            skipped.push(asked.clone());
            self.met_with_silence(asked);
        }
    }

    fn answered(&mut self, session: SessionId, at: Moment, asked: Asked, reply: &Reply) {
        match (asked, reply) {
            (Asked::Submit(sub), Reply::JobCreated(job)) => self.created(sub, *job),
            (Asked::Submit(sub), Reply::Error(refusal)) => self.not_created(sub, *refusal),
            (Asked::Grab { kind, order, alone }, Reply::Assigned(assignment)) => {
                self.assigned(session, at, kind, &order, alone, assignment);
            }
            (Asked::Grab { order, .. }, _) => self.no_job(session, at, &order),
            (Asked::Work { job, update, .. }, _) => {
                self.tally.unknown += 1;
                self.work_refused(job, update);
            }
            (Asked::TooManyAbilities, _) => self.tally.abilities += 1,
            (Asked::Status(handle), reply) => self.status(at, &handle, reply),
            (Asked::Option(option), Reply::Option(_)) => {
                let peer = self.peers.get_mut(&session).expect("it is there");
                if is_exceptions(&option) {
                    peer.exceptions = Exceptions::On;
                }
            }
            (Asked::Ask(Ask::Query(query)), Reply::Report(report)) => self.report(at, &query, &report.1),
            (Asked::Ask(Ask::Order(order)), Reply::Report(report)) => self.carried_out(at, &order, &report.1),
            _ => {}
        }
    }

    pub(super) fn met_with_silence(&mut self, asked: Asked) {
        // What may have come too late is met with silence, too, whether it was taken or not.
        if let Asked::Work { job: Some(job), update: Some(update), verdict, .. } = asked
            && (verdict == Verdict::Taken || self.policy.finished_memory == 0)
        {
            self.work_taken(job, update);
        }
    }
}
