//! The first start on a table that gearmand has filled: how long it takes, and that every row comes as a job. `RINGGEAR_ROWS` says how
//! many rows; a million in ten seconds is what a build for use is to do.
use super::takeover::start;
use super::*;
use rustix::process::Signal;
use std::time::{Duration, Instant};
use support::server::ask;

/// gearmand's own statement, and as many rows as it would have written.
fn fill(cluster: &PostgresCluster, rows: u64) {
    cluster.sql(
        "d",
        "CREATE TABLE queue (unique_key VARCHAR(64), function_name VARCHAR(255), priority INTEGER, data BYTEA, \
         when_to_run INTEGER, UNIQUE (unique_key, function_name))",
    );
    cluster.sql(
        "d",
        &format!(
            "INSERT INTO queue SELECT md5(n::text), 'function ' || n % 10, n % 3, \
             convert_to(n || repeat('x', 90), 'UTF8'), 0 FROM generate_series(1, {rows}) AS n"
        ),
    );
}

#[test]
fn a_table_that_gearmand_has_filled() {
    let rows: u64 = std::env::var("RINGGEAR_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let cluster = PostgresCluster::start_with(&["shared_buffers=256MB", "max_wal_size=4GB"]);
    let conninfo = cluster.database("d");
    fill(&cluster, rows);
    for start_ in ["first", "second"] {
        let begin = Instant::now();
        let mut server = start(&conninfo, "one", "10");
        let limit = Duration::from_secs(60 + rows / 5000);
        let read = format!("read {rows} stored jobs");
        while !server.log().contains(&read) {
            assert!(begin.elapsed() < limit, "{}", server.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        let took = begin.elapsed();
        println!("{start_} start on {rows} rows: {:.2} s", took.as_secs_f64());
        server
            .log()
            .lines()
            .filter(|line| line.contains("the store: "))
            .for_each(|line| println!("  {line}"));
        let status = ask(&mut server.connect(), "status\n");
        let jobs: u64 = status.lines().filter_map(|line| line.split('\t').nth(1)?.parse::<u64>().ok()).sum();
        assert_eq!(jobs, rows);
        server.signal(Signal::TERM);
        assert!(server.wait().success());
    }
    let numbered = "SELECT count(DISTINCT ringgear_number), count(DISTINCT ringgear_owner) FROM queue";
    assert_eq!(cluster.sql("d", numbered).split('|').next().unwrap(), rows.to_string());
}
