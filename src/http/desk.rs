//! What answers are made of: what the server is doing, the seat from which shards are asked, and what was found of all functions a moment
//! ago, so that many askers cost as much as one.
use super::audit::AuditList;
use super::bodies::TransferBytes;
use super::bounds::{
    GATEWAY_GREETINGS_MAX, GREETINGS_MAX, OVERVIEW_AGE, PAGE_ROWS, SURVEYS_MAX, VIEWERS_MAX, WAITS_MAX,
};
use super::guard::Guard;
use super::history::History;
use super::home::Observer;
use super::level::LevelForAWhile;
use super::limited::LimitedPlaces;
use super::outline::{self, FunctionSearch};
use super::overview::{BestRows, Overview};
use super::remembered::PageMemory;
use crate::engine::outline::{FunctionFilter, FunctionSort};
use crate::engine::report::{Counters, FunctionNumbers, JobFacts, JobPayload};
use crate::engine::stats::FunctionStats;
use crate::engine::{Order, Query, Report};
use crate::frontend::SharedPort;
use crate::mesh::shared::{ServerPhase, Shared};
use crate::store::channel::StoreChannel;
use crate::tls::Certificates;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

/// What happened to connections and requests.
#[derive(Debug, Default)]
pub(super) struct VisitCounts {
    pub(super) connections: Rc<Cell<usize>>,
    /// Those of gearmand's HTTP.
    pub(super) gateway: Rc<Cell<usize>>,
    pub(super) requests: Cell<u64>,
    pub(super) refused: Cell<u64>,
}

/// The latest, and when it was made.
type LatestOverview = Option<(Instant, Rc<Overview>)>;

/// What answers are made of, as far as it is given.
pub(super) struct DeskSetup {
    pub(super) shared: Arc<Shared>,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) frontend: SharedPort,
    /// The way to the store, if there is one: at the start its jobs are read.
    pub(super) store: Option<Arc<StoreChannel>>,
    pub(super) metrics_functions: usize,
    pub(super) pauses: Option<PathBuf>,
    pub(super) drain: Box<dyn Fn() + Send>,
    pub(super) shards: usize,
}

/// What answers are made of.
pub(super) struct Desk {
    pub(super) observer: Rc<Observer>,
    pub(super) setup: DeskSetup,
    /// Who somebody is.
    pub(super) guard: Guard,
    /// What was done.
    pub(super) audit: AuditList,
    pub(super) bodies: TransferBytes,
    /// Requests that wait for jobs.
    pub(super) waits: LimitedPlaces,
    /// Those who are told of what changes.
    pub(super) viewers: LimitedPlaces,
    /// TLS handshakes that are under way, and those of gearmand's HTTP.
    pub(super) greetings: LimitedPlaces,
    pub(super) gateway_greetings: LimitedPlaces,
    pub(super) started: Instant,
    pub(super) started_at: SystemTime,
    /// Turns to ask the shards.
    surveys: Semaphore,
    overview: Mutex<LatestOverview>,
    history: RefCell<History>,
    pub(super) level: LevelForAWhile,
    pub(super) counts: VisitCounts,
    /// What pages remember.
    pub(super) remembered: PageMemory,
}

/// What the server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerState {
    Restoring,
    Serving,
    Draining,
}

impl ServerState {
    pub(super) const ALL: [ServerState; 3] =
        [ServerState::Restoring, ServerState::Serving, ServerState::Draining];

    pub(super) fn word(self) -> &'static str {
        match self {
            ServerState::Restoring => "restoring",
            ServerState::Serving => "serving",
            ServerState::Draining => "draining",
        }
    }

    /// Why it is not ready, a sentence.
    pub(super) fn obstacle(self) -> Option<&'static str> {
        match self {
            ServerState::Restoring => Some(
                "restoring: stored jobs are not all read; requests wait, or if the database is away background jobs are refused",
            ),
            ServerState::Draining => {
                Some("draining: no more connections are accepted, and the server ends when no jobs are left")
            }
            ServerState::Serving => None,
        }
    }
}

impl Desk {
    pub(super) fn new(observer: Rc<Observer>, guard: Guard, bodies: TransferBytes, setup: DeskSetup) -> Desk {
        Desk {
            observer,
            setup,
            guard,
            audit: AuditList::default(),
            bodies,
            waits: LimitedPlaces::new(WAITS_MAX),
            viewers: LimitedPlaces::new(VIEWERS_MAX),
            greetings: LimitedPlaces::new(GREETINGS_MAX),
            gateway_greetings: LimitedPlaces::new(GATEWAY_GREETINGS_MAX),
            started: Instant::now(),
            started_at: SystemTime::now(),
            surveys: Semaphore::new(SURVEYS_MAX),
            overview: Mutex::default(),
            history: RefCell::default(),
            level: LevelForAWhile::default(),
            counts: VisitCounts::default(),
            remembered: PageMemory::default(),
        }
    }

