//! A model of the database that several servers share: rows of jobs and of servers, and what each statement does to them, one
//! transaction at a time. It also remembers what it was a few commits ago, for failovers that lose these.
use super::plant::Plant;
use super::sharing::{Departed, Incarnation, RowState, ServerRow};
use crate::kept::Kept;
use ringgear_engine::JobId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Sequences that a server gets at once: few, so that they are used up.
const BLOCK: u64 = 40;
/// So many commits may be lost.
const HISTORY: usize = 6;

/// A stored job. The number is that of the job.
#[derive(Clone, Debug)]
pub(super) struct JobRow {
    pub(super) job: Kept,
    /// Whose it was when it was written; see [`Table::holder`].
    pub(super) owner: Incarnation,
}

/// What one operation of a batch is.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "few wait at a time, and a test has room")]
pub(super) enum Write {
    Put(Kept),
    Delete,
}

/// What became of a batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// The server's row was not taken.
    pub(super) mine: bool,
    /// Puts that another job is in the way of.
    pub(super) elsewhere: BTreeMap<JobId, JobId>,
}

#[derive(Clone, Debug, Default)]
struct TableState {
    rows: BTreeMap<JobId, JobRow>,
    servers: BTreeMap<Incarnation, ServerRow>,
    /// Rows that an application has written: they have no number and no owner.
    of_nobody: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>,
}

/// See the top of the file.
#[derive(Debug, Default)]
pub(super) struct Table {
    state: TableState,
    history: VecDeque<TableState>,
    /// These two are as durable as can be: whoever asks for them waits for all copies.
    next_incarnation: i32,
    next_sequence: u64,
    plant: Option<Plant>,
    /// What was deleted, and when.
    pub(super) deleted: BTreeMap<JobId, u64>,
    /// When each server's beat moved last.
    pub(super) beaten: BTreeMap<Incarnation, u64>,
}

impl Table {
    pub(super) fn new(plant: Option<Plant>) -> Table {
        Table { next_incarnation: 1, next_sequence: 1, plant, ..Table::default() }
    }

