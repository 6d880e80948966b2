//! Functions are summed up, and the few that are wanted told one by one: one step looks at so many, and says where it stopped. What is
//! asked for and what ranks first stands in `../outline.rs`.
use super::Functions;
use crate::outline::{OutlineAsk, OutlinePage};
use crate::page::{Budget, ListMark, ListRow};
use crate::report::Report;
use alloc::boxed::Box;

impl Functions {
    /// One step.
    #[cold]
    pub(super) fn outline(&self, ask: &OutlineAsk, budget: &mut Budget) -> Report {
        let mut page = OutlinePage::default();
        if ask.after.is_none() {
            page.counted = self.functions.others().clone();
        }
        let after = ask.after.clone().map(ListMark::Function);
        let mut named = ask.named_behind();
        for ix in self.functions.in_order(after.as_ref()) {
            let function = self.functions.get(ix);
            budget.look(ask.looks(&function.name));
            // Both are in order: those that are not there any more are passed.
            while let [first, rest @ ..] = named
                && *first < function.name
            {
                named = rest;
            }
            let glance = self.glance(function);
            if ask.only.includes(&glance) && ask.fits(&function.name) {
                page.sums.add(&glance);
                self.functions.stats_of(function).into_iter().for_each(|stats| page.counted.merge(stats));
                if named.first() == Some(&function.name) || ask.wants(&function.name, &glance) {
                    let row = self.numbers(ix);
                    budget.row(row.weight());
                    page.rows.push(row);
                }
            }
            if budget.is_spent() {
                page.until = Some(function.name.clone());
                break;
            }
        }
        Report::Outline(Box::new(page))
    }
}
