//! The calls of a driver by name.

use std::fmt;

/// A call of [`StorageDriver`](crate::StorageDriver), as metrics and faults know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// `stat`
    Stat,
    /// `get`, until the store has answered.
    Get,
    /// The bytes that a `get` answered, until the last or until the reader went away.
    GetBody,
    /// `put`
    Put,
    /// `delete`
    Delete,
    /// `delete_many`
    DeleteMany,
    /// `list`
    List,
    /// `presign_get`
    PresignGet,
    /// `upload_begin`
    UploadBegin,
    /// `upload_part`
    UploadPart,
    /// `upload_flush`
    UploadFlush,
    /// `upload_complete`
    UploadComplete,
    /// `upload_abort`
    UploadAbort,
    /// `list_uploads`
    ListUploads,
}

/// What a call costs at a store that charges for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Reads: the cheap ones.
    Read,
    /// Writes and listings: about twelve times as much.
    Write,
    /// Deletes: free nearly everywhere.
    Delete,
    /// Nothing is sent to the store.
    Local,
}

impl Operation {
    /// All of them, in the order of the trait.
    pub const ALL: [Operation; 14] = [
        Operation::Stat,
        Operation::Get,
        Operation::GetBody,
        Operation::Put,
        Operation::Delete,
        Operation::DeleteMany,
        Operation::List,
        Operation::PresignGet,
        Operation::UploadBegin,
        Operation::UploadPart,
        Operation::UploadFlush,
        Operation::UploadComplete,
        Operation::UploadAbort,
        Operation::ListUploads,
    ];

    /// The trait's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Operation::Stat => "stat",
            Operation::Get => "get",
            Operation::GetBody => "get_body",
            Operation::Put => "put",
            Operation::Delete => "delete",
            Operation::DeleteMany => "delete_many",
            Operation::List => "list",
            Operation::PresignGet => "presign_get",
            Operation::UploadBegin => "upload_begin",
            Operation::UploadPart => "upload_part",
            Operation::UploadFlush => "upload_flush",
            Operation::UploadComplete => "upload_complete",
            Operation::UploadAbort => "upload_abort",
            Operation::ListUploads => "list_uploads",
        }
    }

    /// What it costs.
    pub const fn class(self) -> Class {
        match self {
            Operation::Stat | Operation::Get => Class::Read,
            Operation::GetBody | Operation::PresignGet => Class::Local,
            Operation::Put
            | Operation::List
            | Operation::UploadBegin
            | Operation::UploadPart
            | Operation::UploadFlush
            | Operation::UploadComplete
            | Operation::ListUploads => Class::Write,
            Operation::Delete | Operation::DeleteMany | Operation::UploadAbort => Class::Delete,
        }
    }
}

impl Class {
    /// The name for labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Write => "write",
            Class::Delete => "delete",
            Class::Local => "local",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
