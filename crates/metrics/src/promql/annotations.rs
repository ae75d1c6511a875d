//! Warnings and infos that come with an answer, worded as Prometheus words them. It does not decide
//! when they are due.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::scan::Position;

/// What has been noted so far; each text once.
#[derive(Default)]
pub(super) struct Notes {
    warnings: RefCell<BTreeSet<String>>,
    infos: RefCell<BTreeSet<String>>,
    /// What was noted last of a metric, and where.
    last: RefCell<Option<(String, Position)>>,
}

impl Notes {
    pub fn warn(&self, text: &str, at: Position) {
        let full = format!("PromQL warning: {text} ({}:{})", at.line, at.column);
        self.warnings.borrow_mut().insert(full);
    }

    pub fn info(&self, text: &str, at: Position) {
        let full = format!("PromQL info: {text} ({}:{})", at.line, at.column);
        self.infos.borrow_mut().insert(full);
    }

    /// Notes what is to be said of a metric at a place. Series of one metric come in a row, and for
    /// all but the first there is nothing to be made.
    pub fn info_of(&self, metric: &str, at: Position, text: impl FnOnce() -> String) {
        let same = |(name, place): &(String, Position)| name == metric && *place == at;
        if self.last.borrow().as_ref().is_some_and(same) {
            return;
        }
        self.info(&text(), at);
        *self.last.borrow_mut() = Some((metric.to_owned(), at));
    }

    pub fn into_parts(self) -> (Vec<String>, Vec<String>) {
        let list = |set: RefCell<BTreeSet<String>>| set.into_inner().into_iter().collect();
        (list(self.warnings), list(self.infos))
    }
}
