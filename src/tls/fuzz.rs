//! For `tests/fuzz`: one end of connections without a shard around it.
use super::{Certificates, Greeting, TlsOptions, TlsStream};
use std::fmt;

/// What such ends are made with.
#[derive(Debug)]
pub struct FuzzedCertificates(Certificates);

/// One end of a connection.
#[derive(Debug)]
pub struct FuzzedEnd {
    stream: TlsStream,
    greeted: bool,
    scratch: Vec<u8>,
}

/// What is wrong, as it is said of the peer.
fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

impl FuzzedCertificates {
    /// Reads the files, or says what is wrong with them.
    pub fn load(options: TlsOptions) -> Result<FuzzedCertificates, String> {
        Certificates::load(options).map(FuzzedCertificates).map_err(text)
    }

    /// One end of a connection of which nothing has come yet.
    pub fn end(&self) -> Result<FuzzedEnd, String> {
        let stream = self.0.stream().map_err(text)?;
        Ok(FuzzedEnd { stream, greeted: false, scratch: Vec::new() })
    }
}

impl FuzzedEnd {
    /// Gives it what a peer sent, as a shard does: plain bytes are put behind `opened`.
    pub fn give(&mut self, bytes: &[u8], opened: &mut Vec<u8>) -> Result<(), String> {
        if self.greeted {
            let plain = &mut |plain: &[u8]| opened.extend_from_slice(plain);
            return self.stream.open(bytes, &mut self.scratch, plain).map_err(text);
        }
        if let Greeting::Over(plain) = self.stream.greet(bytes).map_err(text)? {
            self.greeted = true;
            opened.extend_from_slice(&plain);
        }
        Ok(())
    }

    /// What it sends next, this behind what TLS itself has to say.
    pub fn says(&mut self, plain: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = std::mem::take(self.stream.outgoing());
        if !plain.is_empty() {
            self.stream.seal(plain, &mut out).map_err(text)?;
        }
        Ok(out)
    }

    /// Whether the handshake is over.
    pub fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Whether the peer has said that it sends no more.
    pub fn has_ended(&self) -> bool {
        self.stream.has_ended()
    }

    /// Bytes of memory that it takes.
    pub fn held(&self) -> usize {
        self.stream.held()
    }
}
