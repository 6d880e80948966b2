//! What a store that servers share does before anything is written: all that is this server's is read and told. A tool, which is no server, sees
//! first that none runs. What goes on later is `sharing.rs`.
use super::book::Book;
use super::servers::{SERVING, ServerEntry, SharedFault, SharedPlace};
use super::sharing::ServerSharing;
use super::sql::numbers::row_of;
use super::{Progress, ServerLoad};
use crate::engine::StoredJob;
use std::time::{Duration, Instant};

/// How long a tool waits to see whether a server runs.
const TOOL: Duration = Duration::from_millis(3_500);

/// Reads all jobs at the start, and tells them: what there is then. With other servers beside, others hear of us meanwhile.
pub(super) fn read_all<P: SharedPlace>(
    place: &mut P,
    mut sharing: Option<&mut ServerSharing<P>>,
    mut reading: P::Reading,
    each: &mut dyn FnMut(StoredJob<'_>),
    progress: &mut dyn FnMut(Progress),
) -> Result<Book, P::Fault> {
    progress(Progress::Telling { jobs: place.count(&mut reading)? });
    let (mut book, mut more) = (Book::default(), true);
    while more {
        let mut told = |job: StoredJob<'_>, alone: bool, beside: bool| {
            if book.note_read(row_of(job.id)?, alone, beside) {
                each(job);
            }
            Ok(())
        };
        more = place.page(&mut reading, &mut told)?;
        if let Some(sharing) = &mut sharing {
            sharing.beat_if_due(place)?;
        }
    }
    place.tidy()?;
    Ok(book)
}

/// A tool does nothing beside a server that runs.
pub(super) fn refuse_beside_servers<P: SharedPlace>(place: &mut P) -> Result<(), P::Fault> {
    let look = |place: &mut P| -> Result<Vec<ServerEntry>, P::Fault> {
        let serving = place.look(None, 0, ServerLoad::default())?.servers.into_iter();
        Ok(serving.filter(|row| row.state == SERVING && row.taken_by.is_none()).collect())
    };
    let (before, begin) = (look(place)?, Instant::now());
    while !before.is_empty() && begin.elapsed() < TOOL {
        std::thread::sleep(TOOL / 20);
        let now = look(place)?;
        let runs = |row: &ServerEntry| before.iter().any(|one| one.id == row.id && one.beat != row.beat);
        if now.iter().any(runs) {
            let shown = place.shown();
            return Err(P::Fault::locked(shown));
        }
    }
    Ok(())
}
