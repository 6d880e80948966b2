//! One connection to the database that may be used: found among the hosts, writable, of a version that has what we need,
//! with settings of our own. What is done with it is known elsewhere.
use super::fault::{PgFault, PgTrouble};
use super::target::{HostTarget, PgTarget};
use super::tls::PgTls;
use std::future::Future;
use std::time::Duration;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

/// Since when there is what we need: custom plans on demand, joins by where a row stands.
const OLDEST: i32 = 120_000;

/// What holds for a connection. A statement that takes longer is stuck behind somebody; a transaction that stands still
/// for so long is of a server that was stopped in the middle of it, and must not hold its rows: whoever takes it over waits for them.
/// Every statement of ours finds its rows by an index, or has to see all: what the database believes of a table that was empty a
/// moment ago is not to have it read the whole of it each time.
const SETTINGS: &str = "SET client_min_messages = warning; SET statement_timeout = '15s'; SET lock_timeout = '3s'; \
     SET idle_in_transaction_session_timeout = '5s'; SET plan_cache_mode = force_custom_plan; \
     SET enable_seqscan = off; SET enable_sort = off; \
     SET synchronize_seqscans = off; SET jit = off; SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; \
     SET tcp_keepalives_count = 3; SET tcp_user_timeout = '20s'";
/// For who does not want to wait for the disk.
const UNSYNCED: &str = "SET synchronous_commit = off";

/// A connection.
#[derive(Debug)]
pub(super) struct PgSession {
    pub(super) client: Client,
    /// Who we are there.
    pub(super) role: String,
}

impl PgSession {
    /// Whether the connection is known to be gone.
    pub(super) fn is_gone(&self) -> bool {
        self.client.is_closed()
    }

    /// The one row of a query.
    pub(super) async fn one_row(
        &self,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Row, PgFault> {
        let rows = self.client.query_typed(sql, values).await?;
        rows.into_iter().next().ok_or_else(|| PgFault::Other("a query that has one row had none".to_owned()))
    }
}

/// Waits for so long, and no longer.
pub(super) async fn within<T>(
    limit: Duration,
    what: impl Future<Output = Result<T, PgFault>>,
) -> Result<T, PgFault> {
    match tokio::time::timeout(limit, what).await {
        Ok(done) => done,
        Err(_) => Err(PgFault::Away(format!("no answer within {} s", limit.as_secs_f32().ceil()))),
    }
}

/// Connects to the first host that will do. Commits of it are synced unless this is not wanted.
pub(super) async fn connect(target: &PgTarget, synced: bool) -> Result<PgSession, PgFault> {
    let mut hosts: Vec<&HostTarget> = target.hosts.iter().collect();
    if target.random {
        // Any will do: which is first is the driver's hash of nothing, a clock.
        let turn = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |time| time.subsec_nanos());
        let count = hosts.len();
        hosts.rotate_left(turn as usize % count.max(1));
    }
    let several = hosts.len() > 1;
    // Read each time: certificates are renewed while servers run.
    let tls = PgTls::of(&target.tls)?;
    let mut worst: Option<PgFault> = None;
    for host in hosts {
        let fault = match within(target.patience, connect_to(host, &tls, synced)).await {
            Ok(session) => return Ok(session),
            Err(fault) => fault,
        };
        let fault = if several { of_host(&host.name, fault) } else { fault };
        worst = Some(match worst {
            None => fault,
            // What an operator can mend is told rather than that another host is not there.
            Some(worst) if worst.trouble() == PgTrouble::Away && fault.trouble() != PgTrouble::Away => fault,
            Some(worst) if worst.trouble() == PgTrouble::Away => PgFault::Away(format!("{worst}; {fault}")),
            Some(worst) => worst,
        });
    }
    Err(worst.unwrap_or_else(|| PgFault::Away("there is no host".to_owned())))
}

/// The same trouble, with the host that has it.
fn of_host(host: &str, fault: PgFault) -> PgFault {
    let what = format!("{host}: {fault}");
    match fault.trouble() {
        PgTrouble::Away => PgFault::Away(what),
        PgTrouble::Refused => PgFault::Refused(what),
        _ => PgFault::Other(what),
    }
}

async fn connect_to(host: &HostTarget, tls: &PgTls, synced: bool) -> Result<PgSession, PgFault> {
    let (client, connection) = host.config.connect(tls.0.clone()).await?;
    // Whoever uses the client hears of its end.
    tokio::spawn(async move { drop(connection.await) });
    let sql = "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), \
               pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', current_user::text";
    let row = client.query_typed(sql, &[]).await?.into_iter().next();
    let row = row.ok_or_else(|| PgFault::Other("it does not say what it is".to_owned()))?;
    let (number, version): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    if number < OLDEST {
        let oldest = OLDEST / 10_000;
        let what = format!("it is PostgreSQL {version}, and {oldest} or later is needed: upgrade it");
        return Err(PgFault::Refused(what));
    }
    if row.try_get(2)? {
        let what = "it is a replica, where nothing can be written; name the primary, or all hosts with commas in between";
        return Err(PgFault::Refused(what.to_owned()));
    }
    if row.try_get(3)? {
        let what = "nothing can be written there: default_transaction_read_only is on for this database or role; turn it off";
        return Err(PgFault::Refused(what.to_owned()));
    }
    client.batch_execute(SETTINGS).await?;
    if !synced {
        client.batch_execute(UNSYNCED).await?;
    }
    Ok(PgSession { client, role: row.try_get(4)? })
}
