//! What servers that share a store ask of it, over the connection that there is: each kind of server answers by itself ([`Remote`]).
use super::Remote;
use super::fault::{RemoteFault, RemoteTrouble};
use super::line::RemoteLine;
use crate::store::servers::{
    Legacy, ServerEntry, ServersLook, SharedFault, SharedPlace, TellJob, Unreadable,
};
use crate::store::{ServerLoad, StoreError};

/// How often is tried what others may be in the way of.
const TRIES: u32 = 10;

impl SharedFault for RemoteFault {
    fn fenced() -> RemoteFault {
        RemoteFault::new(RemoteTrouble::Fenced, "another server has taken over")
    }

    fn other(what: String) -> RemoteFault {
        RemoteFault::new(RemoteTrouble::Other, what)
    }

    fn locked(place: String) -> RemoteFault {
        RemoteFault::new(RemoteTrouble::Locked, place)
    }

    fn is_fenced(&self) -> bool {
        self.trouble == RemoteTrouble::Fenced
    }

    fn is_away(&self) -> bool {
        self.trouble == RemoteTrouble::Away
    }
}

impl<R: Remote> SharedPlace for RemoteLine<R> {
    type Fault = RemoteFault;
    type Reading = R::Reading;

    fn is_there(&self) -> bool {
        RemoteLine::is_there(self)
    }

    fn lost(&mut self, fault: &RemoteFault) {
        RemoteLine::lost(self, fault);
    }

    fn error(&self, fault: RemoteFault) -> StoreError {
        RemoteLine::error(self, fault)
    }

    fn shown(&self) -> String {
        self.connector().shown()
    }

    fn how_to_strike(&self, id: i32) -> String {
        self.connector().how_to_strike(id)
    }

    fn look(&mut self, me: Option<i32>, jobs: usize, load: ServerLoad) -> Result<ServersLook, RemoteFault> {
        let (remote, link) = self.link()?;
        remote.look(link, me, jobs, load)
    }

    fn register(&mut self, name: &str) -> Result<i32, RemoteFault> {
        let (remote, link) = self.link()?;
        remote.register(link, name)
    }

    fn take(&mut self, me: i32, other: &ServerEntry) -> Result<bool, RemoteFault> {
        let (remote, link) = self.link()?;
        match remote.take(link, me, other) {
            // Who is in the way may be just that one: another look will tell.
            Err(fault) if fault.trouble == RemoteTrouble::InTheWay => Ok(false),
            done => done,
        }
    }

    fn claim(&mut self, me: Option<i32>) -> Result<(), RemoteFault> {
        let mut tries = 0;
        loop {
            let (remote, link) = self.link()?;
            match remote.claim(link, me) {
                // Others who start at the same moment, and do the same.
                Err(fault) if fault.trouble == RemoteTrouble::InTheWay && tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    fn adopt(&mut self, me: i32) -> Result<(Vec<i64>, bool), RemoteFault> {
        let (remote, link) = self.link()?;
        match remote.adopt(link, me) {
            // Somebody else adopts them just now.
            Err(fault) if fault.trouble == RemoteTrouble::InTheWay => Ok((Vec::new(), false)),
            done => done,
        }
    }

    fn reading(owners: Option<Vec<i32>>, only: Option<Vec<i64>>, unreadable: Unreadable) -> R::Reading {
        R::reading(owners, only, unreadable)
    }

    fn count(&mut self, reading: &mut R::Reading) -> Result<u64, RemoteFault> {
        let (remote, link) = self.link()?;
        remote.count(link, reading)
    }

    fn page(
        &mut self,
        reading: &mut R::Reading,
        told: TellJob<'_, RemoteFault>,
    ) -> Result<bool, RemoteFault> {
        let (remote, link) = self.link()?;
        remote.page(link, reading, told)
    }

    fn tidy(&mut self) -> Result<(), RemoteFault> {
        let (remote, link) = self.link()?;
        match remote.tidy(link) {
            // Another start does it.
            Err(fault) if fault.trouble == RemoteTrouble::InTheWay => Ok(()),
            done => done,
        }
    }

    fn leave(&mut self, me: i32, family: &[i32], empty: bool) -> Result<(), RemoteFault> {
        let (remote, link) = self.link()?;
        remote.leave_others(link, me, family, empty)
    }

    fn bequeath(&mut self, legacy: Legacy<'_>) -> Result<bool, RemoteFault> {
        let (remote, link) = self.link()?;
        remote.bequeath(link, legacy)
    }

    fn birth(&mut self) -> Result<u64, RemoteFault> {
        let (remote, link) = self.link()?;
        remote.birth(link)
    }
}
