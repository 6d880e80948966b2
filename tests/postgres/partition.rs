//! One of three servers is cut off from the database by its network, while clients and workers reach it: in both directions, or in one.
//! It is in network namespaces of its own, where a relay hands on what it sends to the database, behind a link that goes down or
//! loses what goes one way.
use super::faults::{is_empty, numbers};
use super::load::{Door, Load};
use super::takeover::start;
use super::*;
use std::thread;
use std::time::{Duration, Instant};
use support::apart::Apart;
use support::server::{Server, ask, wait_until};

/// The relay is on the far side, and ends with the server.
const START_RELAY: &str = "ip -n away link set lo up
nsenter --net=/run/netns/away setpriv --pdeathsig KILL python3 -c \"$RELAY\" &";

/// From a port to the unix socket of the database.
const RELAY: &str = r#"
import os, socket, threading
def hand_on(a, b):
    try:
        while True:
            data = a.recv(65536)
            if not data:
                break
            b.sendall(data)
    except OSError:
        pass
    for end in (a, b):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(('10.77.0.2', 5432))
listener.listen(64)
while True:
    near, _ = listener.accept()
    far = socket.socket(socket.AF_UNIX)
    try:
        far.connect(os.environ['TO'])
    except OSError:
        near.close()
        continue
    for ends in ((near, far), (far, near)):
        threading.Thread(target=hand_on, args=ends, daemon=True).start()
"#;

/// What goes there goes nowhere.
const NOBODY: &str = "02:00:00:00:00:99";

#[derive(Clone, Copy, Debug)]
enum Cut {
    Both,
    Requests,
    Answers,
}

/// A server whose way to the database leads through the relay.
fn start_apart(cluster: &PostgresCluster, after: &str) -> Apart {
    let to = format!("TO={}/.s.PGSQL.{}", cluster.socket_folder(), cluster.port());
    let conninfo = "host=10.77.0.2 port=5432 dbname=d user=postgres sslmode=disable connect_timeout=2";
    let options = ["-t", "2", "-q", "postgres", "--verbose", "NOTICE"];
    let sharing = ["--libpq-conninfo", conninfo, "--server-name", "apart", "--take-over-after", after];
    let variables = [to, format!("RELAY={RELAY}")];
    let apart = Apart::start(START_RELAY, &variables, &[&options[..], &sharing].concat());
    wait_until("it shares the table", || {
        ask(&mut Server::connect_by(&apart.socket), "show servers\n").starts_with("apart\t")
    });
    apart
}

impl Apart {
    fn cut(&self, cut: Cut) {
        let neighbour =
            |peer, link| ["neigh", "replace", peer, "lladdr", NOBODY, "dev", link, "nud", "permanent"];
        match cut {
            Cut::Both => self.link("down"),
            Cut::Requests => self.ip(&neighbour("10.77.0.2", "near")),
            Cut::Answers => self.ip(&[&["-n", "away"][..], &neighbour("10.77.0.1", "far")].concat()),
        }
    }

    fn mend(&self, cut: Cut) {
        match cut {
            Cut::Both => self.link("up"),
            Cut::Requests => self.ip(&["neigh", "del", "10.77.0.2", "dev", "near"]),
            Cut::Answers => self.ip(&["-n", "away", "neigh", "del", "10.77.0.1", "dev", "far"]),
        }
    }

    fn counter(&self, name: &str) -> u64 {
        support::server::counter(&mut Server::connect_by(&self.socket), name)
    }
}

/// For so many seconds each: `RINGGEAR_PARTITIONS=5,15`, with a take-over after ten. Short ones with one after four otherwise.
#[test]
fn a_server_that_is_cut_off_from_the_database() {
    let (after, times) = match std::env::var_os("RINGGEAR_PARTITIONS") {
        Some(_) => ("10", numbers("RINGGEAR_PARTITIONS", &[])),
        None => ("4", vec![6.5]),
    };
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let apart = start_apart(&cluster, after);
    let others = [start(&conninfo, "two", after), start(&conninfo, "three", after)];
    for server in &others {
        wait_until("they see each other", || server.log().contains("shared with server apart"));
    }
    let mut doors = vec![Door::Unix(apart.socket.clone())];
    doors.extend(others.iter().map(|server| Door::Tcp(server.address())));
    let load = Load::start(doors, 100);
    let mut fenced = 0;
    for cut in [Cut::Both, Cut::Requests, Cut::Answers] {
        for &seconds in &times {
            load.goes_on(50);
            load.fault(Some(0), || {
                apart.cut(cut);
                thread::sleep(Duration::from_secs_f64(seconds));
                apart.mend(cut);
                let begin = Instant::now();
                // Until it is there again, it gives out nothing that is stored.
                fenced += u64::from(seconds > after.parse::<f64>().unwrap() + 1.5);
                wait_until("it is back", || {
                    apart.counter("times_fenced") >= fenced && begin.elapsed() > Duration::from_secs(2)
                });
            });
            println!("{cut:?} for {seconds} s: taken over {} times so far", apart.counter("times_fenced"));
        }
    }
    load.goes_on(50);
    let faults = 3 * times.len();
    let outcome = load.finish(&format!("{faults} partitions of {times:?} s"), || is_empty(&cluster));
    for server in &others {
        assert_eq!(server.counter("times_fenced"), 0, "whoever has the database is alive");
    }
    // It gives out what is stored as long as it may, and what ends then it cannot tell.
    let ended = Duration::from_secs(2).as_millis() as usize / 10 * 2;
    assert!(outcome.repeats <= (ended + 60) * faults, "{} repeats", outcome.repeats);
}