    pub(super) fn state(&self) -> ServerState {
        match self.setup.shared.phase() {
            ServerPhase::Serving if self.setup.store.is_some() && !self.setup.shared.all_restored() => {
                ServerState::Restoring
            }
            ServerPhase::Serving => ServerState::Serving,
            ServerPhase::Draining | ServerPhase::Stopping => ServerState::Draining,
        }
    }

    /// Whether shards can be asked: all jobs are there. What is not whole is not told.
    pub(super) fn is_whole(&self) -> bool {
        self.setup.store.is_none() || self.setup.shared.all_restored()
    }

    /// Waits for the turn to ask the shards.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.surveys.acquire().await.ok()
    }

    /// What is to be said of all functions, as of a moment ago at most. All shards have their jobs.
    pub(super) async fn overview(&self) -> Rc<Overview> {
        let mut latest = self.overview.lock().await;
        match &*latest {
            Some((made, overview)) if made.elapsed() < OVERVIEW_AGE => return overview.clone(),
            _ => {}
        }
        let before = latest.as_ref().map(|(_, overview)| overview.clone()).unwrap_or_default();
        let overview = Rc::new(self.look(&before).await);
        self.history.borrow_mut().note(Instant::now(), &overview.told);
        *latest = Some((Instant::now(), overview.clone()));
        overview
    }

    async fn look(&self, before: &Overview) -> Overview {
        let _turn = self.turn().await;
        let search = FunctionSearch {
            needle: Bytes::new(),
            only: FunctionFilter::All,
            // They are in order.
            named: before.told.iter().map(|row| row.function.clone()).collect(),
        };
        let told = BestRows::new(FunctionSort::Jobs, self.setup.metrics_functions).favouring_named();
        let first = BestRows::new(FunctionSort::Worst, PAGE_ROWS);
        let found = outline::look(&self.observer, self.setup.shards, &search, vec![told, first]).await;
        let counters = self.counters().await;
        let mut best = found.best.into_iter();
        let (mut told, first) = (best.next().unwrap_or_default(), best.next().unwrap_or_default());
        told.sort_by(|a, b| a.function.cmp(&b.function));
        let mut others = found.counted;
        // What is not told one by one is what is left of all.
        told.iter().filter_map(|row| row.stats.as_ref()).for_each(|stats| others.take_away(stats));
        Overview { sums: found.sums, told, first, counters, others }
    }

    /// What is known of one function. Only in one's turn.
    pub(super) async fn function(&self, name: &[u8]) -> Option<FunctionNumbers> {
        let function = Bytes::copy_from_slice(name);
        match self.observer.ask(Query::Function { function }, None).next().await {
            Some(Report::Numbers(mut page)) => page.rows.pop(),
            _ => None,
        }
    }

    /// What is known of one job. Only in one's turn.
    pub(super) async fn job(&self, handle: &[u8]) -> Option<JobFacts> {
        let handle = Bytes::copy_from_slice(handle);
        match self.observer.ask(Query::Job { handle }, None).next().await {
            Some(Report::Job(facts)) => Some(*facts),
            _ => None,
        }
    }

    /// A part of a job's workload, of so many bytes at the most. Only in one's turn.
    pub(super) async fn workload(&self, handle: &[u8], from: u64, most: usize) -> Option<JobPayload> {
        let (handle, most) = (Bytes::copy_from_slice(handle), u32::try_from(most).unwrap_or(u32::MAX));
        match self.observer.ask(Query::Workload { handle, from, most }, None).next().await {
            Some(Report::Workload(payload)) => Some(*payload),
            _ => None,
        }
    }

    /// What was counted of a function lately, and over which time that is: some minutes, if it was looked at then, or since the start.
    pub(super) fn recent(&self, name: &[u8], stats: &FunctionStats) -> (FunctionStats, Duration) {
        let mut recent = stats.clone();
        let before = self.history.borrow();
        match before.of(name, Instant::now()) {
            Some((ago, before)) => {
                before.iter().for_each(|before| recent.take_away(before));
                (recent, ago)
            }
            None => (recent, self.started.elapsed()),
        }
    }

    /// Gives an order, and hears what came of it. Only in one's turn.
    pub(super) async fn order(&self, order: Order) -> Option<Report> {
        self.observer.ask(order, None).next().await
    }

    /// What `show counters` tells.
    pub(super) async fn counters(&self) -> Counters {
        match self.observer.ask(Query::Counters, None).next().await {
            Some(Report::Counters(counters)) => *counters,
            _ => Counters::default(),
        }
    }
}
