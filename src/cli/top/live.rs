//! `ringgear top` in a terminal: a thread looks at the server, this one shows what it saw and hears keys and signals. What is shown stands in
//! `view.rs`, the terminal in `screen.rs`.
use super::screen::{ScreenEvent, TopScreen};
use super::view::{TopStep, TopView};
use crate::cli::functions::{FunctionSight, FunctionSource, FunctionsWanted};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How soon a signal, and what was seen, is noticed.
const NOTICED: Duration = Duration::from_millis(50);

/// How long the terminal may take to be as before, once a signal has come.
const GRACE: Duration = Duration::from_secs(2);

/// Functions up to which all are looked at; of more, those with which something is wrong.
pub(super) const FUNCTIONS_MAX: usize = 1000;

/// What the thread that looks is told.
enum LookOrder {
    Now,
    Closely(Option<Vec<u8>>),
    Rest(bool),
}

/// What it tells.
enum TopNews {
    All(Result<FunctionSight, String>),
    Closely(Vec<u8>, Result<Vec<String>, String>),
}

/// Shows what is looked at until somebody ends it: with a key, or with this signal.
pub(super) fn run(source: FunctionSource, interval: Duration, mut view: TopView) -> io::Result<Option<u8>> {
    let signal = Arc::new(AtomicI32::new(0));
    let (mut signals, noted) = (Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?, signal.clone());
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(number) = signals.forever().next() {
            noted.store(number, Ordering::Relaxed);
            // A terminal that is gone, or that nobody reads, may hold up the thread that shows.
            thread::sleep(GRACE);
            std::process::exit(128 + number);
        }
    })?;
    let (looks, orders) = channel();
    let (tell, seen) = channel();
    thread::Builder::new().name("look".to_owned()).spawn(move || look(&source, interval, &orders, &tell))?;
    let mut screen = TopScreen::open()?;
    let mut changed = true;
    loop {
        if changed {
            screen.show(|height| view.picture(height))?;
        }
        changed = false;
        let event = screen.wait(NOTICED)?;
        if let number @ 1.. = signal.load(Ordering::Relaxed) {
            return Ok(Some(u8::try_from(number).unwrap_or(u8::MAX)));
        }
        for news in seen.try_iter() {
            changed = true;
            match news {
                TopNews::All(sight) => view.saw(sight),
                TopNews::Closely(function, lines) => view.saw_closely(&function, lines),
            }
        }
        let step = match event {
            None => continue,
            Some(ScreenEvent::Other) => TopStep::Stay,
            Some(ScreenEvent::Key(key)) => view.press(key),
        };
        changed = true;
        let order = match step {
            TopStep::Stay => continue,
            TopStep::Quit => return Ok(None),
            TopStep::Open(function) => LookOrder::Closely(Some(function)),
            TopStep::Close => LookOrder::Closely(None),
            TopStep::Freeze(frozen) => LookOrder::Rest(frozen),
        };
        // The thread listens as long as there is somebody to tell.
        let _ = looks.send(order);
    }
}

/// Looks now, and whenever the interval is over or something else is wanted, until nobody wants to know.
fn look(source: &FunctionSource, interval: Duration, orders: &Receiver<LookOrder>, tell: &Sender<TopNews>) {
    let (mut closely, mut rests): (Option<Vec<u8>>, bool) = (None, false);
    let mut order = LookOrder::Now;
    loop {
        match order {
            LookOrder::Now => {}
            LookOrder::Closely(function) => closely = function,
            LookOrder::Rest(rest) => rests = rest,
        }
        if !rests {
            let sight = source.look(FunctionsWanted::Some(FUNCTIONS_MAX));
            if tell.send(TopNews::All(sight.map_err(|failure| failure.to_string()))).is_err() {
                return;
            }
        }
        if let Some(function) = closely.as_ref().filter(|_| !rests) {
            let lines = source.look_closely(function).map_err(|failure| failure.to_string());
            if tell.send(TopNews::Closely(function.clone(), lines)).is_err() {
                return;
            }
        }
        order = match orders.recv_timeout(interval) {
            Ok(order) => order,
            Err(RecvTimeoutError::Timeout) => LookOrder::Now,
            Err(RecvTimeoutError::Disconnected) => return,
        };
    }
}
