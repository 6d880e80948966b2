//! The subcommands that ask a Ringgear server over its HTTP side (`--control`), or give it orders: the way there, one request with one
//! answer, with the token of who asks (`token.rs`), and how they end. What is asked is in the files beside this one: `why.rs`, `lists.rs`, `orders.rs`, `check.rs`, `doctor.rs`.
pub(super) mod batch;
pub(super) mod check;
pub(super) mod doctor;
pub(super) mod lists;
pub(super) mod lists_shown;
pub(super) mod orders;
mod reply;
mod stream;
mod token;
pub(super) mod trace;
pub(super) mod why;

use super::reach::{JobServer, NoAnswer};
use super::words;
use crate::config::USUAL_SOCKET;
use crate::frontend::percent;
use crate::tls::{DialOptions, TlsDialer};
use reply::HttpReply;
use serde_json::Value;
use std::fmt;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use stream::StreamEnd;
use token::ControlSecret;

/// Where a server has its HTTP side that was told nothing.
const USUAL: &str = "127.0.0.1:4780";

/// How long a stream of events may be silent; the server says something every 15 seconds.
const EVENTS_PATIENCE: Duration = Duration::from_secs(40);

/// Statuses to end with: the answer is no; the server cannot be reached; it refuses.
const NO: u8 = 1;
const UNREACHABLE: u8 = 3;
const REFUSED: u8 = 4;

/// The words that say where the server's HTTP side is, and how the answer is printed.
#[derive(Debug, clap::Args)]
pub(super) struct ControlWords {
    /// The HTTP side of the server, as in its --control: `unix:PATH`, an address or a name with a port, or `https://` and these where
    /// it speaks TLS (--control-tls) [default: what RINGGEAR_CONTROL says, or unix:/run/ringgear/control.sock if that can be reached, or
    /// 127.0.0.1:4780]
    #[arg(long, value_name = "ADDRESS")]
    control: Option<String>,

    #[command(flatten)]
    dial: DialWords,

    /// Seconds to wait for an answer
    #[arg(short, long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,

    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// The words that say with what TLS is spoken.
#[derive(Debug, Default, clap::Args)]
pub(super) struct DialWords {
    /// CAs of which one has signed the certificate of the server, PEM, for https:// [default: what RINGGEAR_CA says]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// A certificate to show to it, PEM, and those between it and a CA [default: what RINGGEAR_CERT says, or none]
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// The key of that [default: what RINGGEAR_KEY says]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl DialWords {
    /// What TLS is spoken with.
    fn dialer(&self) -> Result<TlsDialer, String> {
        let file = |word: &Option<PathBuf>, variable| {
            let path = word.clone().or_else(|| std::env::var_os(variable).map(Into::into));
            path.filter(|path: &PathBuf| !path.as_os_str().is_empty())
        };
        let ca = file(&self.ca, "RINGGEAR_CA");
        let shows = match (file(&self.cert, "RINGGEAR_CERT"), file(&self.key, "RINGGEAR_KEY")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err("a certificate and its key go together; say both --cert and --key".to_owned()),
        };
        TlsDialer::load(&DialOptions { ca, shows })
    }
}

/// The HTTP side of a server.
pub(super) struct ControlSide {
    server: JobServer,
    /// Where TLS is spoken.
    tls: Option<TlsDialer>,
    address: String,
    patience: Duration,
    token: Option<ControlSecret>,
}

/// Why a request has no answer, or one that is none.
#[derive(Debug)]
pub(super) enum ControlFailure {
    /// Nobody answers there.
    Silence(String),
    /// It is said why not, with the status of HTTP.
    Refused(u16, String),
}

impl fmt::Display for ControlFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlFailure::Silence(why) | ControlFailure::Refused(_, why) => f.write_str(why),
        }
    }
}

impl ControlFailure {
    /// With which status to end.
    pub(super) fn status(&self) -> u8 {
        match self {
            ControlFailure::Silence(_) => UNREACHABLE,
            ControlFailure::Refused(404, _) => NO,
            ControlFailure::Refused(..) => REFUSED,
        }
    }
}

impl ControlWords {
    /// What they mean; an error is one sentence.
    pub(super) fn side(&self) -> Result<ControlSide, String> {
        let patience = Duration::from_secs(self.timeout);
        match self.control.clone().or_else(named) {
            Some(address) => ControlSide::at(address, &self.dial, patience),
            None => ControlSide::usual(patience),
        }
    }
}

/// Where the environment says that the HTTP side is.
pub(super) fn named() -> Option<String> {
    std::env::var("RINGGEAR_CONTROL").ok().filter(|address| !address.is_empty())
}

impl ControlSide {
    /// At an address as in the server's `--control`; an error is one sentence.
    pub(super) fn at(address: String, dial: &DialWords, patience: Duration) -> Result<ControlSide, String> {
        let token = token::from_environment()?;
        if address.starts_with("unix:") {
            let server = JobServer { host: address.clone(), port: 0 };
            return Ok(ControlSide { server, tls: None, address, patience, token });
        }
        let secured = address.strip_prefix("https://");
        let bare = secured.or(address.strip_prefix("http://")).unwrap_or(&address).trim_end_matches('/');
        let wrong = || format!("{address}: say an address with a port like 127.0.0.1:4780, or unix:PATH");
        let tls = secured.map(|_| dial.dialer().map_err(|why| format!("{address}: {why}"))).transpose()?;
        let (host, port) = bare.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(ControlSide { server: JobServer { host, port }, tls, address: bare.to_owned(), patience, token })
    }

