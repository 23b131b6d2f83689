//! Upload sessions: from the POST that opens one to the PUT that turns it into a blob.
//!
//! A session is a value, not an open file. Any replica may load it, append, and save it back, so nothing
//! here keeps state between two calls. Opening one touches nothing; its record appears with the first
//! bytes and moves only by compare-and-swap: bytes are durable before the record, the record before the
//! answer. Parts and their minimum sizes belong to the store; this module counts bytes only.

use entrepot_oci::{Algorithm, Digest, RepositoryName};

mod append;
mod expire;
mod finish;
mod orphans;
mod purge;
pub mod token;

pub use expire::{Expired, Expiry, Reach};

use crate::error::{Error, Result};
use crate::layout;
use crate::record::{SessionRecord, SessionState, Slot};
use crate::registry::{Inner, Registry};

/// An upload session as a client addresses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub(crate) id: String,
    pub(crate) repository: RepositoryName,
    pub(crate) algorithm: Algorithm,
    pub(crate) phase: Phase,
    pub(crate) token: String,
}

/// What is known of a session before its record is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its token was made when it was opened: there need not be a record.
    Fresh,
    /// Its token was made after bytes had arrived: there is a record, or the session has ended.
    Started,
    /// It was addressed without a token: there is a record, or it is unknown.
    Untold,
}

impl Session {
    /// The session's identifier, a UUID of version 7.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The signed token its location carries; empty where it was addressed without one.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The repository it belongs to.
    pub const fn repository(&self) -> &RepositoryName {
        &self.repository
    }
}

/// How far a session has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are durable.
    pub offset: u64,
    /// The session as it is to be addressed from here on.
    pub session: Session,
}

/// How a session is to be closed.
#[derive(Clone, Debug)]
pub struct Finish {
    /// What all bytes together must hash to.
    pub digest: Digest,
    /// Where the closing request's own bytes begin, if it says so.
    pub offset: Option<u64>,
    /// How many bytes the closing request itself carries, if it says so.
    pub body_size: Option<u64>,
    /// How many bytes there must be in all, if the request says so.
    pub total_size: Option<u64>,
}

impl Registry {
    /// Opens a session. Touches nothing: a session that is never used costs nothing.
    pub fn begin_upload(&self, name: &RepositoryName, algorithm: Option<Algorithm>) -> Session {
        let id = self.0.session_id();
        let algorithm = algorithm.unwrap_or(Algorithm::Sha256);
        self.0.session(id, name.clone(), algorithm, Phase::Fresh)
    }

    /// Reads a session's address. A token that was not made for this session and repository, or has
    /// expired, is answered like a session that does not exist.
    pub fn open_session(&self, name: &RepositoryName, id: &str, token: Option<&str>) -> Result<Session> {
        if layout::upload(id).is_none() {
            return Err(Error::UploadUnknown);
        }
        let (algorithm, phase) = match token {
            None => (Algorithm::Sha256, Phase::Untold),
            Some(token) => {
                let now = self.0.clock.now();
                let claims = self.0.tokens.verify(token, id, name, now).ok_or(Error::UploadUnknown)?;
                (claims.algorithm, if claims.started { Phase::Started } else { Phase::Fresh })
            }
        };
        let token = token.unwrap_or_default().to_owned();
        Ok(Session { id: id.to_owned(), repository: name.clone(), algorithm, phase, token })
    }

    /// How far a session has come, by its record.
    pub async fn upload_status(&self, session: &Session) -> Result<Progress> {
        let (_, found) = self.0.load_session(session).await?;
        match found.record {
            Some(record) if record.state == SessionState::Open => {
                Ok(Progress { offset: record.offset, session: self.0.started(session) })
            }
            None if session.phase == Phase::Fresh => Ok(Progress { offset: 0, session: session.clone() }),
            _ => Err(Error::UploadUnknown),
        }
    }
}

impl Inner {
    fn session_id(&self) -> String {
        let mut random = [0; 10];
        self.entropy.fill(&mut random);
        let now = self.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
    }

    fn session(&self, id: String, name: RepositoryName, algorithm: Algorithm, phase: Phase) -> Session {
        let expires = self.clock.now() + self.config.session_lifetime;
        let token = self.tokens.sign(&id, &name, expires, algorithm, phase == Phase::Started);
        Session { id, repository: name, algorithm, phase, token }
    }

    /// The same session, addressed as one that has a record, with a token that lives anew.
    pub(crate) fn started(&self, session: &Session) -> Session {
        self.session(session.id.clone(), session.repository.clone(), session.algorithm, Phase::Started)
    }

    /// Reads the session's record. One that belongs to another repository does not exist.
    pub(crate) async fn load_session(
        &self,
        session: &Session,
    ) -> Result<(entrepot_storage::Key, Slot<SessionRecord>)> {
        let key = layout::upload(&session.id).ok_or(Error::UploadUnknown)?;
        let found = self.load::<SessionRecord>(&key).await?;
        if found.record.as_ref().is_some_and(|record| record.repository != session.repository) {
            return Err(Error::UploadUnknown);
        }
        Ok((key, found))
    }
}
