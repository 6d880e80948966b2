//! Sessions as the functions of a shard see them: clients that are attached, workers that know functions, sleep and
//! hold jobs. A party may be both.
use super::job::FunctionIx;
use crate::message::WorkerName;
use crate::slot::{JobId, SessionId};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::num::NonZeroU64;
use core::ops::Bound;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// A place in the table of parties. Valid from the first message of a session until it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartyIx(pub(crate) u32);

/// An entry in a function's list of sleepers. It counts only while the worker's registration carries its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sleeper {
    pub(crate) party: PartyIx,
    pub(crate) stamp: NonZeroU64,
}

/// What the functions of this shard know of a worker's sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    Awake,
    /// To be woken when there is a job.
    Asleep,
    /// Was sent a `Wake` for this function and has not grabbed since.
    Woken(FunctionIx),
}

/// A function that a worker knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registration {
    pub(crate) function: FunctionIx,
    /// The least comes first.
    pub(crate) turn: i64,
    /// How often the worker has said CAN_DO.
    pub(crate) count: u32,
    /// The stamp of its entry in the function's list of sleepers, if there is one.
    pub(crate) listed: Option<NonZeroU64>,
}

/// Jobs that belong to a party, in order. Entries of jobs that no longer do are left behind and swept up when they
/// are more than half, so that adding and leaving cost little however many there are.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ids: Vec<JobId>,
    live: usize,
}

impl Tally {
    /// Adds a job; `belongs` tells whether an entry still counts, if it is time to sweep.
    pub(crate) fn add(&mut self, id: JobId, belongs: impl Fn(JobId) -> bool) {
        if self.ids.len() >= 32 && self.ids.len() >= 2 * self.live {
            self.ids.retain(|&id| belongs(id));
        }
        self.ids.push(id);
        self.live += 1;
    }

    /// A job no longer belongs (once for each time that it was added).
    pub(crate) fn leave(&mut self) {
        self.live -= 1;
        if self.live == 0 {
            // Nothing in it counts any more; a busy worker keeps its room, a once huge one does not.
            self.ids.clear();
            self.ids.shrink_to(64);
        }
    }

    /// A job no longer belongs but may come back: its entry goes at once. Late entries go fast.
    pub(crate) fn take_back(&mut self, id: JobId) {
        if let Some(at) = self.ids.iter().rposition(|&other| other == id) {
            self.ids.remove(at);
        }
        self.leave();
    }

    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// All entries, old ones included, in order.
    pub(crate) fn ids(&self) -> &[JobId] {
        &self.ids
    }
}

/// A session, as the functions of this shard see it.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) session: SessionId,
    /// Jobs that it waits for; one entry for each attachment.
    pub(crate) attached: Tally,
    /// Jobs that it holds, in the order in which it grabbed them.
    pub(crate) held: Tally,
    /// Sorted by turn.
    pub(crate) registrations: VecDeque<Registration>,
    pub(crate) sleep: Sleep,
    /// Of the last `Sleep`.
    pub(crate) nap: u32,
    /// Who it is, if it has ever been a worker.
    pub(crate) name: Option<Box<WorkerName>>,
    /// Jobs that it finished lately, or lost to their time limit; the last one at the back.
    finished: VecDeque<JobId>,
}

impl Party {
    /// Forgets that a job was taken from it.
    pub(crate) fn forget(&mut self, id: JobId) {
        self.finished.retain(|&other| other != id);
    }

    /// Remembers that it finished a job, or that its time for it was up; the memory holds `most`.
    pub(crate) fn finish(&mut self, id: JobId, most: u8) {
        if usize::from(most) <= self.finished.len() {
            self.finished.pop_front();
        }
        if most > 0 {
            self.finished.push_back(id);
        }
    }

    /// Whether it finished this job lately, or lost it to its time limit.
    pub(crate) fn has_finished(&self, id: JobId) -> bool {
        self.finished.contains(&id)
    }

    /// Where the registration with this turn stands.
    pub(crate) fn position(&self, turn: i64) -> Option<usize> {
        self.registrations.binary_search_by_key(&turn, |r| r.turn).ok()
    }
}

/// All parties of a shard's functions.
#[derive(Debug)]
pub(crate) struct Parties {
    places: Vec<Option<Party>>,
    vacant: Vec<u32>,
    by_session: HashMap<SessionId, u32, FixedState>,
    /// By session, for lists.
    order: BTreeMap<SessionId, PartyIx>,
    /// The turn of each registration, by which it is found, and its time limit, which is wanted with each job.
    turns: HashMap<(PartyIx, FunctionIx), (i64, u64), FixedState>,
}

impl Parties {
    pub(crate) fn new(seed: u64) -> Parties {
        Parties {
            places: Vec::new(),
            vacant: Vec::new(),
            by_session: HashMap::with_hasher(FixedState::with_seed(seed)),
            order: BTreeMap::new(),
            turns: HashMap::with_hasher(FixedState::with_seed(seed)),
        }
    }

