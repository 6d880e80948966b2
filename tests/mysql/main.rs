//! The MySQL store with a real MariaDB, by itself, under Debian's gearmand in turn, and under a whole server. What needs
//! no database is tested beside its source.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod copies;
mod gearmand;
mod mistakes;
mod rows;
mod takeover;
mod whole;

use ringgear::engine::slot::Slot;
use ringgear::engine::{Epoch, JobId, StoredJob};
use ringgear::protocol::Priority;
use ringgear::store::mysql::{self, MysqlOptions};
use ringgear::store::{Store, StoreError, record};
use support::mariadb::MariaServer;
use support::scenarios::*;
use support::stores::*;

/// A server with an empty database `d`.
fn database() -> MariaServer {
    database_with(&[])
}

fn database_with(settings: &[&str]) -> MariaServer {
    let server = MariaServer::start_with(settings);
    server.sql("", "CREATE DATABASE d");
    server
}

/// The usual table of it.
fn options(server: &MariaServer) -> MysqlOptions {
    MysqlOptions {
        host: server.socket(),
        user: Some("root".to_owned()),
        database: Some("d".to_owned()),
        ..MysqlOptions::default()
    }
}

#[track_caller]
fn open(server: &MariaServer) -> Box<dyn Store> {
    open_table(server, mysql::MYSQL_TABLE)
}

#[track_caller]
fn open_table(server: &MariaServer, table: &str) -> Box<dyn Store> {
    let options = MysqlOptions { table: table.to_owned(), ..options(server) };
    mysql::open(options).unwrap_or_else(|error| panic!("{error}"))
}

/// How many rows both tables have.
fn left(server: &MariaServer, table: &str) -> String {
    server
        .sql("d", &format!("SELECT (SELECT COUNT(*) FROM {table}) + (SELECT COUNT(*) FROM {table}_ringgear)"))
}

/// gearmand's own table, in a charset and a collation.
fn gearmands_table(server: &MariaServer, table: &str, charset: &str) {
    server.sql(
        "d",
        &format!(
            "CREATE TABLE {table}(unique_key VARCHAR(64),function_name VARCHAR(255),priority INT,data LONGBLOB,when_to_run INT,\
             unique key (unique_key, function_name)) {charset}"
        ),
    );
}
