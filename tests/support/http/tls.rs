//! Answers of stores on https, which redirected pulls lead to.

use std::sync::Arc;

use super::{PATIENCE, Response};

/// More than any test fetches at once.
const MAX_BYTES: u64 = 1 << 30;

/// Whose certificates are looked at. A store that was started for the tests has made its own.
fn is_on_loopback(url: &str) -> bool {
    ["https://127.0.0.1:", "https://localhost:"].iter().any(|start| url.starts_with(start))
}

/// The answer to a `GET`.
pub(super) fn fetch(url: &str, headers: &[(&str, &str)]) -> Response {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ureq::tls::TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .disable_verification(is_on_loopback(url))
        .build();
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .tls_config(tls)
        .build();
    let request = ureq::Agent::new_with_config(agent).get(url);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let mut answer = request.call().unwrap_or_else(|error| panic!("no answer from the store: {error}"));
    let text = |value: &ureq::http::HeaderValue| value.to_str().expect("a header is text").to_owned();
    let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(MAX_BYTES).read_to_vec();
    let complete = body.is_ok();
    Response { status, headers, body: body.unwrap_or_default(), complete }
}