    pub(crate) fn find(&self, session: SessionId) -> Option<PartyIx> {
        self.by_session.get(&session).map(|&ix| PartyIx(ix))
    }

    pub(crate) fn find_or_create(&mut self, session: SessionId) -> PartyIx {
        if let Some(ix) = self.find(session) {
            return ix;
        }
        let party = Party {
            session,
            attached: Tally::default(),
            held: Tally::default(),
            registrations: VecDeque::new(),
            sleep: Sleep::Awake,
            nap: 0,
            name: None,
            finished: VecDeque::new(),
        };
        let ix = match self.vacant.pop() {
            Some(ix) => {
                self.places[ix as usize] = Some(party);
                ix
            }
            None => {
                self.places.push(Some(party));
                self.places.len() as u32 - 1
            }
        };
        self.by_session.insert(session, ix);
        self.order.insert(session, PartyIx(ix));
        PartyIx(ix)
    }

    /// Forgets a party, which holds nothing any more.
    pub(crate) fn remove(&mut self, ix: PartyIx) {
        let party = self.places[ix.0 as usize].take().expect("the party exists");
        assert!(party.held.live() == 0 && party.attached.live() == 0 && party.registrations.is_empty());
        self.vacant.push(ix.0);
        self.by_session.remove(&party.session);
        self.order.remove(&party.session);
    }

    pub(crate) fn get(&self, ix: PartyIx) -> &Party {
        self.places[ix.0 as usize].as_ref().expect("a party in use exists")
    }

    pub(crate) fn get_mut(&mut self, ix: PartyIx) -> &mut Party {
        self.places[ix.0 as usize].as_mut().expect("a party in use exists")
    }

    /// Adds a registration in front of all others, or repeats one.
    pub(crate) fn register(&mut self, ix: PartyIx, function: FunctionIx, timeout_ms: u64, turn: i64) {
        let old = self.turns.insert((ix, function), (turn, timeout_ms));
        let party = self.get_mut(ix);
        let repeated =
            old.and_then(|(turn, _)| party.position(turn)).and_then(|at| party.registrations.remove(at));
        let registration = match repeated {
            Some(old) => Registration { turn, count: old.count + 1, ..old },
            None => Registration { function, turn, count: 1, listed: None },
        };
        assert!(party.registrations.front().is_none_or(|first| turn < first.turn), "new ones come first");
        party.registrations.push_front(registration);
    }

    /// Takes a registration away.
    pub(crate) fn deregister(&mut self, ix: PartyIx, function: FunctionIx) -> Option<Registration> {
        let (turn, _) = self.turns.remove(&(ix, function))?;
        let party = self.get_mut(ix);
        party.position(turn).and_then(|at| party.registrations.remove(at))
    }

    /// The turn of a party's registration for a function.
    pub(crate) fn turn(&self, ix: PartyIx, function: FunctionIx) -> Option<i64> {
        self.turns.get(&(ix, function)).map(|&(turn, _)| turn)
    }

    /// How many milliseconds a party may take for a job of a function; 0 is no limit, as is no registration.
    pub(crate) fn timeout_ms(&self, ix: PartyIx, function: FunctionIx) -> u64 {
        self.turns.get(&(ix, function)).map_or(0, |&(_, timeout_ms)| timeout_ms)
    }

    /// The registration of a party for a function.
    pub(crate) fn registration(&mut self, ix: PartyIx, function: FunctionIx) -> Option<&mut Registration> {
        let (turn, _) = *self.turns.get(&(ix, function))?;
        let party = self.get_mut(ix);
        let at = party.position(turn)?;
        party.registrations.get_mut(at)
    }

    /// Puts the registration with turn `old` behind all others: it had its turn.
    pub(crate) fn turn_to_back(&mut self, ix: PartyIx, old: i64, turn: i64) {
        let party = self.get_mut(ix);
        let Some(mut registration) = party.position(old).and_then(|at| party.registrations.remove(at)) else {
            return;
        };
        assert!(
            party.registrations.back().is_none_or(|last| last.turn < turn),
            "the last turn is the largest"
        );
        registration.turn = turn;
        party.registrations.push_back(registration);
        if let Some(entry) = self.turns.get_mut(&(ix, registration.function)) {
            entry.0 = turn;
        }
    }

    /// Parties by session, from this one on.
    pub(crate) fn in_order(
        &self,
        from: Option<SessionId>,
    ) -> impl Iterator<Item = (SessionId, PartyIx)> + '_ {
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        self.order.range((from, Bound::Unbounded)).map(|(&session, &ix)| (session, ix))
    }

    /// Every party, in no order that may be shown.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PartyIx, &Party)> {
        let numbered = self.places.iter().enumerate();
        numbered.filter_map(|(ix, place)| Some((PartyIx(ix as u32), place.as_ref()?)))
    }

    /// Registrations of all parties.
    pub(crate) fn registrations(&self) -> usize {
        self.turns.len()
    }
}
