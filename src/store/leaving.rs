//! A server that leaves those with which it shares a store: when it drains it leaves what waits to others and goes on with what runs, as
//! another server; and at its end it says so. What there is to do while it serves is `sharing.rs`.
use super::book::Book;
use super::retiring::Retiring;
use super::servers::{Legacy, ServerEntry, SharedFault, SharedPlace, drawn_id};
use super::shared::LOOK_GAP;
use super::sharing::ServerSharing;
use super::sql::numbers::row_of;
use super::{BootTime, StoreError};
use crate::engine::JobId;
use crate::log_at;
use crate::logging::Level;

impl<P: SharedPlace> ServerSharing<P> {
    /// Whether somebody is there who would run at once what we leave. If so, nothing more is taken in.
    pub(super) fn begin_hand_over(&mut self, place: &P) -> bool {
        if !place.is_there() {
            return false;
        }
        let beats = |id: &i32| self.heard.get(id).is_some_and(|(_, at)| at.elapsed() <= LOOK_GAP);
        let serves = |row: &ServerEntry| self.is_other(row) && row.is_compatible() && beats(&row.id);
        let Some(me) = self.me.filter(|_| !self.fenced && self.servers.iter().any(serves)) else {
            return false;
        };
        self.retiring = Retiring::Soon { me, next: drawn_id(), tried: false };
        // Whoever has the rest reads that, too.
        self.to_read.clear();
        true
    }

    /// Leaves everything but these jobs to others; a connection that is away is lost with it.
    pub(super) fn hand_over(
        &mut self,
        place: &mut P,
        book: &mut Book,
        kept: &[JobId],
    ) -> Result<(), StoreError> {
        let Err(fault) = self.leave_all_but(place, book, kept) else { return Ok(()) };
        if !self.note(&fault) && fault.is_away() {
            place.lost(&fault);
        }
        Err(place.error(fault))
    }

    fn leave_all_but(&mut self, place: &mut P, book: &mut Book, kept: &[JobId]) -> Result<(), P::Fault> {
        let Retiring::Soon { me, next, tried } = self.retiring else { return Ok(()) };
        if self.fenced {
            return Err(P::Fault::fenced());
        }
        if self.me != Some(me) {
            // Another has taken all of it over meanwhile.
            self.retiring = Retiring::Over;
            return Ok(());
        }
        let kept = kept.iter().map(|&job| row_of(job)).collect::<Result<Vec<i64>, _>>()?;
        self.retiring = Retiring::Soon { me, next, tried: true };
        let (sent, family, name) = (BootTime::now(), &self.family, &self.options.name);
        let left = place.bequeath(Legacy { me, family, next, name, kept: &kept })?;
        if !left && !tried {
            // Somebody has that number.
            self.retiring = Retiring::Soon { me, next: drawn_id(), tried: false };
            return Err(P::Fault::other("another server has the same number; trying again".to_owned()));
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
    pub(super) fn leave(&mut self, place: &mut P, book: &Book) -> Result<(), StoreError> {
        let Some(me) = self.me.filter(|_| place.is_there() && !self.fenced && !self.silent) else {
            return Ok(());
        };
        let now = self.at(BootTime::now());
        self.share.iter_mut().for_each(|share| share.leaves(now));
        let empty = book.len() == 0 && self.to_read.is_empty();
        place.leave(me, &self.family, empty).map_err(|fault| place.error(fault))
    }
}
