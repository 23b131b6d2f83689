//! Pulls that clients fetch from the store, or from a cache in front of it, instead of through us.
//!
//! A redirect costs no request of ours: the link, cached, says where the bytes lie, and the signature is
//! made here. URLs are signed for the beginning of a span of time and not for the moment, so all replicas
//! answer all requests within the span with one URL, and whatever caches by URL on the way keeps what it
//! fetched.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entrepot_oci::RepositoryName;
use entrepot_storage::signer::UrlSigner;
use entrepot_storage::{Key, PresignOptions, SignedUrl};

use crate::error::Result;

/// Who asks for a blob, as far as that decides where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader<'a> {
    /// The client's address; none where it is not known.
    pub address: Option<IpAddr>,
    /// The client's `User-Agent`.
    pub agent: Option<&'a str>,
    /// Whether it may read without saying who it is: then everybody may.
    pub is_anonymous: bool,
}

/// One pull, to be held against the rules.
#[derive(Clone, Copy, Debug)]
pub struct Pull<'a> {
    /// Who asks.
    pub reader: Reader<'a>,
    /// The repository.
    pub repository: &'a RepositoryName,
    /// The blob's length in bytes.
    pub size: u64,
}

/// Where the bytes of a blob come from.
#[derive(Clone, Debug)]
pub enum Route {
    /// Through this process, verified on the way.
    Proxy,
    /// By a URL of this signer; through this process where it has none.
    Signed(Arc<dyn UrlSigner>),
    /// The same with a lifetime of its own, in place of the one of all.
    SignedFor(Arc<dyn UrlSigner>, Duration),
}

/// Which pulls a rule is about: a predicate made by whoever reads the configuration.
#[derive(Clone)]
pub struct PullPattern(pub Arc<dyn Fn(&Pull<'_>) -> bool + Send + Sync>);

impl fmt::Debug for PullPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PullPattern")
    }
}

/// Where pulls go.
#[derive(Clone, Debug)]
pub struct Redirects {
    /// How long a URL is good for when it is new. A URL that is handed out has at least half of it left.
    /// Default 20 min.
    pub lifetime: Duration,
    /// The most for who had to say who they are, by any route: their URLs open what is not for everybody to
    /// whoever gets hold of them. Default 5 min.
    pub private_lifetime: Duration,
    /// The first of these that is about a pull decides.
    pub rules: Vec<(PullPattern, Route)>,
    /// What holds where no rule does. Default: through this process.
    pub otherwise: Route,
}

impl Default for Redirects {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(20 * 60),
            private_lifetime: Duration::from_secs(5 * 60),
            rules: Vec::new(),
            otherwise: Route::Proxy,
        }
    }
}

impl Redirects {
    /// The URL this pull goes to; none where the bytes come through this process.
    pub(crate) async fn url(
        &self,
        pull: &Pull<'_>,
        key: &Key,
        content_type: &str,
        now: SystemTime,
    ) -> Result<Option<SignedUrl>> {
        let decided = self.rules.iter().find(|(pattern, _)| (pattern.0)(pull)).map(|(_, route)| route);
        let (signer, lifetime) = match decided.unwrap_or(&self.otherwise) {
            Route::Proxy => return Ok(None),
            Route::Signed(signer) => (signer, self.lifetime),
            Route::SignedFor(signer, lifetime) => (signer, *lifetime),
        };
        // What lasts less long than it was asked to would be dead before its span is over.
        let lifetime = self.for_reader(lifetime, pull.reader).min(signer.longest());
        let options = PresignOptions {
            signed_at: beginning_of_span(now, lifetime / 2),
            expires_in: lifetime,
            content_type: Some(content_type.to_owned()),
        };
        let url = signer.sign(key, &options, pull.reader.address).await?;
        // Credentials about to die would send the client away with a URL that is dead when it arrives.
        Ok(url.filter(|url| url.expires_at > now + SHORTEST))
    }

    fn for_reader(&self, lifetime: Duration, reader: Reader<'_>) -> Duration {
        if reader.is_anonymous { lifetime } else { lifetime.min(self.private_lifetime) }
    }
}

/// The least time a client is given to follow.
const SHORTEST: Duration = Duration::from_secs(5);

/// The last whole multiple of `span` since 1970, in whole seconds: signatures know no fractions.
fn beginning_of_span(now: SystemTime, span: Duration) -> SystemTime {
    let since = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let span = span.as_secs().max(1);
    UNIX_EPOCH + Duration::from_secs(since - since % span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_not_for_everybody_is_lent_for_less_long() {
        let lasting = |lifetime, is_anonymous| {
            Redirects::default().for_reader(lifetime, Reader { is_anonymous, ..Reader::default() })
        };

        assert_eq!(lasting(20 * MINUTE, true), 20 * MINUTE);
        assert_eq!(lasting(20 * MINUTE, false), 5 * MINUTE);
        assert_eq!(lasting(2 * MINUTE, false), 2 * MINUTE, "never longer than what is for everybody");
    }

    #[test]
    fn all_moments_of_a_span_begin_together() {
        let span = 10 * MINUTE;

        assert_eq!(beginning_of_span(at(1_200), span), at(1_200));
        assert_eq!(beginning_of_span(at(1_799) + Duration::from_nanos(7), span), at(1_200));
        assert_eq!(beginning_of_span(at(1_800), span), at(1_800));
    }

    #[test]
    fn a_span_shorter_than_a_second_is_one() {
        assert_eq!(beginning_of_span(at(7), Duration::ZERO), at(7));
    }
}
