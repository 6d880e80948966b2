//! A job, submitted from a page: the form, and what came of it. A job in the background is told of by its handle; one that is waited for is
//! shown with its result, as far as that fits. Which functions somebody may submit for is asked where it is submitted.
use super::super::bounds::{NAME_BYTES, SHOWN_BYTES, SUBMIT_WAIT};
use super::super::desk::Desk;
use super::super::guard::Visitor;
use super::super::remembered::WhatWasDone;
use super::super::roles::{HttpCaller, HttpRole};
use super::super::submit::{JobEnd, JobOutcome, JobStory, PageJob, WantedJob, for_page};
use super::super::target::RequestTarget;
use super::fault::{PageFault, wrong};
use super::form::{PageForm, SentForm};
use super::frame::PageBody;
use super::payload::{PayloadForm, payload};
use super::rights::PageRights;
use super::shown::{job_link, job_path, name, num, with_name};
use bytes::Bytes;
use hyper::StatusCode;
use maud::{Markup, html};

/// Bytes of a workload that a browser lets one type; more is submitted by the API, or `ringgear submit`.
const TYPED_MAX: usize = 100_000;
/// Warnings that are shown.
const WARNINGS_SHOWN: usize = 10;

/// What came of a form.
pub(super) enum Submitted {
    /// It is there: what is said, and on which page.
    Told { told: WhatWasDone, back: String },
    /// What came of it, and the form again.
    Page(StatusCode, PageBody),
}

/// What stands in the form.
#[derive(Debug, Default)]
struct SubmitWords {
    function: String,
    unique: String,
    priority: String,
    waits: bool,
    hex: bool,
    workload: String,
}

impl SubmitWords {
    fn of(form: &PageForm) -> SubmitWords {
        let text = |name: &str| String::from_utf8_lossy(form.bytes(name).unwrap_or_default()).into_owned();
        SubmitWords {
            function: text("function"),
            unique: text("unique"),
            priority: text("priority"),
            waits: form.bytes("background") == Some(b"false"),
            hex: form.bytes("encoding") == Some(b"hex"),
            workload: text("workload"),
        }
    }
}

/// The page.
pub(super) async fn page(
    desk: &Desk,
    caller: &HttpCaller,
    rights: PageRights,
    target: &RequestTarget,
) -> Result<PageBody, PageFault> {
    may(rights)?;
    target.takes(&["name", "told"]).map_err(wrong)?;
    let function = String::from_utf8_lossy(target.word("name").unwrap_or_default()).into_owned();
    let words = SubmitWords { function, ..SubmitWords::default() };
    Ok(body(&words, &completion(desk, caller).await, None, rights.read))
}

fn may(rights: PageRights) -> Result<(), PageFault> {
    if rights.submit {
        return Ok(());
    }
    let said = "You may not submit jobs here: that needs the role submit (--control-tokens).";
    Err((StatusCode::FORBIDDEN, said.to_owned()))
}

/// Submits what a form says.
pub(super) async fn carry_out(
    desk: &Desk,
    caller: &HttpCaller,
    rights: PageRights,
    sent: &SentForm,
    visitor: &Visitor,
) -> Result<Submitted, PageFault> {
    may(rights)?;
    let form = PageForm::of(sent).map_err(wrong)?;
    let words = SubmitWords::of(&form);
    let again = async |status: StatusCode, outcome: Markup| {
        let page = body(&words, &completion(desk, caller).await, Some(outcome), rights.read);
        Submitted::Page(status, page)
    };
    let done = match wanted(&form) {
        Ok(job) => for_page(desk, caller, job, SUBMIT_WAIT, visitor).await,
        Err(sentence) => Err(wrong(sentence)),
    };
    Ok(match done {
        Err((status, sentence)) => again(status, bad(&format!("Nothing was submitted: {sentence}."))).await,
        Ok(PageJob::Accepted(handle)) => {
            let text = format!("Job {handle} of {} was submitted.", name(words.function.as_bytes()));
            let undo = rights.read.then(|| ("See it", job_path(&handle)));
            Submitted::Told {
                told: WhatWasDone { text, undo },
                back: with_name("/submit", words.function.as_bytes()),
            }
        }
        Ok(PageJob::Over(outcome)) => {
            let (status, outcome) = tell(outcome, rights);
            again(status, outcome).await
        }
    })
}

