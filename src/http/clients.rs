//! Whose jobs: what the connections from an address wait for, looked at from time to time for who follows them. Connections are looked for
//! among all, which costs much where there are many; so they are remembered, and looked for again now and then. What a client has
//! submitted in the background is not among it: nobody waits for that, and it is not kept whose it was.
use super::bounds::{CLIENT_JOBS_MAX, CLIENT_SESSIONS_MAX, PAGES_MAX};
use super::desk::Desk;
use crate::engine::page::ListMark;
use crate::engine::report::Waits;
use crate::engine::{JobId, Query, Report, SessionId, ShardId};
use crate::frontend::json;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};

/// Looks that pass until connections are looked for again: where some are known, and where none is.
const FOUND_REST: u32 = 10;
const NONE_REST: u32 = 2;
/// Pages of a report that are looked through for the jobs of one connection.
const LOOKS: usize = 4;

/// An address that is followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientWatch {
    address: IpAddr,
    /// One connection, or all from there.
    port: Option<u16>,
    /// Those that were found.
    sessions: Vec<SessionId>,
    /// Looks until they are looked for again.
    rest: u32,
}

/// What a connection waits for.
struct ClientJobs {
    jobs: Vec<Value>,
    /// There are more.
    truncated: bool,
}

impl ClientWatch {
    /// An address, with a port or without.
    pub(super) fn read(word: &[u8]) -> Option<ClientWatch> {
        let text = std::str::from_utf8(word).ok()?;
        let (address, port) = match text.parse::<SocketAddr>() {
            Ok(place) => (place.ip(), Some(place.port())),
            Err(_) => (text.parse().ok()?, None),
        };
        Some(ClientWatch { address: address.to_canonical(), port, sessions: Vec::new(), rest: 0 })
    }

    fn is(&self, place: SocketAddr) -> bool {
        place.ip().to_canonical() == self.address && self.port.is_none_or(|port| port == place.port())
    }

    /// What they wait for now.
    pub(super) async fn look(&mut self, desk: &Desk) -> Value {
        let _turn = desk.turn().await;
        if self.rest == 0 {
            self.find(desk).await;
            self.rest = if self.sessions.is_empty() { NONE_REST } else { FOUND_REST };
        } else {
            self.rest -= 1;
        }
        let (mut here, mut all) = (Vec::new(), ClientJobs { jobs: Vec::new(), truncated: false });
        for &session in &self.sessions {
            let Some(some) = waits(desk, session).await else { continue };
            here.push(session);
            all.truncated |= some.truncated || all.jobs.len() + some.jobs.len() > CLIENT_JOBS_MAX;
            all.jobs.extend(some.jobs);
            all.jobs.truncate(CLIENT_JOBS_MAX);
        }
        if here.len() < self.sessions.len() {
            self.rest = 0;
        }
        self.sessions = here;
        let client = match self.port {
            Some(port) => SocketAddr::new(self.address, port).to_string(),
            None => self.address.to_string(),
        };
        let sessions: Vec<String> =
            self.sessions.iter().map(|&session| json::session_name(session)).collect();
        json!({ "client": client, "connections": sessions, "jobs": all.jobs, "truncated": all.truncated })
    }

    /// Looks for connections; of very many not all are looked at.
    async fn find(&mut self, desk: &Desk) {
        self.sessions.clear();
        let mut answer = desk.observer.ask(Query::ClientsWithJobs, None);
        for _ in 0..PAGES_MAX {
            let Some(Report::Waiting(rows)) = answer.next().await else { return };
            for row in rows {
                if let Waits::Session(session) = row.what
                    && self.is(session.address)
                {
                    self.sessions.push(row.session);
                }
            }
            if self.sessions.len() >= CLIENT_SESSIONS_MAX {
                self.sessions.truncate(CLIENT_SESSIONS_MAX);
                return;
            }
        }
    }
}

/// What a connection waits for; `None` if it is gone.
async fn waits(desk: &Desk, session: SessionId) -> Option<ClientJobs> {
    let mut found: Option<ClientJobs> = None;
    let mut answer = desk.observer.ask(Query::ClientsWithJobs, before(session));
    for _ in 0..LOOKS {
        let Some(Report::Waiting(rows)) = answer.next().await else { return found };
        for row in rows {
            if row.session != session {
                return found;
            }
            let job = match row.what {
                Waits::Session(_) => {
                    found = Some(ClientJobs { jobs: Vec::new(), truncated: false });
                    continue;
                }
                Waits::Job { job, .. } => job,
            };
            let Some(some) = &mut found else { continue };
            if some.jobs.len() == CLIENT_JOBS_MAX {
                some.truncated = true;
                return found;
            }
            let mut told = json::involved(&job);
            let handle = desk.setup.frontend.handle_prefix.handle(job.job);
            told["handle"] = String::from_utf8_lossy(&handle).into();
            some.jobs.push(told);
        }
    }
    found.map(|found| ClientJobs { truncated: true, ..found })
}

/// A place in the list of connections that stands just before this one.
fn before(session: SessionId) -> Option<ListMark> {
    let (shard, index, generation) = (session.shard(), session.index() as u32, session.generation());
    let session = match (shard.0.checked_sub(1), index.checked_sub(1), generation - 1) {
        (.., generation @ 1..) => SessionId::new(shard, index, generation),
        (_, Some(index), _) => SessionId::new(shard, index, u32::MAX),
        (Some(shard), None, _) => SessionId::new(ShardId(shard), SessionId::INDEX_MAX, u32::MAX),
        (None, None, _) => return None,
    };
    Some(ListMark::Waiting { session, job: JobId::from_number(JobId::NUMBER_MAX), times: u32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_a_port_or_without() {
        let is =
            |word: &str, place: &str| ClientWatch::read(word.as_bytes()).unwrap().is(place.parse().unwrap());
        assert!(is("10.0.0.1", "10.0.0.1:7") && is("10.0.0.1", "[::ffff:10.0.0.1]:7"));
        assert!(is("10.0.0.1:7", "10.0.0.1:7") && !is("10.0.0.1:7", "10.0.0.1:8"));
        assert!(is("::1", "[::1]:7") && is("[::1]:7", "[::1]:7") && !is("[::1]:7", "[::2]:7"));
        for wrong in ["", "localhost", "10.0.0.1:", "10.0.0.1:x", "[::1]"] {
            assert_eq!(ClientWatch::read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn there_is_no_session_between_the_place_before_one_and_itself() {
        let session = |shard, index, generation| SessionId::new(ShardId(shard), index, generation);
        for (one, wanted) in [
            (session(0, 0, 1), None),
            (session(0, 0, 2), Some(session(0, 0, 1))),
            (session(0, 3, 1), Some(session(0, 2, u32::MAX))),
            (session(2, 0, 1), Some(session(1, SessionId::INDEX_MAX, u32::MAX))),
        ] {
            let found = before(one).map(|mark| match mark {
                ListMark::Waiting { session, .. } => session,
                other => panic!("{other:?}"),
            });
            assert_eq!(found, wanted);
            assert!(found.is_none_or(|found| found < one));
        }
    }
}
