//! The check of crates.io's `gearman`, a client and a worker on tokio.

use bytes::Bytes;
use check::{Case, Error, address, case, death, expect, please, until_status};
use futures::StreamExt;
use gearman::admin::{AdminClient, MaxQueueSize};
use gearman::client::{Client, ClientBuilder, Priority, ServerSelection, SubmitOptions, SubmittedJob};
use gearman::protocol::{Packet, PacketType};
use gearman::worker::{GrabMode, WorkError, Worker, WorkerBuilder, WorkerJob};
use gearman::{Connection, GearmanError};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

type Work = Result<Bytes, WorkError>;

fn name(of: &str) -> String {
    format!("gearman-crate-{of}")
}

async fn client() -> Result<Client, GearmanError> {
    Client::builder().servers([address('A')]).connect().await
}

/// A worker of one connection; register functions and run it.
fn builder() -> WorkerBuilder {
    Worker::builder().servers([address('A')]).concurrency(1)
}

async fn upper(job: WorkerJob) -> Work {
    Ok(job.payload.to_ascii_uppercase().into())
}

async fn reverse(job: WorkerJob) -> Work {
    Ok(job.payload.iter().rev().copied().collect())
}

async fn mirror(job: WorkerJob) -> Work {
    Ok(job.payload)
}

/// All events of a job, to its end.
async fn events(job: SubmittedJob) -> Vec<String> {
    let events = job.events.expect("a foreground job has events");
    events.map(|event| format!("{event:?}")).collect().await
}

/// A function that sends on the payloads of its jobs.
fn noting() -> (impl Fn(WorkerJob) -> futures::future::Ready<Work>, mpsc::UnboundedReceiver<Bytes>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let work = move |job: WorkerJob| {
        let _ = sender.send(job.payload);
        futures::future::ready(Ok(Bytes::new()))
    };
    (work, receiver)
}

async fn foreground() -> Result<(), Error> {
    let worker = builder().register(name("foreground"), reverse).run();
    expect!(client().await?.submit_fg(&name("foreground"), "Hello").await?, "olleH", "result");
    worker.shutdown().await;
    Ok(())
}

async fn background() -> Result<(), Error> {
    let (work, mut seen) = noting();
    let worker = builder().register(name("background"), work).run();
    let handle = client().await?.submit_bg(&name("background"), "in the back").await?;
    expect!(&handle.as_str()[..2], "H:", "handle");
    expect!(seen.recv().await, Some(Bytes::from("in the back")), "workload");
    worker.shutdown().await;
    Ok(())
}

async fn of_priority(of: &str, priority: Priority) -> Result<(), Error> {
    let worker = builder().register(name(of), upper).run();
    let client = client().await?;
    let options = SubmitOptions::foreground().with_priority(priority);
    let job = client.submit(&name(of), None, "first", options).await?;
    expect!(events(job).await, ["Complete(b\"FIRST\")"], "events");
    worker.shutdown().await;
    Ok(())
}

async fn high() -> Result<(), Error> {
    of_priority("high", Priority::High).await
}

async fn low() -> Result<(), Error> {
    of_priority("low", Priority::Low).await
}

async fn priorities() -> Result<(), Error> {
    let client = client().await?;
    for number in 1..=2 {
        for priority in [Priority::Low, Priority::Normal, Priority::High] {
            let options = SubmitOptions::background().with_priority(priority);
            client.submit(&name("priorities"), None, format!("{priority:?}{number}"), options).await?;
        }
    }
    let (work, mut seen) = noting();
    let worker = builder().register(name("priorities"), work).run();
    for wanted in ["High1", "High2", "Normal1", "Normal2", "Low1", "Low2"] {
        expect!(seen.recv().await, Some(Bytes::from(wanted)), "next workload");
    }
    worker.shutdown().await;
    Ok(())
}

