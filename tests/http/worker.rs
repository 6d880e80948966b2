//! A worker for one function, by raw packets.
use crate::support::packets::*;
use crate::support::server::*;
use std::io::Write;
use std::net::TcpStream;

/// A worker that is connected and knows its function.
pub(crate) struct Worker {
    pub(crate) stream: TcpStream,
}

/// A job that it holds.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) handle: Vec<u8>,
    pub(crate) unique: Vec<u8>,
    pub(crate) workload: Vec<u8>,
}

impl Worker {
    pub(crate) fn of(server: &Server, function: &str) -> Worker {
        let mut stream = server.connect();
        stream.write_all(&request(CAN_DO, function.as_bytes())).unwrap();
        echo(&mut stream, b"ready");
        Worker { stream }
    }

    /// Waits for a job.
    #[track_caller]
    pub(crate) fn grab(&mut self) -> Held {
        loop {
            self.stream.write_all(&request(GRAB_JOB_UNIQ, b"")).unwrap();
            let (number, data) = read_packet(&mut self.stream);
            if number == JOB_ASSIGN_UNIQ {
                let mut parts = data.splitn(4, |byte| *byte == 0);
                let mut part = || parts.next().unwrap().to_vec();
                let (handle, _function, unique, workload) = (part(), part(), part(), part());
                return Held { handle, unique, workload };
            }
            assert_eq!(number, NO_JOB);
            self.stream.write_all(&request(PRE_SLEEP, b"")).unwrap();
            assert_eq!(read_packet(&mut self.stream).0, NOOP);
        }
    }

    /// Says something of a job: a WORK packet with what stands behind the handle.
    pub(crate) fn say(&mut self, command: u32, job: &Held, data: &[u8]) {
        let packet = match command {
            WORK_FAIL => job.handle.clone(),
            _ => [&job.handle[..], b"\0", data].concat(),
        };
        self.stream.write_all(&request(command, &packet)).unwrap();
    }
}
