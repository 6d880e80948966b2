//! Parts of a shard as the benchmarks see them (`benches/shell.rs`, feature `measure`). Nothing else uses this.
//! What is measured is in the files that it names.
use super::outbound::Outbound;
use super::pool::BufferPool;
use crate::engine::slot::ShardSet;
use crate::engine::{
    Board, Engine, Input, Instant, JobId, Now, Peer, Policy, Reply, SessionId, ShardId, Topology,
};
use crate::engine::{Compat, Epoch, HandlePrefix, slot::Slot};
use crate::frontend::{self, SharedPort};
use crate::mesh::{Mesh, Unheard};
use crate::protocol::Request;
use std::net::Ipv4Addr;
use std::sync::Arc;

const NOW: Now = Now { instant: Instant(0), epoch: Epoch(0) };
const HERE: ShardId = ShardId(0);
const THERE: ShardId = ShardId(1);

fn prefix() -> std::io::Result<HandlePrefix> {
    HandlePrefix::new(b"H:bench").map_err(|error| std::io::Error::other(error.to_string()))
}

/// The mesh between two shards, of which one has a session that asks for jobs of the other.
#[derive(Debug)]
pub struct MeshBench {
    mesh: Mesh,
    unheard: Unheard,
    engine: Engine,
    session: SessionId,
    handle: Vec<u8>,
}

impl MeshBench {
    /// Two shards in one process, neither of which runs.
    pub fn new() -> std::io::Result<MeshBench> {
        let topology = Topology::new(2);
        let prefix = prefix()?;
        let slot = (0..).map(|n: u32| Slot::of(&n.to_le_bytes())).find(|&slot| topology.owner(slot) == THERE);
        let id = JobId::new(1, slot.unwrap_or(Slot::of(b"")));
        let mut policy = Policy::new(prefix.clone());
        policy.requests_in_flight = u32::MAX;
        policy.outbox_bytes = usize::MAX;
        let mut engine = Engine::new(HERE, Board::new(topology), Arc::new(policy));
        let session = SessionId::new(HERE, 0, 1);
        let peer = Peer { descriptor: 0, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
        engine.handle(NOW, Input::Opened(session, peer));
        let handle = prefix.handle(id).to_vec();
        Ok(MeshBench { mesh: Mesh::new(topology, 16)?, unheard: Unheard::new(), engine, session, handle })
    }

    /// Has the engine make so many messages for the other shard. Not part of what is measured.
    pub fn make(&mut self, messages: usize) {
        for _ in 0..messages {
            let request = Request::GetStatus { handle: &self.handle };
            self.engine.handle(NOW, Input::Request(self.session, request));
        }
    }

    /// Sends what was made, wakes who sleeps (nobody does), and receives it at the other end. How many that were.
    pub fn cross(&mut self) -> usize {
        let mut unrung = ShardSet::default();
        let left = self.mesh.send_all(HERE, &mut self.engine, &mut unrung);
        assert!(!left, "a lane holds sixteen batches");
        self.mesh.wake(unrung);
        std::iter::from_fn(|| self.mesh.hear(THERE, &mut self.unheard)).map(|(_, batch)| batch.len()).sum()
    }
}

/// What is to be sent on one connection.
#[derive(Debug)]
pub struct OutboundBench {
    outbound: Outbound,
    pool: BufferPool,
    frontend: SharedPort,
    reply: Reply,
}

impl OutboundBench {
    /// Of a connection that hears JOB_CREATED only.
    pub fn new() -> std::io::Result<OutboundBench> {
        let frontend = SharedPort {
            packet_max: 1 << 20,
            version: frontend::version(Compat::V1_1),
            verbosity: "ERROR",
            pid: 1,
            handle_prefix: prefix()?,
            compat: Compat::V1_1,
        };
        let reply = Reply::JobCreated(JobId::new(1_000_000, Slot::of(b"f")));
        Ok(OutboundBench { outbound: Outbound::default(), pool: BufferPool::default(), frontend, reply })
    }

    /// Writes so many replies, decides that they go, takes the buffer for the kernel and gives it back. How many bytes
    /// that were.
    pub fn send(&mut self, replies: usize) -> usize {
        for _ in 0..replies {
            let out = self.outbound.waiting();
            if out.capacity() == 0 {
                *out = self.pool.take();
            }
            if let Some(payload) = self.frontend.encode(&self.reply, out) {
                self.outbound.share(payload);
            }
            self.outbound.wrote(Instant(1), false);
        }
        if self.outbound.holds_back(Instant(2), 0) {
            return 0;
        }
        let Some(parcel) = self.outbound.begin() else { return 0 };
        let bytes = parcel.len();
        self.outbound.took(bytes);
        self.outbound.end();
        self.pool.give(parcel.into_buffer());
        bytes
    }
}