async fn status_running() -> Result<(), Error> {
    let go = Arc::new(Notify::new());
    let held = go.clone();
    let work = move |job: WorkerJob| {
        let held = held.clone();
        async move {
            job.reporter.report_status(1, 2).await.map_err(|_| WorkError::Fail)?;
            held.notified().await;
            Ok(Bytes::from("whole"))
        }
    };
    let worker = builder().register(name("status-running"), work).run();
    let client = client().await?;
    let options = SubmitOptions::foreground();
    let mut job = client.submit(&name("status-running"), Some("unique-of-running"), "", options).await?;
    let events = job.events.as_mut().ok_or("no events")?;
    expect!(format!("{:?}", events.next().await), "Some(Status { numerator: 1, denominator: 2 })", "event");
    let status = client.get_status(&job.handle).await?;
    expect!(
        (status.known, status.running, status.numerator, status.denominator),
        (true, true, 1, 2),
        "status"
    );
    let status = client.get_status_unique(&job.handle).await?;
    expect!((status.known, status.running, status.client_count), (true, true, Some(1)), "status by unique");
    go.notify_one();
    expect!(format!("{:?}", events.next().await), "Some(Complete(b\"whole\"))", "event");
    worker.shutdown().await;
    Ok(())
}

async fn status_known() -> Result<(), Error> {
    let client = client().await?;
    let handle = client.submit_bg(&name("status-known"), "").await?;
    let status = client.get_status(&handle).await?;
    expect!(
        (status.known, status.running, status.numerator, status.denominator),
        (true, false, 0, 0),
        "status"
    );
    Ok(())
}

/// Handles cannot be made up in this library: this one is of a job that has ended.
async fn status_unknown() -> Result<(), Error> {
    let worker = builder().register(name("status-unknown"), upper).run();
    let client = client().await?;
    let mut job =
        client.submit(&name("status-unknown"), Some("gone"), "x", SubmitOptions::foreground()).await?;
    job.events.as_mut().ok_or("no events")?.next().await;
    let status = client.get_status(&job.handle).await?;
    expect!(
        (status.known, status.running, status.numerator, status.denominator),
        (false, false, 0, 0),
        "status"
    );
    let status = client.get_status_unique(&job.handle).await?;
    expect!((status.known, status.running, status.client_count), (false, false, Some(0)), "status by unique");
    worker.shutdown().await;
    Ok(())
}

/// Runs one job whose worker sends updates, and compares all events.
async fn updates(of: &'static str, wanted: &[&str]) -> Result<(), Error> {
    let work = move |job: WorkerJob| async move {
        let sent = match of {
            "progress" => {
                let _ = job.reporter.report_status(1, 3).await;
                job.reporter.report_status(3, 3).await
            }
            "data" => {
                let _ = job.reporter.send_data("one").await;
                job.reporter.send_data(&b"\0\x01\x02"[..]).await
            }
            _ => job.reporter.warn("careful").await,
        };
        sent.map(|()| Bytes::from("end")).map_err(|_| WorkError::Fail)
    };
    let worker = builder().register(name(of), work).run();
    let client = client().await?;
    let job = client.submit(&name(of), None, "", SubmitOptions::foreground()).await?;
    expect!(events(job).await, wanted, "events");
    worker.shutdown().await;
    Ok(())
}

async fn progress() -> Result<(), Error> {
    let status = |numerator| format!("Status {{ numerator: {numerator}, denominator: 3 }}");
    updates("progress", &[&status(1), &status(3), "Complete(b\"end\")"]).await
}

async fn data() -> Result<(), Error> {
    updates("data", &["Data(b\"one\")", "Data(b\"\\0\\x01\\x02\")", "Complete(b\"end\")"]).await
}

async fn warning() -> Result<(), Error> {
    updates("warning", &["Warning(b\"careful\")", "Complete(b\"end\")"]).await
}

async fn exception() -> Result<(), Error> {
    let work = |_| async { Err(WorkError::Exception(Bytes::from("no good"))) };
    let worker = builder().register(name("exception"), work).run();
    // Not asked for, it is a failure; asked for, it arrives as it was sent.
    let client = client().await?;
    let job = client.submit(&name("exception"), None, "", SubmitOptions::foreground()).await?;
    expect!(events(job).await, ["Fail"], "events");
    let asking = Client::builder().servers([address('A')]).with_exceptions(true).connect().await?;
    let job = asking.submit(&name("exception"), None, "", SubmitOptions::foreground()).await?;
    expect!(events(job).await, ["Exception(b\"no good\")"], "events");
    worker.shutdown().await;
    Ok(())
}

