//! What is known of functions, for `ringgear status` and `ringgear top`: asked of the HTTP side of a Ringgear server (`told.rs`) or, where
//! there is none, of any job server with the administrators' line `status` (`lines.rs`). How rows are ordered stands in `row.rs`, how
//! they are printed in `shown.rs`.
mod lines;
pub(super) mod row;
pub(super) mod shown;
mod told;

use super::control::{ControlFailure, ControlSide, DialWords, named};
use super::reach::{JobServer, ServerWords};
use row::FunctionLoad;
use std::fmt;
use std::time::{Duration, Instant};
pub(super) use told::{FunctionsWanted, ServerTold};

/// How long an HTTP side may take that nobody has named, before the job server is asked instead.
const GUESS_PATIENCE: Duration = Duration::from_secs(2);

/// Where functions are asked for.
#[derive(Debug, clap::Args)]
pub(super) struct SourceWords {
    #[command(flatten)]
    server: ServerWords,

    /// The HTTP side of a Ringgear server, as in its --control: `unix:PATH`, or an address with a port. Without it what
    /// RINGGEAR_CONTROL names is asked, or the usual places, if they are the job server's; otherwise, and with `none`, the job server,
    /// which tells less
    #[arg(long, value_name = "ADDRESS")]
    control: Option<String>,

    /// Seconds to wait for an answer
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// Where functions are asked for.
pub(super) struct FunctionSource {
    server: JobServer,
    side: Option<ControlSide>,
    guess: SideGuess,
    patience: Duration,
}

/// How it is known that an HTTP side is that of the job server which is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SideGuess {
    /// It was said so, and nothing else is asked.
    Said,
    /// The environment names it.
    Named,
    /// It is where a server usually has it: then it must be the same process.
    Usual,
}

/// What was seen.
#[derive(Clone, Debug)]
pub(super) struct FunctionSight {
    pub(super) rows: Vec<FunctionLoad>,
    /// What the HTTP side tells of the server, if that was asked.
    pub(super) server: Option<ServerTold>,
    /// Who was asked.
    pub(super) place: String,
}

/// Why nothing was seen: a sentence, and a status to end with.
#[derive(Clone, Debug)]
pub(super) struct SightFailure {
    why: String,
    pub(super) status: u8,
}

impl fmt::Display for SightFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Nobody answers.
const NOBODY: u8 = 1;

/// In place of an HTTP side: none is asked.
const NONE: &str = "none";

impl SourceWords {
    /// What they mean; an error is one sentence.
    pub(super) fn source(self) -> Result<FunctionSource, String> {
        let patience = Duration::from_secs(self.timeout);
        let short = patience.min(GUESS_PATIENCE);
        let said = self.control.or_else(|| named().filter(|address| address == NONE));
        let (side, guess) = match said {
            Some(address) if address == NONE => (None, SideGuess::Usual),
            Some(address) if self.server.are_said() => {
                return Err(format!(
                    "--control {address} and --host or --port may be two servers; say one of them"
                ));
            }
            Some(address) => {
                (Some(ControlSide::at(address, &DialWords::default(), patience)?), SideGuess::Said)
            }
            None => match named().filter(|_| !self.server.are_said()) {
                Some(address) => {
                    (Some(ControlSide::at(address, &DialWords::default(), short)?), SideGuess::Named)
                }
                None => (Some(ControlSide::usual(short)?), SideGuess::Usual),
            },
        };
        let server = self.server.job_server()?;
        // Nobody's usual place on another machine is known here.
        let side = side.filter(|_| guess != SideGuess::Usual || server.is_here());
        Ok(FunctionSource { server, side, guess, patience })
    }
}

impl FunctionSource {
    /// Looks once.
    pub(super) fn look(&self, wanted: FunctionsWanted<'_>) -> Result<FunctionSight, SightFailure> {
        if let Some(side) = self.side.as_ref().filter(|side| self.is_meant(side)) {
            match told::ask(side, wanted) {
                Ok((server, rows)) => {
                    return Ok(FunctionSight {
                        rows,
                        server: Some(server),
                        place: side.address().to_owned(),
                    });
                }
                Err(failure) if self.guess == SideGuess::Said => return Err(refused(&failure)),
                // It may want a token, or read stored jobs still: the job server is asked instead.
                Err(_) => {}
            }
        }
        let (server, end) = (&self.server, Instant::now() + self.patience);
        let rows = lines::ask(server, end)
            .map_err(|failure| SightFailure { why: format!("{server}: {failure}"), status: NOBODY })?;
        let rows = match wanted {
            FunctionsWanted::These(names) => lines::only(rows, names),
            FunctionsWanted::All | FunctionsWanted::Some(_) => rows,
        };
        Ok(FunctionSight { rows, server: None, place: server.to_string() })
    }

    /// What is to be said of one function beside its row: lines to read.
    #[cfg_attr(not(feature = "top"), allow(dead_code))]
    pub(super) fn look_closely(&self, function: &[u8]) -> Result<Vec<String>, SightFailure> {
        match self.side.as_ref().filter(|side| self.is_meant(side)) {
            Some(side) => told::closely(side, function).map_err(|failure| refused(&failure)),
            None => Ok(vec!["This job server tells no more of a function.".to_owned()]),
        }
    }

    fn is_meant(&self, side: &ControlSide) -> bool {
        if self.guess != SideGuess::Usual {
            return true;
        }
        let end = Instant::now() + self.patience.min(GUESS_PATIENCE);
        told::pid(side).is_some_and(|pid| lines::pid(&self.server, end).is_ok_and(|other| other == pid))
    }
}

fn refused(failure: &ControlFailure) -> SightFailure {
    let status = match failure {
        ControlFailure::Silence(_) => NOBODY,
        ControlFailure::Refused(..) => failure.status(),
    };
    SightFailure { why: failure.to_string(), status }
}
