//! One engine without others beside it, and sessions that speak to it. For tests that look at single events.
use ringgear_engine::{
    CloseReason, Engine, Epoch, HandlePrefix, Input, Instant, JobId, Now, Output, Peer, Policy, Query, Reply,
    Report, SessionId, ShardId, StoredJob, Topology,
};
use ringgear_protocol::{Priority, Request, Submit};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// When everything happens.
pub(crate) const NOW: Now = Now { instant: Instant(1), epoch: Epoch(1) };

/// Of the first shard of so many, with one session.
pub(crate) fn engine(shards: u16, change: impl FnOnce(&mut Policy)) -> (Engine, SessionId) {
    let mut policy = Policy::new(HandlePrefix::new(b"H").unwrap());
    change(&mut policy);
    let mut engine =
        Engine::new(ShardId(0), ringgear_engine::Board::new(Topology::new(shards)), Arc::new(policy));
    let session = open(&mut engine, 0);
    (engine, session)
}

/// Opens another session.
pub(crate) fn open(engine: &mut Engine, index: u32) -> SessionId {
    let session = SessionId::new(ShardId(0), index, 1);
    let peer = Peer { descriptor: index, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
    engine.handle(NOW, Input::Opened(session, peer));
    session
}

/// A submission without a workload.
pub(crate) fn submission<'a>(function: &'a [u8], unique: &'a [u8], background: bool) -> Submit<'a> {
    let (priority, epoch, reducer) = (Priority::Normal, None, None);
    Submit { function, unique, workload: b"", priority, background, epoch, reducer }
}

/// The same, as a request.
pub(crate) fn submit<'a>(function: &'a [u8], unique: &'a [u8], background: bool) -> Request<'a> {
    Request::Submit(submission(function, unique, background))
}

/// A job of `f` that was found in the store.
pub(crate) fn stored(id: JobId) -> StoredJob<'static> {
    let (priority, function) = (Priority::Normal, b"f");
    let (epoch, reducer, death, accepted) = (None, None, None, None);
    StoredJob {
        id,
        priority,
        epoch,
        attempts: 0,
        function,
        unique: b"",
        workload: b"",
        reducer,
        death,
        accepted,
        more: b"",
    }
}

/// What comes of a request at once.
pub(crate) fn ask(engine: &mut Engine, session: SessionId, request: Request<'_>) -> Vec<Output> {
    engine.handle(NOW, Input::Request(session, request));
    outputs(engine)
}

/// What waits to be done.
pub(crate) fn outputs(engine: &mut Engine) -> Vec<Output> {
    std::iter::from_fn(|| Some(engine.output()?.0)).collect()
}

/// Goes on until the engine has nothing more to do; how many events that took.
pub(crate) fn go_on(engine: &mut Engine) -> (usize, Vec<Output>) {
    let (mut events, mut out) = (0, Vec::new());
    while engine.deadline().is_some_and(|at| at <= NOW.instant) {
        engine.handle(NOW, Input::Tick);
        out.extend(outputs(engine));
        events += 1;
    }
    (events, out)
}

/// A number of `show counters`, asked by somebody who leaves at once.
pub(crate) fn counter(engine: &mut Engine, name: &str) -> u64 {
    let session = open(engine, 1_000_000);
    engine.handle(NOW, Input::Ask(session, Query::Counters.into()));
    let report = outputs(engine).into_iter().find_map(|output| match output {
        Output::Reply(_, Reply::Report(report)) => Some(report.1),
        _ => None,
    });
    engine.handle(NOW, Input::Closed(session, CloseReason::Peer));
    let Some(Report::Counters(counters)) = report else { panic!("no counters") };
    counters.rows().find(|row| row.0 == name).unwrap().1
}

/// A function, as `status` tells of it.
pub(crate) struct Row {
    pub(crate) function: String,
    pub(crate) queued: [u32; 3],
    pub(crate) running: u32,
    pub(crate) workers: u32,
}

/// All functions.
pub(crate) fn status(engine: &mut Engine, session: SessionId) -> Vec<Row> {
    engine.handle(NOW, Input::Ask(session, Query::Status.into()));
    let mut all = Report::Functions(Vec::new());
    loop {
        engine.handle(NOW, Input::Room(session));
        let page = outputs(engine).into_iter().find_map(|output| match output {
            Output::Reply(_, Reply::Rows(page)) => Some((page.1, false)),
            Output::Reply(_, Reply::Report(page)) => Some((page.1, true)),
            _ => None,
        });
        let (page, last) = page.expect("a page of the status");
        all.append(page);
        if last {
            break;
        }
    }
    let Report::Functions(rows) = all else { panic!("no status") };
    let name = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
    rows.into_iter()
        .map(|row| Row {
            function: name(&row.function),
            queued: row.queued,
            running: row.running,
            workers: row.workers,
        })
        .collect()
}
