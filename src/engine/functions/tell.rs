//! Telling many clients of one job what its worker says: an update that more clients are to hear than one event may tell stands
//! in a line, and telling it is a chore. What comes behind it for the same job stands behind it.
//!
//! Marks stand among those who joined the job: one behind the last that is to hear an update, and one, the cursor, before the
//! next that hears the first update. So whoever joins later hears nothing of it, and leaving needs no care.
//!
//! What waits is charged to the job. If it is more than should wait for other shards, workers that say more are not read until
//! that was told.
//!
//! A job that ends, or dies, while many are to hear of it leaves its place to them and is gone: what stays there is a shell, found by no
//! number and in no count but that of bytes, until the last of them was told.
use super::Functions;
use super::chores::Chore;
use super::index::{JobIx, PartyIx};
use super::job::Job;
use super::telling::{Telling, WaitingUpdate, weight};
use crate::message::{Message, ToSessions, Work};
use crate::outbox::Outbox;
use crate::policy::Planted;
use alloc::boxed::Box;
use alloc::collections::VecDeque;

impl Functions {
    /// Each attached client hears, in the order in which they came, what a worker says of their job or nobody.
    #[inline]
    pub(super) fn tell_clients(
        &mut self,
        ix: JobIx,
        update: Work,
        worker: Option<PartyIx>,
        out: &mut Outbox,
    ) {
        let job = self.jobs.get(ix);
        if job.is_joined() {
            return self.tell_joined(ix, update, worker, out);
        }
        if let Some(client) = job.first_client() {
            let to = self.parties.get(client).session;
            self.tell(to, ToSessions::Work { to, job: job.id, update }, out);
        }
    }

    #[inline(never)]
    fn tell_joined(&mut self, ix: JobIx, update: Work, worker: Option<PartyIx>, out: &mut Outbox) {
        let job = self.jobs.get(ix);
        if job.is_being_told() || !self.chores.spend_all(job.count_clients()) {
            return self.tell_in_pieces(ix, update, worker, out);
        }
        let mut clients = job.clients(&self.attachments).peekable();
        let mut update = Some(update);
        while let Some(client) = clients.next() {
            // The last one gets the original; cloning makes the bytes shared.
            let news = if clients.peek().is_some() { update.clone() } else { update.take() };
            let to = self.parties.get(client).session;
            if let Some(update) = news {
                self.tell(to, ToSessions::Work { to, job: job.id, update }, out);
            }
        }
    }

    /// An update stands in line. If too much does, no more is read from the worker.
    #[cold]
    fn tell_in_pieces(&mut self, ix: JobIx, update: Work, worker: Option<PartyIx>, out: &mut Outbox) {
        let job = self.jobs.get_mut(ix);
        let first = job.first_client();
        if first.is_some() {
            job.detach_first();
        }
        let extra = job.extra();
        if let Some(client) = first {
            // As long as something is told, all stand among those who joined: whoever is attached twice is not to hear of
            // something that comes later before it has heard twice of this.
            let party = self.parties.get_mut(client);
            party.attached.leave();
            self.attachments.add_first((ix, &mut extra.joined), (client, &mut party.joins));
        }
        // The first client has moved by now: the cursor is made in front of all who are there, and whoever stood in front
        // of the cursor would hear nothing.
        let mark = self.attachments.mark_last(ix, &mut extra.joined);
        let telling = extra.telling.get_or_insert_with(|| {
            self.chores.push(Chore::Tell(ix));
            let cursor = self.attachments.mark_first(ix, &mut extra.joined);
            Box::new(Telling { updates: VecDeque::new(), cursor, bytes: 0 })
        });
        telling.bytes += weight(&update);
        self.telling_bytes += weight(&update);
        let slowed = worker.filter(|_| self.telling_bytes > self.policy.outbox_bytes);
        let slowed = slowed.map(|worker| self.parties.get(worker).session);
        telling.updates.push_back(WaitingUpdate { update, mark, slowed });
        if let Some(to) = slowed {
            self.tell(to, ToSessions::Slow { to, begins: true }, out);
        }
        self.charge(ix, out);
    }

