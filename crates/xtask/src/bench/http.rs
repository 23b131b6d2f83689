//! The few requests that are not load: filling a registry, and looking whether an answer is what it should be.
//! Each has a connection of its own, which no restarted server can have closed.

use std::time::Duration;

use entrepot_oci::Digest;
use ureq::config::ConfigBuilder;
use ureq::http::Response;
use ureq::typestate::AgentScope;
use ureq::{Agent, Body};

/// A listing of 100,000 tags may take its time.
const PATIENCE: Duration = Duration::from_secs(240);

/// An answer, whole.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) location: Option<String>,
    link: Option<String>,
}

/// A GET.
pub(super) fn get(url: &str, accept: Option<&str>) -> Result<Answer, String> {
    answer(url, agent().get(url).header("accept", accept.unwrap_or("*/*")).call())
}

/// A DELETE.
pub(super) fn delete(url: &str) -> Result<Answer, String> {
    answer(url, agent().delete(url).call())
}

/// A HEAD.
pub(super) fn head_of(url: &str) -> Result<Answer, String> {
    answer(url, agent().head(url).call())
}

/// The length a HEAD announces. docker-registry sends even those to the store.
pub(super) fn announced_length(url: &str) -> Result<u64, String> {
    let response = response(url, following().head(url).call())?;
    let length = header(&response, "content-length").and_then(|value| value.parse().ok());
    length.filter(|_| response.status() == 200).ok_or_else(|| format!("{}: HEAD {url}", response.status()))
}

/// The digest of what a GET answers, or what it redirects to; it is not kept.
pub(super) fn digest_of(url: &str) -> Result<Digest, String> {
    let mut response = response(url, following().get(url).call())?;
    super::content::digest_of(response.body_mut().as_reader()).map_err(|error| format!("{url}: {error}"))
}

/// Opens an upload session, and returns where it goes on.
pub(super) fn open_session(registry: &str, repository: &str) -> Result<String, String> {
    let url = format!("{registry}/v2/{repository}/blobs/uploads/");
    let opened = answer(&url, agent().post(&url).send_empty())?.expect(202, &url)?;
    opened.location.map(|location| absolute(registry, &location)).ok_or_else(|| format!("{url}: no Location"))
}

/// Ends a session. Bytes may come with it.
pub(super) fn close_session(location: &str, digest: &Digest, last: &[u8]) -> Result<(), String> {
    let url = closing(location, digest);
    let put = agent().put(&url).content_type("application/octet-stream");
    answer(&url, put.send(last))?.expect(201, &url).map(drop)
}

/// Where a session is ended with a digest.
pub(super) fn closing(location: &str, digest: &Digest) -> String {
    format!("{location}{}digest={digest}", if location.contains('?') { '&' } else { '?' })
}

/// Pushes a blob in two requests.
pub(super) fn push_blob(registry: &str, repository: &str, content: &[u8]) -> Result<(), String> {
    close_session(&open_session(registry, repository)?, &Digest::sha256(content), content)
}

/// Pushes a manifest.
pub(super) fn push_manifest(
    registry: &str,
    repository: &str,
    reference: &str,
    media_type: &str,
    content: &[u8],
) -> Result<(), String> {
    let url = format!("{registry}/v2/{repository}/manifests/{reference}");
    let put = agent().put(&url).content_type(media_type);
    answer(&url, put.send(content))?.expect(201, &url).map(drop)
}

/// How many entries a listing has over all its pages. `key` is what holds them.
pub(super) fn count_entries(registry: &str, path: &str, key: &str) -> Result<usize, String> {
    let mut next = Some(format!("{registry}{path}"));
    let mut count = 0;
    while let Some(url) = next {
        let page = get(&url, None)?.expect(200, &url)?;
        count += page.entries(key);
        next = page.link.as_deref().and_then(next_page).map(|path| absolute(registry, path));
    }
    Ok(count)
}

impl Answer {
    pub(super) fn expect(self, status: u16, what: &str) -> Result<Self, String> {
        if self.status == status {
            return Ok(self);
        }
        let said = String::from_utf8_lossy(&self.body);
        Err(format!("{} instead of {status}: {what}: {said:.200}", self.status))
    }

    /// How many entries of a listing it holds.
    pub(super) fn entries(&self, key: &str) -> usize {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json[key].as_array().map_or(0, Vec::len)
    }
}

fn agent() -> Agent {
    configured().max_redirects(0).max_idle_connections(0).build().into()
}

fn following() -> Agent {
    configured().max_redirects(2).max_idle_connections(0).build().into()
}

/// What is the same for every agent.
pub(super) fn configured() -> ConfigBuilder<AgentScope> {
    Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).proxy(None)
}

fn response(url: &str, outcome: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, String> {
    outcome.map_err(|error| format!("{url}: {error}"))
}

pub(super) fn answer(url: &str, outcome: Result<Response<Body>, ureq::Error>) -> Result<Answer, String> {
    let mut response = response(url, outcome)?;
    let (location, link) = (header(&response, "location"), header(&response, "link"));
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec();
    let body = body.map_err(|error| format!("{url}: {error}"))?;
    Ok(Answer { status, body, location, link })
}

fn header(response: &Response<Body>, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// Locations may be relative.
pub(super) fn absolute(registry: &str, location: &str) -> String {
    if location.starts_with('/') { format!("{registry}{location}") } else { location.to_owned() }
}

/// The address in a `Link` header that has one for the next page.
fn next_page(link: &str) -> Option<&str> {
    let (address, parameters) = link.strip_prefix('<')?.split_once('>')?;
    parameters.contains("next").then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_followed_whether_it_is_relative_or_not() {
        let registry = "http://127.0.0.1:1";

        assert_eq!(absolute(registry, "/v2/a"), "http://127.0.0.1:1/v2/a");
        assert_eq!(absolute(registry, "http://127.0.0.1:1/v2/b"), "http://127.0.0.1:1/v2/b");
    }

    #[test]
    fn only_a_link_to_the_next_page_is_followed() {
        assert_eq!(next_page("</v2/_catalog?last=a&n=2>; rel=\"next\""), Some("/v2/_catalog?last=a&n=2"));
        assert_eq!(next_page("</v2/>; rel=\"first\""), None);
    }
}
