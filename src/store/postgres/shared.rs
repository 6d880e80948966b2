//! What servers that share the table ask of it, over the connection that there is. The statements are `servers.rs`, `adopt.rs` and
//! `pages.rs`; when what is asked is `store/sharing.rs`.
use super::fault::{PgFault, PgTrouble};
use super::link::PgLink;
use super::pages::{self, PgReading};
use super::session::PgSession;
use super::shape::TableShape;
use super::{adopt, servers};
use crate::store::servers::{
    Legacy, ServerEntry, ServersLook, SharedFault, SharedPlace, TellJob, Unreadable,
};
use crate::store::{ServerLoad, StoreError};
use std::time::Duration;

/// How long a statement may take that shows that we are alive, and how long one that moves jobs.
const ANSWER: Duration = Duration::from_secs(5);
const MOVE: Duration = Duration::from_secs(20);

impl SharedFault for PgFault {
    fn fenced() -> PgFault {
        PgFault::Fenced
    }

    fn other(what: String) -> PgFault {
        PgFault::Other(what)
    }

    fn locked(place: String) -> PgFault {
        PgFault::Locked(place)
    }

    fn is_fenced(&self) -> bool {
        self.trouble() == PgTrouble::Fenced
    }

    fn is_away(&self) -> bool {
        self.trouble() == PgTrouble::Away
    }
}

impl PgLink {
    /// Asks this, within so much time, or however long it takes.
    fn ask<T>(
        &mut self,
        limit: Option<Duration>,
        what: impl AsyncFnOnce(&PgSession, &TableShape) -> Result<T, PgFault>,
    ) -> Result<T, PgFault> {
        let Some(shape) = self.shape() else { return Err(self.why_not()) };
        match limit {
            Some(limit) => self.run(limit, async |session| what(session, &shape).await),
            None => self.run_long(async |session| what(session, &shape).await),
        }
    }
}

impl SharedPlace for PgLink {
    type Fault = PgFault;
    type Reading = PgReading;

    fn is_there(&self) -> bool {
        PgLink::is_there(self)
    }

    fn lost(&mut self, fault: &PgFault) {
        PgLink::lost(self, fault);
    }

    fn error(&self, fault: PgFault) -> StoreError {
        PgLink::error(self, fault)
    }

    fn shown(&self) -> String {
        self.shape().map_or_else(String::new, |shape| shape.shown.clone())
    }

    fn how_to_strike(&self, id: i32) -> String {
        let table = self.shape().map_or_else(String::new, |shape| shape.names.servers.clone());
        format!("DELETE FROM {table} WHERE id = {id}")
    }

    fn look(&mut self, me: Option<i32>, jobs: usize, load: ServerLoad) -> Result<ServersLook, PgFault> {
        self.ask(Some(ANSWER), async |session, shape| servers::look(session, shape, me, jobs, load).await)
    }

    fn register(&mut self, name: &str) -> Result<i32, PgFault> {
        self.ask(Some(ANSWER), async |session, shape| servers::register(session, shape, name).await)
    }

    fn take(&mut self, me: i32, other: &ServerEntry) -> Result<bool, PgFault> {
        self.ask(Some(MOVE), async |session, shape| servers::take(session, shape, me, other).await)
    }

    fn claim(&mut self, me: Option<i32>) -> Result<(), PgFault> {
        self.ask(None, async |session, shape| adopt::claim(session, shape, me).await)
    }

    fn adopt(&mut self, me: i32) -> Result<(Vec<i64>, bool), PgFault> {
        self.ask(Some(MOVE), async |session, shape| adopt::adopt(session, shape, me).await)
    }

    fn reading(owners: Option<Vec<i32>>, only: Option<Vec<i64>>, unreadable: Unreadable) -> PgReading {
        PgReading::of(owners, only, unreadable)
    }

    fn count(&mut self, reading: &mut PgReading) -> Result<u64, PgFault> {
        self.ask(None, async |session, shape| pages::count(session, shape, reading).await)
    }

    fn page(&mut self, reading: &mut PgReading, told: TellJob<'_, PgFault>) -> Result<bool, PgFault> {
        let limit = (!reading.is_patient()).then_some(MOVE);
        self.ask(limit, async |session, shape| reading.page(session, shape, told).await)
    }

    fn tidy(&mut self) -> Result<(), PgFault> {
        self.ask(None, async |session, shape| {
            pages::drop_leftovers(session, shape).await?;
            servers::tidy(session, shape).await
        })
    }

    fn leave(&mut self, me: i32, family: &[i32], empty: bool) -> Result<(), PgFault> {
        let family = family.to_vec();
        self.ask(Some(ANSWER), async |session, shape| {
            servers::leave(session, shape, me, &family, empty).await
        })
    }

    fn bequeath(&mut self, legacy: Legacy<'_>) -> Result<bool, PgFault> {
        self.ask(Some(MOVE), async |session, shape| servers::bequeath(session, shape, legacy).await)
    }
}
