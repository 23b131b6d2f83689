//! What a probe found out.

use std::fmt;
use std::time::{Duration, SystemTime};

/// One thing the registry relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// `put` with `IfAbsent` is refused where an object is.
    CreateOnce,
    /// `put` with `IfMatch` is refused over any other version, and where no object is.
    ReplaceUnchanged,
    /// Of several conditional puts at once exactly one wins.
    OneWinner,
    /// A read shows what was written or deleted before.
    ReadAfterWrite,
    /// So does a listing.
    ListAfterWrite,
    /// The store's clock and ours agree within [`ClockOffset::TOLERABLE`].
    Clock,
    /// Listings are in byte order and go on after any text.
    ListOrder,
    /// A read of a range answers that range.
    Ranges,
    /// Parts become one object.
    PartsJoin,
    /// A completed upload holds the tagged bytes, or completing fails.
    PartsByTag,
    /// Completing again answers the object.
    CompleteTwice,
    /// An aborted upload is gone with its parts.
    AbortFrees,
    /// `delete` with a version is refused over any other.
    ConditionalDelete,
    /// The store can sign URLs.
    Presign,
    /// What the probe wrote could be removed again.
    Deletes,
}

impl Promise {
    /// A short name, for tables and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Promise::CreateOnce => "create once",
            Promise::ReplaceUnchanged => "replace unchanged",
            Promise::OneWinner => "one winner of a race",
            Promise::ReadAfterWrite => "read after write",
            Promise::ListAfterWrite => "list after write",
            Promise::Clock => "clock",
            Promise::ListOrder => "order of listings",
            Promise::Ranges => "ranged reads",
            Promise::PartsJoin => "upload in parts",
            Promise::PartsByTag => "parts by tag",
            Promise::CompleteTwice => "complete twice",
            Promise::AbortFrees => "abort an upload",
            Promise::ConditionalDelete => "conditional delete",
            Promise::Presign => "presigned URLs",
            Promise::Deletes => "delete",
        }
    }

    /// What is promised, as a sentence that is true where it holds.
    pub const fn sentence(self) -> &'static str {
        match self {
            Promise::CreateOnce => "a conditional put never replaces an object that is there",
            Promise::ReplaceUnchanged => "a conditional put replaces only the version it names",
            Promise::OneWinner => "of conditional puts at the same time exactly one wins",
            Promise::ReadAfterWrite => "a read shows every write and delete before it",
            Promise::ListAfterWrite => "a listing shows every write and delete before it",
            Promise::Clock => "the store's clock agrees with ours",
            Promise::ListOrder => "listings are in byte order and go on where they are asked to",
            Promise::Ranges => "a read of a range answers exactly that range",
            Promise::PartsJoin => "uploaded parts become one object",
            Promise::PartsByTag => "a late part of another writer never gets into an object",
            Promise::CompleteTwice => "an upload may be completed again after a lost answer",
            Promise::AbortFrees => "an aborted upload is gone with its parts",
            Promise::ConditionalDelete => "a conditional delete removes only the version it names",
            Promise::Presign => "the store signs URLs that clients can read objects by",
            Promise::Deletes => "objects can be deleted",
        }
    }
}

/// Whether a promise is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It held as often as it was tried.
    Holds,
    /// It does not hold; the text says what happened instead.
    Broken(String),
    /// The driver does not declare it, so nobody relies on it.
    Undeclared,
    /// It could not be found out; the text says why.
    Unknown(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Holds => f.write_str("holds"),
            Outcome::Broken(what) => write!(f, "does not hold: {what}"),
            Outcome::Undeclared => f.write_str("the store has no such thing"),
            Outcome::Unknown(why) => write!(f, "could not be found out: {why}"),
        }
    }
}

/// One promise and how it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The promise.
    pub promise: Promise,
    /// What came of it.
    pub outcome: Outcome,
}

/// What one run of the probe found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Each promise that was tried, once.
    pub checks: Vec<Check>,
    /// How far the store's clock is from ours. `None` where the store did not tell the time.
    pub clock: Option<ClockOffset>,
    /// Whether the store was too slow for all rounds that were meant: what is rarely wrong was tried less often.
    pub is_cut_short: bool,
}

impl Report {
    /// What came of `promise`; `None` where this run did not try it.
    pub fn outcome(&self, promise: Promise) -> Option<&Outcome> {
        self.checks.iter().find(|check| check.promise == promise).map(|check| &check.outcome)
    }

    /// The checks of these promises that do not hold.
    pub fn broken<'a>(&'a self, promises: &'a [Promise]) -> impl Iterator<Item = &'a Check> {
        self.of(promises).filter(|check| matches!(check.outcome, Outcome::Broken(_)))
    }

    /// The checks of these promises that could not be found out.
    pub fn unknown<'a>(&'a self, promises: &'a [Promise]) -> impl Iterator<Item = &'a Check> {
        self.of(promises).filter(|check| matches!(check.outcome, Outcome::Unknown(_)))
    }

    fn of<'a>(&'a self, promises: &'a [Promise]) -> impl Iterator<Item = &'a Check> {
        self.checks.iter().filter(move |check| promises.contains(&check.promise))
    }
}

/// How far the store's clock is from ours, as far as that is certain: what a request took, and the
/// second that stores round times to, count for neither side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockOffset {
    /// The store is later by at least this.
    Ahead(Duration),
    /// The store is earlier by at least this.
    Behind(Duration),
}

impl ClockOffset {
    /// Up to here nothing is worth saying: machines with a time service differ by less.
    pub const TOLERABLE: Duration = Duration::from_secs(30);

    /// Stores tell times in whole seconds.
    const GRAIN: Duration = Duration::from_secs(1);

    /// The offset of a store that says it wrote at `modified` what we asked it to write after `before`
    /// and saw written at `after`.
    pub(super) fn between(before: SystemTime, after: SystemTime, modified: SystemTime) -> Self {
        if let Ok(ahead) = modified.duration_since(after) {
            return ClockOffset::Ahead(ahead);
        }
        ClockOffset::Behind(before.duration_since(modified + Self::GRAIN).unwrap_or_default())
    }

    /// How far, whichever way.
    pub const fn size(self) -> Duration {
        match self {
            ClockOffset::Ahead(offset) | ClockOffset::Behind(offset) => offset,
        }
    }
}

impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.size().as_secs();
        match self {
            _ if seconds == 0 => f.write_str("the store's clock agrees with ours"),
            ClockOffset::Ahead(_) => write!(f, "the store's clock is {seconds} s ahead of ours"),
            ClockOffset::Behind(_) => write!(f, "the store's clock is {seconds} s behind ours"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_took_and_whole_seconds_are_no_offset() {
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);

        assert_eq!(ClockOffset::between(at(10_900), at(12_000), at(10_000)).size(), Duration::ZERO);
        assert_eq!(ClockOffset::between(at(10_900), at(12_000), at(12_000)).size(), Duration::ZERO);
        assert_eq!(
            ClockOffset::between(at(10_900), at(12_000), at(72_000)),
            ClockOffset::Ahead(Duration::from_secs(60))
        );
        assert_eq!(
            ClockOffset::between(at(70_000), at(71_000), at(9_000)),
            ClockOffset::Behind(Duration::from_secs(60))
        );
    }
}
