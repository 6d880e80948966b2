//! Workers with very many functions.
use crate::bystander::Bystander;
use crate::support::server::*;
use crate::*;
use std::io::Write;
use std::net::TcpStream;
use std::thread;

const FUNCTIONS: usize = 20_000;
const WORKERS: usize = 50;

/// Four million registrations, for each worker registers twice, and all the old ones may still be there when the new ones
/// are: 200 bytes for each.
const MEMORY: u64 = 4 * (WORKERS * FUNCTIONS) as u64 * 200;

/// Fifty workers register twenty thousand functions each, and again at once, as after a lost network; then they all
/// reconnect at the same time and do so again. Each job still finds its worker.
#[test]
fn twenty_thousand_functions_of_fifty_workers() {
    let server = Server::start(&["--threads", "2"]);
    let bystander = Bystander::start(&server);
    let can_do: Vec<u8> =
        (0..FUNCTIONS).flat_map(|number| request(CAN_DO, name(number).as_bytes())).collect();
    let register = |mut stream: TcpStream| {
        stream.write_all(&can_do).unwrap();
        stream.write_all(&can_do).unwrap();
        echo(&mut stream, b"registered");
        stream
    };
    let all = || -> Vec<TcpStream> {
        thread::scope(|scope| {
            let started: Vec<_> = (0..WORKERS).map(|_| scope.spawn(|| register(server.connect()))).collect();
            started.into_iter().map(|worker| worker.join().unwrap()).collect()
        })
    };
    let first = all();
    bystander.is_served();
    // The old ones leave while the new ones come.
    let leave = thread::spawn(move || drop(first));
    let mut workers = all();
    leave.join().unwrap();
    bystander.is_served();

    // The old ones are gone from the lists. Whoever registers twice is there twice, as with gearmand.
    let mut admin = server.connect();
    wait_until("only the new ones are registered", || {
        let status = ask(&mut admin, "status\n");
        status.lines().filter(|line| line.ends_with(&format!("\t0\t0\t{}", 2 * WORKERS))).count() == FUNCTIONS
    });
    let mut client = server.connect();
    for (number, worker) in workers.iter_mut().enumerate() {
        let function = name(number * 397);
        client.write_all(&request(SUBMIT_JOB, format!("{function}\0\0x").as_bytes())).unwrap();
        let (packet, handle) = read_packet(&mut client);
        assert_eq!(packet, JOB_CREATED);
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        let (packet, data) = read_packet(worker);
        let wanted = [&handle[..], b"\0", function.as_bytes(), b"\0x"].concat();
        assert_eq!((packet, data), (JOB_ASSIGN, wanted));
        worker.write_all(&request(WORK_COMPLETE, &[&handle[..], b"\0y"].concat())).unwrap();
        assert_eq!(read_packet(&mut client).0, WORK_COMPLETE);
    }
    assert_eq!((server.counter("refused_abilities"), server.counter("refused_functions")), (0, 0));
    bystander.finish();
    assert!(server.memory_peak() < MEMORY, "{} bytes", server.memory_peak());
}

/// Beyond the bounds each registration is answered ERROR, counted, and told once for all.
#[test]
fn more_functions_than_allowed() {
    let limits = ["--max-functions", "1000", "--max-abilities", "3000"];
    let server = Server::start(&[&["--threads", "2", "--verbose", "WARNING"], &limits[..]].concat());
    let start = Instant::now();
    let bystander = Bystander::start(&server);
    let mut worker = server.connect();
    let can_do: Vec<u8> =
        (0..FUNCTIONS).flat_map(|number| request(CAN_DO, name(number).as_bytes())).collect();
    let sender = {
        let mut worker = worker.try_clone().unwrap();
        thread::spawn(move || worker.write_all(&[can_do, request(GET_STATUS_UNIQUE, b"x")].concat()).unwrap())
    };
    let mut refused = 0;
    loop {
        match read_packet(&mut worker) {
            (ERROR, _) => refused += 1,
            // Every shard has been asked, behind all that was sent before; what they refused is on its way.
            (STATUS_RES_UNIQUE, _) => worker.write_all(&request(ECHO_REQ, b"all")).unwrap(),
            (packet, _) => break assert_eq!(packet, 17),
        }
    }
    sender.join().unwrap();
    let counted = server.counter("refused_abilities") + server.counter("refused_functions");
    assert_eq!(counted, refused);
    assert!(refused >= FUNCTIONS as u64 - 3000, "{refused} refused");
    told(&server, "Too many abilities", start);
    told(&server, "Too many functions", start);
    bystander.finish();
    assert!(server.memory_peak() < MEMORY, "{} bytes", server.memory_peak());
}

fn name(number: usize) -> String {
    format!("function-{number:05}")
}
