//! The HTTP side (`--control`): its sockets, and the thread that serves them. What it answers is in `http/`. That it cannot be had is no
//! reason not to start: jobs go on without it.
use super::error::ServerError;
use super::news::News;
use super::options::ServerOptions;
use super::pauses;
use super::room::{give_way, spawn};
use super::running::Renewal;
use super::seats::Seats;
use crate::access;
use crate::http::{self, ControlDoor, DoorKind, HttpSetup, TokenFile};
use crate::log_at;
use crate::logging::Level;
use crate::mesh::shared::Shared;
use crate::shard::listen::{self, SocketFile};
use crate::shard::options::{Endpoint, Keepalive};
use crate::store::channel::StoreChannel;
use crate::tls::Certificates;
use nix::sys::signal::Signal;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 64;

/// Sockets that listen, for the HTTP side.
pub(super) struct Control {
    doors: Vec<ControlDoor>,
    /// The files of unix sockets: removed with their handles.
    pub(super) files: Vec<SocketFile>,
    names: Vec<String>,
    /// To be read again at SIGHUP.
    tokens: Option<Arc<TokenFile>>,
    metrics_functions: usize,
    /// Where paused functions are kept over a restart.
    pauses: Option<PathBuf>,
}

impl Control {
    /// Opens what can be opened; a WARNING names the rest. Tokens that cannot be read are a reason not to start: who may do what is
    /// never guessed.
    pub(super) fn open(
        server: &ServerOptions,
        certificates: Option<&Arc<Certificates>>,
    ) -> Result<Control, ServerError> {
        let (options, keepalive) = (&server.control, &server.shard.keepalive);
        let tokens =
            options.tokens.as_deref().map(TokenFile::open).transpose().map_err(ServerError::Tokens)?;
        let mut control = Control {
            doors: Vec::new(),
            files: Vec::new(),
            names: options.names.clone(),
            tokens: tokens.map(Arc::new),
            metrics_functions: options.metrics_functions,
            pauses: pauses::file(server),
        };
        let secured = certificates.filter(|_| options.tls);
        for endpoint in &options.endpoints {
            if let Err(error) = control.listen(endpoint, keepalive, secured) {
                absent(endpoint, &error, &options.from);
            }
        }
        if let Some(endpoint) = &options.usual_socket {
            match control.listen(endpoint, keepalive, None) {
                Err(error) if is_without_place(&error) => log_at!(
                    Level::Info,
                    "there is no HTTP side at {endpoint}, over which its user and root could give orders: {error}; make the folder for \
                     it, or name another place with --control"
                ),
                Err(error) => absent(endpoint, &error, &options.from),
                Ok(()) => {}
            }
        }
        if let Some(port) = options.gateway {
            let certificates = if options.gateway_tls { certificates } else { None };
            control.open_gateway(port, server, certificates)?;
        }
        Ok(control)
    }

    /// Opens this one; with certificates, whoever comes by an address speaks TLS there.
    fn listen(
        &mut self,
        endpoint: &Endpoint,
        keepalive: &Keepalive,
        secured: Option<&Arc<Certificates>>,
    ) -> io::Result<()> {
        let one = std::slice::from_ref(endpoint);
        let made = listen::listen(one, BACKLOG, 1, Duration::ZERO, keepalive).map_err(|(_, error)| error)?;
        for (endpoint, socket) in made.endpoints.iter().zip(made.of_shards.into_iter().flatten()) {
            let (address, certificates) = match endpoint {
                Endpoint::Tcp(address) => {
                    let scheme = if secured.is_some() { "https" } else { "http" };
                    log_at!(Level::Notice, "to be looked at on {scheme}://{address}/");
                    (Some(*address), secured.cloned())
                }
                Endpoint::Unix { .. } => {
                    log_at!(Level::Notice, "to be looked at over HTTP on {endpoint}");
                    (None, None)
                }
            };
            self.doors.push(ControlDoor { kind: DoorKind::Control, address, certificates, socket });
        }
        self.files.extend(made.files);
        Ok(())
    }

