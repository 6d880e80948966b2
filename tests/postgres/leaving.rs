//! Servers that end in an orderly way under load: nothing that was left to others is still given out by who has left it. One drain by
//! itself is in `takeover.rs`.
use super::faults::{is_empty, three};
use super::load::{Door, Load};
use super::takeover::start;
use super::*;
use rustix::process::Signal;

/// Servers drain and end under load with many jobs waiting, one after the other; `RINGGEAR_LEAVES` times, or four. A drain repeats
/// nothing at all.
#[test]
fn whoever_has_left_gives_out_nothing_any_more() {
    let rounds = std::env::var("RINGGEAR_LEAVES").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let mut servers = three(&conninfo, "10");
    let load = Load::start(servers.iter().map(|server| Door::Tcp(server.address())).collect(), 100);
    for round in 0..rounds {
        let at = round % servers.len();
        load.goes_on(50);
        load.pile(at, 400);
        let server = &mut servers[at];
        if round % 2 == 0 {
            server.signal(Signal::USR1);
            assert!(server.wait().success());
        } else {
            load.fault(Some(at), || {
                server.signal(Signal::TERM);
                assert!(server.wait().success());
            });
        }
        servers[at] = start(&conninfo, &format!("{round}"), "10");
        load.moved(at, Door::Tcp(servers[at].address()));
    }
    let outcome = load.finish(&format!("{rounds} servers left"), || is_empty(&cluster));
    // Two workers have one each when a server ends.
    assert!(outcome.repeats <= 2 * rounds, "{}", outcome.repeats);
}
