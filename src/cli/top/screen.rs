//! The terminal of `ringgear top`, by way of `ratatui`: pictures onto it, keys from it. However this ends, by an error and by a panic as
//! well, the terminal is as it was before.
use super::view::{LineLook, PictureLine, TopKey};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::io;
use std::time::Duration;

/// A terminal that is ours for a while.
pub(super) struct TopScreen {
    terminal: DefaultTerminal,
}

/// What has come from the terminal.
pub(super) enum ScreenEvent {
    Key(TopKey),
    /// It is of another size, or something that means nothing here.
    Other,
}

impl TopScreen {
    /// Takes the terminal: keys come as they are pressed, and what was to be seen comes back in the end. A panic restores it first, too.
    pub(super) fn open() -> io::Result<TopScreen> {
        Ok(TopScreen { terminal: ratatui::try_init()? })
    }

    /// Shows the picture that is made for so many lines.
    pub(super) fn show(&mut self, picture: impl FnOnce(usize) -> Vec<PictureLine>) -> io::Result<()> {
        self.terminal.draw(|frame| {
            let area = frame.area();
            let lines = picture(area.height.into()).into_iter().map(|line| {
                let PictureLine { text, look } = line;
                // The bar and the head are as wide as the terminal.
                let width = usize::from(area.width);
                Line::styled(format!("{text:width$}"), style(look))
            });
            frame.render_widget(Text::from_iter(lines), area);
        })?;
        Ok(())
    }

    /// What has come within this time. A terminal that is gone is an error: who reads on from one is never told.
    pub(super) fn wait(&mut self, time: Duration) -> io::Result<Option<ScreenEvent>> {
        for time in [Duration::ZERO, time] {
            rest(time)?;
            // A new size comes by a signal, which has ended the rest.
            if poll(Duration::ZERO)? {
                return Ok(Some(match read()? {
                    Event::Key(key) => self::key(key).map_or(ScreenEvent::Other, ScreenEvent::Key),
                    _ => ScreenEvent::Other,
                }));
            }
        }
        Ok(None)
    }
}

impl Drop for TopScreen {
    fn drop(&mut self) {
        // A terminal that is gone cannot be restored, and need not be.
        let _ = ratatui::try_restore();
    }
}

/// Waits for a key, for a signal, or for this long.
fn rest(time: Duration) -> io::Result<()> {
    let stdin = io::stdin();
    let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
    let time = Timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    match rustix::event::poll(&mut watched, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    match watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        true => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is gone")),
        false => Ok(()),
    }
}

fn key(key: KeyEvent) -> Option<TopKey> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    Some(match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => TopKey::Interrupt,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(c) => TopKey::Char(c),
        KeyCode::Enter => TopKey::Enter,
        KeyCode::Esc => TopKey::Escape,
        KeyCode::Backspace => TopKey::Backspace,
        KeyCode::Up => TopKey::Up,
        KeyCode::Down => TopKey::Down,
        KeyCode::PageUp => TopKey::PageUp,
        KeyCode::PageDown => TopKey::PageDown,
        KeyCode::Home => TopKey::Home,
        KeyCode::End => TopKey::End,
        _ => return None,
    })
}

/// Colours of the terminal's own choice; none says anything that a word beside it does not.
fn style(look: LineLook) -> Style {
    let style = Style::new();
    match look {
        LineLook::Plain => style,
        LineLook::Title => style.add_modifier(Modifier::BOLD),
        LineLook::Head => style.add_modifier(Modifier::REVERSED),
        LineLook::Selected => style.add_modifier(Modifier::REVERSED | Modifier::BOLD),
        LineLook::Bad => style.fg(Color::Red),
        LineLook::Warn => style.fg(Color::Yellow),
        LineLook::Dim => style.add_modifier(Modifier::DIM),
    }
}
