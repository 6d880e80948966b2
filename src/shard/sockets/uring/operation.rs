//! Orders as numbers, which come back with their completions. Values only.
//! What an order tells the kernel is made in `mod.rs` and `flight.rs`.
use crate::shard::sockets::Token;

/// What an order is, in the upper byte of its number; below are index and generation of the token.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Operation {
    Nothing,
    Accept,
    Receive,
    Direct,
    Send,
    Alarm,
    Bell,
}

/// The number of an order, which comes back with its completions.
pub(super) fn number(operation: Operation, token: Token) -> u64 {
    (operation as u64) << 56 | u64::from(token.index) << 32 | u64::from(token.generation)
}

/// The number of the alarm, of which there is one.
pub(super) const ALARM: u64 = (Operation::Alarm as u64) << 56;

/// The number of the order to listen to the bell, of which there is one.
pub(super) const BELL: u64 = (Operation::Bell as u64) << 56;
