//! What goes wrong because a test wants it to, and how often each call came.

use std::collections::BTreeMap;
use std::time::Duration;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// The bucket's settings.
    Bucket,
    /// An object's metadata.
    Stat,
    /// An object's bytes, asked for with credentials.
    Get,
    /// An object's bytes, asked for by a signed URL.
    SignedGet,
    /// A whole object written.
    Put,
    /// An object deleted.
    Delete,
    /// A page of objects.
    List,
    /// An upload begun.
    UploadBegin,
    /// A part written.
    UploadPart,
    /// An upload completed.
    UploadComplete,
    /// An upload aborted.
    UploadAbort,
    /// A page of uploads.
    ListUploads,
    /// Anything else.
    Unknown,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is answered with this status and not applied.
    FailBefore {
        /// The status.
        status: u16,
        /// The seconds of its `Retry-After`, where it has one.
        retry_after: Option<u64>,
    },
    /// It is applied and then answered with this status.
    FailAfter {
        /// The status.
        status: u16,
    },
    /// The connection is closed before it is applied.
    HangUpBefore,
    /// It is applied, and then the connection is closed instead of an answer.
    HangUpAfter,
    /// It waits before it is applied.
    Delay(Duration),
    /// The body of its answer ends after so many bytes, and the connection with it.
    CutBody {
        /// Bytes that still arrive.
        after: usize,
    },
    /// The body of its answer stops after so many bytes, and the connection stays open.
    StallBody {
        /// Bytes that still arrive.
        after: usize,
    },
    /// Its body arrives with other bytes than were sent.
    Replace {
        /// What was sent, somewhere in the body.
        sent: &'static [u8],
        /// What arrives instead; of the same length.
        arrived: &'static [u8],
    },
    /// It is answered as if another `Range` had been asked for, or none.
    AnotherRange(Option<&'static str>),
    /// Its answer tells the CRC32C of this content, whatever was stored.
    AnotherHash(&'static [u8]),
    /// One byte of the body of its answer arrives changed.
    FlipByte {
        /// Its place in the body.
        at: usize,
    },
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Vec<(Operation, u64, Effect)>,
    counted: BTreeMap<Operation, u64>,
}

impl Faults {
    pub(super) fn plan(&mut self, operation: Operation, times: u64, effect: Effect) {
        self.planned.push((operation, times, effect));
    }

    /// Counts a request, and tells what is to happen to it: the first plan that still holds.
    pub(super) fn meet(&mut self, operation: Operation) -> Option<Effect> {
        *self.counted.entry(operation).or_default() += 1;
        let (_, left, effect) =
            self.planned.iter_mut().find(|(of, left, _)| *of == operation && *left > 0)?;
        *left -= 1;
        Some(effect.clone())
    }

    pub(super) fn count(&self, operation: Operation) -> u64 {
        self.counted.get(&operation).copied().unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.planned.clear();
        self.counted.clear();
    }
}