    /// gearmand's HTTP was asked for, so that it is there or nothing is.
    fn open_gateway(
        &mut self,
        port: u16,
        server: &ServerOptions,
        certificates: Option<&Arc<Certificates>>,
    ) -> Result<(), ServerError> {
        // Addresses for administrators alone are none for jobs.
        let of_jobs = |(endpoint, door): (&Endpoint, &access::Door)| match (endpoint, door) {
            (Endpoint::Tcp(address), access::Door::Jobs) => {
                Some(Endpoint::Tcp(SocketAddr::new(address.ip(), port)))
            }
            _ => None,
        };
        let mut endpoints: Vec<Endpoint> =
            server.endpoints.iter().zip(&server.doors).filter_map(of_jobs).collect();
        // Where clients and workers speak TLS, jobs over HTTP do, too.
        if certificates.is_some() {
            let secured = server.tls_endpoints.iter().zip(&server.tls_doors).filter_map(of_jobs);
            for endpoint in secured {
                if !endpoints.contains(&endpoint) {
                    endpoints.push(endpoint);
                }
            }
        }
        let made = listen::listen(&endpoints, server.backlog, 1, listen::PATIENCE, &server.shard.keepalive)
            .map_err(|(endpoint, error)| ServerError::Gateway(endpoint, error))?;
        for (endpoint, socket) in made.endpoints.iter().zip(made.of_shards.into_iter().flatten()) {
            let how = if certificates.is_some() { ", by TLS" } else { "" };
            log_at!(Level::Notice, "jobs are taken over HTTP on {endpoint}{how}");
            let Endpoint::Tcp(address) = endpoint else { continue };
            let (kind, address, certificates) = (DoorKind::Gateway, Some(*address), certificates.cloned());
            self.doors.push(ControlDoor { kind, address, certificates, socket });
        }
        Ok(())
    }

    /// What is done at SIGHUP.
    pub(super) fn renewals(&self) -> Vec<Renewal> {
        let tokens = self.tokens.clone();
        tokens.map(|tokens| Box::new(move || tokens.renew()) as Renewal).into_iter().collect()
    }

    /// Homes in the mesh that it needs.
    pub(super) fn observers(&self) -> u16 {
        u16::from(!self.doors.is_empty())
    }

    /// Starts the thread, if there is anything to serve.
    pub(super) fn start(
        self,
        Seats { board, policy, frontend }: Seats,
        shared: Arc<Shared>,
        certificates: Option<Arc<Certificates>>,
        store: Option<Arc<StoreChannel>>,
        tell: &Sender<News>,
    ) -> Result<(), ServerError> {
        let Some(id) = board.topology().homes().nth(board.topology().told_of().len()) else {
            return Ok(());
        };
        let Control { doors, names, tokens, metrics_functions, pauses, .. } = self;
        let tell = tell.clone();
        // As an operator does it on this machine: nobody listens any more only when the server ends.
        let drain = Box::new(move || drop(tell.send(News::Signal(Signal::SIGUSR1))));
        let setup = HttpSetup {
            id,
            board,
            policy,
            shared,
            certificates,
            frontend,
            doors,
            names,
            tokens,
            store,
            metrics_functions,
            pauses,
            drain,
        };
        spawn("http".to_owned(), move || {
            give_way();
            if let Err(error) = http::run(setup) {
                log_at!(Level::Warning, "the HTTP side has ended: {error}; the rest of the server goes on");
            }
        })
    }
}

/// Says that there is none where it was wanted.
fn absent(endpoint: &Endpoint, error: &io::Error, from: &str) {
    log_at!(
        Level::Warning,
        "there is no HTTP side at {endpoint}: {error}; stop who has it, choose another address with --control, or say --control \
         none{from}"
    );
}

/// Whether there is no folder for a socket, or none for this user.
fn is_without_place(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem)
}
