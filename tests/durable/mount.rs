//! A file system of a test's own, in a file: mounted only for one process and as long as it lives, and shut down by force.
//! What a server does on it is `fallen.rs`.
use super::support::scratch::Scratch;
use super::support::server::{Server, wait_until};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

/// Asks ext4 and XFS to refuse everything from now on, as after an error of the disk. `_IOR('X', 125, __u32)`.
const SHUTDOWN: libc::Ioctl = 0x8004_587d_u32 as libc::Ioctl;
/// What is in the journal's memory is not written any more.
const NO_FLUSH: u32 = 2;
/// Makes every write to a file system wait, and lets them go on. `_IOWR('X', 119, int)`, `_IOWR('X', 120, int)`.
const FREEZE: libc::Ioctl = 0xc004_5877_u32 as libc::Ioctl;
const THAW: libc::Ioctl = 0xc004_5878_u32 as libc::Ioctl;
/// Bytes of the image: XFS takes no less than 300 MiB. It is sparse.
const LENGTH: u64 = 320 << 20;

/// An image with a file system on it. The loop device and the mount come and go with each server.
pub(crate) struct Image {
    folder: Scratch,
}

impl Image {
    /// Makes one. `kind` is ext4 or xfs.
    pub(crate) fn new(kind: &str, folder: Scratch) -> Image {
        let image = Image { folder };
        File::create(image.file()).unwrap().set_len(LENGTH).unwrap();
        std::fs::create_dir(image.mount()).unwrap();
        image.run(&[&format!("mkfs.{kind}"), "-q", &image.file()], "e2fsprogs xfsprogs");
        image
    }

    /// Runs a tool, which may be where ordinary users do not look for tools, and returns what it prints.
    fn run(&self, words: &[&str], package: &str) -> Vec<u8> {
        let script = "PATH=$PATH:/usr/sbin:/sbin && exec \"$@\"";
        let ended = Command::new("sh").args(["-c", script, "sh"]).args(words).output().unwrap();
        assert!(
            ended.status.success(),
            "{}: {}\n(if it is missing: apt-get install {package})",
            words[0],
            String::from_utf8_lossy(&ended.stderr)
        );
        ended.stdout
    }

    fn file(&self) -> String {
        self.folder.path("image")
    }

    fn mount(&self) -> String {
        self.folder.path("mount")
    }

    /// Something on the file system.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.mount())
    }

    /// Why this machine does not let us mount it, if it does not.
    pub(crate) fn refused(&self) -> Option<String> {
        let [unshare, rest @ ..] = self.wrapper();
        let tried = Command::new(unshare).args(rest).arg("true").output();
        let tried = tried.expect("`unshare` is there: apt-get install util-linux");
        let said = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
        self.wait_until_detached();
        (!tried.status.success()).then_some(said)
    }

    /// Mounts it for what is run behind these words and for nobody else. When that ends, however it does, the mount goes
    /// with its namespace, and the loop device with the mount.
    fn wrapper(&self) -> [String; 6] {
        let script = format!("mount -o loop '{}' '{}' && exec \"$@\"", self.file(), self.mount());
        ["unshare", "-m", "sh", "-c", &script, "sh"].map(str::to_owned)
    }

    /// A server that sees the file system.
    pub(crate) fn start(&self, options: &[&str]) -> Server {
        self.wait_until_detached();
        Server::start_by(&self.wrapper().each_ref().map(String::as_str), options)
    }

    /// Has every write to the file system of a server wait until what is returned is dropped.
    pub(crate) fn freeze(&self, server: &Server) -> Frozen {
        let root = format!("/proc/{}/root{}", server.pid(), self.mount());
        let root = File::open(Path::new(&root)).unwrap();
        // SAFETY: this request takes no argument.
        #[allow(unsafe_code)]
        let status = unsafe { libc::ioctl(root.as_raw_fd(), FREEZE, 0) };
        assert_eq!(status, 0, "{}", io::Error::last_os_error());
        Frozen(root)
    }

    /// Shuts the file system of a server down.
    pub(crate) fn shut_down(&self, server: &Server) {
        // The mount is only in the server's namespace.
        let root = format!("/proc/{}/root{}", server.pid(), self.mount());
        let root = File::open(Path::new(&root)).unwrap();
        // SAFETY: this request reads one u32, which lives longer than the call.
        #[allow(unsafe_code)]
        let status = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN, &NO_FLUSH) };
        assert_eq!(status, 0, "{}", io::Error::last_os_error());
    }

    /// The kernel takes the device away a moment after the last mount. As long as it is there, mounting the image again
    /// would be the same file system, shut down.
    pub(crate) fn wait_until_detached(&self) {
        wait_until("the loop device is detached", || {
            self.run(&["losetup", "-j", &self.file()], "mount").is_empty()
        });
    }
}

/// A file system to which nothing is written.
pub(crate) struct Frozen(File);

impl Drop for Frozen {
    fn drop(&mut self) {
        // SAFETY: this request takes no argument.
        #[allow(unsafe_code)]
        let status = unsafe { libc::ioctl(self.0.as_raw_fd(), THAW, 0) };
        assert_eq!(status, 0, "{}", io::Error::last_os_error());
    }
}
