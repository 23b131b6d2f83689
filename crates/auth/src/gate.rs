//! The one way in: who, may they, and the proof of it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Access, Challenge, Credentials, Error, Identity, Refusal};

/// Tells who sends a request.
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// Recognises the sender. Without credentials this is the anonymous identity, not an error: whether
    /// the anonymous may come in is the authorizer's decision.
    ///
    /// Any number of calls may run at once; none may block its thread. Fails with
    /// [`Error::Unauthenticated`] when credentials are present and not good, and never treats a failure
    /// of its own as anonymity.
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Identity, Error>;

    /// What to ask a client for that was not recognised and wants `access`. Never empty.
    fn challenges(&self, access: &Access) -> Vec<Challenge>;
}

/// Decides what an identity may do.
#[async_trait]
pub trait Authorizer: fmt::Debug + Send + Sync + 'static {
    /// Allows `identity` all of `access`, or says why not: [`Error::Unauthenticated`] when other
    /// credentials could help, [`Error::Denied`] when not. Must give the same answer whether or not
    /// the repository exists.
    async fn authorize(&self, identity: &Identity, access: &Access) -> Result<(), Error>;
}

/// Proof that an identity may have an access. Made by a [`Gate`] only.
#[derive(Clone, Debug)]
pub struct Grant {
    identity: Arc<Identity>,
    access: Access,
}

impl Grant {
    /// Who.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What.
    pub fn access(&self) -> &Access {
        &self.access
    }
}

/// Where every request passes. Clones share everything.
#[derive(Clone, Debug)]
pub struct Gate(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Open(Arc<Identity>),
    Guarded { authenticator: Arc<dyn Authenticator>, authorizer: Arc<dyn Authorizer> },
}

impl Gate {
    /// `auth: none`: everybody is anonymous and may do everything.
    pub fn open() -> Self {
        Self(Kind::Open(Arc::new(Identity::anonymous())))
    }

    /// A gate that asks these two.
    pub fn guarded(authenticator: Arc<dyn Authenticator>, authorizer: Arc<dyn Authorizer>) -> Self {
        Self(Kind::Guarded { authenticator, authorizer })
    }

    /// Whether everybody may do everything; answers are then cacheable by anyone on the way.
    pub fn is_open(&self) -> bool {
        matches!(self.0, Kind::Open(_))
    }

    /// Lets the sender of `credentials` have `access`, or refuses.
    pub async fn admit(&self, credentials: Credentials<'_>, access: Access) -> Result<Grant, Refusal> {
        let (authenticator, authorizer) = match &self.0 {
            Kind::Open(identity) => return Ok(Grant { identity: identity.clone(), access }),
            Kind::Guarded { authenticator, authorizer } => (authenticator, authorizer),
        };
        let refuse = |error| refusal(error, &**authenticator, &access);
        let identity = authenticator.authenticate(credentials).await.map_err(refuse)?;
        authorizer.authorize(&identity, &access).await.map_err(refuse)?;
        Ok(Grant { identity: Arc::new(identity), access })
    }

    /// Asks whether the identity of `grant` may also have `access`, without challenging anybody: a
    /// mount whose source is unreadable is declined, not refused. A failure counts as no.
    pub async fn also(&self, grant: &Grant, access: Access) -> Option<Grant> {
        if let Kind::Guarded { authorizer, .. } = &self.0 {
            authorizer.authorize(&grant.identity, &access).await.ok()?;
        }
        Some(Grant { identity: grant.identity.clone(), access })
    }
}

fn refusal(error: Error, authenticator: &dyn Authenticator, access: &Access) -> Refusal {
    match error {
        Error::Unauthenticated(reason) => {
            Refusal::Unauthenticated { challenges: authenticator.challenges(access), reason }
        }
        Error::Denied(reason) => Refusal::Denied(reason),
        Error::Throttled { retry_after } => Refusal::Throttled { retry_after },
        Error::Unavailable(source) => Refusal::Unavailable(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Actions};

    /// Knows one secret, and lets its owner pull.
    #[derive(Debug)]
    struct Doorman;

    #[async_trait]
    impl Authenticator for Doorman {
        async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Identity, Error> {
            match credentials.authorization {
                None => Ok(Identity::anonymous()),
                Some("Bearer good") => Ok(Identity::named("ann")),
                Some(_) => Err(Error::Unauthenticated("unknown token")),
            }
        }

        fn challenges(&self, access: &Access) -> Vec<Challenge> {
            vec![Challenge::bearer("https://auth", "registry").scope(access.scope())]
        }
    }

    #[async_trait]
    impl Authorizer for Doorman {
        async fn authorize(&self, identity: &Identity, access: &Access) -> Result<(), Error> {
            let pull = Actions::of(&[Action::Pull]);
            match (identity.name(), access) {
                (None, _) => Err(Error::Unauthenticated("anonymous")),
                (_, Access::Repository { actions, .. }) if !pull.includes(*actions) => {
                    Err(Error::Denied("read only".into()))
                }
                _ => Ok(()),
            }
        }
    }

    fn gate() -> Gate {
        Gate::guarded(Arc::new(Doorman), Arc::new(Doorman))
    }

    fn wants(action: Action) -> Access {
        Access::repository(&"a/b".parse().unwrap(), &[action])
    }

    fn with(authorization: &str) -> Credentials<'_> {
        Credentials { authorization: Some(authorization), ..Credentials::default() }
    }

    #[tokio::test]
    async fn the_open_gate_lets_everybody_do_everything() {
        let grant = Gate::open().admit(Credentials::default(), wants(Action::Delete)).await.unwrap();

        assert_eq!(grant.identity(), &Identity::anonymous());
        assert_eq!(grant.access(), &wants(Action::Delete));
    }

    #[tokio::test]
    async fn a_stranger_is_challenged_for_what_the_request_needs() {
        for credentials in [Credentials::default(), with("Bearer bad")] {
            let refused = gate().admit(credentials, wants(Action::Push)).await.unwrap_err();

            let Refusal::Unauthenticated { challenges, .. } = refused else { panic!("{refused:?}") };
            assert!(challenges[0].to_string().contains("scope=\"repository:a/b:push\""));
        }
    }

    #[tokio::test]
    async fn a_known_identity_without_the_right_is_denied_and_not_challenged() {
        let refused = gate().admit(with("Bearer good"), wants(Action::Push)).await.unwrap_err();

        assert!(matches!(refused, Refusal::Denied(_)), "{refused:?}");
    }

    #[tokio::test]
    async fn a_second_access_is_declined_without_a_challenge() {
        let grant = gate().admit(with("Bearer good"), wants(Action::Pull)).await.unwrap();

        assert!(gate().also(&grant, wants(Action::Push)).await.is_none());
        assert!(gate().also(&grant, wants(Action::Pull)).await.is_some());
    }
}
