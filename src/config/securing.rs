//! Flags of TLS on the job port, and of the HTTP side with the same certificates. What they mean together is `tls.rs`.
use crate::tls::ClientCertificates;
use std::ffi::OsString;

/// What can be said of TLS.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct Securing {
    /// Clients and workers speak TLS 1.2 or 1.3 on the port, and nothing else. Unix sockets stay plain
    #[arg(long)]
    pub(super) ssl: bool,

    /// Another port on which they speak TLS, on the same addresses, while --port stays plain: for as long as not all clients and
    /// workers have it
    #[arg(long, value_name = "PORT")]
    pub(super) ssl_port: Option<String>,

    /// The server's certificate and those between it and a CA, PEM, its own first. GEARMAND_SERVER_PEM in the environment goes
    /// before it [default: /etc/ssl/certs/gearmand.pem]
    #[arg(long, value_name = "FILE")]
    pub(super) ssl_certificate: Option<OsString>,

    /// Its key, PEM, not encrypted. GEARMAND_SERVER_KEY in the environment goes before it [default:
    /// /etc/ssl/certs/gearmand.key]
    #[arg(long, value_name = "FILE")]
    pub(super) ssl_key: Option<OsString>,

    /// CAs that sign certificates of clients and workers, PEM, with lists of revoked ones if there are any.
    /// GEARMAND_CA_CERTIFICATE in the environment goes before it
    #[arg(long, value_name = "FILE")]
    pub(super) ssl_ca_file: Option<OsString>,

    /// Certificates of clients and workers: required, or whoever has none is refused; optional, one that is sent must be good; or
    /// none, nobody is asked for one [default: optional with --ssl-ca-file, otherwise none]
    #[arg(long, value_name = "HOW", value_parser = client)]
    pub(super) ssl_client: Option<ClientCertificates>,

    /// The addresses of --control speak TLS with the same certificate, and ask for those of others in the same way. Unix sockets stay
    /// plain
    #[arg(long)]
    pub(super) control_tls: bool,

    /// So does gearmand's HTTP (--protocol http)
    #[arg(long)]
    pub(super) http_tls: bool,
}

fn client(text: &str) -> Result<ClientCertificates, &'static str> {
    match text {
        "none" => Ok(ClientCertificates::NotAsked),
        "optional" => Ok(ClientCertificates::Optional),
        "required" => Ok(ClientCertificates::Required),
        _ => Err("must be required, optional or none"),
    }
}
