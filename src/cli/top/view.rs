//! What `ringgear top` shows and what its keys do: a picture of lines from what was seen last. Values only; the terminal is `screen.rs`.
use super::summary::{NAME_MAX, passes, summary};
use crate::cli::functions::row::{FunctionLoad, RowOrder, in_order};
use crate::cli::functions::shown::{TableKind, cut, functions};
use crate::cli::functions::{FunctionSight, ServerTold};

/// Characters of a filter.
const FILTER_MAX: usize = 100;

/// A key, in our words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopKey {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C: here no signal.
    Interrupt,
}

/// What is to be done about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TopStep {
    /// The picture has changed, or not.
    Stay,
    /// The end.
    Quit,
    /// A function is looked at closely.
    Open(Vec<u8>),
    /// None is, any more.
    Close,
    /// Looking stops, or goes on.
    Freeze(bool),
}

/// How a line of the picture looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineLook {
    Plain,
    Title,
    Head,
    Selected,
    Bad,
    Warn,
    Dim,
}

/// A line, and how it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PictureLine {
    pub(super) text: String,
    pub(super) look: LineLook,
}

/// A function that is looked at closely.
#[derive(Clone, Debug)]
struct OpenedFunction {
    name: Vec<u8>,
    lines: Vec<String>,
    /// The first line that is shown.
    from: usize,
}

/// All that is shown.
#[derive(Debug, Default)]
pub(super) struct TopView {
    server: Option<ServerTold>,
    place: String,
    rows: Vec<FunctionLoad>,
    order: RowOrder,
    filter: String,
    /// The filter is being typed.
    types: bool,
    frozen: bool,
    helps: bool,
    /// The name on which the bar stands: rows come and go.
    chosen: Option<Vec<u8>>,
    /// The first row that is shown.
    from: usize,
    /// Rows for which there was room in the last picture.
    room: usize,
    opened: Option<OpenedFunction>,
    trouble: Option<String>,
}

impl TopView {
    pub(super) fn new(order: RowOrder, filter: &str) -> TopView {
        TopView { order, filter: filter.chars().take(FILTER_MAX).collect(), ..TopView::default() }
    }

    /// Something was seen, or not, and why.
    pub(super) fn saw(&mut self, seen: Result<FunctionSight, String>) {
        match seen {
            Ok(sight) => {
                self.trouble = None;
                (self.server, self.place, self.rows) = (sight.server, sight.place, sight.rows);
                in_order(&mut self.rows, self.order);
            }
            Err(why) => self.trouble = Some(why),
        }
    }

    /// A function was looked at closely.
    pub(super) fn saw_closely(&mut self, function: &[u8], seen: Result<Vec<String>, String>) {
        if let Some(opened) = self.opened.as_mut().filter(|opened| opened.name == function) {
            opened.lines = seen.unwrap_or_else(|why| vec![why]);
        }
    }

    /// Rows that pass the filter.
    fn shown(&self) -> Vec<FunctionLoad> {
        self.rows.iter().filter(|row| passes(&row.function, &self.filter)).cloned().collect()
    }

    fn place_of_bar(&self, shown: &[FunctionLoad]) -> usize {
        let chosen = self.chosen.as_ref();
        chosen.and_then(|name| shown.iter().position(|row| row.function == *name)).unwrap_or(0)
    }

    /// Somebody has pressed a key.
    pub(super) fn press(&mut self, key: TopKey) -> TopStep {
        if key == TopKey::Interrupt {
            return TopStep::Quit;
        }
        if self.types {
            return self.type_in(key);
        }
        if std::mem::take(&mut self.helps) {
            // Whatever was pressed puts the list of keys away.
            return TopStep::Stay;
        }
        match key {
            TopKey::Char('q') => return TopStep::Quit,
            TopKey::Char('?') => self.helps = true,
            TopKey::Char(' ') => {
                self.frozen = !self.frozen;
                return TopStep::Freeze(self.frozen);
            }
            _ if self.opened.is_some() => return self.read_on(key),
            TopKey::Char('/') => self.types = true,
            TopKey::Escape => self.filter.clear(),
            TopKey::Char('s') => self.turn(1),
            TopKey::Char('S') => self.turn(RowOrder::ALL.len() - 1),
            TopKey::Char('j') | TopKey::Down => self.step(|at, _| at.saturating_add(1)),
            TopKey::Char('k') | TopKey::Up => self.step(|at, _| at.saturating_sub(1)),
            TopKey::PageDown => self.step(usize::saturating_add),
            TopKey::PageUp => self.step(usize::saturating_sub),
            TopKey::Char('G') | TopKey::End => self.step(|_, _| usize::MAX),
            TopKey::Char('g') | TopKey::Home => self.step(|_, _| 0),
            TopKey::Enter => {
                let shown = self.shown();
                let Some(row) = shown.get(self.place_of_bar(&shown)) else { return TopStep::Stay };
                let name = row.function.clone();
                self.opened = Some(OpenedFunction { name: name.clone(), lines: Vec::new(), from: 0 });
                return TopStep::Open(name);
            }
            TopKey::Char(_) | TopKey::Backspace | TopKey::Interrupt => {}
        }
        TopStep::Stay
    }

