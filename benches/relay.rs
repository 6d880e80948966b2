//! The measuring stick of `payload.sh`: a relay that speaks as much Gearman as the load generator does, receives each packet whole,
//! sends it on, and does nothing else. No queue by priority, no function, no limit, no error: what it costs is sockets and memory.
//!
//!   relay -L ADDRESS -p PORT
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

const HEADER: usize = 12;
/// Bodies that are kept to be filled again: the system gives no new memory for them.
const POOL: usize = 64;
/// A small packet is received with whatever comes behind it.
const SMALL: usize = 64 << 10;

const CAN_DO: u32 = 1;
const PRE_SLEEP: u32 = 4;
const NOOP: u32 = 6;
const SUBMIT_JOB: u32 = 7;
const JOB_CREATED: u32 = 8;
const NO_JOB: u32 = 10;
const JOB_ASSIGN: u32 = 11;
const WORK_COMPLETE: u32 = 13;
const ECHO_REQ: u32 = 16;
const ECHO_RES: u32 = 17;

/// Bytes of a packet behind its header. With its last owner they go back to the pool.
type Shared = Rc<Vec<u8>>;

/// What is to be sent: a few bytes, and then what of a body stands behind an offset.
struct Piece {
    first: Vec<u8>,
    body: Option<(Shared, usize)>,
    sent: usize,
}

struct Connection {
    stream: TcpStream,
    /// What came and is no whole packet: a header and more, or bytes of the body at work.
    small: Vec<u8>,
    /// A body that is being received: what packet, and how much of it is there.
    body: Option<(u32, Vec<u8>, usize)>,
    out: VecDeque<Piece>,
}

/// A job that waits for a worker.
struct Job {
    handle: String,
    body: Shared,
    /// Where the workload begins.
    workload: usize,
}

#[derive(Default)]
struct Relay {
    connections: Vec<Option<Connection>>,
    jobs: VecDeque<Job>,
    asleep: Vec<usize>,
    pool: Vec<Vec<u8>>,
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |flag: &str| arguments.iter().skip_while(|word| *word != flag).nth(1).cloned();
    let (Some(address), Some(port)) = (after("-L"), after("-p")) else {
        // `cargo bench` calls every benchmark: this one is for `payload.sh`.
        return Ok(());
    };
    let listener = TcpListener::bind(format!("{address}:{port}"))?;
    listener.set_nonblocking(true)?;
    let mut relay = Relay::default();
    loop {
        let ready = wait(&listener, &relay)?;
        for at in ready {
            match at.checked_sub(1) {
                None => relay.accept(&listener)?,
                Some(at) => relay.serve(at),
            }
        }
    }
}

/// Which have something: 0 is the listener, then the connections.
fn wait(listener: &TcpListener, relay: &Relay) -> io::Result<Vec<usize>> {
    let mut all = vec![PollFd::new(listener, PollFlags::IN)];
    let mut numbers = vec![0];
    for (at, connection) in relay.connections.iter().enumerate() {
        let Some(connection) = connection else { continue };
        let wants_out = if connection.out.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        all.push(PollFd::new(&connection.stream, PollFlags::IN | wants_out));
        numbers.push(at + 1);
    }
    poll(&mut all, None)?;
    Ok(all.iter().zip(numbers).filter(|(fd, _)| !fd.revents().is_empty()).map(|(_, number)| number).collect())
}

