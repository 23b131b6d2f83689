//! Who may use the registry.

use serde::{Deserialize, Serialize, Serializer};

use super::http::Http;
use super::settle::Settling;

/// `auth` as it was written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    none: Option<Open>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {}

/// Who may use the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Nothing was written: everybody on this machine, and the server is reachable from nowhere else.
    Unwritten,
    /// Everybody who can reach the server, because `auth: none` was written.
    None,
}

impl Auth {
    pub(super) fn is_unwritten(&self) -> bool {
        *self == Auth::Unwritten
    }
}

impl Serialize for Auth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Auth::Unwritten => serializer.serialize_unit(),
            Auth::None => serializer.serialize_str("none"),
        }
    }
}

impl Written {
    /// An open registry that others can reach must be somebody's decision, not an accident.
    pub(super) fn settle(self, http: &Http, settling: &mut Settling<'_>) -> Auth {
        let auth = if self.none.is_some() { Auth::None } else { Auth::Unwritten };
        if auth.is_unwritten() && http.listen.is_reachable_from_outside() {
            let message = format!(
                "`{}` can be reached from other machines, and no `auth` section says who may use the registry. \
                 Write `auth: none` (or set REGISTRY_AUTH=none) to let everybody pull, push and delete; \
                 or write `http.addr: 127.0.0.1:5000` to listen on this machine only",
                http.listen
            );
            settling.refuse("http.addr", message);
        }
        auth
    }
}