    fn type_in(&mut self, key: TopKey) -> TopStep {
        match key {
            TopKey::Char(c) if self.filter.chars().count() < FILTER_MAX => self.filter.push(c),
            TopKey::Backspace => drop(self.filter.pop()),
            TopKey::Enter => self.types = false,
            TopKey::Escape => {
                self.types = false;
                self.filter.clear();
            }
            _ => {}
        }
        TopStep::Stay
    }

    /// A key while a function is looked at closely.
    fn read_on(&mut self, key: TopKey) -> TopStep {
        let Some(opened) = &mut self.opened else { return TopStep::Stay };
        let last = opened.lines.len().saturating_sub(1);
        match key {
            TopKey::Char('u') | TopKey::Escape | TopKey::Backspace => {
                self.opened = None;
                return TopStep::Close;
            }
            TopKey::Char('j') | TopKey::Down => opened.from = (opened.from + 1).min(last),
            TopKey::Char('k') | TopKey::Up => opened.from = opened.from.saturating_sub(1),
            TopKey::PageDown => opened.from = (opened.from + self.room).min(last),
            TopKey::PageUp => opened.from = opened.from.saturating_sub(self.room),
            TopKey::Char('g') | TopKey::Home => opened.from = 0,
            TopKey::Char('G') | TopKey::End => opened.from = last,
            _ => {}
        }
        TopStep::Stay
    }

    fn turn(&mut self, by: usize) {
        let at = RowOrder::ALL.iter().position(|order| *order == self.order).unwrap_or(0);
        self.order = RowOrder::ALL[(at + by) % RowOrder::ALL.len()];
        in_order(&mut self.rows, self.order);
    }

    fn step(&mut self, to: impl Fn(usize, usize) -> usize) {
        let shown = self.shown();
        let at = to(self.place_of_bar(&shown), self.room.max(1)).min(shown.len().saturating_sub(1));
        self.chosen = shown.get(at).map(|row| row.function.clone());
    }

    /// The picture, of so many lines at the most; how wide it is, the terminal knows.
    pub(super) fn picture(&mut self, height: usize) -> Vec<PictureLine> {
        let mut lines: Vec<PictureLine> =
            summary(self.server.as_ref(), &self.place, &self.rows).into_iter().map(title).collect();
        if self.helps {
            lines.extend(KEYS.iter().map(|line| plain(line)));
        } else if let Some(opened) = &self.opened {
            lines.push(PictureLine { text: cut(&opened.name, NAME_MAX), look: LineLook::Head });
            let row = self.rows.iter().find(|row| row.function == opened.name);
            let numbers = row.map(|row| functions(std::slice::from_ref(row), TableKind::Live(NAME_MAX)));
            lines.extend(numbers.iter().flat_map(|table| table.lines()).map(plain));
            lines.push(plain(""));
            self.room = height.saturating_sub(lines.len() + 1);
            if opened.lines.is_empty() {
                lines.push(dim("asking …"));
            }
            lines.extend(opened.lines.iter().skip(opened.from).map(|line| plain(line)));
        } else {
            self.add_table(&mut lines, height);
        }
        lines.truncate(height.saturating_sub(1));
        lines.resize(height.saturating_sub(1), plain(""));
        lines.push(self.foot());
        lines
    }

