//! Whether a ring can be used here: each call is made, each kind of order that the shard gives is given, and its completion is
//! waited for. What stands in the way is said as it is. Two kinds are only asked for: accepting many by one order, which came before
//! receiving so (Linux 5.19 and 6.0), and sending in pieces (5.3).
use super::obstacle::RingObstacle;
use super::size::{RingSize, may_lock};
use super::{Uring, make};
use crate::shard::clock;
use crate::shard::error::ShardError;
use crate::shard::sockets::{Completion, Received, Token};
use io_uring::{IoUring, Probe, opcode};
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

impl Uring {
    /// Whether so many shards can have rings here, and how large they may be.
    pub(in crate::shard::sockets) fn trial(shards: u16) -> Result<RingSize, RingObstacle> {
        let ring = make(RingSize::TRIAL).map_err(RingObstacle::of_call("io_uring_setup"))?;
        knows_all_orders(&ring)?;
        // Nothing is ordered: it comes back at once.
        // SAFETY: no argument is passed, and there are no entries in the queue.
        unsafe { ring.submitter().enter::<libc::sigset_t>(0, 0, 0, None) }
            .map_err(RingObstacle::of_call("io_uring_enter"))?;
        does_all_orders()?;
        let all = |size: RingSize| size.locked() * u64::from(shards) + BESIDES;
        for size in [RingSize::FULL, RingSize::SMALL] {
            if may_lock(&ring, all(size)).map_err(RingObstacle::of_call("io_uring_register"))? {
                return Ok(size);
            }
        }
        Err(RingObstacle::Memlock)
    }
}

/// Bytes that the trial itself may still have locked when shards start: the kernel gives them back a little later.
const BESIDES: u64 = 512 << 10;

fn knows_all_orders(ring: &IoUring) -> Result<(), RingObstacle> {
    const ORDERS: [(u8, &str); 9] = [
        (opcode::Accept::CODE, "accept"),
        (opcode::Recv::CODE, "receive"),
        (opcode::Send::CODE, "send"),
        (opcode::SendMsg::CODE, "send"),
        (opcode::PollAdd::CODE, "poll"),
        (opcode::Timeout::CODE, "keep time"),
        (opcode::TimeoutRemove::CODE, "keep time"),
        (opcode::AsyncCancel::CODE, "cancel"),
        (opcode::Nop::CODE, "do nothing"),
    ];
    let mut known = Probe::new();
    ring.submitter().register_probe(&mut known).map_err(RingObstacle::of_call("io_uring_register"))?;
    let missing = ORDERS.iter().find(|(code, _)| !known.is_supported(*code));
    missing.map_or(Ok(()), |(_, what)| Err(RingObstacle::Missing(what)))
}

/// Has a ring like a shard's do what a shard has it do, on a pair of sockets that nobody else has.
fn does_all_orders() -> Result<(), RingObstacle> {
    const TOKEN: Token = Token { index: 0, generation: 1 };
    let system = |what| move |error: io::Error| RingObstacle::Other(ShardError::of_system(what, error));
    let (near, far) = UnixStream::pair().map_err(system("make sockets"))?;
    let bell = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(io::Error::from)
        .map_err(system("make event descriptors"))?;
    let mut ring = Uring::try_new(RingSize::TRIAL, 16)?;
    ring.listen(bell.as_fd());
    ring.receive(TOKEN, far.as_fd());
    ring.send(TOKEN, near.as_fd(), b"?".to_vec().into());
    ring.set_alarm(clock::instant());
    let until = clock::instant().after(PATIENCE);
    let (mut rung, mut received, mut sent, mut alarm) = (false, false, false, false);
    while !(rung && received && sent && alarm) {
        ring.enter().map_err(RingObstacle::Other)?;
        while let Some(completion) = ring.next() {
            match completion {
                Completion::Rung { more } => rung |= more,
                Completion::Received { what: Received::Bytes(buffer), more, .. } => {
                    received |= more;
                    ring.recycle(buffer);
                }
                Completion::Sent { bytes, .. } => sent |= bytes.is_ok(),
                Completion::Alarm => alarm = true,
                _ => {}
            }
        }
        if clock::instant() >= until {
            let what = match (received, sent, rung) {
                (false, ..) => "receive",
                (_, false, _) => "send",
                (.., false) => "poll",
                _ => "keep time",
            };
            return Err(RingObstacle::NotDone(what));
        }
        std::thread::yield_now();
    }
    // The kernel is told to let go of the sockets before they are closed.
    ring.stop_receiving(TOKEN);
    ring.enter().map_err(RingObstacle::Other)
}

/// How long the kernel may take.
const PATIENCE: Duration = Duration::from_secs(1);
