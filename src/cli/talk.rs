//! A longer talk with a job server: a thread that reads packets, one that writes them, so that neither side waits for the other to read.
//! What the packets mean is the affair of those who talk (`submit/`, `work/`).
use super::reach::ServerStream;
use crate::protocol::{Decoder, Header, Request};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// How long the job server may take to read something.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// What the reading thread has to tell.
#[derive(Debug)]
pub(super) enum Heard {
    /// A packet.
    Packet(Header, Vec<u8>),
    /// The last: why there will be no more.
    Gone(String),
}

/// A connection with its two threads, which end with it.
#[derive(Debug)]
pub(super) struct Talk {
    stream: Arc<ServerStream>,
    outgoing: SyncSender<Vec<u8>>,
}

impl Talk {
    /// Begins. Packets of at most `limit` bytes go to `hear`, until it says that nobody listens. Up to `room` requests may wait to
    /// be written; whoever has more waits.
    pub(super) fn begin(
        stream: ServerStream,
        limit: u32,
        room: usize,
        hear: impl FnMut(Heard) -> bool + Send + 'static,
    ) -> io::Result<Talk> {
        stream.set_write_timeout(WRITE_PATIENCE)?;
        let stream = Arc::new(stream);
        let (outgoing, requests) = sync_channel(room);
        let (reading, writing) = (stream.clone(), stream.clone());
        thread::Builder::new().name("read".to_owned()).spawn(move || read(&reading, limit, hear))?;
        thread::Builder::new().name("write".to_owned()).spawn(move || write(&writing, &requests))?;
        Ok(Talk { stream, outgoing })
    }

    /// Sends requests, one or several in a row.
    pub(super) fn send(&self, requests: Vec<u8>) {
        // If nobody writes any more, the reading thread tells why.
        let _ = self.outgoing.send(requests);
    }

    /// Sends one request.
    pub(super) fn say(&self, request: &Request<'_>) {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.send(bytes);
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.stream.close();
    }
}

fn read(stream: &ServerStream, limit: u32, mut hear: impl FnMut(Heard) -> bool) {
    let mut decoder = Decoder::new(limit);
    let mut bytes = vec![0; 64 * 1024];
    let why = 'gone: loop {
        loop {
            match decoder.next() {
                Ok(None) => break,
                Ok(Some((header, data))) => {
                    if !hear(Heard::Packet(header, data.to_vec())) {
                        return;
                    }
                }
                Err(error) => break 'gone format!("what it sent cannot be read: {error}"),
            }
        }
        let mut stream = stream;
        match stream.read(&mut bytes) {
            Ok(0) => break "it closed the connection".to_owned(),
            Ok(length) => decoder.push(&bytes[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break format!("the connection broke: {error}"),
        }
    };
    stream.close();
    hear(Heard::Gone(why));
}

fn write(stream: &ServerStream, requests: &Receiver<Vec<u8>>) {
    let mut to = stream;
    for request in requests {
        if to.write_all(&request).is_err() {
            stream.close();
            return;
        }
    }
}
