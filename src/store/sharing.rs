//! A server among those that share a store: shows that it is alive, looks at the others, takes over what a dead one has left, adopts
//! what nobody owns, and goes on as another one where it was taken over itself. Which statements that takes each store knows
//! (`servers.rs` says what is asked of it); who is dead, and until when we may go on, is `shared.rs`; how it leaves is `leaving.rs`.
use super::book::Book;
use super::retiring::Retiring;
use super::servers::{self, Fence, LEAVING, SERVING, ServerEntry, SharedFault, SharedPlace, Unreadable};
use super::shared::{Admission, BEAT, Claim, Departed, Entrance, Incarnation, LOOK_GAP, ServerRow, Sharing};
use super::sql::numbers::row_of;
use super::{
    BootTime, HoldUntil, ServerLoad, ServerShown, ServerStanding, SharingOptions, StoreError, StoreLost,
};
use crate::engine::StoredJob;
use crate::log_at;
use crate::logging::Level;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Without a connection, looks at whether there is one are so far apart.
const AWAY: Duration = Duration::from_millis(100);

/// Jobs that are to be read.
pub(super) struct Inheritance<R> {
    reading: R,
    /// From which server; nobody's otherwise.
    from: Option<String>,
    jobs: u64,
}

/// This server among the others.
pub(super) struct ServerSharing<P: SharedPlace> {
    pub(super) options: SharingOptions,
    /// Our number, once we have one.
    pub(super) me: Option<i32>,
    /// How often we were taken over, and whether we were and have not gone on yet.
    era: u64,
    pub(super) fenced: bool,
    /// Ourselves, and whom we have taken over.
    pub(super) family: Vec<i32>,
    pub(super) to_read: VecDeque<Inheritance<P::Reading>>,
    pub(super) servers: Vec<ServerEntry>,
    /// Who is dead, and what is ours.
    pub(super) share: Option<Sharing>,
    /// When each was last seen to beat, for people.
    pub(super) heard: HashMap<i32, (i64, Instant)>,
    /// A moment on the clock of the rules, which goes on while the machine is suspended, and the same on that of the machine.
    begin: (Instant, BootTime),
    next: Instant,
    /// Whom we did not take over for want of room: said once each.
    no_room: Vec<i32>,
    /// Of the store in which we have our number.
    birth: u64,
    pub(super) retiring: Retiring,
    /// Others are not told of our end.
    pub(super) silent: bool,
}

impl<P: SharedPlace> std::fmt::Debug for ServerSharing<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerSharing").field("me", &self.me).finish_non_exhaustive()
    }
}

impl<P: SharedPlace> ServerSharing<P> {
    pub(super) fn new(options: SharingOptions) -> ServerSharing<P> {
        ServerSharing {
            options,
            me: None,
            era: 0,
            fenced: false,
            family: Vec::new(),
            to_read: VecDeque::new(),
            servers: Vec::new(),
            share: None,
            heard: HashMap::new(),
            begin: (Instant::now(), BootTime::now()),
            next: Instant::now(),
            no_room: Vec::new(),
            birth: 0,
            retiring: Retiring::No,
            silent: false,
        }
    }

    /// When there is something to do.
    pub(super) fn next(&self) -> Instant {
        if self.to_read.is_empty() && !self.fenced { self.next } else { self.next.min(Instant::now()) }
    }

    /// Whether rows of ours are still to be read.
    pub(super) fn reads(&self) -> bool {
        !self.to_read.is_empty() || self.fenced || matches!(self.retiring, Retiring::Soon { .. })
    }

    /// A time for the rules.
    pub(super) fn at(&self, time: BootTime) -> Instant {
        self.begin.0 + time.since(self.begin.1)
    }

    /// Something that was sent at this time has shown that we are alive.
    pub(super) fn renewed(&mut self, sent: BootTime) {
        let (sent, answered) = (self.at(sent), self.at(BootTime::now()));
        self.share.iter_mut().for_each(|share| share.beaten(sent, answered));
    }

