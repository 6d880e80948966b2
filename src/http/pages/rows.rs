//! Parts of lists, for pages: so many rows behind a place, and where the list goes on. As little is asked of the shards as a page shows, and
//! where rows are sorted out, no more than a bound.
use super::super::desk::Desk;
use crate::engine::page::ListMark;
use crate::engine::{Query, Report};

/// A part of a list.
#[derive(Debug)]
pub(super) struct PageRows<T> {
    pub(super) items: Vec<T>,
    /// Where it goes on, as a word; `None` at the end.
    pub(super) next: Option<String>,
    /// Rows that were looked at.
    pub(super) looked: u64,
}

/// Where a list begins, and what may be spent on it.
#[derive(Debug)]
pub(super) struct RowsWanted {
    pub(super) after: Option<ListMark>,
    /// Rows that are wanted.
    pub(super) limit: usize,
    /// Pages of the report that may be asked for.
    pub(super) pages: usize,
}

/// Asks for rows: `sort` makes of a page of the report the place behind each row, and what is wanted of it. Only in one's turn.
pub(super) async fn rows<T>(
    desk: &Desk,
    query: Query,
    wanted: RowsWanted,
    mut sort: impl FnMut(Report) -> Vec<(String, Option<T>)>,
) -> PageRows<T> {
    let mut part = PageRows { items: Vec::new(), next: None, looked: 0 };
    let mut answer = desk.observer.ask(query, wanted.after);
    for _ in 0..wanted.pages {
        let Some(page) = answer.next().await else {
            part.next = None;
            return part;
        };
        for (place, item) in sort(page) {
            if part.items.len() == wanted.limit {
                return part;
            }
            part.looked += 1;
            part.items.extend(item);
            part.next = Some(place);
        }
    }
    part
}