impl Relay {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let connection = Connection { stream, small: Vec::new(), body: None, out: VecDeque::new() };
            self.connections.push(Some(connection));
        }
        Ok(())
    }

    /// Sends and receives what can be sent and received; a connection that ended is forgotten.
    fn serve(&mut self, at: usize) {
        let served = self.send(at).and_then(|()| self.receive(at));
        if served.is_err() {
            self.connections[at] = None;
            self.asleep.retain(|&worker| worker != at);
        }
    }

    fn receive(&mut self, at: usize) -> io::Result<()> {
        loop {
            let Some(connection) = &mut self.connections[at] else { return Ok(()) };
            let more = match &mut connection.body {
                Some((_, body, there)) => {
                    let Some(count) = received(connection.stream.read(&mut body[*there..]))? else {
                        return Ok(());
                    };
                    *there += count;
                    *there == body.len()
                }
                None => {
                    let before = connection.small.len();
                    connection.small.resize(before + SMALL, 0);
                    let count = received(connection.stream.read(&mut connection.small[before..]));
                    connection.small.truncate(before + count.as_ref().map_or(0, |count| count.unwrap_or(0)));
                    if count?.is_none() {
                        return Ok(());
                    }
                    true
                }
            };
            if more {
                self.packets(at)?;
            }
        }
    }

    /// Goes on with every packet that is whole, and begins to receive one that is not.
    fn packets(&mut self, at: usize) -> io::Result<()> {
        loop {
            let Some(connection) = &mut self.connections[at] else { return Ok(()) };
            if let Some((command, body, there)) = connection.body.take() {
                if there < body.len() {
                    connection.body = Some((command, body, there));
                    return Ok(());
                }
                self.packet(at, command, body)?;
                continue;
            }
            let small = &mut connection.small;
            if small.first().is_some_and(|&first| first != 0) {
                let Some(end) = small.iter().position(|&byte| byte == b'\n') else { return Ok(()) };
                // A line of text: the version, or a list in which there is nothing.
                let line: &[u8] = if small.starts_with(b"version") { b"OK relay\n" } else { b".\n" };
                small.drain(..=end);
                connection.out.push_back(Piece { first: line.to_vec(), body: None, sent: 0 });
                self.send(at)?;
                continue;
            }
            let Some((header, rest)) = small.split_first_chunk::<HEADER>() else { return Ok(()) };
            let number = |from: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| header[from + byte]));
            let (command, length) = (number(4), number(8) as usize);
            let there = rest.len().min(length);
            let free = self.pool.iter().position(|body| body.len() == length);
            let mut body = free.map_or_else(|| vec![0; length], |free| self.pool.swap_remove(free));
            body[..there].copy_from_slice(&rest[..there]);
            small.drain(..HEADER + there);
            connection.body = Some((command, body, there));
        }
    }

    fn packet(&mut self, at: usize, command: u32, body: Vec<u8>) -> io::Result<()> {
        match command {
            CAN_DO => Ok(()),
            ECHO_REQ => self.answer(at, ECHO_RES, String::new(), Some((Rc::new(body), 0))),
            PRE_SLEEP if self.jobs.is_empty() => {
                self.asleep.push(at);
                Ok(())
            }
            PRE_SLEEP => self.answer(at, NOOP, String::new(), None),
            SUBMIT_JOB => self.submitted(at, body),
            WORK_COMPLETE => {
                // The handle says whose it is: H:relay:CONNECTION.
                let end = body.iter().position(|&byte| byte == 0).unwrap_or(0);
                let text = String::from_utf8_lossy(&body[..end]).into_owned();
                let client = text.rsplit(':').next().and_then(|number| number.parse().ok());
                let Some(client) = client else { return Err(ErrorKind::InvalidData.into()) };
                self.answer(client, WORK_COMPLETE, String::new(), Some((Rc::new(body), 0)))
            }
            // Every kind of grab.
            _ => match self.jobs.pop_front() {
                None => self.answer(at, NO_JOB, String::new(), None),
                Some(Job { handle, body, workload }) => {
                    let function = body.split(|&byte| byte == 0).next().unwrap_or_default();
                    let first = format!("{handle}\0{}\0", String::from_utf8_lossy(function));
                    self.answer(at, JOB_ASSIGN, first, Some((body, workload)))
                }
            },
        }
    }

    fn submitted(&mut self, at: usize, body: Vec<u8>) -> io::Result<()> {
        let zeros = body.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at);
        let Some(workload) = zeros.take(2).last() else { return Err(ErrorKind::InvalidData.into()) };
        let handle = format!("H:relay:{at}");
        self.jobs.push_back(Job { handle: handle.clone(), body: Rc::new(body), workload: workload + 1 });
        self.answer(at, JOB_CREATED, handle, None)?;
        match self.asleep.pop() {
            Some(worker) => self.answer(worker, NOOP, String::new(), None),
            None => Ok(()),
        }
    }

    fn answer(
        &mut self,
        at: usize,
        command: u32,
        words: String,
        body: Option<(Shared, usize)>,
    ) -> io::Result<()> {
        let length = words.len() + body.as_ref().map_or(0, |(body, from)| body.len() - from);
        let mut first = b"\0RES".to_vec();
        first.extend_from_slice(&command.to_be_bytes());
        first.extend_from_slice(&(length as u32).to_be_bytes());
        first.extend_from_slice(words.as_bytes());
        // A client that is gone hears nothing.
        let Some(Some(connection)) = self.connections.get_mut(at) else { return Ok(()) };
        connection.out.push_back(Piece { first, body, sent: 0 });
        self.send(at)
    }

    fn send(&mut self, at: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[at] else { return Ok(()) };
        while let Some(piece) = connection.out.front_mut() {
            let body = piece.body.as_ref().map_or(&[][..], |(body, from)| &body[*from..]);
            let first = &piece.first[piece.sent.min(piece.first.len())..];
            let behind = &body[piece.sent.saturating_sub(piece.first.len())..];
            let whole = first.len() + behind.len();
            match connection.stream.write_vectored(&[IoSlice::new(first), IoSlice::new(behind)]) {
                Ok(count) if count == whole => {
                    let body = connection.out.pop_front().and_then(|piece| piece.body);
                    if let Some(body) = body.and_then(|(body, _)| Rc::into_inner(body))
                        && self.pool.len() < POOL
                    {
                        self.pool.push(body);
                    }
                }
                Ok(count) => piece.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// How many bytes came; `None` if there are none for now, an error at the end.
fn received(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
