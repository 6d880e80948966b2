//! Clients and workers as their users write them, by TLS: Perl, Python, and libgearman's `gearman` through stunnel. What is not
//! installed is a failure that says how to install it.
use super::Secured;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A process that ends with its handle.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program to its end: what it prints.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {printed}{said}");
    printed.into_owned()
}

const PERL: &str = r#"
use strict; use warnings;
use Gearman::Client; use Gearman::Worker; use IO::Socket::SSL;
my ($mode, $port, $ca, $cert, $key, $host) = @ARGV;
my $server = { host => $host, port => $port, use_ssl => 1, ca_file => $ca, cert_file => $cert, key_file => $key,
    socket_cb => sub { my $o = shift; @$o{qw(SSL_ca_file SSL_cert_file SSL_key_file)} = ($ca, $cert, $key); $o } };
if ($mode eq 'worker') {
    my $worker = Gearman::Worker->new(job_servers => [$server]);
    $worker->register_function(turn => sub { scalar reverse $_[0]->arg });
    my $done = 0;
    $worker->work(stop_if => sub { $done++ > 2 }, on_complete => sub { exit 0 }) while 1;
}
my $client = Gearman::Client->new(job_servers => [$server]);
my $result = $client->do_task('turn', 'secret');
print $result ? $$result : 'nothing', "\n";
"#;

#[test]
fn perls_client_and_worker_with_chain_and_name_verified() {
    assert!(
        Command::new("perl")
            .args(["-MGearman::Client", "-MIO::Socket::SSL", "-e1"])
            .status()
            .unwrap()
            .success(),
        "apt-get install libgearman-client-perl libio-socket-ssl-perl"
    );
    let secured = Secured::asking(&["-t", "2", "--ssl-client=required"]);
    let shows = secured.authority.client("perl.example");
    let perl = |mode: &str, host: &str| {
        let mut perl = Command::new("perl");
        perl.args(["-e", PERL, mode, &secured.server.address().port().to_string(), &secured.authority.ca()]);
        perl.args([&shows.certificate, &shows.key]).arg(host).stdin(Stdio::null());
        perl
    };
    let _worker = Ends(perl("worker", "localhost").stderr(Stdio::null()).spawn().unwrap());
    wait_until("the worker is there", || {
        let mut client = secured.connect_as(Some(&shows)).unwrap();
        ask(&mut client, "status\n").contains("turn\t0\t0\t1")
    });
    assert_eq!(run(&mut perl("client", "localhost")), "terces\n");
    // Another name of the same server is not in the certificate.
    let output = perl("client", "127.0.0.2").output().unwrap();
    assert_ne!(String::from_utf8_lossy(&output.stdout), "terces\n");
}

/// A Python that knows a library of PyPI in a folder of this test, installed as for the client checks.
fn python(library: &str) -> Command {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    // Once: two at a time would write the same files.
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/install/python.sh");
        Command::new("sh").args([&script, &folder]).status().is_ok_and(|status| status.success())
    });
    assert!(installed, "tests/clients/install/python.sh");
    let mut command = Command::new(folder.join("venv/bin/python"));
    command.env("PYTHONPATH", folder.join("python").join(library));
    command
}

const GEAR: &str = r#"
import sys, threading, gear
port, ca, cert, key = int(sys.argv[1]), *sys.argv[2:5]
worker = gear.Worker('worker')
worker.addServer('localhost', port, key, cert, ca)
worker.waitForServer()
worker.registerFunction('turn')
def work():
    job = worker.getJob()
    job.sendWorkComplete(bytes(reversed(job.arguments)))
threading.Thread(target=work, daemon=True).start()
done = threading.Event()
class Client(gear.Client):
    def handleWorkComplete(self, packet):
        job = super().handleWorkComplete(packet)
        print(b''.join(job.data).decode(), self.active_connections[0].conn.version())
        done.set()
client = Client('client')
client.addServer('localhost', port, key, cert, ca)
client.waitForServer()
client.submitJob(gear.Job(b'turn', b'secret'))
assert done.wait(20)
"#;