    fn plants(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    fn commit(&mut self) {
        for (id, row) in &self.state.rows {
            let holder = self.holder(row.owner);
            assert!(holder.is_some(), "[each row leads to one server] {id:?} of {:?}", row.owner);
        }
        self.history.push_back(self.state.clone());
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// Who has what an incarnation owned: the end of a chain of those who took over from each other.
    pub(super) fn holder(&self, owner: Incarnation) -> Option<Incarnation> {
        let mut at = self.state.servers.get(&owner)?;
        for _ in 0..=self.state.servers.len() {
            match at.taken_by {
                None => return Some(at.id),
                Some(next) => at = self.state.servers.get(&next)?,
            }
        }
        None
    }

    pub(super) fn row(&self, id: JobId) -> Option<&JobRow> {
        self.state.rows.get(&id)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&JobId, &JobRow)> {
        self.state.rows.iter()
    }

    pub(super) fn servers(&self) -> Vec<ServerRow> {
        self.state.servers.values().cloned().collect()
    }

    pub(super) fn has_rows_of_nobody(&self) -> bool {
        !self.state.of_nobody.is_empty()
    }

    /// An application writes a row.
    pub(super) fn enqueue(&mut self, function: &[u8], unique: &[u8], workload: &[u8]) -> bool {
        let nobodys = self.state.of_nobody.iter().any(|row| row.0 == function && row.1 == unique);
        if nobodys || self.in_the_way(function, unique).is_some() {
            return false;
        }
        self.state.of_nobody.push((function.to_vec(), unique.to_vec(), workload.to_vec()));
        self.commit();
        true
    }

    fn in_the_way(&self, function: &[u8], unique: &[u8]) -> Option<JobId> {
        // What is dead stands elsewhere.
        let alike = |row: &&JobRow| {
            row.job.function == function && row.job.unique == unique && row.job.death.is_none()
        };
        let row = self.state.rows.values().filter(|_| !unique.is_empty()).find(alike);
        row.map(|row| row.job.id)
    }

    /// A server registers.
    pub(super) fn register(&mut self, name: &str, now: u64) -> Incarnation {
        let id = Incarnation(self.next_incarnation);
        self.next_incarnation += 1;
        let row =
            ServerRow { id, name: name.into(), beat: 0, state: RowState::Serving, taken_by: None, bytes: 0 };
        // It waits for all copies, too.
        self.history.iter_mut().for_each(|state| _ = state.servers.insert(id, row.clone()));
        self.state.servers.insert(id, row);
        self.beaten.insert(id, now);
        self.commit();
        id
    }

    /// The beat grows, if nobody has taken the server over.
    fn beat(&mut self, me: Incarnation, bytes: u64, now: u64) -> bool {
        let row = self.state.servers.get_mut(&me).filter(|row| row.taken_by.is_none());
        let Some(row) = row else { return false };
        (row.beat, row.bytes) = (row.beat + 1, bytes);
        self.beaten.insert(me, now);
        true
    }

    /// A batch: the beat, the deletes, the puts.
    pub(super) fn write(
        &mut self,
        me: Incarnation,
        writes: &BTreeMap<JobId, Write>,
        bytes: u64,
        now: u64,
    ) -> Written {
        let mut written = Written { mine: self.beat(me, bytes, now), ..Written::default() };
        let fenced = !written.mine && !self.plants(Plant::NoFence);
        written.mine |= self.plants(Plant::NoFence);
        let puts_first = self.plants(Plant::PutsBeforeDeletes);
        for puts in [puts_first, !puts_first] {
            for (&id, write) in writes {
                match write {
                    Write::Put(job) if puts && !fenced => self.put(me, job, &mut written),
                    Write::Delete if !puts && !fenced && self.state.rows.remove(&id).is_some() => {
                        self.deleted.insert(id, now);
                    }
                    _ => {}
                }
            }
        }
        self.commit();
        written
    }

    /// So many attempts of living jobs are lost.
    pub(super) fn lose_attempts(&mut self, lost: &BTreeMap<JobId, u8>) {
        for (id, &attempts) in lost {
            if let Some(row) = self.state.rows.get_mut(id).filter(|row| row.job.death.is_none()) {
                row.job.attempts = attempts;
            }
        }
    }

    fn put(&mut self, me: Incarnation, job: &Kept, written: &mut Written) {
        if let Some(row) = self.state.rows.get_mut(&job.id) {
            row.job = job.clone();
            return;
        }
        match self.in_the_way(&job.function, &job.unique).filter(|_| job.death.is_none()) {
            Some(_) if self.plants(Plant::ExceptionsIgnored) => {}
            Some(other) => _ = written.elsewhere.insert(job.id, other),
            None => _ = self.state.rows.insert(job.id, JobRow { job: job.clone(), owner: me }),
        }
    }

    /// A beat of somebody who has nothing else to write, a look at all servers, and the rows of nobody, which are his from now on.
    /// None of them, unless he `adopts`.
    pub(super) fn attend(
        &mut self,
        me: Incarnation,
        adopts: bool,
        bytes: u64,
        now: u64,
    ) -> (bool, Vec<Kept>) {
        let mine = self.beat(me, bytes, now);
        let mut adopted = Vec::new();
        for (function, unique, workload) in
            if mine && adopts { std::mem::take(&mut self.state.of_nobody) } else { Vec::new() }
        {
            let slot = ringgear_engine::slot::Slot::of(&function);
            let id = JobId::new(self.next_sequence, slot);
            self.next_sequence += 1;
            let job = Kept {
                id,
                priority: ringgear_protocol::Priority::Normal,
                epoch: None,
                attempts: 0,
                function,
                unique,
                workload,
                reducer: None,
                death: None,
                accepted: None,
                more: Vec::new(),
            };
            self.state.rows.insert(id, JobRow { job: job.clone(), owner: me });
            adopted.push(job);
        }
        self.commit();
        (mine, adopted)
    }

    /// A server takes over from another one, if that is as it was seen. Whether it did.
    pub(super) fn take(&mut self, me: Incarnation, who: Departed) -> bool {
        let unfenced = self.plants(Plant::UnfencedTakeOver);
        if self.state.servers.get(&me).is_none_or(|row| row.taken_by.is_some()) {
            return false;
        }
        let Some(row) = self.state.servers.get_mut(&who.id) else { return false };
        if !unfenced && (row.taken_by.is_some() || row.beat != who.beat) {
            return false;
        }
        (row.taken_by, row.state) = (Some(me), RowState::Gone);
        self.commit();
        true
    }

    /// All that an incarnation owned, or what it had taken over.
    pub(super) fn owned(&self, by: Incarnation) -> Vec<JobRow> {
        let is_its = |owner| owner == by || !self.plants(Plant::TakenNotTransitive) && self.leads(owner, by);
        self.state.rows.values().filter(|row| is_its(row.owner)).cloned().collect()
    }

    fn leads(&self, owner: Incarnation, to: Incarnation) -> bool {
        let mut seen = BTreeSet::new();
        let mut at = Some(owner);
        while let Some(id) = at.filter(|&id| seen.insert(id)) {
            if id == to {
                return true;
            }
            at = self.state.servers.get(&id).and_then(|row| row.taken_by);
        }
        false
    }

    /// A server ends in an orderly way.
    pub(super) fn leave(&mut self, me: Incarnation) {
        if let Some(row) = self.state.servers.get_mut(&me).filter(|row| row.taken_by.is_none()) {
            row.state = RowState::Leaving;
        }
        self.commit();
    }

    /// A number for a server.
    pub(super) fn draw(&mut self) -> Incarnation {
        self.next_incarnation += 1;
        Incarnation(self.next_incarnation - 1)
    }

    /// A server leaves all that it has to others but these jobs, with which it goes on as `next`. False if it was taken over before.
    pub(super) fn bequeath(
        &mut self,
        me: Incarnation,
        (next, name): (Incarnation, &str),
        kept: &[JobId],
        now: u64,
    ) -> bool {
        if self.state.servers.contains_key(&next) {
            // It was done before, and nobody has heard of it.
            return true;
        }
        let its: Vec<JobId> = self.owned(me).into_iter().map(|row| row.job.id).collect();
        let Some(row) = self.state.servers.get_mut(&me).filter(|row| row.taken_by.is_none()) else {
            return false;
        };
        (row.beat, row.state) = (row.beat + 1, RowState::Leaving);
        let row = ServerRow {
            id: next,
            name: name.into(),
            beat: 0,
            state: RowState::Serving,
            taken_by: None,
            bytes: 0,
        };
        self.state.servers.insert(next, row);
        self.beaten.insert(next, now);
        for id in kept.iter().filter(|id| its.contains(id)) {
            self.state.rows.entry(*id).and_modify(|row| row.owner = next);
        }
        self.commit();
        true
    }

    /// A block of sequences.
    pub(super) fn numbers(&mut self) -> std::ops::Range<u64> {
        let first = self.next_sequence;
        self.next_sequence += BLOCK;
        first..first + BLOCK
    }

    /// Another copy of the database takes the place of this one; it has not got the last commits. What is not as it was.
    pub(super) fn fail_over(&mut self, lost: usize) -> (Vec<JobId>, Vec<JobId>) {
        let keep = self.history.len().saturating_sub(lost).max(1);
        self.history.truncate(keep);
        let Some(state) = self.history.back().cloned() else { return (Vec::new(), Vec::new()) };
        let before = std::mem::replace(&mut self.state, state);
        let gone = before.rows.keys().filter(|id| !self.state.rows.contains_key(id)).copied().collect();
        let back = self.state.rows.keys().filter(|id| !before.rows.contains_key(id)).copied().collect();
        (gone, back)
    }
}
