//! What the log says of connections: who is at the other end, and what was wrong with what it sent. Nothing is decided here.
use super::connection::Connection;
use super::listen;
use crate::access;
use crate::engine::{Compat, Engine};
use crate::log_at;
use crate::logging::{self, Level, Visible};
use crate::protocol::{PacketType, Refusal};
use std::fmt::Display;
use std::panic::Location;

/// Where the number of a packet stands in its header.
const NUMBER: std::ops::Range<usize> = 4..8;

/// Who is at the other end, with the id that it has given itself.
pub(crate) fn who(engine: &Engine, connection: &Connection) -> String {
    let address = listen::caller(connection.socket()).to_string();
    match engine.client_id(connection.session) {
        b"" => address,
        id => format!("{address} ({})", Visible(id)),
    }
}

/// The same, and who that is as far as rights go.
pub(crate) fn subject(engine: &Engine, connection: &Connection) -> String {
    format!("{} as {}", who(engine, connection), access::called(&connection.subject))
}

/// A connection is closed because of what its peer sent.
#[cold]
#[track_caller]
pub(crate) fn malformed(engine: &Engine, connection: &Connection, what: &dyn Display) {
    let place = Location::caller();
    log_at!(@from place, Level::Warning, "closing connection of {}: {what}", who(engine, connection));
}

/// A connection is closed because an operator wants it so.
#[cold]
#[track_caller]
pub(crate) fn dismissed(engine: &Engine, connection: &Connection) {
    let place = Location::caller();
    log_at!(@from place, Level::Notice, "closing connection of {}: an operator wants it so", who(engine, connection));
}

/// A request is answered ERROR because of what it says, which the engine has found.
#[cold]
#[track_caller]
pub(crate) fn refused(engine: &Engine, connection: &Connection, refusal: Refusal, compat: Compat) {
    // What is refused for want of a right is told with the right: see `Note::Denied`.
    if !refusal.is_of_packet() && refusal != Refusal::PermissionDenied {
        logging::refused(refusal, compat, refusal.requests(), &|| who(engine, connection));
    }
}

/// A packet, which these bytes begin, is answered ERROR because no peer may send it.
#[cold]
#[track_caller]
pub(crate) fn refused_packet(
    engine: &Engine,
    connection: &Connection,
    refusal: Refusal,
    compat: Compat,
    packet: &[u8],
) {
    let number = packet.get(NUMBER).and_then(|number| number.try_into().ok()).map(u32::from_be_bytes);
    let command = number.and_then(PacketType::from_number);
    let name = command.map_or("a packet", PacketType::name);
    logging::refused(refusal, compat, name, &|| who(engine, connection));
}