async fn fail() -> Result<(), Error> {
    let worker = builder().register(name("fail"), |_| async { Err(WorkError::Fail) }).run();
    match client().await?.submit_fg(&name("fail"), "").await {
        Err(GearmanError::JobFailed { .. }) => {}
        other => return Err(format!("the job ended with {other:?}").into()),
    }
    worker.shutdown().await;
    Ok(())
}

/// Four submissions, two of them on one connection: the library tells them apart by counting the copies of each event.
async fn unique() -> Result<(), Error> {
    let clients = [client().await?, client().await?];
    let mut jobs = Vec::new();
    for client in clients.iter().chain(&clients) {
        jobs.push(client.submit(&name("unique"), Some("same"), "", SubmitOptions::foreground()).await?);
    }
    for job in &jobs {
        expect!(job.handle.as_str(), jobs[0].handle.as_str(), "handle");
    }
    let uniques = Arc::new(Mutex::new(Vec::new()));
    let seen = uniques.clone();
    let work = move |job: WorkerJob| {
        seen.lock().expect("no panic").push(job.unique.clone().unwrap_or_default());
        async move {
            let _ = job.reporter.send_data("part").await;
            Ok(Bytes::from("once"))
        }
    };
    let worker = builder().register(name("unique"), work).run();
    for job in jobs {
        expect!(events(job).await, ["Data(b\"part\")", "Complete(b\"once\")"], "events");
    }
    expect!(*uniques.lock().expect("no panic"), ["same"], "uniques of the runs");
    worker.shutdown().await;
    Ok(())
}

async fn there_and_back(of: &str, payload: Vec<u8>) -> Result<(), Error> {
    let worker = builder().register(name(of), mirror).run();
    expect!(client().await?.submit_fg(&name(of), payload.clone()).await?, payload, "result");
    worker.shutdown().await;
    Ok(())
}

async fn binary() -> Result<(), Error> {
    there_and_back("binary", check::every_byte()).await
}

async fn empty() -> Result<(), Error> {
    there_and_back("empty", Vec::new()).await
}

async fn large() -> Result<(), Error> {
    there_and_back("large", check::large()).await
}

async fn dying_worker() -> Result<(), Error> {
    let client = client().await?;
    let job = client.submit(&name("dying-worker"), None, "", SubmitOptions::foreground()).await?;
    death().await?;
    let worker = builder().register(name("dying-worker"), |_| async { Ok(Bytes::from("survived")) }).run();
    expect!(events(job).await, ["Complete(b\"survived\")"], "events");
    worker.shutdown().await;
    Ok(())
}

async fn several_functions() -> Result<(), Error> {
    let length = |job: WorkerJob| async move { Ok(Bytes::from(job.payload.len().to_string())) };
    let worker = builder()
        .register(name("several-upper"), upper)
        .register(name("several-reverse"), reverse)
        .register(name("several-length"), length)
        .run();
    let client = client().await?;
    expect!(client.submit_fg(&name("several-length"), "abc").await?, "3", "result");
    expect!(client.submit_fg(&name("several-upper"), "abc").await?, "ABC", "result");
    expect!(client.submit_fg(&name("several-reverse"), "abc").await?, "cba", "result");
    // It tells the server when it next wakes.
    worker.unregister(&name("several-upper")).await;
    client.submit_fg(&name("several-length"), "abc").await?;
    until_status(&name("several-upper"), [0, 0, 0]).await?;
    worker.shutdown().await;
    Ok(())
}

/// CAN_DO_TIMEOUT: the job of a worker that is too slow goes to another one. (The library sends seconds, the server takes
/// milliseconds, and raises what is less than a second to one.)
async fn timeout() -> Result<(), Error> {
    let (told, mut running) = mpsc::unbounded_channel();
    let slow = move |_| {
        let _ = told.send(());
        async { futures::future::pending().await }
    };
    let slow = builder().register_with_timeout(name("timeout"), slow, Duration::from_secs(1)).run();
    let client = client().await?;
    let job = client.submit(&name("timeout"), None, "", SubmitOptions::foreground()).await?;
    running.recv().await;
    let worker = builder().register(name("timeout"), |_| async { Ok(Bytes::from("in time")) }).run();
    expect!(events(job).await, ["Complete(b\"in time\")"], "events");
    worker.shutdown().await;
    drop(slow);
    Ok(())
}