    /// One client hears of its job.
    pub(super) fn tell_one(&mut self, ix: JobIx, out: &mut Outbox) -> Option<Chore> {
        let Functions { jobs, attachments, parties, .. } = self;
        let job = jobs.get_mut(ix);
        let (id, over) = (job.id, job.is_over());
        let extra = job.extra();
        let telling = extra.telling.as_mut().expect("a chore of telling has something to tell");
        let WaitingUpdate { update, mark, .. } =
            telling.updates.front().expect("there is an update to be told");
        let next = attachments.behind(telling.cursor).expect("the mark is behind the cursor");
        if next == *mark {
            return self.have_told(ix, out);
        }
        let client = attachments.client(next);
        let party = parties.get_mut(client);
        let to = party.session;
        // Before anything is changed: when other shards have taken messages, this client is still the next.
        if to.shard() != self.shard && out.bytes() > self.policy.outbox_bytes {
            self.chores.hold(Chore::Tell(ix));
            return None;
        }
        // In its shell, a job has no other updates than those that are there.
        let last = over && telling.updates.len() == 1;
        let forgets = self.policy.plants(Planted::ForgetsLastOfMany) && last && extra.joined.count == 1;
        if !party.gone && !forgets {
            let news = ToSessions::Work { to, job: id, update: update.clone() };
            out.send(to.shard(), Message::ToSessions(news));
        }
        if last {
            attachments.remove(next, &mut extra.joined, &mut party.joins);
            self.charge(ix, out);
        } else {
            attachments.go_behind(telling.cursor, next, &mut extra.joined);
        }
        Some(Chore::Tell(ix))
    }

    /// All have heard the first update.
    fn have_told(&mut self, ix: JobIx, out: &mut Outbox) -> Option<Chore> {
        let Functions { jobs, attachments, .. } = self;
        let extra = jobs.get_mut(ix).extra();
        let telling = extra.telling.as_mut().expect("something is told");
        if let Some(WaitingUpdate { update, mark, slowed }) = telling.updates.pop_front() {
            attachments.remove_mark(mark, &mut extra.joined);
            telling.bytes -= weight(&update);
            self.telling_bytes -= weight(&update);
            if let Some(to) = slowed {
                let go_on = ToSessions::Slow { to, begins: false };
                out.send(to.shard(), Message::ToSessions(go_on));
            }
        }
        // The next update is told from the front again, as far as its own mark.
        attachments.remove_mark(telling.cursor, &mut extra.joined);
        if !telling.updates.is_empty() {
            telling.cursor = attachments.mark_first(ix, &mut extra.joined);
            self.charge(ix, out);
            return Some(Chore::Tell(ix));
        }
        extra.telling = None;
        self.charge(ix, out);
        if self.jobs.get(ix).is_over() {
            // Each was let go when it heard the last.
            self.forget_clients(ix);
            self.charge(ix, out);
            let shell = self.jobs.remove_shell(ix);
            self.count_bytes(-(shell.bytes() as i64), out);
        }
        None
    }

    /// The clients of a job have been told the last of it, or will be: they wait for it no more. The job may have to leave its place
    /// to them. It is in no queue and in no index. Returns where it stands.
    pub(super) fn part_from_clients(&mut self, ix: JobIx, out: &mut Outbox) -> JobIx {
        if !self.jobs.get(ix).is_being_told() {
            self.forget_clients(ix);
            self.charge(ix, out);
            return ix;
        }
        let job = self.leave_to_clients(ix, out);
        let hold = job.hold();
        let moved = self.jobs.insert(job);
        if let Some((_, at)) = hold {
            self.holds.replace(at, moved);
        }
        self.charge(moved, out);
        moved
    }

    /// Takes out a job whose clients are still to be told: a shell stays in its place.
    #[cold]
    pub(super) fn leave_to_clients(&mut self, ix: JobIx, out: &mut Outbox) -> Job {
        let mut shell = self.jobs.get_mut(ix).shell();
        shell.charge();
        let bytes = shell.bytes();
        let job = self.jobs.replace(ix, shell);
        self.count_bytes(bytes as i64, out);
        job
    }

    /// Whether clients are still to hear of jobs.
    pub(crate) fn is_telling(&self) -> bool {
        self.telling_bytes > 0
    }

    /// Asserts that shells stay only as long as somebody is to be told, and that what is told is counted. Returns all marks.
    pub(super) fn check_telling(&self) -> usize {
        let (mut bytes, mut marks, mut tellings) = (0, 0, 0);
        for (_, job) in self.jobs.iter() {
            let telling = job.extra.as_ref().and_then(|extra| extra.telling.as_ref());
            assert!(!job.is_over() || telling.is_some(), "who is not told waits for no end");
            bytes += telling.map_or(0, |telling| telling.pending());
            marks += telling.map_or(0, |telling| telling.marks());
            assert!(telling.is_none() || job.first_client().is_none());
            tellings += usize::from(telling.is_some());
        }
        assert_eq!((self.telling_bytes, self.chores.tellings()), (bytes, tellings));
        marks
    }
}
