//! A connection that can be used, with what is known of the tables there. Who makes it is not known here.
use super::shape::MyShape;
use mysql::Conn;

/// See the top of the file.
pub(super) struct MyLink {
    pub(super) conn: Conn,
    pub(super) shape: MyShape,
    /// Bytes of a packet there.
    pub(super) packet: usize,
}