    fn add_table(&mut self, lines: &mut Vec<PictureLine>, height: usize) {
        let shown = self.shown();
        let bar = self.place_of_bar(&shown);
        let table = functions(&shown, TableKind::Live(NAME_MAX));
        let mut table = table.lines();
        let head = table.next().unwrap_or_default().to_owned();
        lines.push(PictureLine { text: head, look: LineLook::Head });
        // The last line of the picture is another's.
        self.room = height.saturating_sub(lines.len() + 1);
        // The bar is always to be seen.
        self.from = self.from.min(bar).max((bar + 1).saturating_sub(self.room));
        for (at, (row, text)) in shown.iter().zip(table).enumerate().skip(self.from).take(self.room) {
            let look = if at == bar { LineLook::Selected } else { look_of(row.state()) };
            lines.push(PictureLine { text: text.to_owned(), look });
        }
        if shown.is_empty() && self.trouble.is_none() {
            lines.push(dim("No function here."));
        }
    }

    fn foot(&self) -> PictureLine {
        let order = format!("sorted by {}", self.order.word());
        let filter = if self.filter.is_empty() { String::new() } else { format!("  /{}", self.filter) };
        match &self.trouble {
            _ if self.types => PictureLine { text: format!("/{}_", self.filter), look: LineLook::Head },
            Some(why) => PictureLine { text: why.clone(), look: LineLook::Bad },
            None if self.opened.is_some() => dim("u back  j k more  ? keys  q quit"),
            None if self.frozen => {
                PictureLine { text: format!("FROZEN (space goes on)  {order}{filter}"), look: LineLook::Warn }
            }
            None => dim(&format!("{order}{filter}  ? keys  q quit")),
        }
    }
}

/// What the keys do, for people.
const KEYS: [&str; 11] = [
    "",
    "j k, arrows     next and previous function",
    "g G, page keys  first and last, further",
    "Enter           why its jobs do not move, and its workers",
    "u, Escape       back; Escape forgets the filter",
    "s S             the next order, and the one before",
    "/               filter by name: type, Enter; Escape forgets it",
    "space           freeze, and go on",
    "?               this list; any key puts it away",
    "q, Ctrl-C       quit",
    "",
];

fn look_of(state: &str) -> LineLook {
    match state {
        "no worker" | "growing" => LineLook::Bad,
        "paused" | "waiting" | "dead jobs" => LineLook::Warn,
        _ => LineLook::Plain,
    }
}

fn plain(text: &str) -> PictureLine {
    PictureLine { text: text.to_owned(), look: LineLook::Plain }
}

fn dim(text: &str) -> PictureLine {
    PictureLine { text: text.to_owned(), look: LineLook::Dim }
}

