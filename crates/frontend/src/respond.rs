//! Answers: what every one of them carries, and how each kind is made.

pub(crate) mod blob;
pub(crate) mod body;
pub(crate) mod byteranges;
pub(crate) mod list;
pub(crate) mod manifest;
pub(crate) mod upload;

use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use bytes::Bytes;
use entrepot_api::header::{self as names, Header};
use entrepot_api::{Status, envelope};

use crate::context::{Shared, content_length};
use crate::error::Failed;
use crate::extract::body::{End, Inbound};
use crate::middleware::cors;
use crate::middleware::record::Record;
use crate::server::outbound::Outbound;
use body::{Body, Content};

/// An answer before it becomes a response: without the headers that all carry, and with its body even
/// if only the headers were asked for.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
}

impl Answer {
    pub(crate) fn new(status: Status, content: Content) -> Self {
        Self { status, headers: HeaderMap::with_capacity(12), content }
    }

    /// An answer whose body is empty, and says so.
    pub(crate) fn empty(status: Status) -> Self {
        Self::new(status, Content::Bytes(Bytes::new()))
    }

    /// The same answer once its first bytes are there.
    pub(crate) async fn begun(mut self, outbound: Option<&Outbound>) -> entrepot_domain::Result<Self> {
        self.content = self.content.begun(outbound).await?;
        Ok(self)
    }

    /// Adds a header whose value is known to be one.
    pub(crate) fn constant(mut self, name: Header, value: &'static str) -> Self {
        self.headers.insert(field(name), HeaderValue::from_static(value));
        self
    }

    /// Adds a header. A value with characters no header may have is left out rather than mangled; none
    /// that passed its grammar has any.
    pub(crate) fn text(mut self, name: Header, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(field(name), value);
        }
        self
    }

    /// Adds one more header of a name that may occur several times.
    pub(crate) fn more(mut self, name: Header, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(field(name), value);
        }
        self
    }
}

pub(crate) fn field(name: Header) -> HeaderName {
    HeaderName::from_static(name.field)
}

/// The answer to `OPTIONS`: the methods of the path. What browsers need is added to every answer alike.
pub(crate) fn options(allow: &'static str) -> Answer {
    Answer::new(Status::NoContent, Content::None).constant(names::ALLOW, allow)
}

/// A refusal, in the envelope clients read.
pub(crate) fn failure(failed: Failed) -> Answer {
    let (failure, errors, headers) = failed.into_parts();
    let answer = Answer::new(failure.status(), Content::Bytes(errors.to_json().into()));
    let mut answer = answer.constant(names::CONTENT_TYPE, envelope::CONTENT_TYPE);
    for (name, value) in headers {
        answer.headers.append(name, value);
    }
    answer
}

/// Longest rest of a body that is read to save the connection.
const DRAIN_BYTES: u64 = 64 * 1024;

/// How long it may take: a client that waits for the answer before it sends more must not wait for us.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// Makes the response: adds what all answers carry, leaves the body out for HEAD, and takes care of a
/// request body nobody read.
pub(crate) async fn finish(
    shared: &Shared,
    head: &RequestHead,
    mut answer: Answer,
    inbound: Rc<Inbound>,
    record: Record,
) -> HttpResponse<BoxBody> {
    drain_if_short(head, &inbound).await;
    let unread = inbound.unread();
    let mut response = assemble(shared, head, &mut answer, &record);
    if unread.is_some() {
        response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
    }
    let content = if head.method == Method::HEAD { answer.content.without_bytes() } else { answer.content };
    let outbound = record.outbound().filter(|_| content.is_large());
    if let Some(length) = content.length().filter(|_| outbound.is_some()) {
        // actix is told of no length, because it would count the bytes that pass through it.
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        response.head_mut().no_chunking(true);
    }
    let body = Body::new(content, unread, outbound, record.answered(answer.status));
    response.set_body(BoxBody::new(body))
}

/// Reads the rest of a body where that is cheaper than a new connection.
async fn drain_if_short(head: &RequestHead, inbound: &Rc<Inbound>) {
    // A body that announces its length is read whole or not at all, and a client that waits for a 100
    // sends nothing if it does not come.
    let long = content_length(head).is_some_and(|length| length > DRAIN_BYTES);
    if inbound.end() == End::Open && !long && !head.expect() {
        let _ = tokio::time::timeout(DRAIN_TIME, inbound.drain(DRAIN_BYTES)).await;
    }
}

fn assemble(shared: &Shared, head: &RequestHead, answer: &mut Answer, record: &Record) -> HttpResponse<()> {
    let status = StatusCode::from_u16(answer.status.code()).expect("every status of the table is one");
    let mut response = HttpResponse::with_body(status, ());
    // The answer's own map becomes the response's: moving ten headers costs as much as making them.
    let mut headers = std::mem::take(&mut answer.headers);
    for (name, values) in &shared.fixed_headers {
        // What an endpoint says goes before what the configuration says.
        if !headers.contains_key(name) {
            values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
        }
    }
    headers.insert(request_id_header(), record.request_id().clone());
    cors::add(shared, head, &mut headers);
    *response.headers_mut() = headers;
    response
}

/// `X-Request-ID`, in requests and answers.
pub(crate) fn request_id_header() -> HeaderName {
    HeaderName::from_static("x-request-id")
}

/// The headers every answer carries before the configured ones.
pub(crate) fn always() -> [(HeaderName, HeaderValue); 2] {
    [
        (field(names::API_VERSION), HeaderValue::from_static(names::API_VERSION_VALUE)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]
}
