//! Unix sockets to listen on, and their files: made, taken over from a server that is gone, removed in the end.
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file of a socket of ours, removed with its handle, unless somebody has put another in its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and number: what it is whatever it is called.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // It may be gone; or the folder may not be ours any more, and then it is found stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Listens there. A socket that a server left when it was killed is replaced; where somebody listens, the error is
/// `AddrInUse`.
pub(super) fn listen(path: &Path, mode: u32, backlog: i32) -> io::Result<(Socket, SocketFile)> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            clear(path, &address)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
    // Nobody can connect before it listens.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(backlog)?;
    Ok((socket, file))
}

/// Removes a socket on which nobody listens.
fn clear(path: &Path, address: &SockAddr) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Whoever listens may have a full backlog.
    socket.set_nonblocking(true)?;
    match socket.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        _ => Err(ErrorKind::AddrInUse.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch::Scratch;

    #[test]
    fn a_socket_that_nobody_has_is_replaced_and_removed_in_the_end() {
        let folder = Scratch::new();
        let path = folder.file("socket");
        let (socket, file) = listen(&path, 0o600, 8).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(listen(&path, 0o600, 8).unwrap_err().kind(), ErrorKind::AddrInUse);
        // The process is killed: the socket goes, its file stays.
        std::mem::forget(file);
        drop(socket);
        let (_socket, file) = listen(&path, 0o666, 8).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o666);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_not_ours_stays() {
        let folder = Scratch::new();
        let path = folder.file("socket");
        fs::write(&path, "precious").unwrap();
        assert_eq!(listen(&path, 0o666, 8).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        let (_socket, file) = listen(&path, 0o666, 8).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(file);
        assert!(path.exists());
    }
}
