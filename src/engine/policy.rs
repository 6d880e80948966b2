//! What an operator may decide about the engine. Values only; the command line is elsewhere.
use crate::slot::{HandlePrefix, JobId};
use crate::time::Epoch;
use alloc::vec::Vec;
use bytes::Bytes;
use core::num::NonZeroU8;
use core::time::Duration;

/// Which gearmand to follow where upstream changed its mind on purpose (`--compat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compat {
    /// 1.1.20, as distributions ship it: functions come before priorities, newest registration first.
    V1_1,
    /// 2.0: priorities come before functions, and functions take turns.
    V2_0,
    /// 2.1: as 2.0; `--job-retries 0` means no second attempt.
    V2_1,
    /// 2.2: as 2.1; `show unique jobs` prints handle and unique.
    V2_2,
}

/// Whom to wake when a job is queued (`--worker-wakeup`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// One sleeper per job; if the job is still queued after [`Policy::wake_patience`], all the others. The default.
    Paced,
    /// So many sleepers per job (`-w N`).
    AtMost(NonZeroU8),
    /// Every sleeper (`-w 0`).
    All,
}

/// A deliberate bug, to prove that the simulation sees it.
///
/// It can be switched on only where the crate is built with its feature `planted`, which no release has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Planted {
    LostWakeup,
    ReplyOutOfOrder,
    TwoHolders,
    LeakedAttachment,
    PriorityInversion,
    DroppedRequeue,
    WrongCoalescing,
    UnboundedOutbox,
    LateResultRefused,
    MessageReordered,
    AnswersBeforeStored,
    ForgetsEpoch,
    DropsAtRetryLimit,
    DoneBeforePut,
    ForgetsPutAgain,
    NapsPileUp,
    ForgetsBytes,
    EndlessPages,
    SurveyForgotten,
    ForgetsWhoWasWoken,
    LateWordOfAnybody,
    DropsDeadWithRoom,
    ForgetsLateAnswer,
    RefusesTheBatch,
    FullStopsGrabs,
    ForgetsAttempts,
    ForgetsLastHeld,
    WakesFirstPiece,
    ForgetsScheduled,
    LosesWantedAgain,
    ForgetsLastOfMany,
    LooksEmpty,
    LooksFull,
    SleepsUnseen,
    StaysStruckOff,
    GivesWhilePaused,
    ForgetsResumed,
    // Of rights.
    RemembersOldRights,
    KeepsStruckOff,
    TakesPlaceInVain,
    OpensUntold,
    // Of servers that share a store.
    GivesWhatLapsed,
    ForgetsWithheld,
    KeepsWhatIsFenced,
    StoresSpare,
}

impl Planted {
    /// All that a single server shows.
    pub const ALL: [Planted; 37] = [
        Planted::LostWakeup,
        Planted::ReplyOutOfOrder,
        Planted::TwoHolders,
        Planted::LeakedAttachment,
        Planted::PriorityInversion,
        Planted::DroppedRequeue,
        Planted::WrongCoalescing,
        Planted::UnboundedOutbox,
        Planted::LateResultRefused,
        Planted::MessageReordered,
        Planted::AnswersBeforeStored,
        Planted::ForgetsEpoch,
        Planted::DropsAtRetryLimit,
        Planted::DoneBeforePut,
        Planted::ForgetsPutAgain,
        Planted::NapsPileUp,
        Planted::ForgetsBytes,
        Planted::EndlessPages,
        Planted::SurveyForgotten,
        Planted::ForgetsWhoWasWoken,
        Planted::LateWordOfAnybody,
        Planted::DropsDeadWithRoom,
        Planted::ForgetsLateAnswer,
        Planted::RefusesTheBatch,
        Planted::FullStopsGrabs,
        Planted::ForgetsAttempts,
        Planted::ForgetsLastHeld,
        Planted::WakesFirstPiece,
        Planted::ForgetsScheduled,
        Planted::LosesWantedAgain,
        Planted::ForgetsLastOfMany,
        Planted::LooksEmpty,
        Planted::LooksFull,
        Planted::SleepsUnseen,
        Planted::StaysStruckOff,
        Planted::GivesWhilePaused,
        Planted::ForgetsResumed,
    ];

    /// Those that only servers show that grant not everything to everybody.
    pub const RIGHTS: [Planted; 4] = [
        Planted::RemembersOldRights,
        Planted::KeepsStruckOff,
        Planted::TakesPlaceInVain,
        Planted::OpensUntold,
    ];

    /// Those that only servers show that share a store with others.
    pub const SHARED: [Planted; 4] = [
        Planted::GivesWhatLapsed,
        Planted::ForgetsWithheld,
        Planted::KeepsWhatIsFenced,
        Planted::StoresSpare,
    ];
}

/// What the numbers of CAN_DO_TIMEOUT count. The protocol does not say; libraries differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeoutUnit {
    /// As in gearmand since 1.1.19.
    #[default]
    Milliseconds,
    /// As in gearmand before, and in the Perl server.
    Seconds,
}

/// A function gives out no jobs, because an operator wants it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: Epoch,
    /// Until when; `None` until it is resumed.
    pub until: Option<Epoch>,
    /// Why, in the operator's words.
    pub reason: Bytes,
    /// Who.
    pub by: Bytes,
}

