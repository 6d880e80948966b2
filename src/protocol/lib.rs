//! Gearman's packets: bytes to typed values and back. Knows no jobs, no state, no sockets.
//!
//! ```text
//!  0        4          8          12
//!  +--------+----------+----------+------------+---+------------+---+-----------------+
//!  | magic  | command  | length   | argument 1 | 0 | argument 2 | 0 | payload         |
//!  +--------+----------+----------+------------+---+------------+---+-----------------+
//!   \0REQ     unsigned big-endian  <----------------- length bytes ----------------->
//!   \0RES
//! ```
//!
//! A command has a fixed count of arguments and has or has not a payload. With a payload every
//! argument ends with a NUL and the payload, which may hold any byte, runs to the end of the data.
//! Without one the last argument runs to the end of the data and has no NUL of its own.
//!
//! From bytes to values: [`frame`] (or a [`Decoder`]) finds a packet, [`Request::decode`] or
//! [`Response::decode`] reads it. Back: [`Request::encode`], [`Response::encode`]. Which commands
//! there are stands once, in the table of [`PacketType`].
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod packet;

mod args;
mod error;
mod framing;
mod header;
mod names;
mod request;
mod response;

#[cfg(test)]
mod properties;

pub use args::write_packet;
pub use error::{DecodeError, Refusal, RequestError};
pub use framing::{Decoder, Frame, frame};
pub use header::{HEADER_LEN, Header};
pub use names::{CLIENT_ID_MAX, HANDLE_MAX, OPTION_MAX, PACKET_MAX, Priority, REDUCER_MAX, UNIQUE_MAX};
pub use packet::{ARGUMENT_MAX, Handling, Magic, PacketType, Sender};
pub use request::{GrabKind, Request, Submit, mass_do_functions};
pub use response::Response;
