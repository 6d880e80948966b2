//! A server in network namespaces of its own, where a link can go down. What stands on the far side is each test's own; the test itself
//! talks by a unix socket.
use super::scratch::Scratch;
use super::server::Server;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The server is `near`, at 10.77.0.1, whoever is far away `far`, at 10.77.0.2 in the namespace `away`.
const NETWORK: &str = "set -e
mount -t tmpfs tmpfs /run
ip link set lo up
ip netns add away
ip link add near type veth peer name far netns away
ip address add 10.77.0.1/24 dev near
ip link set near up
ip -n away address add 10.77.0.2/24 dev far
ip -n away link set far up
";

/// Such a server.
pub(crate) struct Apart {
    pub(crate) server: Server,
    /// Where it listens for the test.
    pub(crate) socket: PathBuf,
    _folder: Scratch,
}

impl Apart {
    /// Starts one with these options, and first, in its namespaces and with these variables, what a script says.
    #[track_caller]
    pub(crate) fn start(script: &str, variables: &[String], options: &[&str]) -> Apart {
        let may = Command::new("unshare").args(["-Urnm", "ip", "link", "set", "lo", "up"]).output();
        let may = may.expect("unshare is needed: apt-get install util-linux");
        assert!(
            may.status.success(),
            "this test needs network namespaces and ip (apt-get install iproute2 python3; as root, or with sysctl \
             kernel.unprivileged_userns_clone=1): {}",
            String::from_utf8_lossy(&may.stderr)
        );
        let folder = Scratch::new();
        let socket = folder.file("socket");
        let listen = format!("unix:{}", socket.display());
        let script = format!("{NETWORK}{script}\nexec \"$@\"");
        let variables = variables.iter().map(String::as_str);
        let wrapper: Vec<&str> = ["unshare", "-Urnm", "env"]
            .into_iter()
            .chain(variables)
            .chain(["sh", "-c", &script, "sh"])
            .collect();
        let server = Server::start_by(&wrapper, &[options, &["-L", &listen]].concat());
        Apart { server, socket, _folder: folder }
    }

    /// A command in the namespaces of the server.
    pub(crate) fn inside(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "-t",
            &self.server.pid().to_string(),
            "-U",
            "-m",
            "-n",
            "--preserve-credentials",
            "--",
        ]);
        command.args(words).stdin(Stdio::null());
        command
    }

    /// The link goes `down` or `up`, and nobody says so.
    #[track_caller]
    pub(crate) fn link(&self, state: &str) {
        self.ip(&["-n", "away", "link", "set", "far", state]);
    }

    /// `ip` in its namespaces.
    #[track_caller]
    pub(crate) fn ip(&self, words: &[&str]) {
        let done = self.inside(&[&["ip"], words].concat()).output().unwrap();
        assert!(done.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}