/// What an operator may decide about the engine, the same on every shard.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The gearmand to follow.
    pub compat: Compat,
    /// `--round-robin`: functions of one worker take turns. From [`Compat::V2_0`] on they always do.
    pub round_robin: bool,
    /// Attempts of a job in all, before a lost one fails it; `None` is no limit (`--job-retries`).
    pub attempts: Option<NonZeroU8>,
    /// Whom to wake.
    pub wakeup: Wakeup,
    /// How long a job may stay queued after one sleeper was woken for it, before the others are.
    pub wake_patience: Duration,
    /// `--exceptions`: every connection starts with the exceptions option.
    pub exceptions: bool,
    /// What the numbers of CAN_DO_TIMEOUT count.
    pub timeout_unit: TimeoutUnit,
    /// What handles begin with.
    pub handle_prefix: HandlePrefix,
    /// Seed of the hash tables: random in production, fixed in a simulation.
    pub hash_seed: u64,
    /// Whether to emit [`crate::Note::Accepted`] for each submission.
    pub note_accepted: bool,
    /// Requests of one session that may wait for an answer before its socket is left unread.
    pub requests_in_flight: u32,
    /// Bytes of messages that may wait for other shards before this shard leaves its sockets unread; and bytes of what many
    /// clients of jobs are still to hear before no more is read from workers that say more.
    pub outbox_bytes: usize,
    /// Functions on one shard.
    pub functions: u32,
    /// Bytes that functions may take on one shard, names included.
    pub function_bytes: u64,
    /// Functions of which numbers are kept one by one, on all shards together; those of the others are kept together.
    pub function_stats: u32,
    /// Functions that are paused at the start, each name once.
    pub paused: Vec<(Bytes, Pause)>,
    /// Bytes of replies of one session that may wait for earlier ones before its socket is left unread.
    pub waiting_bytes: usize,
    /// Registrations of one session. A MASS_DO with more names is refused as a whole.
    pub abilities: u32,
    /// Names of one MASS_DO, and registrations of one session that ends, that are dealt with in one event. The rest waits
    /// for the next ones; [`crate::Engine::deadline`] is now, then.
    pub names_at_once: u32,
    /// Rows of a page of a report, from all shards together, about.
    pub rows_at_once: u32,
    /// Bytes of queued and running jobs on all shards together, dead ones not counted, before submissions are refused.
    pub queued_bytes: u64,
    /// How many finished jobs of a worker are remembered, so that late results for them are harmless.
    pub finished_memory: u8,
    /// Whether background jobs are kept in a store: they are answered once it has them.
    pub store: bool,
    /// Whether several servers share the store: numbers of jobs come in blocks ([`crate::Input::Numbers`]), and without one no
    /// background job is accepted. See [`Policy::share_store`].
    pub shared: bool,
    /// Where spare sequences begin on this server ([`crate::JobId::SPARE_MIN`]): drawn by chance in production
    /// ([`crate::JobId::spare_by`]), so that one of these handles means the same job at every server and after every start, or none.
    pub spare_from: u64,
    /// How long a background submission waits for the store before it is refused.
    pub store_timeout: Duration,
    /// Background jobs out of attempts that are kept on all shards together, the latest.
    pub dead_jobs: u32,
    /// Bytes of these, which do not count among `queued_bytes`.
    pub dead_bytes: u64,
    /// Whether a session may do nothing until it is told what it may ([`crate::Input::Rights`]): where not everybody may do everything,
    /// so that whoever forgets to tell one has closed a door, not opened it.
    pub rights_wanted: bool,
    /// Units of work, such as one job that goes back to its queue, that are done in one event where there are many. The
    /// rest waits for the next ones; [`crate::Engine::deadline`] is now, then. At least 1.
    pub work_at_once: u32,
    /// The bug to show, if any.
    #[cfg(feature = "planted")]
    pub planted: Option<Planted>,
}

impl Policy {
    /// The defaults of the command line, with this prefix.
    pub fn new(handle_prefix: HandlePrefix) -> Policy {
        Policy {
            compat: Compat::V1_1,
            round_robin: false,
            attempts: None,
            wakeup: Wakeup::Paced,
            wake_patience: Duration::from_millis(50),
            exceptions: false,
            timeout_unit: TimeoutUnit::Milliseconds,
            handle_prefix,
            hash_seed: 0,
            note_accepted: false,
            requests_in_flight: 4096,
            outbox_bytes: 8 << 20,
            functions: 1 << 20,
            function_bytes: 512 << 20,
            function_stats: 16_384,
            paused: Vec::new(),
            waiting_bytes: 16 << 20,
            abilities: 1 << 17,
            names_at_once: 256,
            rows_at_once: 256,
            queued_bytes: u64::MAX,
            finished_memory: 16,
            store: false,
            shared: false,
            spare_from: JobId::SPARE_MIN,
            store_timeout: Duration::from_secs(5),
            dead_jobs: 10_000,
            dead_bytes: 1 << 30,
            rights_wanted: false,
            work_at_once: 1024,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    /// Several servers share the store of this one: see [`Policy::shared`]. Handles of all of them are understood.
    pub fn share_store(&mut self) {
        (self.store, self.shared) = (true, true);
        self.handle_prefix.take_any();
    }

    /// Whether a deliberate bug is switched on. Always false, and optimised away, without the feature `planted`.
    #[inline]
    pub(crate) fn plants(&self, bug: Planted) -> bool {
        #[cfg(feature = "planted")]
        return self.planted == Some(bug);
        #[cfg(not(feature = "planted"))]
        {
            let _ = bug;
            false
        }
    }

    /// Whether a higher priority in any function goes first (gearmand 2.0 on).
    pub fn priority_first(&self) -> bool {
        self.compat >= Compat::V2_0
    }

    /// Whether functions of one worker take turns.
    pub fn turns(&self) -> bool {
        self.round_robin || self.compat >= Compat::V2_0
    }
}