/// What a form wants to be submitted. An error is one sentence.
fn wanted(form: &PageForm) -> Result<WantedJob, String> {
    let typed = form.bytes("workload").unwrap_or_default();
    let workload: Bytes = match (form.bytes("encoding"), form.file()) {
        (_, Some(_)) if !typed.is_empty() => {
            return Err("a workload is typed and a file is chosen: leave one of them out".to_owned());
        }
        // A file is what it is.
        (_, Some(file)) => file.clone(),
        (None | Some(b"text"), None) => lines(typed).into(),
        (Some(b"hex"), None) => digits(typed)?.into(),
        (Some(_), None) => return Err("encoding is text or hex".to_owned()),
    };
    let word = |word: &str| match (word, form.bytes(word)) {
        // Whoever does not say waits for nothing.
        ("background", None) => Some(b"true".to_vec()),
        // There are no such fields.
        ("at" | "in", _) => None,
        (_, value) => value.map(<[u8]>::to_vec),
    };
    WantedJob::of(word, workload)
}

/// Forms send lines with CR and LF, whatever was typed: a line ends with LF, as everywhere here.
fn lines(typed: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(typed.len());
    let mut bytes = typed.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\r' || bytes.peek() != Some(&b'\n') {
            text.push(byte);
        }
    }
    text
}

/// Bytes as hexadecimal digits, with blanks between them or not.
fn digits(typed: &[u8]) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let digits: Option<Vec<u8>> =
        typed.iter().filter(|byte| !byte.is_ascii_whitespace()).map(|&byte| digit(byte)).collect();
    let pairs = digits.filter(|digits| digits.len().is_multiple_of(2));
    let pairs = pairs.ok_or("a workload as hex has two hexadecimal digits for each byte, as in 48 65 6c")?;
    Ok(pairs.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect())
}

fn bad(sentence: &str) -> Markup {
    html! { p class="told bad" role="alert" { (sentence) } }
}

/// What came of a job that was waited for.
fn tell(outcome: JobOutcome, rights: PageRights) -> (StatusCode, Markup) {
    let link = |handle: &str| html! { @if rights.read { (job_link(handle)) } @else { code { (handle) } } };
    match outcome {
        JobOutcome::Ended { handle, end, story } => (StatusCode::OK, ended(&handle, end, &story)),
        JobOutcome::TooMuch { handle } => (
            StatusCode::BAD_GATEWAY,
            html! { p class="told bad" role="alert" { "The result of " (link(&handle)) " is larger than can be kept for answers, and the job was given up." } },
        ),
        JobOutcome::TooLate { handle } => (
            StatusCode::GATEWAY_TIMEOUT,
            html! { p class="told warn" role="alert" {
                (link(&handle)) " had not ended after " (num(SUBMIT_WAIT.as_secs())) " s, and is given up unless others wait for it. Submit it in the \
                 background if nobody has to wait."
            } },
        ),
        JobOutcome::Refused(refusal) => {
            (StatusCode::SERVICE_UNAVAILABLE, bad(&format!("It was refused: {}.", refusal.text())))
        }
        JobOutcome::Unanswered | JobOutcome::Gone => (
            StatusCode::GATEWAY_TIMEOUT,
            bad(
                "There was no answer in time, and the job may have been accepted: with the same unique it joins the one that is there.",
            ),
        ),
    }
}

/// A job that has ended, with what was told of it.
fn ended(handle: &str, end: JobEnd, story: &JobStory) -> Markup {
    let (class, how) = match end {
        JobEnd::Complete => ("ok", "is complete"),
        JobEnd::Fail => ("bad", "has failed"),
        JobEnd::Exception => ("bad", "has failed with an exception"),
    };
    html! {
        // What has ended is not kept, so there is no page to go to.
        p class={ "told " (class) } role="status" { "Job " code { (handle) } " " (how) "." }
        @if let Some(exception) = &story.exception { h2 { "Exception" } (shown(exception)) }
        @if end == JobEnd::Complete || !story.data.is_empty() { h2 { "Result" } (shown(&story.data)) }
        @if !story.warnings.is_empty() {
            h2 { "Warnings" }
            @for warning in story.warnings.iter().take(WARNINGS_SHOWN) { (shown(warning)) }
            @if story.warnings.len() > WARNINGS_SHOWN { p { "More are not shown." } }
        }
    }
}

fn shown(bytes: &[u8]) -> Markup {
    let is_whole = bytes.len() <= SHOWN_BYTES;
    let form = PayloadForm::fitting(&bytes[..bytes.len().min(SHOWN_BYTES)], is_whole);
    payload(bytes, bytes.len() as u64, form)
}

/// Functions that a browser offers while one types: those that the first page shows first, and of these the ones that can be typed.
async fn completion(desk: &Desk, caller: &HttpCaller) -> Vec<String> {
    if !caller.may(HttpRole::Read) || !desk.is_whole() {
        return Vec::new();
    }
    let overview = desk.overview().await;
    let mine = overview.first.iter().filter(|row| caller.may_with(HttpRole::Submit, &row.function));
    let short = mine.filter(|row| row.function.len() <= NAME_BYTES);
    let text = short.filter_map(|row| String::from_utf8(row.function.to_vec()).ok());
    text.filter(|name| !name.chars().any(char::is_control)).collect()
}

