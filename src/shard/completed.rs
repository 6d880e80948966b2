//! What the kernel has done, one completion after the other: bytes that arrived, bytes that were taken, somebody who connected.
//! How much of it is read at once is in `intake.rs`; connections that are over end in `ending.rs`.
use super::accept::{self, Trouble};
use super::connection::{Phase, Receiving};
use super::intake::ACCEPTED_PER_ROUND;
use super::sockets::{Completion, Received, Token};
use super::{Shard, pump};
use crate::engine::{CloseReason, Event, Input};
use crate::mesh::shared::ServerPhase;
use rustix::io::Errno;

impl Shard {
    /// Does what follows from a completion.
    #[inline]
    pub(super) fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Received { token, what, more } => self.received(token, what, more),
            Completion::Sent { token, bytes, buffer } => {
                self.sent(token, bytes, buffer);
                self.table.charge(token);
            }
            Completion::Accepted { listener, socket, more } => {
                match socket {
                    Ok(socket) if self.let_in < ACCEPTED_PER_ROUND => self.accepted(listener, socket),
                    Ok(socket) => self.arrivals.push_back((listener, socket)),
                    Err(error) => {
                        if self.acceptor.failed(error, self.pump.now.instant) == Trouble::OutOfDescriptors {
                            self.pump.feed(&mut self.table, Input::Count(Event::OutOfDescriptors));
                        }
                    }
                }
                if !more && let Some(closing) = self.acceptor.disarmed(listener, &mut self.sockets) {
                    // Who has connected before may have sent something, too.
                    while self.shared.phase() == ServerPhase::Draining
                        && let Some(socket) = accept::accept_waiting(&closing)
                    {
                        self.arrivals.push_back((listener, socket));
                    }
                }
            }
            Completion::Alarm => {}
            Completion::Rung { more } => {
                self.shared.mesh.hush(self.id);
                if !more {
                    self.sockets.listen(self.shared.mesh.eventfd(self.id));
                }
            }
        }
    }

    #[inline]
    fn received(&mut self, token: Token, what: Received, more: bool) {
        if !more && let Some(connection) = self.table.get(token) {
            connection.receiving = Receiving::Not;
            self.table.unarmed.push(token);
        }
        match what {
            Received::Failed(Errno::CANCELED | Errno::INTR | Errno::AGAIN) => {}
            Received::Failed(Errno::NOBUFS) => {
                // Not because a few send much: because many send something.
                if self.rations.is_empty() {
                    self.sockets.lend_more();
                }
            }
            what => self.ration(token, what),
        }
    }

    #[inline]
    pub(super) fn take(&mut self, token: Token, what: Received) {
        match what {
            Received::Bytes(buffer) => {
                let bytes = self.sockets.bytes(&buffer);
                self.shared.traffic(self.id).received(bytes.len());
                self.pump.read(&mut self.table, token, bytes);
                self.sockets.recycle(buffer);
                if let Some(connection) = self.table.get(token)
                    && connection.receiving == Receiving::Armed
                    && !connection.wants_bytes()
                {
                    connection.stop_receiving(&mut self.sockets);
                }
            }
            Received::Direct(buffer, result) => {
                self.pump.take_back(&mut self.table, token, buffer);
                self.shared.traffic(self.id).received(result.unwrap_or(0));
                match result {
                    Ok(1..) | Err(Errno::CANCELED | Errno::INTR | Errno::AGAIN) => {}
                    Ok(0) => self.pump.end(&mut self.table, token),
                    Err(_) => self.lost(token),
                }
            }
            Received::End => self.pump.end(&mut self.table, token),
            Received::Failed(_) => self.lost(token),
        }
        self.table.charge(token);
    }

    /// The connection is broken. The kernel says so only when all that had arrived was received.
    fn lost(&mut self, token: Token) {
        self.table.lose(token, CloseReason::Peer);
        self.pump.end(&mut self.table, token);
    }

    #[inline]
    fn sent(&mut self, token: Token, bytes: Result<usize, Errno>, buffer: Option<Vec<u8>>) {
        let over = buffer.is_some();
        if let Some(buffer) = buffer {
            self.table.sends -= 1;
            self.table.pool.give(buffer);
        }
        let Some(connection) = self.table.get(token) else { return };
        if let Ok(count) = bytes {
            connection.outbound.took(count);
            self.shared.traffic(self.id).sent(count);
        }
        if !over {
            return;
        }
        connection.outbound.end();
        self.liveness.add(connection, self.pump.now.instant);
        let roomy = connection.wants_room && connection.unsent() < pump::ROOM;
        connection.wants_room &= !roomy;
        let moves = connection.moving_to.is_some();
        if connection.phase == Phase::Dying {
            self.table.broken.push(token);
        } else if bytes.is_err() {
            // What has arrived is received now, and then the end.
            connection.shut();
            self.table.lose(token, CloseReason::Peer);
        } else if (connection.unsent() > 0 || connection.phase == Phase::Flushing) && !connection.listed {
            connection.listed = true;
            self.table.listed.push(token);
        }
        if moves {
            self.table.unarmed.push(token);
        }
        if roomy {
            self.table.roomy.push_back(token);
        }
    }
}
