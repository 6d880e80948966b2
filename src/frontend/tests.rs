//! Every line of the administrators' protocol, byte for byte.
use super::*;
use crate::engine::report::{
    Counters, DeadRow, DropRow, FunctionRow, InvolvedJob, JobRow, SessionRow, WaitingRow, Waits, WorkerRow,
};
use crate::engine::slot::Slot;
use crate::engine::{Ask, DeathReason, Epoch, JobId, Order, Query, Reply, Report, SessionId, ShardId};
use crate::protocol::Refusal;
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// What a line asks; `None` if it closes the connection.
fn ask(line: &[u8]) -> Option<Incoming<'static>> {
    let bytes = [line, b"next line\n"].concat();
    match SharedPort::for_tests().decode(&bytes) {
        Decoded::One { item: Incoming::Ask(asked), consumed } => {
            assert_eq!(consumed, line.len());
            Some(Incoming::Ask(asked))
        }
        Decoded::One { item: Incoming::Answer(reply), consumed } => {
            assert_eq!(consumed, line.len());
            Some(Incoming::Answer(reply))
        }
        Decoded::Malformed(_) => None,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn queries(line: &str, asked: impl Into<Ask>) {
    assert_eq!(ask(line.as_bytes()), Some(Incoming::Ask(asked.into())), "{line:?}");
}

#[track_caller]
fn answers(line: &str, answer: &str) {
    let reply = Reply::Text(Bytes::copy_from_slice(answer.as_bytes()));
    assert_eq!(ask(line.as_bytes()), Some(Incoming::Answer(reply)), "{line:?}");
}

#[track_caller]
fn renders(query: impl Into<Ask>, report: Report, text: &str) {
    renders_for(Compat::V1_1, query, report, text);
}

#[track_caller]
fn renders_for(compat: Compat, query: impl Into<Ask>, report: Report, text: &str) {
    let mut out = Vec::new();
    let frontend = SharedPort { compat, ..SharedPort::for_tests() };
    assert_eq!(frontend.encode(&Reply::Report(Box::new((query.into(), report))), &mut out), None);
    assert_eq!(out.escape_ascii().to_string(), text.as_bytes().escape_ascii().to_string());
}

fn text(bytes: &'static str) -> Bytes {
    Bytes::from_static(bytes.as_bytes())
}

fn max_queue(function: &'static str, limits: [u32; 3]) -> Order {
    Order::MaxQueue { function: text(function), limits }
}

fn job(sequence: u64) -> JobId {
    JobId::new(sequence, Slot::of(b"f"))
}

#[test]
fn plain_queries() {
    for end in ["\n", "\r\n", " \n", " words more\r\n", " 2 3 4 5\n", "\0junk\n"] {
        queries(&format!("status{end}"), Query::Status);
        queries(&format!("prioritystatus{end}"), Query::PriorityStatus);
        queries(&format!("workers{end}"), Query::Workers);
        queries(&format!("jobs{end}"), Query::JobsWithWorkers);
        queries(&format!("clients{end}"), Query::ClientsWithJobs);
    }
    queries("StaTus\n", Query::Status);
    queries("PRIORITYSTATUS\r\n", Query::PriorityStatus);
    queries("WORKERS\n", Query::Workers);
}

#[test]
fn what_the_front_end_knows_itself() {
    answers("version\n", "OK 1.2.3+test\n");
    answers("VERSION\r\n", "OK 1.2.3+test\n");
    answers("version  x\n", "OK 1.2.3+test\n");
    answers("verbose\n", "OK INFO\n");
    answers("getpid\n", "OK 4711\n");
    answers("getpid 1\n", "OK 4711\n");
}

#[test]
fn show() {
    queries("show jobs\n", Query::Jobs);
    queries("SHOW Jobs\r\n", Query::Jobs);
    queries("show  unique   jobs\n", Query::UniqueJobs);
    queries("show Unique JOBS\n", Query::UniqueJobs);
    queries("show counters\n", Query::Counters);
    queries("show dead jobs\n", Query::DeadJobs);
    queries("Show DEAD jobs\r\n", Query::DeadJobs);
    answers("show\n", "ERR UNKNOWN_COMMAND Unknown+server+commandshow\r\n");
    let lines = [
        "show foo",
        "show ",
        "show unique",
        "show dead",
        "show jobs extra",
        "show dead jobs extra",
        "show jobs ",
    ];
    for line in lines {
        answers(&format!("{line}\n"), "ERR UNKNOWN_SHOW_ARGUMENTS\r\n");
    }
}

#[test]
fn create_and_drop_function() {
    let create = |name| Order::CreateFunction { function: text(name) };
    let drop = |name| Order::DropFunction { function: text(name) };
    queries("create function abc\r\n", create("abc"));
    // gearmand 1.1.20 would create `ab`.
    queries("create function abc\n", create("abc"));
    queries("Create FUNCTION aBc\n", create("aBc"));
    queries("create function \n", create(""));
    queries("create function ab\tc\n", create("ab\tc"));
    queries("create function ab\0c\n", create("ab"));
    queries("drop function ABC\r\n", drop("ABC"));
    for command in ["create", "drop"] {
        let error = format!(
            "ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+{command}\r\n"
        );
        for rest in ["", " function", " foo bar", " function a b", " function a ", " function  a "] {
            answers(&format!("{command}{rest}\n"), &error);
        }
    }
}

#[test]
fn cancel_job() {
    let cancel = |handle| Order::CancelJob { handle: text(handle) };
    queries("cancel job H:host:12\r\n", cancel("H:host:12"));
    queries("CANCEL JOB x\n", cancel("x"));
    queries("cancel job \n", cancel(""));
    answers("cancel\n", "ERR UNKNOWN_COMMAND Unknown+server+commandcancel\r\n");
    answers("Cancel job\n", "ERR UNKNOWN_COMMAND Unknown+server+commandCancel\r\n");
    answers("cancel foo bar\n", "ERR UNKNOWN_ERROR\r\n");
    answers("cancel job x y\n", "ERR UNKNOWN_ERROR\r\n");
}

#[test]
fn retry_job() {
    let retry = |handle| Order::RetryJob { handle: text(handle) };
    queries("retry job H:host:12\r\n", retry("H:host:12"));
    queries("RETRY JOB x\n", retry("x"));
    answers("retry job\n", "ERR UNKNOWN_COMMAND Unknown+server+commandretry\r\n");
    answers("retry foo bar\n", "ERR UNKNOWN_ERROR\r\n");
    answers("retry job x y\n", "ERR UNKNOWN_ERROR\r\n");
}

#[test]
fn max_queue_numbers() {
    queries("maxqueue f\n", max_queue("f", [0, 0, 0]));
    queries("MaxQueue F 5\r\n", max_queue("F", [5, 5, 5]));
    queries("maxqueue f 3 2\n", max_queue("f", [3, 2, 0]));
    queries("maxqueue f 3 2 1\n", max_queue("f", [3, 2, 1]));
    queries("maxqueue f -3 +2 1x\n", max_queue("f", [0, 2, 1]));
    queries("maxqueue f x \t7 \n", max_queue("f", [0, 7, 0]));
    queries("maxqueue f 99999999999999999999\n", max_queue("f", [u32::MAX; 3]));
    queries("maxqueue \n", max_queue("", [0, 0, 0]));
    answers(
        "maxqueue\n",
        "ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+maxqueue\r\n",
    );
    assert_eq!(ask(b"maxqueue f 1 2 3 4\n"), None);
}

#[test]
fn unknown_commands() {
    let error = |word: &str| format!("ERR UNKNOWN_COMMAND Unknown+server+command{word}\r\n");
    answers("bogus\n", &error("bogus"));
    answers("shutdown\n", &error("shutdown"));
    answers("shutdown graceful\n", &error("shutdown"));
    answers("Bo\0gus x\n", &error("Bo"));
    answers("\n", &error(""));
    answers("\r\n", &error(""));
    answers(" status\n", &error(""));
    answers("status\tx\n", &error("status\tx"));
    answers("status\r\r\n", &error("status\r"));
}

#[test]
fn five_words_and_no_more() {
    assert!(ask(b"a b c d e\n").is_some());
    assert!(ask(b"a  b  c  d \n").is_some());
    assert_eq!(ask(b"a b c d e f\n"), None);
    assert_eq!(ask(b"a b c d e \n"), None);
    assert_eq!(ask(b" a b c d e\n"), None);
}

#[test]
fn the_longest_line() {
    let frontend = SharedPort::for_tests();
    let mut line = vec![b'x'; 8191];
    assert_eq!(frontend.decode(&line), Decoded::Incomplete { needed: 8192 });
    assert_eq!(frontend.decode(&line[..7]), Decoded::Incomplete { needed: 8 });
    line.push(b'\n');
    assert!(ask(&line).is_some());
    line[8190] = b'\r';
    assert!(ask(&line).is_some());
    line.insert(0, b'x');
    assert_eq!(ask(&line), None);
    assert_eq!(frontend.decode(&line[..8192]), Decoded::Malformed(WireError::LongLine));
    assert_eq!(frontend.decode(b"\x16\x03\x01\x02\0"), Decoded::Malformed(WireError::Tls));
    assert_eq!(frontend.decode(b"\x16"), Decoded::Incomplete { needed: 2 });
}

#[test]
fn status_columns() {
    renders(Query::Status, Report::Functions(vec![]), ".\n");
    renders(Query::PriorityStatus, Report::Functions(vec![]), ".\n");
    let rows = vec![
        FunctionRow { function: text(""), queued: [0, 0, 0], running: 0, workers: 0 },
        FunctionRow { function: text("a b"), queued: [1, 20, 300], running: 4000, workers: 5 },
        FunctionRow { function: text("c\td\n\u{7f}"), queued: [u32::MAX; 3], running: 1, workers: 1 },
        FunctionRow { function: text("e\0f"), queued: [0, 0, 0], running: 0, workers: 1 },
    ];
    renders(
        Query::Status,
        Report::Functions(rows.clone()),
        "\t0\t0\t0\na b\t4321\t4000\t5\nc_d__\t12884901886\t1\t1\ne\t0\t0\t1\n.\n",
    );
    let max = u32::MAX;
    renders(
        Query::PriorityStatus,
        Report::Functions(rows),
        &format!("\t0\t0\t0\t0\na b\t1\t20\t300\t5\nc_d__\t{max}\t{max}\t{max}\t1\ne\t0\t0\t0\t1\n.\n"),
    );
}

#[test]
fn worker_columns() {
    let row = |address: &str, id, functions: &[&'static str]| WorkerRow {
        descriptor: 20,
        address: address.parse::<IpAddr>().unwrap(),
        id: text(id),
        functions: functions.iter().map(|name| text(name)).collect(),
        session: SessionId::new(ShardId(0), 1, 1),
        begins: true,
        left: 0,
    };
    let rows = vec![
        row("127.0.0.1", "worker-7", &["two", "one"]),
        row("::ffff:10.1.2.3", "-", &[]),
        row("::1", "a b\tc\nd", &["x y", "\u{1b}[2J", "p\0q"]),
        row("fe80::1", "id\0junk", &["ü"]),
        row("10.0.0.1", "", &[]),
    ];
    renders(
        Query::Workers,
        Report::Workers(rows),
        "20 127.0.0.1 worker-7 : two one\n20 10.1.2.3 - :\n20 ::1 a_b_c_d : x_y _[2J p\n\
         20 fe80::1 id : ü\n20 10.0.0.1 - :\n.\n",
    );
}

#[test]
fn job_columns() {
    let rows = vec![
        JobRow { job: job(1), unique: text("uniq-a"), retries: 0, ignored: false, stored: true },
        JobRow { job: job(2), unique: text(""), retries: 3, ignored: true, stored: false },
        JobRow { job: job(3), unique: text("a b\nc"), retries: 255, ignored: false, stored: false },
    ];
    let [one, two, three] = [1, 2, 3].map(|sequence| format!("H:host:{}", job(sequence).number()));
    renders(
        Query::Jobs,
        Report::Jobs(rows.clone()),
        &format!("{one}\t0\t0\t1\n{two}\t3\t1\t0\n{three}\t255\t0\t0\n.\n"),
    );
    for compat in [Compat::V1_1, Compat::V2_0, Compat::V2_1] {
        renders_for(compat, Query::UniqueJobs, Report::Jobs(rows.clone()), "uniq-a\n\na b_c\n.\n");
    }
    renders_for(
        Compat::V2_2,
        Query::UniqueJobs,
        Report::Jobs(rows),
        &format!("{one}\tuniq-a\n{two}\t\n{three}\ta b_c\n.\n"),
    );
}

#[test]
fn jobs_with_workers_and_clients_with_jobs() {
    let session = |index| SessionId::new(ShardId(0), index, 1);
    let place = |place: &str| place.parse::<SocketAddr>().unwrap();
    let row = |number, unique, worker: Option<&str>, clients| InvolvedJob {
        job: job(number),
        function: text("f\t1"),
        unique: text(unique),
        worker: worker.map(place),
        clients,
    };
    let jobs =
        [row(1, "u\n1", Some("10.1.2.4:2222"), 4), row(2, "", None, 1), row(3, "u3", Some("[::1]:5"), 0)];
    renders(
        Query::JobsWithWorkers,
        Report::Involved(jobs.to_vec()),
        "f_1\tu_1\t10.1.2.4:2222\t4\nf_1\t\t-\t1\nf_1\tu3\t[::1]:5\t0\n.\n",
    );
    let one = "\tf_1\tu_1\t10.1.2.4:2222\n";
    let lines = format!("10.1.2.3:1111\n{one}10.1.2.4:2222\n[fe80::1]:3333\n{one}{one}\tf_1\t\t-\n.\n");
    let client = |index, address| {
        let row = SessionRow {
            session: session(index),
            descriptor: 9,
            address: place(address),
            id: text("x"),
            functions: 0,
            asleep: false,
            since_ms: 1,
            heard_ms: 1,
            asked_ms: None,
        };
        WaitingRow { session: session(index), what: Waits::Session(Box::new(row)) }
    };
    let waits = |index, job: usize, times| {
        let what = Waits::Job { job: jobs[job].clone(), times, told: 0 };
        WaitingRow { session: session(index), what }
    };
    let rows = vec![
        client(1, "[::ffff:10.1.2.3]:1111"),
        waits(1, 0, 1),
        client(2, "10.1.2.4:2222"),
        client(3, "[fe80::1]:3333"),
        waits(3, 0, 2),
        waits(3, 1, 1),
    ];
    renders(Query::ClientsWithJobs, Report::Waiting(rows), &lines);
    renders(Query::ClientsWithJobs, Report::Waiting(vec![]), ".\n");
}

#[test]
fn pages_make_one_list() {
    let frontend = SharedPort::for_tests();
    let mut out = Vec::new();
    let mut page = |report, last: bool| {
        let page = Box::new((Query::Workers.into(), report));
        let reply = if last { Reply::Report(page) } else { Reply::Rows(page) };
        assert!(frontend.encode(&reply, &mut out).is_none());
    };
    let piece = |functions: &[&'static str], begins, left| WorkerRow {
        descriptor: 20,
        session: SessionId::new(ShardId(0), 1, 1),
        address: "127.0.0.1".parse::<IpAddr>().unwrap(),
        id: text("-"),
        functions: functions.iter().map(|name| text(name)).collect(),
        begins,
        left,
    };
    page(Report::Workers(vec![piece(&["d", "c"], true, 2)]), false);
    page(Report::Workers(vec![piece(&["b"], false, 1)]), false);
    page(Report::Workers(vec![piece(&["a"], false, 0), piece(&[], true, 0)]), false);
    page(Report::Workers(vec![]), true);
    assert_eq!(std::str::from_utf8(&out).unwrap(), "20 127.0.0.1 - : d c b a\n20 127.0.0.1 - :\n.\n");
}

#[test]
fn dead_job_columns() {
    let row = DeadRow {
        job: job(1),
        function: text("re\tsize"),
        unique: text("u 1"),
        attempts: 3,
        reason: DeathReason::WorkerGone,
        at: Epoch(1_800_000_000_123),
        address: "::ffff:10.1.2.3".parse::<IpAddr>().unwrap(),
        worker: text("worker\n7"),
    };
    let reasons = [(DeathReason::AbilityDropped, "ability_dropped"), (DeathReason::TimedOut, "timed_out")];
    let handle = format!("H:host:{}", job(1).number());
    let fixed = "1800000000123\t10.1.2.3";
    renders(
        Query::DeadJobs,
        Report::DeadJobs(vec![row.clone()]),
        &format!("{handle}\tre_size\tu 1\t3\tworker_gone\t{fixed}\tworker_7\n.\n"),
    );
    for (reason, word) in reasons {
        renders(
            Query::DeadJobs,
            Report::DeadJobs(vec![DeadRow { reason, worker: text(""), ..row.clone() }]),
            &format!("{handle}\tre_size\tu 1\t3\t{word}\t{fixed}\t-\n.\n"),
        );
    }
}

#[test]
fn orders_carried_out_or_not() {
    let function = || text("f");
    let create = || Order::CreateFunction { function: function() };
    renders(create(), Report::Done, "OK\r\n");
    renders(create(), Report::NotCreated(Refusal::TooManyFunctions), "ERR TOO_MANY_FUNCTIONS\r\n");
    renders(create(), Report::NotCreated(Refusal::FunctionBytesFull), "ERR FUNCTION_BYTES_FULL\r\n");
    renders(max_queue("f", [1; 3]), Report::Done, "OK\r\n");
    let cancel = || Order::CancelJob { handle: text("x") };
    renders(cancel(), Report::Done, "OK\r\n");
    renders(cancel(), Report::UnknownJob, "ERR UNKNOWN_JOB\r\n");
    let retry = || Order::RetryJob { handle: text("x") };
    renders(retry(), Report::Done, "OK\r\n");
    renders(retry(), Report::UnknownJob, "ERR UNKNOWN_JOB\r\n");
    let drop = || Order::DropFunction { function: function() };
    renders(drop(), Report::Dropped(vec![]), "ERR function not found\r\n");
    let row = |dropped| DropRow { function: function(), dropped };
    renders(drop(), Report::Dropped(vec![row(true)]), "OK\r\n");
    renders(
        drop(),
        Report::Dropped(vec![row(false), row(true)]),
        "ERR there are still connected workers or executing clients\r\nOK\r\n",
    );
}

#[test]
fn counters_are_names_and_values() {
    let counters = Counters { sessions: 3, ..Counters::default() };
    let mut out = Vec::new();
    let reply = Reply::Report(Box::new((Query::Counters.into(), Report::Counters(Box::new(counters)))));
    assert_eq!(SharedPort::for_tests().encode(&reply, &mut out), None);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("sessions\t3\nsessions_opened\t0\n"), "{text}");
    assert!(text.ends_with("\t0\n.\n"), "{text}");
    assert_eq!(text.lines().count(), Counters::default().rows().count() + 1);
}
