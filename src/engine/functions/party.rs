//! Sessions as the functions of a shard see them: clients that are attached, workers that know functions, sleep and
//! hold jobs. A party may be both. What they have registered is in `registrations.rs`.
use super::attachments::Joins;
use super::index::{Era, FunctionIx, HoldsIx, PartyIx};
use super::registration::Registrations;
use super::tally::Tally;
use crate::board::Pulse;
use crate::message::WorkerName;
use crate::slot::{JobId, SessionId};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::ops::Bound;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// What the functions of this shard know of a worker's sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    Awake,
    /// To be woken when there is a job.
    Asleep,
    /// Was sent a `Wake` for this function and has not grabbed since.
    Woken(FunctionIx),
}

/// A session, as the functions of this shard see it.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) session: SessionId,
    /// Jobs of which it is the first client.
    pub(crate) attached: Tally,
    /// Jobs of others that it waits for, too.
    pub(crate) joins: Joins,
    pub(crate) era: Era,
    /// Its registrations by turn; each that was taken away leaves a hole, until there are more holes than registrations.
    order: VecDeque<(i64, FunctionIx)>,
    /// Registrations.
    registered: u32,
    /// Functions beside which it is not listed as a sleeper.
    pub(crate) unlisted: Vec<FunctionIx>,
    pub(crate) sleep: Sleep,
    /// Of the last `Sleep`.
    pub(crate) nap: u32,
    /// Who it is, if it has ever been a worker.
    pub(crate) name: Option<Box<WorkerName>>,
    /// By which it is seen whether it still sleeps, if it has grabbed elsewhere; `None` where there is no elsewhere.
    pub(crate) pulse: Option<Pulse>,
    /// Jobs that it finished lately, or lost to their time limit; the last one at the back.
    finished: VecDeque<JobId>,
    /// Jobs of functions that it may not work on any more: it finishes these.
    pub(crate) struck: Vec<HoldsIx>,
    /// How far it has looked for abandoned jobs; see `abandoned.rs`.
    pub(crate) looked: u64,
    /// Chores that concern it, and which of those that there is only one of.
    pub(crate) chores: u32,
    pub(crate) is_listing: bool,
    pub(crate) is_looking: bool,
    /// The session is gone, and nobody finds it any more.
    pub(crate) gone: bool,
}

impl Party {
    fn new(session: SessionId) -> Party {
        Party {
            session,
            attached: Tally::default(),
            joins: Joins::default(),
            era: Era::FIRST,
            order: VecDeque::new(),
            registered: 0,
            unlisted: Vec::new(),
            sleep: Sleep::Awake,
            nap: 0,
            name: None,
            pulse: None,
            finished: VecDeque::new(),
            struck: Vec::new(),
            looked: 0,
            chores: 0,
            is_listing: false,
            is_looking: false,
            gone: false,
        }
    }

    /// Whether it fell asleep here and can still be woken, as far as can be seen from here.
    #[inline]
    pub(crate) fn is_asleep(&self) -> bool {
        self.sleep == Sleep::Asleep && self.pulse.as_ref().is_none_or(Pulse::is_asleep)
    }

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

    /// Registrations.
    pub(crate) fn registered(&self) -> u32 {
        self.registered
    }

    /// Its registrations, with their turns, the least first; [`FunctionIx::NONE`] stands for what was taken away.
    pub(crate) fn order(&self) -> &VecDeque<(i64, FunctionIx)> {
        &self.order
    }

    /// A registration stands in front of all others.
    pub(super) fn add_first(&mut self, turn: i64, function: FunctionIx) {
        assert!(self.order.front().is_none_or(|&(first, _)| turn < first), "new ones come first");
        self.order.push_front((turn, function));
        self.registered += 1;
    }

    /// A registration stands behind all others.
    pub(super) fn add_last(&mut self, turn: i64, function: FunctionIx) {
        assert!(self.order.back().is_none_or(|&(last, _)| last < turn), "the last turn is the largest");
        self.order.push_back((turn, function));
        self.registered += 1;
    }

    /// The registration with this turn is taken away.
    pub(super) fn take_out(&mut self, turn: i64) {
        let Ok(at) = self.order.binary_search_by_key(&turn, |&(turn, _)| turn) else {
            panic!("a registration stands at its turn")
        };
        self.registered -= 1;
        if at == 0 {
            self.order.pop_front();
            while self.order.front().is_some_and(|&(_, function)| function == FunctionIx::NONE) {
                self.order.pop_front();
            }
        } else {
            self.order[at].1 = FunctionIx::NONE;
            if self.order.len() > 2 * self.registered as usize + 16 {
                self.order.retain(|&(_, function)| function != FunctionIx::NONE);
            }
        }
    }

    /// All registrations are over. What there was, with the era in which it was.
    pub(super) fn begin_era(&mut self) -> (Era, VecDeque<(i64, FunctionIx)>) {
        self.registered = 0;
        self.unlisted = Vec::new();
        let era = self.era;
        self.era = era.next();
        (era, core::mem::take(&mut self.order))
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
    pub(super) registrations: Registrations,
}

impl Parties {
    pub(crate) fn new(seed: u64) -> Parties {
        Parties {
            places: Vec::new(),
            vacant: Vec::new(),
            by_session: HashMap::with_hasher(FixedState::with_seed(seed)),
            order: BTreeMap::new(),
            registrations: Registrations::with_hasher(FixedState::with_seed(seed)),
        }
    }

    pub(crate) fn find(&self, session: SessionId) -> Option<PartyIx> {
        self.by_session.get(&session).map(|&ix| PartyIx(ix))
    }

    pub(crate) fn find_or_create(&mut self, session: SessionId) -> PartyIx {
        if let Some(ix) = self.find(session) {
            return ix;
        }
        let party = Party::new(session);
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

    /// The session of a party is gone: nobody finds it any more, but it keeps its place.
    pub(crate) fn leave(&mut self, ix: PartyIx) {
        let party = self.get_mut(ix);
        party.gone = true;
        let session = party.session;
        self.by_session.remove(&session);
        self.order.remove(&session);
    }

    /// Forgets a party that is gone, and of which nothing is left.
    pub(crate) fn remove(&mut self, ix: PartyIx) {
        let party = self.places[ix.0 as usize].take().expect("the party exists");
        assert!(party.gone && party.chores == 0 && party.registered == 0);
        assert!(party.struck.is_empty(), "whoever is gone holds no job");
        assert!(party.attached.live() == 0 && party.joins.count == 0);
        self.vacant.push(ix.0);
    }

    pub(crate) fn get(&self, ix: PartyIx) -> &Party {
        self.places[ix.0 as usize].as_ref().expect("a party in use exists")
    }

    pub(crate) fn get_mut(&mut self, ix: PartyIx) -> &mut Party {
        self.places[ix.0 as usize].as_mut().expect("a party in use exists")
    }

    /// Parties by session, from this one on.
    pub(crate) fn in_order(
        &self,
        from: Option<SessionId>,
    ) -> impl Iterator<Item = (SessionId, PartyIx)> + '_ {
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        self.order.range((from, Bound::Unbounded)).map(|(&session, &ix)| (session, ix))
    }

    /// Every party, those that are gone included, in no order that may be shown.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PartyIx, &Party)> {
        let numbered = self.places.iter().enumerate();
        numbered.filter_map(|(ix, place)| Some((PartyIx(ix as u32), place.as_ref()?)))
    }
}