fn title(text: String) -> PictureLine {
    PictureLine { text, look: LineLook::Title }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, waiting: u64, running: u64, workers: u64) -> FunctionLoad {
        let function = name.as_bytes().to_vec();
        FunctionLoad { function, waiting, running, workers, known: true, told: None }
    }

    fn sight(rows: &[FunctionLoad]) -> FunctionSight {
        FunctionSight { rows: rows.to_vec(), server: None, place: "localhost port 4730".to_owned() }
    }

    fn three() -> TopView {
        let mut view = TopView::new(RowOrder::Worst, "");
        view.saw(Ok(sight(&[load("mail", 5, 1, 1), load("idle", 0, 0, 2), load("lost\x1b[2J", 1, 0, 0)])));
        view
    }

    /// Names in the table, a star before that with the bar.
    fn table(view: &mut TopView, height: usize) -> Vec<String> {
        let lines = view.picture(height);
        assert_eq!(lines.len(), height);
        let rows =
            lines.into_iter().skip(3).filter(|line| line.look != LineLook::Dim && !line.text.is_empty());
        rows.map(|line| {
            let star = if line.look == LineLook::Selected { "*" } else { "" };
            format!("{star}{}", line.text.split(' ').next().unwrap())
        })
        .collect()
    }

    fn press(view: &mut TopView, keys: &str) {
        keys.chars().for_each(|c| {
            view.press(TopKey::Char(c));
        });
    }

    #[test]
    fn the_bar_stays_on_its_function() {
        let mut view = three();
        assert_eq!(table(&mut view, 10), ["*lost\\x1b[2J", "mail", "idle"]);
        press(&mut view, "j");
        assert_eq!(table(&mut view, 10), ["lost\\x1b[2J", "*mail", "idle"]);
        // It is the worst now, and the bar goes with it.
        view.saw(Ok(sight(&[load("mail", 5, 0, 0), load("idle", 0, 0, 2), load("lost", 1, 0, 0)])));
        assert_eq!(table(&mut view, 10), ["*mail", "lost", "idle"]);
        press(&mut view, "jjjj");
        assert_eq!(table(&mut view, 10), ["mail", "lost", "*idle"]);
        // Where there is no room for all, the bar is to be seen.
        assert_eq!(table(&mut view, 5), ["*idle"]);
        press(&mut view, "g");
        assert_eq!(table(&mut view, 5), ["*mail"]);
        // One that has gone leaves it at the beginning.
        view.saw(Ok(sight(&[load("other", 5, 0, 0)])));
        assert_eq!(table(&mut view, 10), ["*other"]);
        for height in 0..4 {
            let most = view.picture(height).len();
            assert!(most <= height.max(1), "{height}: {most}");
        }
    }

    #[test]
    fn keys_sort_filter_freeze_and_end() {
        let mut view = three();
        press(&mut view, "sssssss");
        press(&mut view, "s");
        assert_eq!(view.order, RowOrder::Name);
        assert_eq!(table(&mut view, 10), ["*idle", "lost\\x1b[2J", "mail"]);
        press(&mut view, "s");
        assert_eq!(view.order, RowOrder::Worst);
        press(&mut view, "S/Mq");
        assert_eq!(view.picture(10).last().unwrap().text, "/Mq_");
        view.press(TopKey::Backspace);
        view.press(TopKey::Enter);
        assert_eq!(table(&mut view, 10), ["*mail"]);
        view.press(TopKey::Escape);
        assert_eq!(table(&mut view, 10).len(), 3);
        assert_eq!(view.press(TopKey::Char(' ')), TopStep::Freeze(true));
        assert!(view.picture(10).last().unwrap().text.starts_with("FROZEN"));
        assert_eq!(view.press(TopKey::Char(' ')), TopStep::Freeze(false));
        press(&mut view, "?");
        assert!(view.picture(20).iter().any(|line| line.text.starts_with("q, Ctrl-C")));
        press(&mut view, "x");
        assert_eq!(table(&mut view, 10).len(), 3);
        assert_eq!(view.press(TopKey::Char('q')), TopStep::Quit);
        press(&mut view, "/");
        assert_eq!(
            (view.press(TopKey::Char('q')), view.press(TopKey::Interrupt)),
            (TopStep::Stay, TopStep::Quit)
        );
    }

    #[test]
    fn a_function_is_opened_and_left() {
        let mut view = three();
        press(&mut view, "j");
        assert_eq!(view.press(TopKey::Enter), TopStep::Open(b"mail".to_vec()));
        view.saw_closely(b"idle", Ok(vec!["not this".to_owned()]));
        view.saw_closely(b"mail", Ok((0..30).map(|at| format!("line {at}")).collect()));
        let texts =
            |view: &mut TopView| view.picture(12).into_iter().map(|line| line.text).collect::<Vec<_>>();
        let first = texts(&mut view);
        assert_eq!((&first[2][..], &first[6][..]), ("mail", "line 0"));
        press(&mut view, "jj");
        assert_eq!(texts(&mut view)[6], "line 2");
        press(&mut view, "G");
        assert_eq!(texts(&mut view)[6], "line 29");
        assert_eq!(view.press(TopKey::Char('u')), TopStep::Close);
        assert_eq!(table(&mut view, 10).len(), 3);
        assert_eq!(TopView::default().press(TopKey::Enter), TopStep::Stay);
    }

    #[test]
    fn trouble_is_told_and_what_was_seen_stays() {
        let mut view = three();
        view.saw(Err("nobody answers".to_owned()));
        let last = view.picture(10).pop().unwrap();
        assert_eq!((&last.text[..], last.look), ("nobody answers", LineLook::Bad));
        assert_eq!(view.picture(10)[1].text, "functions 3  waiting 6  running 1  without worker 1");
        view.saw(Ok(sight(&[])));
        assert!(view.picture(10).iter().any(|line| line.text == "No function here."));
    }
}