/// The page. The way to the others is there for who may see them (`reads`).
fn body(words: &SubmitWords, functions: &[String], outcome: Option<Markup>, reads: bool) -> PageBody {
    let priority = if words.priority.is_empty() { "normal" } else { &words.priority };
    let main = html! {
        @if reads { p class="up" { a rel="up" href="/" { "Now" } } }
        h1 { "Submit a job" }
        @if let Some(outcome) = outcome { (outcome) }
        form class="sheet" method="post" action="/submit" enctype="multipart/form-data" {
            label { "Function "
                input name="function" value=(words.function) list="functions" required maxlength="8191" autofocus
                    autocomplete="off" spellcheck="false" aria-keyshortcuts="/";
            }
            datalist id="functions" { @for name in functions { option value=(name) {} } }
            label { "Unique (may be left empty) " input name="unique" value=(words.unique) maxlength="64" autocomplete="off" spellcheck="false"; }
            label { "Priority " select name="priority" {
                @for word in ["high", "normal", "low"] { option value=(word) selected[word == priority] { (word) } }
            } }
            label { "Wait for the result " select name="background" {
                option value="true" selected[!words.waits] { "no: in the background" }
                option value="false" selected[words.waits] { "yes, for " (SUBMIT_WAIT.as_secs()) " s at the most" }
            } }
            label { "The workload is typed as " select name="encoding" {
                option value="text" selected[!words.hex] { "text" }
                option value="hex" selected[words.hex] { "hex" }
            } }
            // What follows the tag directly is no line of it.
            label { "Workload " textarea name="workload" rows="8" maxlength=(TYPED_MAX) spellcheck="false" { "\n" (words.workload) } }
            label { "or a file, which is the workload as it is " input type="file" name="file"; }
            p class="answers" { button { "Submit" } }
        }
    };
    PageBody { title: "Submit".to_owned(), place: 7, live: false, draws: false, main }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_is_submitted() {
        let of = |text: &str| wanted(&PageForm::read(text.as_bytes()).unwrap());
        let job = of("function=f&unique=&priority=high&background=false&encoding=text&workload=a%0D%0Ab%0D")
            .unwrap();
        let submit = job.submit();
        assert_eq!((submit.function, submit.unique, submit.workload), (&b"f"[..], &b""[..], &b"a\nb\r"[..]));
        assert!(!job.background);
        let job = of("function=f&encoding=hex&workload=48+65%0D%0A6C00").unwrap();
        assert!(job.background && job.submit().workload == b"Hel\0");
        for (text, said) in [
            ("workload=x", "function is missing"),
            ("function=&workload=x", "1 to 8191 bytes"),
            ("function=f&encoding=hex&workload=4", "two hexadecimal digits"),
            ("function=f&encoding=hex&workload=4x", "two hexadecimal digits"),
            ("function=f&encoding=base64", "text or hex"),
            ("function=f&priority=urgent", "high, normal or low"),
        ] {
            let why = of(text).unwrap_err();
            assert!(why.contains(said), "{text}: {why}");
        }
    }

    #[test]
    fn a_file_is_a_workload_as_it_is() {
        let of = |typed: &str, file: &str| {
            let body = format!(
                "--B\r\nContent-Disposition: form-data; name=\"function\"\r\n\r\nf\r\n--B\r\n\
                 Content-Disposition: form-data; name=\"encoding\"\r\n\r\nhex\r\n--B\r\n\
                 Content-Disposition: form-data; name=\"workload\"\r\n\r\n{typed}\r\n--B\r\n\
                 Content-Disposition: form-data; name=\"file\"; filename={file}\r\n--B--\r\n"
            );
            let sent = SentForm { bytes: body.into(), boundary: Some(b"B".to_vec()) };
            wanted(&PageForm::of(&sent).unwrap())
        };
        assert_eq!(of("", "\"a.bin\"\r\n\r\n48\r\n65").unwrap().submit().workload, b"48\r\n65");
        assert_eq!(of("", "\"empty\"\r\n\r\n").unwrap().submit().workload, b"");
        // None was chosen.
        assert_eq!(of("48\r\n65", "\"\"\r\n\r\n").unwrap().submit().workload, b"He");
        assert!(of("48", "\"a\"\r\n\r\nx").unwrap_err().contains("leave one of them out"));
    }

    #[test]
    fn what_was_typed_stands_there_again_as_text() {
        let words = SubmitWords { workload: "\n</textarea><script>".into(), ..SubmitWords::default() };
        let page = body(&words, &["\"><b>".to_owned()], Some(bad("<i>")), true).main.into_string();
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("<i>"), "{page}");
        assert!(page.contains(">\n\n&lt;/textarea&gt;"), "{page}");
    }
}
