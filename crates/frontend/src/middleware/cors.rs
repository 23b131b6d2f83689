//! Requests from browsers of other origins, as far as the configuration allows them.

use actix_web::dev::RequestHead;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

use crate::context::Shared;

/// Adds what an allowed origin needs. Without a configuration, and to other origins, nothing is added,
/// and the browser refuses by itself.
pub(crate) fn add(shared: &Shared, head: &RequestHead, headers: &mut HeaderMap) {
    let Some(cors) = &shared.config.cors else { return };
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = head.headers().get(header::ORIGIN) else { return };
    let named = cors.allow_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
    if named {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    } else if cors.allow_origins.iter().any(|allowed| allowed == "*") {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else {
        return;
    }
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if head.method == Method::OPTIONS {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ACCEPTED));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

const EXPOSED: &str = "Docker-Content-Digest, Link, Location, WWW-Authenticate, X-Request-ID, OCI-Subject, \
    OCI-Filters-Applied, ETag, Content-Range";
const METHODS: &str = "GET, HEAD, POST, PATCH, PUT, DELETE";
const ACCEPTED: &str = "Authorization, Accept, Content-Type, Content-Range, Range, If-Match, If-None-Match, \
    If-Range, X-Request-ID";
