//! Who is asking.

use std::fmt;
use std::net::IpAddr;

/// What a request brings along to prove who sends it.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The `Authorization` header, as it was sent.
    pub authorization: Option<&'a str>,
    /// The client's certificate in DER, verified against the configured authorities.
    pub certificate: Option<&'a [u8]>,
    /// Where the request comes from, behind trusted proxies the client they name; for rate limits.
    pub client: Option<IpAddr>,
}

impl fmt::Debug for Credentials<'_> {
    /// Says what is there, never what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("authorization", &self.authorization.is_some())
            .field("certificate", &self.certificate.is_some())
            .field("client", &self.client)
            .finish()
    }
}

/// Who was recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    name: Option<String>,
    scopes: Vec<String>,
}

impl Identity {
    /// Nobody in particular.
    pub const fn anonymous() -> Self {
        Self { name: None, scopes: Vec::new() }
    }

    /// Somebody with a name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), scopes: Vec::new() }
    }

    /// Adds scopes that came with the credentials, such as those of a token.
    #[must_use]
    pub fn with_scopes(mut self, scopes: impl IntoIterator<Item = String>) -> Self {
        self.scopes.extend(scopes);
        self
    }

    /// The name for logs and policies; `None` for the anonymous.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Scopes that came with the credentials.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_printed() {
        let credentials = Credentials { authorization: Some("Basic c2VjcmV0"), ..Credentials::default() };

        assert!(!format!("{credentials:?}").contains("c2VjcmV0"));
    }
}
