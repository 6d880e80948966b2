//! Who acts in a world: clients, workers and administrators, each on one connection. They know only what they were
//! told, and act on it; what they do is drawn from the mix of the seed.
mod admin;
mod client;
mod worker;

use crate::act::Act;
use crate::random::Random;
use crate::swarm::{Mix, PREFIX};
use bytes::Bytes;
use ringgear_engine::{JobId, Now, Reply, SessionId};
use worker::Worker;

/// Handles that are remembered for those who ask about jobs of others.
const HANDLES_MAX: usize = 40;

/// What all actors draw on.
#[derive(Debug, Default)]
pub(crate) struct Common {
    /// Handles of jobs that somebody was told of lately.
    handles: Vec<Bytes>,
    /// Makes payloads different from one another.
    counter: u64,
    /// So many jobs are there already that nobody submits more.
    pub(crate) crowded: bool,
}

impl Common {
    /// A number that was never drawn before.
    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn remember(&mut self, handle: &Bytes) {
        if self.handles.len() == HANDLES_MAX {
            self.handles.remove(0);
        }
        self.handles.push(handle.clone());
    }

    /// A handle of some job, or of none.
    pub(crate) fn some_handle(&self, random: &mut Random) -> Bytes {
        if self.handles.is_empty() || random.chance(50) {
            return random
                .pick(&[&b"H:sim:"[..], b"H:sim:77", b"nobody", b"", b"H:sim:900000000001"])
                .to_vec()
                .into();
        }
        random.pick(&self.handles).clone()
    }
}

/// How a job is called on the wire.
pub(crate) fn handle(job: JobId) -> Bytes {
    [PREFIX, b":", job.number().to_string().as_bytes()].concat().into()
}

/// What somebody does for a living.
#[derive(Debug)]
enum Role {
    Client,
    Worker(Worker),
    Admin,
}

/// Somebody on a connection.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) session: SessionId,
    role: Role,
}

impl Actor {
    pub(crate) fn client(session: SessionId) -> Actor {
        Actor { session, role: Role::Client }
    }

    pub(crate) fn worker(session: SessionId, mix: &Mix, random: &mut Random) -> Actor {
        Actor { session, role: Role::Worker(Worker::new(mix, random)) }
    }

    /// A worker that knows these functions, never leaves, and always does what is right.
    pub(crate) fn keeper(session: SessionId, functions: Vec<usize>) -> Actor {
        Actor { session, role: Role::Worker(Worker::keeper(functions)) }
    }

    pub(crate) fn admin(session: SessionId) -> Actor {
        Actor { session, role: Role::Admin }
    }

    /// Reads what it was told.
    pub(crate) fn read(&mut self, replies: Vec<Reply>, mix: &Mix, common: &mut Common) {
        for reply in replies {
            if let Reply::JobCreated(job) = reply {
                common.remember(&handle(job));
            }
            if let Role::Worker(worker) = &mut self.role {
                worker.read(&reply, mix, common);
            }
        }
    }

    /// Does something, as it is inclined to.
    pub(crate) fn act(&mut self, mix: &Mix, now: Now, common: &mut Common, random: &mut Random) -> Vec<Act> {
        match &mut self.role {
            Role::Client => client::act(mix, now, common, random),
            Role::Worker(worker) if worker.submits() && random.chance(200) => {
                client::act(mix, now, common, random)
            }
            Role::Worker(worker) => worker.act(mix, common, random),
            Role::Admin => vec![admin::act(mix, common, random)],
        }
    }

    /// Does what is right and leads to an end; nothing if there is nothing to do.
    pub(crate) fn act_calmly(&mut self, common: &mut Common) -> Vec<Act> {
        match &mut self.role {
            Role::Worker(worker) => worker.act_calmly(common),
            Role::Client | Role::Admin => Vec::new(),
        }
    }

    /// Looks for jobs though nobody woke it.
    pub(crate) fn look_again(&mut self) -> Vec<Act> {
        match &mut self.role {
            Role::Worker(worker) => worker.grab_once(),
            Role::Client | Role::Admin => Vec::new(),
        }
    }
}
