//! Whole runs in which connections break, jobs are forgotten or kept back, and other people's workers answer.
use super::{BACKGROUND, run, run_on, setting};
use crate::machine::standin::{Fault, StandIn};
use crate::plan::terms::Plan;
use crate::run::conduct::conduct;
use crate::run::progress::Progress;

/// Background jobs and workers that keep them for a moment, on connections that break.
const BREAKS: &str = "
    [[phases]]
    name = 'breaks'
    reconnect = true
    limit = 30
    [[phases.clients]]
    count = 4
    closed = 8
    jobs = 4000
    background = true
    unique = 'uuid'
    [[phases.workers]]
    count = 3
    grabs = 4
    service = 1
    [[phases]]
    name = 'drain'
    drain = true
    reconnect = true
    limit = 30
    [[phases.workers]]
    count = 3
    grabs = 4
";

#[test]
fn connections_that_break_are_made_again_and_every_acknowledged_job_is_found() {
    for threads in [1, 2] {
        let outcome = run_on(Fault::Break, BREAKS, threads).outcome;
        assert!(outcome.tally.is_clean() && outcome.finished(), "{:?}", outcome.tally);
        assert!(outcome.tally.reconnects >= 7, "{:?}", outcome.tally);
        let ledger = outcome.ledger.unwrap();
        assert_eq!((ledger.missing(), outcome.left), (0, 0), "{ledger:?}");
        assert_eq!(ledger.acknowledged + ledger.unknown, 4000, "{ledger:?}");
        assert!(ledger.run_unacknowledged <= ledger.unknown, "{ledger:?}");
        let report = crate::result::report::block(&outcome);
        assert!(report.contains("ledger:") && report.contains("all jobs accounted for"), "{report}");
    }
}

#[test]
fn a_job_server_that_forgets_what_workers_had_is_found_out() {
    let outcome = run(Fault::Forget, BREAKS).outcome;
    let ledger = outcome.ledger.unwrap();
    assert!(ledger.missing() > 0, "{ledger:?}");
    assert_eq!(outcome.tally.lost, ledger.missing(), "{:?}", outcome.tally);
}

#[test]
fn what_stays_in_the_queue_is_stuck_and_not_lost() {
    let tally = run(Fault::Withhold, BACKGROUND).outcome.tally;
    assert_eq!((tally.stuck, tally.lost), (40, 0), "{tally:?}");
    assert!(!tally.is_clean());
}

/// Works as a library does that knows nothing of this load generator, until the connection ends.
fn foreign_worker(server: std::net::SocketAddr, result: &'static [u8]) {
    use ringgear_protocol::{Frame, GrabKind, Request, Response, frame};
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(server).unwrap();
    let (mut out, mut bytes, mut scratch) = (vec![], vec![], [0; 4096]);
    Request::CanDo { function: b"theirs" }.encode(&mut out);
    loop {
        Request::Grab(GrabKind::Unique).encode(&mut out);
        if stream.write_all(&out).is_err() {
            return;
        }
        out.clear();
        let consumed = loop {
            if let Ok(Frame::Packet { header, data, consumed }) = frame(&bytes, 1 << 20) {
                match Response::decode(&header, data).unwrap() {
                    Response::JobAssignUniq { handle, workload, .. } if result == b"FAIL" => {
                        assert!(!workload.is_empty());
                        Request::WorkFail { handle }.encode(&mut out);
                    }
                    Response::JobAssignUniq { handle, .. } => {
                        Request::WorkComplete { handle, result }.encode(&mut out)
                    }
                    _ => std::thread::sleep(std::time::Duration::from_millis(1)),
                }
                break consumed;
            }
            match stream.read(&mut scratch) {
                Ok(read) if read > 0 => bytes.extend_from_slice(&scratch[..read]),
                _ => return,
            }
        };
        bytes.drain(..consumed);
    }
}

#[test]
fn results_of_somebody_elses_workers_are_counted_by_their_handles() {
    let tally = |result: &'static [u8], check: &str| {
        let stand_in = StandIn::start(Fault::None).unwrap();
        let address = stand_in.address();
        let worker = std::thread::spawn(move || foreign_worker(address, result));
        let plan = format!(
            "name = 'test'\nabout = 'x.'\n[[phases]]\nname = 'p'\nlimit = 30\n[[phases.clients]]\ncount = 2\nclosed = 4\n\
             jobs = 500\nfunction = 'theirs'\npayload = 60\ncheck = '{check}'\n"
        );
        let plan: Plan = toml::from_str(&plan).unwrap();
        let outcome =
            conduct(&plan, &setting(address), None, &mut Progress::new("test", true)).unwrap().outcome;
        drop(stand_in);
        worker.join().unwrap();
        assert_eq!(outcome.tally.elsewhere, 500, "{:?}", outcome.tally);
        outcome.tally
    };
    assert!(tally(b"done", "none").is_clean());
    assert!(tally(&[7; 60], "length").is_clean());
    assert_eq!(tally(b"done", "length").altered, 500);
    // Their failures are theirs.
    assert!(tally(b"FAIL", "none").is_clean());
    assert!(tally(b"FAIL", "full").is_clean());
    assert!(tally(b"done", "full").is_clean());
}

#[test]
fn clients_may_connect_for_each_job() {
    for (fault, pace) in [(Fault::None, "rate = 2000"), (Fault::None, "closed = 1")] {
        let phases = format!(
            "[[phases]]\nname = 'pages'\nlimit = 30\n[[phases.clients]]\ncount = 8\n{pace}\njobs = 500\nconnect_each = true\n\
             [[phases.workers]]\ncount = 4\n"
        );
        let outcome = run(fault, &phases).outcome;
        assert!(outcome.tally.is_clean() && outcome.finished(), "{:?}", outcome.tally);
        assert_eq!(outcome.phases[0].jobs, 500);
        assert_eq!(outcome.phases[0].groups[0].felt().unwrap().response.count, 500);
    }
}