    /// Where a server has it that was told nothing: its socket, for whom that is open; it lets its own user give orders.
    pub(super) fn usual(patience: Duration) -> Result<ControlSide, String> {
        let open = UnixStream::connect(USUAL_SOCKET).is_ok();
        let address = if open { format!("unix:{USUAL_SOCKET}") } else { USUAL.to_owned() };
        ControlSide::at(address, &DialWords::default(), patience)
    }

    /// What it is called, for people.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// What stands at a path.
    pub(super) fn get(&self, path: &str) -> Result<Value, ControlFailure> {
        self.request("GET", path, None)
    }

    /// Orders something.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, ControlFailure> {
        self.request("POST", path, Some(body.to_string()))
    }

    /// All items of a list, up to so many; false if there are more.
    pub(super) fn list(&self, path: &str, most: usize) -> Result<(Vec<Value>, bool), ControlFailure> {
        let (mut items, mut after) = (Vec::new(), String::new());
        let glue = if path.contains('?') { '&' } else { '?' };
        loop {
            let limit = most.saturating_sub(items.len()).clamp(1, 1000);
            let answer = self.get(&format!("{path}{glue}limit={limit}{after}"))?;
            items.extend(answer["items"].as_array().into_iter().flatten().cloned());
            let Some(next) = answer["next"].as_str() else { return Ok((items, true)) };
            if items.len() >= most {
                return Ok((items, false));
            }
            after = format!("&after={}", percent(next.as_bytes()));
        }
    }

    /// Hears what changes until `hear` has heard enough, or the server ends it.
    pub(super) fn follow(
        &self,
        path: &str,
        hear: impl FnMut(&str, Value) -> ControlFlow<()>,
    ) -> Result<(), ControlFailure> {
        let silence = |failure: NoAnswer| ControlFailure::Silence(self.explain(&failure));
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => silence(NoAnswer::Silent),
            _ => silence(NoAnswer::Closed(Some(error))),
        };
        let stream = self.server.connect(Instant::now() + self.patience).map_err(silence)?;
        stream.set_write_timeout(self.patience).map_err(broken)?;
        stream.set_read_timeout(self.patience.max(EVENTS_PATIENCE)).map_err(broken)?;
        let request = self.head("GET", path, "1.0") + "Accept: text/event-stream\r\n\r\n";
        (&stream).write_all(request.as_bytes()).map_err(broken)?;
        match stream::hear_all(&stream, hear).map_err(broken)? {
            StreamEnd::Enough | StreamEnd::Over => Ok(()),
            StreamEnd::Refused(status, text) => Err(refusal(status, &text)),
            StreamEnd::Otherwise => Err(silence(NoAnswer::Otherwise)),
        }
    }

    /// The beginning of a request.
    fn head(&self, method: &str, path: &str, version: &str) -> String {
        let host = if self.address.starts_with("unix:") { "localhost" } else { &self.address };
        let mut head = format!("{method} {path} HTTP/{version}\r\nHost: {host}\r\nConnection: close\r\n");
        if let Some(token) = &self.token {
            head += &format!("Authorization: Bearer {}\r\n", token.expose());
        }
        head
    }

    fn request(&self, method: &str, path: &str, body: Option<String>) -> Result<Value, ControlFailure> {
        let mut request = self.head(method, path, "1.1");
        if let Some(body) = &body {
            request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        request += body.as_deref().unwrap_or("");
        let mut reply = HttpReply::default();
        let end = Instant::now() + self.patience;
        let answered =
            self.server.ask_by(self.tls.as_ref(), request.as_bytes(), end, |bytes| reply.read(bytes));
        let (status, text) = answered.map_err(|failure| ControlFailure::Silence(self.explain(&failure)))?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        match status {
            200..300 if !value.is_null() => Ok(value),
            200..300 => {
                Err(ControlFailure::Silence(format!("{}: this is no HTTP side of Ringgear", self.address)))
            }
            _ => Err(refusal(status, &text)),
        }
    }

    fn explain(&self, failure: &NoAnswer) -> String {
        let address = &self.address;
        match failure {
            NoAnswer::Unreachable(error) => {
                format!(
                    "{address}: no HTTP side of a server can be reached: {error}; say where it is with --control"
                )
            }
            NoAnswer::Closed(_) if self.tls.is_none() && !address.starts_with("unix:") => {
                format!(
                    "{address}: {failure}; if it speaks TLS (--control-tls), say https://{address} and --ca FILE"
                )
            }
            other => format!("{address}: {other}"),
        }
    }
}

/// What is said with another status than that all is well.
fn refusal(status: u16, text: &str) -> ControlFailure {
    let value: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let detail = value["detail"].as_str().unwrap_or("it refuses, and does not say why");
    ControlFailure::Refused(status, words::shown(detail.as_bytes()))
}

/// Says why a subcommand did not do it, and with which status it ends.
pub(super) fn failed(name: &str, failure: &ControlFailure) -> ExitCode {
    words::failed(name, failure.status(), failure)
}

/// Prints text, or says that it cannot be printed. Whoever closed the pipe does not want to read on.
pub(super) fn print(name: &str, text: &str) -> Result<(), ExitCode> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(words::failed(name, NO, format_args!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}
