//! The debug server: metrics and health, on a listener of its own.
//!
//! It is for the operator's network and answers without authentication; it never shares a port with the
//! API. What it shows is asked of a [`DebugPages`] at each request.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

use crate::BuildError;

/// What the debug server shows.
pub trait DebugPages: fmt::Debug + Send + Sync + 'static {
    /// All metrics in the Prometheus text format.
    fn metrics(&self) -> String;
    /// What is wrong now, by the name of the check. Empty when all is well.
    fn failures(&self) -> BTreeMap<String, String>;
    /// Whether new requests should be sent here: false while draining or while a check fails.
    fn is_ready(&self) -> bool;
    /// Sets or clears a failure by hand (`/debug/health/down`, `/debug/health/up`).
    fn set_down(&self, down: bool);
}

/// A running debug server. Dropping it does not stop it.
#[derive(Debug)]
pub struct DebugServer {
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    handle: ServerHandle,
}

impl DebugServer {
    /// Starts the server on `listener`, on the present actix runtime. `metrics_path` is where metrics are,
    /// if they are shown at all.
    pub fn start(
        listener: TcpListener,
        metrics_path: Option<String>,
        pages: Arc<dyn DebugPages>,
    ) -> Result<Self, BuildError> {
        let place = listener.local_addr().map_or_else(|_| "debug".to_owned(), |address| address.to_string());
        let failed = |source| BuildError::Listen { place: place.clone(), source };
        let app = move || {
            let state = Shown { metrics_path: metrics_path.clone(), pages: Arc::clone(&pages) };
            App::new().app_data(web::Data::new(state)).default_service(web::to(answer))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).map_err(failed)?;
        let addresses = server.addrs();
        let running = server.run();
        let handle = running.handle();
        actix_web::rt::spawn(running);
        Ok(Self { addresses, handle })
    }

    /// Stops it at once.
    pub async fn stop(&self) {
        self.handle.stop(false).await;
    }
}

struct Shown {
    metrics_path: Option<String>,
    pages: Arc<dyn DebugPages>,
}

async fn answer(request: HttpRequest, shown: web::Data<Shown>) -> HttpResponse {
    let pages = &shown.pages;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let posts = request.method() == Method::POST;
    let path = request.path();
    match path {
        _ if reads && shown.metrics_path.as_deref() == Some(path) => text(pages.metrics()),
        "/debug/health" if reads => health(&pages.failures()),
        "/debug/health/down" if posts => {
            pages.set_down(true);
            HttpResponse::Ok().finish()
        }
        "/debug/health/up" if posts => {
            pages.set_down(false);
            HttpResponse::Ok().finish()
        }
        "/livez" | "/startupz" if reads => text("ok\n".into()),
        "/readyz" if reads && pages.is_ready() => text("ok\n".into()),
        "/readyz" if reads => HttpResponse::ServiceUnavailable().body("not ready\n"),
        "/debug/health" | "/debug/health/down" | "/debug/health/up" | "/livez" | "/readyz" | "/startupz" => {
            HttpResponse::MethodNotAllowed().finish()
        }
        _ => HttpResponse::NotFound().finish(),
    }
}

fn text(body: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body)
}

fn health(failures: &BTreeMap<String, String>) -> HttpResponse {
    let body = serde_json::to_string(failures).unwrap_or_else(|_| "{}".to_owned());
    let mut answer = match failures.is_empty() {
        true => HttpResponse::Ok(),
        false => HttpResponse::ServiceUnavailable(),
    };
    answer
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body)
}
