//! The only place that writes to the terminal.
//!
//! Written with `Write` instead of the printing macros, because those panic when the reader of a pipe
//! has gone.

use std::io::{self, Write};

use super::Exit;

/// Standard output and standard error, or what stands for them in a test.
pub(super) struct Output<'a> {
    results: Box<dyn Write + 'a>,
    complaints: Box<dyn Write + 'a>,
}

impl Output<'static> {
    pub(super) fn of_process() -> Self {
        Self { results: Box::new(io::stdout()), complaints: Box::new(io::stderr()) }
    }
}

impl<'a> Output<'a> {
    #[cfg(test)]
    pub(super) fn into(results: &'a mut Vec<u8>, complaints: &'a mut Vec<u8>) -> Self {
        Self { results: Box::new(results), complaints: Box::new(complaints) }
    }

    /// Writes a result. A reader that went away early, such as `head`, is no failure.
    pub(super) fn say(&mut self, text: &str) -> Exit {
        let written = self.results.write_all(text.as_bytes()).and_then(|()| self.results.flush());
        match written {
            Ok(()) => Exit::Success,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
            Err(_) => Exit::Failure,
        }
    }

    /// Writes one message for the person at the terminal. If even that fails, nobody can be told.
    pub(super) fn complain(&mut self, text: &str) {
        let _unreported = writeln!(self.complaints, "entrepot: {text}");
    }
}
