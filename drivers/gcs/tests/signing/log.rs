//! A log in memory, of everything that libraries and driver write on this thread.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// As long as it lives, its log is written to.
pub(crate) struct Open {
    _guard: tracing::dispatcher::DefaultGuard,
    _other: Dispatch,
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Written to down to the finest level there is.
    pub(crate) fn begin() -> (Self, Open) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(log.clone())
            .with_ansi(false)
            .finish();
        // Of one subscriber alone the library asks whichever thread comes by an event first whether it is wanted,
        // and believes it for all of them: other tests' threads have none. Of two it asks both.
        let other = Dispatch::new(tracing_subscriber::registry());
        let guard = tracing::dispatcher::set_default(&Dispatch::new(subscriber));
        (log, Open { _guard: guard, _other: other })
    }

    /// As if somebody logged it.
    pub(crate) fn note(&self, text: &str) {
        self.clone().write_all(text.as_bytes()).expect("memory takes it");
    }

    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
