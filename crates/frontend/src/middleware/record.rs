//! What is known of a request for log and metrics. The record is opened when the headers are read and
//! closed exactly once, when the last byte of the answer is handed over or nobody wants it any more.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri, Version};
use entrepot_api::{EndpointId, Failure, Status};
use entrepot_auth::Identity;

use super::access_log;
use super::client::Client;
use super::observe::RequestSummary;
use super::request_id;
use crate::context::Shared;
use crate::error::Failed;
use crate::extract::body::{End, Inbound};
use crate::respond::request_id_header;
use crate::server::connection::{Connection, InFlight};
use crate::server::outbound::Outbound;

/// An open record.
pub(crate) struct Record(Option<Box<Entry>>);

/// What a request was, for those who write about it.
pub(crate) struct Entry {
    shared: Arc<Shared>,
    started: Instant,
    inbound: Rc<Inbound>,
    in_flight: Option<InFlight>,
    pub(crate) client: Option<std::net::IpAddr>,
    pub(crate) user: Option<String>,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) referer: Option<HeaderValue>,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) request_id: HeaderValue,
    pub(crate) endpoint: Option<EndpointId>,
}

impl Record {
    /// Opens a record for the request with `head`.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        head: &RequestHead,
        client: &Client,
        connection: Option<&Connection>,
        inbound: Rc<Inbound>,
    ) -> Self {
        shared.observer.started();
        let header = |name: HeaderName| head.headers().get(name).cloned();
        Self(Some(Box::new(Entry {
            shared: shared.clone(),
            started: Instant::now(),
            inbound,
            in_flight: connection.map(|connection| connection.request(head)),
            client: client.address,
            user: None,
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            referer: header(header::REFERER),
            user_agent: header(header::USER_AGENT),
            request_id: request_id::choose(head.headers().get(request_id_header())),
            endpoint: None,
        })))
    }

    fn entry(&self) -> &Entry {
        self.0.as_ref().expect("a record is emptied only when it is consumed")
    }

    fn entry_mut(&mut self) -> &mut Entry {
        self.0.as_mut().expect("a record is emptied only when it is consumed")
    }

    /// Refuses the request if its connection already has as many in hand as one may.
    pub(crate) fn admit_on_connection(&self) -> Result<(), Failed> {
        let entry = self.entry();
        let limit = entry.shared.config.limits.requests_per_connection;
        if entry.in_flight.as_ref().is_some_and(|in_flight| in_flight.count() > limit) {
            let failed = Failed::because(Failure::Unavailable, "too many requests at once on one connection");
            return Err(failed.retry_after(std::time::Duration::from_secs(1)));
        }
        Ok(())
    }

    /// The request is for this operation.
    pub(crate) fn reached(&mut self, endpoint: EndpointId) {
        self.entry_mut().endpoint = Some(endpoint);
    }

    /// The request comes from somebody known.
    pub(crate) fn recognised(&mut self, identity: &Identity) {
        self.entry_mut().user = identity.name().map(str::to_owned);
    }

    pub(crate) fn request_id(&self) -> &HeaderValue {
        &self.entry().request_id
    }

    /// The way past actix for a large body, where there is one.
    pub(crate) fn outbound(&self) -> Option<Outbound> {
        self.entry().in_flight.as_ref().and_then(InFlight::outbound)
    }

    /// The answer begins.
    pub(crate) fn answered(mut self, status: Status) -> Answered {
        Answered { entry: self.0.take(), status, sent: 0, complete: false }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(entry) = self.0.take() {
            close(entry, Status::ClientClosedRequest, 0);
        }
    }
}

/// A record whose answer is on its way.
pub(crate) struct Answered {
    entry: Option<Box<Entry>>,
    status: Status,
    sent: u64,
    complete: bool,
}

impl Answered {
    /// So many bytes more were handed over.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// So many bytes of these were not sent after all.
    pub(crate) fn unsent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_sub(bytes as u64);
    }

    /// Nothing more is to be sent.
    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }

    /// The answer ended early through no fault of the client's.
    pub(crate) fn cut_short(&mut self) {
        self.status = Status::InternalServerError;
        self.complete = true;
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        let left = !self.complete || entry.inbound.end() == End::Broken;
        let status = if left { Status::ClientClosedRequest } else { self.status };
        close(entry, status, self.sent);
    }
}

fn close(entry: Box<Entry>, status: Status, bytes_out: u64) {
    let summary = RequestSummary {
        endpoint: entry.endpoint,
        method: entrepot_api::Method::parse(entry.method.as_str()),
        status,
        duration: entry.started.elapsed(),
        bytes_in: entry.inbound.received(),
        bytes_out,
    };
    access_log::write(&entry, &summary);
    entry.shared.observer.finished(&summary);
}