#[test]
fn gear_with_a_client_certificate() {
    let mut command = python("gear");
    let secured = Secured::asking(&["-t", "2", "--ssl-client=required"]);
    let shows = secured.authority.client("gear.example");
    command.args(["-c", GEAR, &secured.server.address().port().to_string()]);
    command.arg(secured.authority.ca()).args([&shows.certificate, &shows.key]);
    // It switches TLS 1.3 off.
    assert_eq!(run(&mut command), "terces TLSv1.2\n");
}

const PYGEARMAN: &str = r#"
import sys, threading, gearman
port, ca, cert, key = int(sys.argv[1]), *sys.argv[2:5]
def server(host):
    return {'host': host, 'port': port, 'keyfile': key, 'certfile': cert, 'ca_certs': ca}
worker = gearman.GearmanWorker([server('localhost')])
# Bytes, as it gets names from servers: a name that is text is one that it does not know when a job comes.
worker.register_task(b'turn', lambda worker, job: job.data[::-1])
threading.Thread(target=worker.work, kwargs={'poll_timeout': 0.05}, daemon=True).start()
client = gearman.GearmanClient([server('localhost')])
result = client.submit_job('turn', b'secret', poll_timeout=20).result
print(result.decode(), client.connection_list[0].gearman_socket.version())
try:
    # Another name of the same address is not in the certificate.
    gearman.GearmanClient([server('127.0.0.2')]).submit_job('turn', b'secret', poll_timeout=5)
    print('it does not look at names')
except gearman.errors.ServerUnavailable:
    print('refused')
"#;

#[test]
fn pygearman_with_a_client_certificate_and_the_name_verified() {
    let mut command = python("pygearman");
    let secured = Secured::asking(&["-t", "2", "-L", "127.0.0.2", "--ssl-client=required"]);
    let shows = secured.authority.client("pygearman.example");
    command.args(["-c", PYGEARMAN, &secured.server.address().port().to_string()]);
    command.arg(secured.authority.ca()).args([&shows.certificate, &shows.key]);
    assert_eq!(run(&mut command), "terces TLSv1.3\nrefused\n");
}

#[test]
fn libgearmans_tools_through_stunnel() {
    let secured = Secured::asking(&["-t", "2", "--ssl-client=required"]);
    let shows = secured.authority.client("stunnel.example");
    let (folder, near) = (Scratch::new(), free_address());
    let config = format!(
        "foreground=yes\npid=\nsyslog=no\n[gearman]\nclient=yes\naccept={near}\nconnect={}\nCAfile={}\nverifyChain=yes\n\
         checkHost=localhost\ncert={}\nkey={}\n",
        secured.server.address(),
        secured.authority.ca(),
        shows.certificate.display(),
        shows.key.display()
    );
    std::fs::write(folder.file("stunnel.conf"), config).unwrap();
    let stunnel = Command::new("stunnel").arg(folder.file("stunnel.conf")).stderr(Stdio::null()).spawn();
    let _stunnel = Ends(stunnel.expect("apt-get install stunnel4"));
    wait_until("stunnel listens", || std::net::TcpStream::connect(near).is_ok());
    let port = near.port().to_string();
    let gearman = |options: &[&str]| {
        let mut command = Command::new("gearman");
        command.args(["-h", "127.0.0.1", "-p", &port]).args(options).stdin(Stdio::null());
        command
    };
    let worker = gearman(&["-w", "-c", "1", "-f", "turn", "--", "printf", "worked"]).spawn();
    let _worker = Ends(worker.expect("apt-get install gearman-tools"));
    assert_eq!(run(&mut gearman(&["-f", "turn", "x"])), "worked");
    let mut admin = Command::new("gearadmin");
    let status = run(admin.args(["-h", "127.0.0.1", "-p", &port, "--status"]));
    assert!(status.contains("turn\t0\t0\t"), "{status}");
}