    /// Who writes, and what is his.
    pub(super) fn fence(&self) -> Fence<'_> {
        Fence { me: self.me, family: &self.family }
    }

    /// What we may do.
    pub(super) fn standing(&self) -> ServerStanding {
        let claim = self.share.as_ref().map_or(Claim::Fenced, Sharing::claim);
        let until = match claim {
            Claim::Fenced => HoldUntil::Time(BootTime::default()),
            _ if self.options.lost == StoreLost::GoOn => HoldUntil::Ever,
            Claim::Sole => HoldUntil::Ever,
            Claim::Until(time) => HoldUntil::Time(self.begin.1.after(time.duration_since(self.begin.0))),
        };
        ServerStanding { era: self.era, until }
    }

    /// Whether this is a server that could take us over, or has not ended yet.
    pub(super) fn is_other(&self, row: &ServerEntry) -> bool {
        Some(row.id) != self.me && row.taken_by.is_none() && row.state == SERVING
    }

    /// Has a number of our own, before anything is told. Another server of our name is waited for: one that was killed shows by
    /// its silence that it was; one that is not silent is a mistake.
    pub(super) fn begin(
        &mut self,
        place: &mut P,
        say: &mut dyn FnMut(String),
    ) -> Result<P::Reading, P::Fault> {
        let namesakes = self.wait_for_namesakes(place, say)?;
        self.register(place)?;
        let Some(me) = self.me else { return Err(P::Fault::fenced()) };
        for row in &namesakes {
            self.take(place, me, row)?;
        }
        place.claim(Some(me))?;
        self.look(place, ServerLoad::default(), 0)?;
        self.family = servers::family(&self.servers, me);
        self.to_read.clear();
        Ok(P::reading(Some(self.family.clone()), None, Unreadable::Error))
    }

    /// Those of our name that are not there any more, and those that have ended in an orderly way.
    fn wait_for_namesakes(
        &mut self,
        place: &mut P,
        say: &mut dyn FnMut(String),
    ) -> Result<Vec<ServerEntry>, P::Fault> {
        let name = &self.options.name;
        let (mut entrance, mut said) = (Entrance::new(name.clone()), false);
        loop {
            let sent = BootTime::now();
            let mut there = place.look(None, 0, ServerLoad::default())?.servers;
            there.retain(|row| row.taken_by.is_none());
            if let Some(row) = there.iter().find(|row| !row.is_compatible() && row.state == SERVING) {
                return Err(P::Fault::other(format!(
                    "server {} of version {} shares {} in another way than this version; stop it and start this version in \
                     its place, or, if it is gone: {}",
                    row.name,
                    row.shown_version(),
                    place.shown(),
                    place.how_to_strike(row.id)
                )));
            }
            let rows: Vec<ServerRow> = there.iter().map(ServerEntry::shared).collect();
            match entrance.looked(self.at(sent), self.at(BootTime::now()), &rows) {
                Admission::Ready(gone) => {
                    let is_gone = |row: &ServerEntry| gone.iter().any(|who| who.id.0 == row.id);
                    there.retain(|row| is_gone(row) || row.state == LEAVING);
                    there.retain(ServerEntry::is_compatible);
                    return Ok(there);
                }
                Admission::NameInUse(_) => {
                    return Err(P::Fault::other(format!(
                        "another server named {name} is running; stop that one, or give this one another name with --server-name"
                    )));
                }
                Admission::Wait => {}
            }
            if !std::mem::replace(&mut said, true) {
                say(format!(
                    "a server named {name} was here and has not said that it ends: waiting 3 s to see whether it is running"
                ));
            }
            std::thread::sleep(BEAT);
        }
    }

    fn register(&mut self, place: &mut P) -> Result<(), P::Fault> {
        let sent = BootTime::now();
        let me = place.register(&self.options.name)?;
        self.birth = place.birth()?;
        self.go_on_as(me);
        self.renewed(sent);
        Ok(())
    }

    /// This is our number from now on.
    pub(super) fn go_on_as(&mut self, me: i32) {
        self.me = Some(me);
        self.family = vec![me];
        let alone_goes_on = self.options.lost != StoreLost::Hold;
        self.share = Some(Sharing::new(Incarnation(me), self.options.take_over_after, alone_goes_on));
    }

    /// Shows that we are alive, and looks: whether there is something that nobody owns, and whom we may take over.
    fn look(
        &mut self,
        place: &mut P,
        load: ServerLoad,
        jobs: usize,
    ) -> Result<(bool, Vec<Departed>), P::Fault> {
        let (sent, me) = (BootTime::now(), self.me);
        let look = place.look(me, jobs, load)?;
        if !look.counted {
            return Err(P::Fault::fenced());
        }
        self.renewed(sent);
        self.say_changes(&look.servers);
        let now = Instant::now();
        self.heard.retain(|id, _| look.servers.iter().any(|row| row.id == *id));
        for row in &look.servers {
            let heard = self.heard.entry(row.id).or_insert((row.beat, now));
            if heard.0 != row.beat {
                *heard = (row.beat, now);
            }
        }
        let rows: Vec<ServerRow> = look.servers.iter().map(ServerEntry::shared).collect();
        let (sent, answered) = (self.at(sent), self.at(BootTime::now()));
        let departed = self.share.as_mut().map_or(Vec::new(), |share| share.looked(sent, answered, &rows));
        self.servers = look.servers;
        // Of whom nothing is left is struck off.
        self.family.retain(|id| self.servers.iter().any(|row| row.id == *id));
        Ok((look.unowned, departed))
    }

    /// Shows that we are alive, without a look, while something long is done.
    pub(super) fn beat_if_due(&mut self, place: &mut P) -> Result<(), P::Fault> {
        if Instant::now() >= self.next {
            self.next = Instant::now() + BEAT;
            self.look(place, ServerLoad::default(), 0)?;
        }
        Ok(())
    }

    fn say_changes(&self, now: &[ServerEntry]) {
        let known = |id: i32| self.servers.iter().any(|row| row.id == id);
        for row in now.iter().filter(|row| self.is_other(row) && !known(row.id)) {
            log_at!(Level::Notice, "the store: shared with server {} (number {})", row.name, row.id);
        }
    }

    /// Takes over a server, if it is still as we saw it.
    fn take(&mut self, place: &mut P, me: i32, row: &ServerEntry) -> Result<bool, P::Fault> {
        let taken = place.take(me, row)?;
        if taken {
            let ServerEntry { name, id, jobs, .. } = row;
            match row.state {
                LEAVING => log_at!(
                    Level::Notice,
                    "the store: server {name} (number {id}) has ended: this one takes over its jobs, about {jobs}"
                ),
                _ => log_at!(
                    Level::Warning,
                    "the store: server {name} (number {id}) is silent: this one takes over its jobs, about {jobs}"
                ),
            }
        }
        Ok(taken)
    }

    /// Does what is due: see [`crate::store::Store::attend`]. True if more is to be told at once.
    pub(super) fn attend(
        &mut self,
        place: &mut P,
        book: &mut Book,
        load: ServerLoad,
        each: &mut dyn FnMut(StoredJob<'_>),
    ) -> Result<bool, StoreError> {
        self.do_what_is_due(place, book, load, each).or_else(|fault| match fault {
            _ if self.note(&fault) => Ok(true),
            _ if fault.is_away() => {
                place.lost(&fault);
                Ok(false)
            }
            _ => Err(place.error(fault)),
        })
    }

    fn do_what_is_due(
        &mut self,
        place: &mut P,
        book: &mut Book,
        load: ServerLoad,
        each: &mut dyn FnMut(StoredJob<'_>),
    ) -> Result<bool, P::Fault> {
        if !place.is_there() {
            self.next = Instant::now() + AWAY;
            return Ok(false);
        }
        if self.fenced {
            self.go_on_as_another(place, book)?;
        }
        if Instant::now() >= self.next {
            self.next = Instant::now() + BEAT;
            self.do_rounds(place, book, load)?;
            // Whoever is silent is looked for when he may be taken over, and not up to a beat later.
            let due = self.share.as_ref().and_then(|share| share.until_due(self.at(BootTime::now())));
            self.next = self.next.min(Instant::now() + due.unwrap_or(BEAT));
        }
        self.tell(place, book, each)
    }

    fn go_on_as_another(&mut self, place: &mut P, book: &mut Book) -> Result<(), P::Fault> {
        let is_another_store = place.birth()? != self.birth;
        self.register(place)?;
        self.next = Instant::now();
        if is_another_store {
            // Nobody can have taken anything over there.
            log_at!(
                Level::Alert,
                "the store: {} has lost everything; what is known here is written again",
                place.shown()
            );
            self.fenced = false;
            book.begin_comparing();
            return Ok(());
        }
        log_at!(
            Level::Alert,
            "the store: this server was silent for so long that another has taken over its {} stored jobs; it goes on without them",
            book.len()
        );
        *book = Book::default();
        self.to_read.clear();
        (self.fenced, self.era) = (false, self.era + 1);
        Ok(())
    }

    fn do_rounds(&mut self, place: &mut P, book: &Book, load: ServerLoad) -> Result<(), P::Fault> {
        let (unowned, departed) = self.look(place, load, book.len())?;
        let Some(me) = self.me.filter(|_| self.retiring == Retiring::No) else { return Ok(()) };
        let mut room = load.room;
        let of = |who: &Departed| {
            self.servers.iter().find(|row| row.id == who.id.0 && row.beat == who.beat && row.is_compatible())
        };
        let dead: Vec<ServerEntry> = departed.iter().filter_map(of).cloned().collect();
        self.no_room.retain(|id| dead.iter().any(|row| row.id == *id));
        for row in dead {
            let bytes = row.bytes.unsigned_abs();
            if bytes > room {
                if !self.no_room.contains(&row.id) {
                    self.no_room.push(row.id);
                    log_at!(
                        Level::Error,
                        "the store: server {} is gone, and its jobs, {bytes} bytes, are left to other servers: there is room for \
                         {room} bytes here; raise --max-queued-bytes, or start another server",
                        row.name
                    );
                }
                continue;
            }
            if self.take(place, me, &row)? {
                room -= bytes;
                self.inherit(me, row);
            }
        }
        // What we have taken over before we lost sight of the database, or what a failover has forgotten of that.
        self.look_for_relatives(place, me)?;
        if unowned && room > 0 {
            self.adopt(place, me)?;
        }
        Ok(())
    }

    /// What was this server's, and what it had taken over, is to be read.
    fn inherit(&mut self, me: i32, row: ServerEntry) {
        for other in &mut self.servers {
            if other.id == row.id {
                other.taken_by = Some(me);
            }
        }
        let family = servers::family(&self.servers, row.id);
        self.family.extend(family.iter().copied());
        let reading = P::reading(Some(family), None, Unreadable::SetAside);
        self.to_read.push_back(Inheritance { reading, from: Some(row.name), jobs: 0 });
    }

    fn look_for_relatives(&mut self, place: &mut P, me: i32) -> Result<(), P::Fault> {
        let family = servers::family(&self.servers, me);
        let new = |row: &&ServerEntry| row.taken_by == Some(me) && !self.family.contains(&row.id);
        let unread: Vec<ServerEntry> = self.servers.iter().filter(new).cloned().collect();
        let lost = |row: &&ServerEntry| self.family.contains(&row.id) && !family.contains(&row.id);
        let taken_elsewhere = |row: &ServerEntry| row.taken_by.is_some_and(|taker| !family.contains(&taker));
        if self.servers.iter().filter(lost).any(taken_elsewhere) {
            // A failover has forgotten that they are ours, and another has them now.
            return Err(P::Fault::fenced());
        }
        let lost: Vec<ServerEntry> =
            self.servers.iter().filter(lost).filter(|row| row.taken_by.is_none()).cloned().collect();
        unread.into_iter().for_each(|row| self.inherit(me, row));
        for row in lost {
            self.take(place, me, &row)?;
        }
        Ok(())
    }

    /// These rows of ours are jobs of which we know nothing: they are told.
    pub(super) fn read(&mut self, numbers: Vec<i64>) {
        let reading = P::reading(Some(self.family.clone()), Some(numbers), Unreadable::SetAside);
        self.to_read.push_back(Inheritance { reading, from: None, jobs: 0 });
    }

    fn adopt(&mut self, place: &mut P, me: i32) -> Result<(), P::Fault> {
        let (numbers, more) = place.adopt(me)?;
        if more {
            self.next = Instant::now();
        }
        if !numbers.is_empty() {
            self.read(numbers);
        }
        Ok(())
    }

    /// Tells a page of what is to be read.
    fn tell(
        &mut self,
        place: &mut P,
        book: &mut Book,
        each: &mut dyn FnMut(StoredJob<'_>),
    ) -> Result<bool, P::Fault> {
        let Some(first) = self.to_read.front_mut() else { return Ok(false) };
        let Inheritance { reading, from, jobs } = first;
        let mut told = |job: StoredJob<'_>, alone: bool, beside: bool| {
            // One that is known was read before the connection was lost.
            if book.note_read(row_of(job.id)?, alone, beside) {
                *jobs += 1;
                each(job);
            }
            Ok(())
        };
        let more = place.page(reading, &mut told)?;
        if more {
            return Ok(true);
        }
        match from {
            Some(name) => log_at!(Level::Notice, "the store: {jobs} jobs of server {name} were taken over"),
            None => log_at!(Level::Info, "the store: {jobs} jobs that nobody owned were taken in"),
        }
        self.to_read.pop_front();
        Ok(!self.to_read.is_empty())
    }

    /// All servers, ourselves first.
    pub(super) fn shown(&self) -> Vec<ServerShown> {
        let mut shown: Vec<ServerShown> = self.servers.iter().map(|row| self.show(row)).collect();
        shown.sort_by_key(|server| !server.own);
        shown
    }

    fn show(&self, row: &ServerEntry) -> ServerShown {
        let silent = self.heard.get(&row.id).map_or(Duration::ZERO, |(_, at)| at.elapsed());
        let state = match (row.taken_by, row.state) {
            (Some(taker), _) => {
                let name = self.servers.iter().find(|row| row.id == taker).map(|row| row.name.clone());
                format!("taken over by {}", name.unwrap_or_else(|| taker.to_string()))
            }
            (None, LEAVING) => "ended".to_owned(),
            (None, _) if Some(row.id) != self.me && silent > LOOK_GAP => {
                format!("silent for {} s", silent.as_secs())
            }
            (None, _) => "serving".to_owned(),
        };
        ServerShown {
            name: row.name.clone(),
            id: row.id.unsigned_abs().into(),
            own: Some(row.id) == self.me,
            state,
            seconds: row.seconds.unsigned_abs(),
            jobs: row.jobs.unsigned_abs(),
            bytes: row.bytes.unsigned_abs(),
            version: row.shown_version().to_owned(),
        }
    }

    /// Whether this fault says that we were taken over; notes it.
    pub(super) fn note(&mut self, fault: &impl SharedFault) -> bool {
        let fenced = fault.is_fenced();
        if let Some(share) = self.share.as_mut().filter(|_| fenced) {
            self.fenced = true;
            share.fenced();
        }
        fenced
    }
}