async fn echo() -> Result<(), Error> {
    let mut connection = Connection::connect(address('A')).await?;
    let payload = Bytes::from("any\0bytes");
    connection.send(Packet::request(PacketType::EchoReq, vec![payload.clone()])).await?;
    let answer = connection.recv().await?.ok_or("no answer")?;
    expect!((answer.ptype, answer.args), (PacketType::EchoRes, vec![payload]), "answer");
    Ok(())
}

async fn admin() -> Result<(), Error> {
    let mut admin = AdminClient::connect(address('A')).await?;
    let client = client().await?;
    let worker = builder().register(name("admin"), upper).run();
    client.submit_fg(&name("admin"), "x").await?;
    let handle = client.submit_bg(&name("admin-queued"), "").await?;

    let status = admin.status().await?;
    let of = |function: &str| {
        let entry = status.iter().find(|entry| entry.function == name(function));
        entry.map(|entry| (entry.total, entry.running, entry.worker_count))
    };
    expect!((of("admin"), of("admin-queued")), (Some((0, 0, 1)), Some((1, 0, 0))), "status");
    let priorities = admin.priority_status().await?;
    let queued = priorities.iter().find(|entry| entry.function == name("admin-queued"));
    expect!(queued.map(|entry| (entry.high, entry.normal, entry.low)), Some((0, 1, 0)), "prioritystatus");
    let workers = admin.workers().await?;
    let mine = workers.iter().find(|entry| entry.functions == [name("admin")]);
    expect!(mine.map(|entry| (&entry.ip[..], &entry.client_id[..])), Some(("127.0.0.1", "-")), "workers");
    let jobs = admin.show_jobs().await?;
    let job = jobs.iter().find(|job| job.handle == handle.as_str()).ok_or("the job is not shown")?;
    expect!((job.retries, job.ignore_job, job.queued), (0, false, true), "show jobs");
    admin.show_unique_jobs().await?;
    admin.cancel_job(handle.as_str()).await?;
    admin.create_function(&name("admin-created")).await?;
    admin.set_max_queue(&name("admin-created"), MaxQueueSize::Uniform(1)).await?;
    client.submit_bg(&name("admin-created"), "").await?;
    match client.submit_bg(&name("admin-created"), "").await {
        Err(GearmanError::ServerError { code, text }) => {
            expect!((&code[..], &text[..]), ("QUEUE_ERROR", "Job queue is full"), "error");
        }
        other => return Err(format!("over the limit it says {other:?}").into()),
    }
    admin.create_function(&name("admin-dropped")).await?;
    admin.drop_function(&name("admin-dropped")).await?;
    expect!(admin.getpid().await? > 1, true, "pid");
    admin.verbose().await?;
    expect!(admin.version().await?.is_empty(), false, "version is empty");
    worker.shutdown().await;
    Ok(())
}

/// Client and worker connect again by themselves, after a while.
async fn restart() -> Result<(), Error> {
    let worker = builder().register(name("restart"), upper).run();
    let client = client().await?;
    expect!(client.submit_fg(&name("restart"), "before").await?, "BEFORE", "result");
    let mut waiting = client.submit(&name("restart-nobody"), None, "", SubmitOptions::foreground()).await?;
    please("kill A").await?;
    // A job on a lost connection ends without a last event.
    let end = waiting.events.as_mut().ok_or("no events")?.next().await;
    expect!(end.is_none(), true, "end of the job that was under way");
    please("start A").await?;
    let after = loop {
        match client.submit_fg(&name("restart"), "after").await {
            Err(GearmanError::NoServersAvailable | GearmanError::ConnectionClosed | GearmanError::Io(_)) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => break other?,
        }
    };
    expect!(after, "AFTER", "result");
    worker.shutdown().await;
    Ok(())
}

