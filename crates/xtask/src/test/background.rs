//! Installations that go on while the compiler works.

use std::thread::{self, JoinHandle};

use super::plan::Name;
use crate::services::{self, Installed, Source};

/// What is being installed and what has been.
pub(super) struct Background {
    running: Vec<(Source, JoinHandle<Vec<Installed>>)>,
    finished: Vec<(Source, Vec<Installed>)>,
}

impl Background {
    /// Starts installing all these steps need: each source once, all sources at the same time.
    pub(super) fn start(names: &[Name]) -> Self {
        let sources = [Source::Debian, Source::Go, Source::Cargo, Source::Stores, Source::FurtherStores];
        let needed =
            sources.into_iter().filter(|source| names.iter().any(|name| name.needs().contains(source)));
        let running = needed.map(|source| (source, thread::spawn(move || services::install(source))));
        Self { running: running.collect(), finished: Vec::new() }
    }

    /// Waits for what a step needs, and returns what became of it.
    pub(super) fn installed_for(&mut self, name: Name) -> Vec<Installed> {
        while let Some(index) = self.running.iter().position(|(source, _)| name.needs().contains(source)) {
            let (source, thread) = self.running.swap_remove(index);
            self.finished.push((source, thread.join().expect("an installation does not panic")));
        }
        let needed = self.finished.iter().filter(|(source, _)| name.needs().contains(source));
        needed.flat_map(|(_, installed)| installed.clone()).collect()
    }
}
