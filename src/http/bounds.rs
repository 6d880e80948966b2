//! What one peer, and all of them together, may take of the HTTP side. Numbers with their reasons; where each is kept is said by who
//! names it.
use std::time::Duration;

/// Connections at a time, of all addresses; one more is closed at once. Scrapers, probes and browsers need a few each.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// Connections at a time to gearmand's HTTP, each of which may wait for a job.
pub(super) const GATEWAY_MAX: usize = 1024;
/// Bytes of a request's head: a place to go on may be the name of a function, of up to 8 KiB.
pub(super) const HEAD_BYTES: usize = 32 << 10;
/// Headers of a request.
pub(super) const HEADERS_MAX: usize = 64;
/// How long a head may take, and how long a connection may wait for the next one.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long an answer may take to be made.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(20);
/// How long a peer may take to read an answer, from when it first had to be waited for.
pub(super) const SEND_TIME: Duration = Duration::from_secs(10);
/// How much of a refused body is read and thrown away, so that its sender comes to read the answer; for how long in all, and how long
/// nothing may come meanwhile.
pub(super) const LINGER_BYTES: usize = 64 << 20;
pub(super) const LINGER_TIME: Duration = Duration::from_secs(5);
pub(super) const LINGER_PAUSE: Duration = Duration::from_secs(1);
/// Surveys of the shards at a time; other requests wait for their turn, as long as [`REQUEST_TIME`].
pub(super) const SURVEYS_MAX: usize = 4;
/// TLS handshakes at a time: half of the connections, so that who is inside is served; and of gearmand's HTTP. How long one may take.
pub(super) const GREETINGS_MAX: usize = 32;
pub(super) const GATEWAY_GREETINGS_MAX: usize = 256;
pub(super) const GREETING_TIME: Duration = Duration::from_secs(5);
/// How long accepting pauses when it fails, for want of descriptors for instance.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How long what was found of all functions is good for: more askers than one a second see the same.
pub(super) const OVERVIEW_AGE: Duration = Duration::from_secs(1);

/// Items of a list where nobody says how many.
pub(super) const LIMIT: usize = 100;
/// The most that may be asked for.
pub(super) const LIMIT_MAX: usize = 1000;
/// Pages of a report that are looked through for one answer: with filters, it may have few items and a place to go on.
pub(super) const PAGES_MAX: usize = 64;
/// Bytes of items in one answer: with more it ends early, with a place to go on.
pub(super) const ITEMS_BYTES: usize = 1 << 20;
/// Functions of one worker that are told.
pub(super) const REGISTRATIONS_MAX: usize = 1000;
/// Functions on the page.
pub(super) const PAGE_ROWS: usize = 100;
/// Bytes of a name in a label and on the page. Longer ones are cut.
pub(super) const NAME_BYTES: usize = 128;

/// Bytes of bodies of requests, and of results that are collected for an answer, all together. A single one may be larger, while there
/// is no other.
pub(super) const BODIES_BYTES: usize = 64 << 20;
/// Bytes of a form.
pub(super) const FORM_BYTES: usize = 4 << 10;
/// How long a body may take, and how long it may rest.
pub(super) const BODY_TIME: Duration = Duration::from_secs(300);
pub(super) const BODY_PAUSE: Duration = Duration::from_secs(10);
/// Bytes of a body of JSON, which takes several times as many while it is read. Larger workloads come as the body itself.
pub(super) const JSON_BYTES: usize = 8 << 20;
/// Jobs of one request, and how long their answers may take.
pub(super) const SUBMITS_MAX: usize = 1000;
pub(super) const SUBMITS_TIME: Duration = Duration::from_secs(60);
/// Requests that wait for jobs: half of all connections, so that those who look find a place.
pub(super) const WAITS_MAX: usize = 32;
/// How long a stream of events is silent at the most.
pub(super) const COMMENT_TIME: Duration = Duration::from_secs(15);
/// Those who are told of what changes, how often at the most, and of how much each.
pub(super) const VIEWERS_MAX: usize = 16;
pub(super) const TICK: Duration = Duration::from_secs(1);
pub(super) const TOPICS_MAX: usize = 8;
/// Connections from an address that are followed, and jobs that are told of them.
pub(super) const CLIENT_SESSIONS_MAX: usize = 8;
pub(super) const CLIENT_JOBS_MAX: usize = 100;
/// How often what was counted of functions is noted, at the most; and for so many times that is kept: ten minutes.
pub(super) const HISTORY_EACH: Duration = Duration::from_secs(30);
pub(super) const HISTORY_NOTES: u32 = 20;
/// Workers of a function that seem to do nothing and are looked at more closely, to say why its jobs do not move.
pub(super) const SILENT_MAX: usize = 8;
/// Names like another one that are told.
pub(super) const NEAR_MAX: usize = 4;
/// Actions that are remembered, and as many looks at payloads; bytes of what is said of one; and how many milliseconds the same look is
/// told no second time.
pub(super) const AUDIT_MAX: usize = 1000;
pub(super) const AUDIT_LOOK_AGAIN: u64 = 600_000;
pub(super) const AUDIT_TEXT_BYTES: usize = 512;
/// Bytes of the body of an order, or of the form that is one.
pub(super) const BODY_BYTES: usize = 64 << 10;
/// Bytes of a reason.
pub(super) const REASON_BYTES: usize = 512;
/// How long a step waits that was held up by the store.
pub(super) const HELD_UP: Duration = Duration::from_millis(20);
/// How long an order for many jobs may take: less than [`REQUEST_TIME`], so that it can say how far it has come.
pub(super) const BATCH_TIME: Duration = Duration::from_secs(12);
/// Over how long jobs must have been counted to say whether more come than are done.
pub(super) const RATES_MIN: Duration = Duration::from_secs(60);
/// Bytes of the form that submits a job, in which a byte of a workload may be three.
pub(super) const SUBMIT_FORM_BYTES: usize = 1 << 20;
/// Bytes of such a form beside a file, which may be as large as a packet.
pub(super) const UPLOAD_BESIDE: usize = 1 << 20;
/// How long such a page waits for a result: less than [`REQUEST_TIME`], so that it can say what came of it.
pub(super) const SUBMIT_WAIT: Duration = Duration::from_secs(15);
/// Bytes of a payload that a page shows; the rest is to be downloaded.
pub(super) const SHOWN_BYTES: usize = 4 << 10;