async fn two_servers() -> Result<(), Error> {
    let both = [address('A'), address('B')];
    let worker = Worker::builder().servers(both.clone()).concurrency(2).register(name("two"), upper).run();
    let client = Client::builder().servers(both).connect().await?;
    for _ in 0..4 {
        expect!(client.submit_fg(&name("two"), "both").await?, "BOTH", "result");
    }
    please("kill A").await?;
    let mut done = 0;
    while done < 4 {
        // A submission handed to the lost connection in the instant before the library notices waits there until this
        // server is back: its user waits for so long and no longer.
        match tokio::time::timeout(Duration::from_secs(2), client.submit_fg(&name("two"), "one")).await {
            Err(_) | Ok(Err(GearmanError::ConnectionClosed | GearmanError::Io(_))) => {}
            Ok(other) => {
                expect!(other?, "ONE", "result");
                done += 1;
            }
        }
    }
    please("start A").await?;
    worker.shutdown().await;
    Ok(())
}

async fn reduce() -> Result<(), Error> {
    let work = |job: WorkerJob| async move {
        Ok(Bytes::from(format!("{} by {:?}", job.unique.unwrap_or_default(), job.reducer)))
    };
    let worker = builder().grab_mode(GrabMode::All).register(name("reduce"), work).run();
    let client = client().await?;
    let job = client.submit_reduce_job(&name("reduce"), Some("u"), "the-reducer", "x", false).await?;
    expect!(events(job).await, [r#"Complete(b"u by Some(\"the-reducer\")")"#], "events");
    expect!(client.submit_fg_unique(&name("reduce"), Some("v"), "x").await?, "v by None", "result");
    worker.shutdown().await;
    Ok(())
}

async fn epoch() -> Result<(), Error> {
    let (work, mut seen) = noting();
    let worker = builder().register(name("epoch"), work).run();
    let handle = client().await?.submit_epoch(&name("epoch"), None, 1, "long due").await?;
    expect!(&handle.as_str()[..2], "H:", "handle");
    expect!(seen.recv().await, Some(Bytes::from("long due")), "workload");
    worker.shutdown().await;
    Ok(())
}

/// Servers by the hash of the unique, as libgearman chooses: equal uniques meet at one server.
async fn by_unique() -> Result<(), Error> {
    let both = [address('A'), address('B')];
    let builder = ClientBuilder::new().servers(both).server_selection(ServerSelection::ByUnique);
    let client = builder.connect().await?;
    let function = name("by-unique");
    for unique in ["one", "two", "three"] {
        let submit = || client.submit(&function, Some(unique), "", SubmitOptions::background());
        expect!(submit().await?.handle, submit().await?.handle, "handle");
    }
    Ok(())
}

/// A hundred jobs at once on one connection, by ten of a worker's connections.
async fn hundred_jobs() -> Result<(), Error> {
    let worker = builder().concurrency(10).register(name("hundred"), mirror).run();
    let client = client().await?;
    let function = name("hundred");
    let jobs = (0..100).map(|number| client.submit_fg(&function, number.to_string()));
    for (number, result) in futures::future::join_all(jobs).await.into_iter().enumerate() {
        expect!(result?, number.to_string(), "result");
    }
    worker.shutdown().await;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    if check::dying() {
        let _worker = builder().register(name("dying-worker"), |_| async { std::process::exit(1) }).run();
        return futures::future::pending().await;
    }
    let cases: Vec<(&str, Case)> = vec![
        ("foreground", case!(foreground)),
        ("background", case!(background)),
        ("high", case!(high)),
        ("low", case!(low)),
        ("priorities", case!(priorities)),
        ("status-running", case!(status_running)),
        ("status-known", case!(status_known)),
        ("status-unknown", case!(status_unknown)),
        ("progress", case!(progress)),
        ("data", case!(data)),
        ("warning", case!(warning)),
        ("exception", case!(exception)),
        ("fail", case!(fail)),
        ("unique", case!(unique)),
        ("binary", case!(binary)),
        ("empty", case!(empty)),
        ("large", case!(large)),
        ("dying-worker", case!(dying_worker)),
        ("several-functions", case!(several_functions)),
        ("timeout", case!(timeout)),
        ("echo", case!(echo)),
        ("admin", case!(admin)),
        ("restart", case!(restart)),
        ("two-servers", case!(two_servers)),
        ("reduce", case!(reduce)),
        ("epoch", case!(epoch)),
        ("by-unique", case!(by_unique)),
        ("hundred-jobs", case!(hundred_jobs)),
    ];
    check::run("gearman", cases).await
}
