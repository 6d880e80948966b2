//! Who is at the other end of a session, as far as that is certain: what a certificate, the kernel and the network say of the peer.
//! Values only. The shell finds them out before a session begins; what they allow is not decided here.
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Who is at the other end. What a peer says of itself (SET_CLIENT_ID) is not among it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Where it connects from; of a unix socket 127.0.0.1, and of one that is gone again 0.0.0.0.
    pub address: IpAddr,
    /// Whose process it is, by a unix socket.
    pub user: Option<LocalUser>,
    /// What its certificate says, if it has sent one; it was verified then.
    pub certificate: Option<Arc<CertificateNames>>,
}

impl Subject {
    /// Somebody of whom only the address is known.
    pub fn at(address: IpAddr) -> Subject {
        Subject { address, user: None, certificate: None }
    }
}

/// Whose process is at the other end of a unix socket, as of when it connected (SO_PEERCRED).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalUser {
    /// The effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// The names in a verified certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// The last commonName of its subject, which is what `geard` goes by.
    pub common_name: Option<Box<str>>,
    /// The DNS names among its subjectAltNames, in their order, as they are written.
    pub dns_names: Vec<Box<str>>,
}
