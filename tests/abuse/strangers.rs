//! Results for jobs of others.
use crate::bystander::Bystander;
use crate::support::server::*;
use crate::*;
use std::io::Write;

/// What the server may take in all.
const MEMORY: u64 = 80 << 20;

/// Somebody who holds no job says everything that a worker can say about the jobs of another, thousands of times: each time
/// it is refused and counted, and the job's client hears none of it.
#[test]
fn results_for_jobs_of_others() {
    const ROUNDS: u64 = 5000;
    for threads in ["1", "2"] {
        let server = Server::start(&["--threads", threads, "--verbose", "WARNING"]);
        let start = Instant::now();
        let bystander = Bystander::start(&server);
        let (mut client, mut worker, mut stranger) = (server.connect(), server.connect(), server.connect());
        worker.write_all(&request(CAN_DO, b"mine")).unwrap();
        client.write_all(&request(SUBMIT_JOB, b"mine\0\0running")).unwrap();
        let running = read_packet(&mut client).1;
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
        client.write_all(&request(SUBMIT_JOB, b"mine\0\0queued")).unwrap();
        let queued = read_packet(&mut client).1;
        // A third of the handles belong to nobody.
        let nobodys = [&running[..running.len() - 1], b"~"].concat();

        let with_data = |packet, handle: &[u8], data: &[u8]| request(packet, &[handle, b"\0", data].concat());
        let mut round = Vec::new();
        for handle in [&running, &queued, &nobodys] {
            round.extend(with_data(WORK_STATUS, handle, b"1\x002"));
            for packet in [WORK_DATA, WORK_WARNING, WORK_EXCEPTION, WORK_COMPLETE] {
                round.extend(with_data(packet, handle, b"forged"));
            }
            round.extend(request(WORK_FAIL, handle));
        }
        for _ in 0..ROUNDS / 100 {
            stranger.write_all(&round.repeat(100)).unwrap();
            for _ in 0..18 * 100 {
                let (packet, data) = read_packet(&mut stranger);
                assert!(packet == ERROR && data.starts_with(b"JOB_NOT_FOUND\0"), "{packet} {data:?}");
            }
            bystander.is_served();
        }
        assert_eq!(server.counter("results_unknown"), 18 * ROUNDS);
        let texts = [
            "Job does not exist on server",
            "Job given in work result not found",
            "An exception was received",
        ];
        texts.iter().for_each(|text| told(&server, text, start));

        // The client has heard nothing, the worker still holds its job, the other one is still queued.
        worker.write_all(&request(WORK_COMPLETE, &[&running[..], b"\0true"].concat())).unwrap();
        assert_eq!(read_packet(&mut client), (WORK_COMPLETE, [&running[..], b"\0true"].concat()));
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
        worker.write_all(&request(WORK_FAIL, &queued)).unwrap();
        assert_eq!(read_packet(&mut client), (WORK_FAIL, queued));
        bystander.finish();
        assert!(server.memory_peak() < MEMORY, "{} bytes", server.memory_peak());
    }
}
