//! What a handler has at hand: what all requests share, and the one it serves.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use entrepot_api::{Endpoint, Locations};
use entrepot_auth::{Gate, Grant};
use entrepot_domain::Registry;
use entrepot_domain::redirects::Reader;
use entrepot_oci::RepositoryName;

use crate::config::Config;
use crate::error::Failed;
use crate::extract::body::Inbound;
use crate::extract::query::Query;
use crate::middleware::observe::Observer;

/// What all requests share; one for the whole server.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) gate: Gate,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) config: Config,
    /// Headers of every answer, checked and made once.
    pub(crate) fixed_headers: Vec<(HeaderName, Vec<HeaderValue>)>,
}

/// What the path names, parsed as far as all methods agree.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The repository, where the resource has one.
    pub(crate) repository: Option<RepositoryName>,
    /// Reference, digest or session, as it was sent.
    pub(crate) argument: String,
}

/// One request on its way to its handler.
pub(crate) struct Context<'a> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) target: Target,
    pub(crate) head: &'a RequestHead,
    pub(crate) body: Rc<Inbound>,
    /// Scheme and authority for absolute addresses; empty for relative ones.
    pub(crate) origin: String,
    /// The client's address; `None` where it is not known.
    pub(crate) client: Option<IpAddr>,
}

impl Context<'_> {
    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub(crate) fn locations(&self) -> Locations<'_> {
        Locations::new(&self.origin, &self.shared.config.prefix)
    }

    /// The repository of a resource that has one.
    pub(crate) fn repository(&self) -> &RepositoryName {
        self.target.repository.as_ref().expect("the router parses the name of every resource that has one")
    }

    /// Who asks, as far as that decides where a blob comes from.
    pub(crate) fn reader(&self, grant: &Grant) -> Reader<'_> {
        Reader {
            address: self.client,
            is_anonymous: grant.identity().name().is_none(),
            agent: self.head.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()),
        }
    }

    /// Whether the request's repository takes no writes now.
    pub(crate) fn is_read_only(&self) -> bool {
        let repository = self.target.repository.as_ref().map_or("", RepositoryName::as_str);
        self.registry().is_read_only(repository)
    }

    /// A header as text; one that is not text counts as absent.
    pub(crate) fn header(&self, header: entrepot_api::header::Header) -> Option<&str> {
        self.head.headers().get(header.field)?.to_str().ok()
    }

    pub(crate) fn query(&self) -> Query<'_> {
        Query::parse(self.head.uri.query().unwrap_or_default())
    }

    /// `Content-Length`; `None` for a body of unknown length.
    pub(crate) fn content_length(&self) -> Option<u64> {
        content_length(self.head)
    }

    /// Runs a write to its end even if the client goes away meanwhile: what arrived is kept, and no
    /// write is left half done because of a broken connection.
    pub(crate) async fn finish<F, T>(&self, write: F) -> Result<T, Failed>
    where
        F: Future<Output = entrepot_domain::Result<T>> + 'static,
        T: 'static,
    {
        match actix_web::rt::spawn(write).await {
            Ok(outcome) => outcome.map_err(|error| crate::error::from_domain(self, error)),
            Err(panicked) => Err(Failed::internal(&panicked)),
        }
    }
}

/// The length a request announces for its body; zero without a body, `None` if it is unknown. HTTP/1
/// has no body without either header; HTTP/2 may, and says so by the end of its headers only.
pub(crate) fn content_length(head: &RequestHead) -> Option<u64> {
    use actix_web::http::{Version, header};
    let headers = head.headers();
    if let Some(length) = headers.get(header::CONTENT_LENGTH) {
        return length.to_str().ok()?.trim().parse().ok();
    }
    let bodyless = head.version < Version::HTTP_2 && !headers.contains_key(header::TRANSFER_ENCODING);
    bodyless.then_some(0)
}
