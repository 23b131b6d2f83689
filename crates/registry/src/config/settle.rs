//! The border between what was written and what is used.
//!
//! Each section turns its written form into the form the rest of the program uses. It judges what no
//! single key can tell, reports to a [`Settling`], and always yields a value, so that one start names
//! every problem; nobody sees that value when there was a problem.

use super::document::Node;
use super::problem::Problem;

/// Collects what the sections find.
pub(super) struct Settling<'a> {
    tree: &'a Node,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl<'a> Settling<'a> {
    pub(super) fn new(tree: &'a Node) -> Self {
        Self { tree, problems: Vec::new(), warnings: Vec::new() }
    }

    /// This value must not be used.
    pub(super) fn refuse(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(path, self.tree.origin_of(path), message));
    }

    /// This value will be used, and somebody should know something about it.
    pub(super) fn warn(&mut self, path: &str, message: impl Into<String>) {
        self.warnings.push(Problem::new(path, self.tree.origin_of(path), message));
    }

    /// The value, or a refusal and nothing.
    pub(super) fn accept<T>(&mut self, path: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|message| self.refuse(path, message)).ok()
    }

    /// All values of a list that can be read, and a refusal for each other.
    pub(super) fn accept_all<T>(
        &mut self,
        path: &str,
        texts: &[String],
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let each = texts.iter().filter_map(|text| self.accept(path, read(text)));
        each.collect()
    }
}
