//! A server that leaves those with which it shares the table: when it drains it leaves what waits to others and goes on with what runs, as
//! another server; and at its end it says so. What there is to do while it serves is `sharing.rs`.
use super::fault::PgFault;
use super::link::PgLink;
use super::retiring::Retiring;
use super::servers::{self, PgServerRow};
use super::sharing::{ANSWER, MOVE, PgSharing};
use super::states::draw;
use crate::engine::JobId;
use crate::log_at;
use crate::logging::Level;
use crate::store::BootTime;
use crate::store::book::Book;
use crate::store::shared::LOOK_GAP;
use crate::store::sql::numbers::row_of;

impl PgSharing {
    /// Whether somebody is there who would run at once what we leave. If so, nothing more is taken in.
    pub(super) fn begin_hand_over(&mut self) -> bool {
        let beats = |id: &i32| self.heard.get(id).is_some_and(|(_, at)| at.elapsed() <= LOOK_GAP);
        let serves = |row: &PgServerRow| self.is_other(row) && row.is_compatible() && beats(&row.id);
        if self.fenced || self.me.is_none() || !self.servers.iter().any(serves) {
            return false;
        }
        let next = draw(&self.options.name);
        self.retiring = Retiring::Soon { me: self.me, next, tried: false };
        // Whoever has the rest reads that, too.
        self.to_read.clear();
        true
    }

    /// Leaves everything but these jobs to others.
    pub(super) fn hand_over(
        &mut self,
        link: &mut PgLink,
        book: &mut Book,
        kept: &[JobId],
    ) -> Result<(), PgFault> {
        let Retiring::Soon { me: Some(me), next, tried } = self.retiring else { return Ok(()) };
        if self.fenced {
            return Err(PgFault::Fenced);
        }
        if self.me != Some(me) {
            // Another has taken all of it over meanwhile.
            self.retiring = Retiring::Over;
            return Ok(());
        }
        let Some(shape) = link.shape() else { return Err(link.why_not()) };
        let kept = kept.iter().map(|&job| row_of(job)).collect::<Result<Vec<i64>, _>>()?;
        self.retiring = Retiring::Soon { me: Some(me), next, tried: true };
        let (sent, family, name) = (BootTime::now(), &self.family, &self.options.name);
        let legacy = servers::Legacy { me, family, next, name, kept: &kept };
        let left = link.run(MOVE, async |session| servers::bequeath(session, &shape, legacy).await)?;
        if !left && !tried {
            // Somebody has that number.
            let next = draw(&self.options.name);
            self.retiring = Retiring::Soon { me: Some(me), next, tried: false };
            return Err(PgFault::Other("another server has the same number; trying again".to_owned()));
        }
        let jobs = book.len().saturating_sub(kept.len());
        log_at!(
            Level::Notice,
            "the store: {jobs} stored jobs were left to other servers; {} stay",
            kept.len()
        );
        book.keep_only(&kept);
        self.retiring = Retiring::Over;
        self.go_on_as(next);
        self.renewed(sent);
        Ok(())
    }

    /// See [`crate::store::Store::stays_silent`].
    pub(super) fn stays_silent(&mut self) {
        self.silent = true;
    }

    /// Says goodbye. Nothing here is given out any more.
    pub(super) fn leave(&mut self, link: &mut PgLink, book: &Book) -> Result<(), PgFault> {
        let (Some(me), Some(shape)) = (self.me, link.shape()) else { return Ok(()) };
        if self.fenced || self.silent {
            return Ok(());
        }
        let now = self.at(BootTime::now());
        self.share.iter_mut().for_each(|share| share.leaves(now));
        let empty = book.len() == 0 && self.to_read.is_empty();
        let family = &self.family;
        link.run(ANSWER, async |session| servers::leave(session, &shape, me, family, empty).await)
    }
}
