//! Periodic health checks: what `/debug/health` tells and `/readyz` follows.
//!
//! A check that fails never stops requests from being tried: one slow answer of a store would otherwise
//! take every replica out of service at once.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::ToSocketAddrs;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entrepot_storage::{SharedDriver, StorageDriverExt};

use crate::config;
use crate::outbound::{self, Trust};

type Verdict = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// What is known of the process's health. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<State>);

#[derive(Debug, Default)]
struct State {
    failures: Mutex<BTreeMap<String, String>>,
    down: AtomicBool,
    draining: AtomicBool,
}

impl Health {
    /// What is wrong now, by the name of the check.
    pub fn failures(&self) -> BTreeMap<String, String> {
        let mut failures = self.0.failures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if self.0.down.load(Ordering::Relaxed) {
            failures.insert("manual_http_status".into(), "manual check".into());
        }
        failures
    }

    /// Whether new requests should be sent here.
    pub fn is_ready(&self) -> bool {
        !self.0.draining.load(Ordering::Relaxed) && self.failures().is_empty()
    }

    /// Sets or clears a failure by hand.
    pub fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::Relaxed);
    }

    /// Says that the process is about to stop.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Starts the configured checks on the present runtime; they run until it ends.
    pub fn watch(&self, config: &config::Health, store: &SharedDriver) {
        if config.storage.enabled {
            let (store, name) = (Arc::clone(store), format!("storagedriver_{}", store.name()));
            let check = move || -> Verdict { Box::pin(look_at(Arc::clone(&store))) };
            self.run(name, config.storage.interval, config.storage.threshold, check);
        }
        for file in &config.files {
            let path = file.file.clone();
            let check = move || -> Verdict { Box::pin(must_be_absent(path.clone())) };
            self.run(file.file.display().to_string(), file.interval, file.threshold, check);
        }
        for tcp in &config.tcp {
            let (address, timeout) = (tcp.addr.to_string(), tcp.timeout);
            let check = move || -> Verdict { Box::pin(must_accept(address.clone(), timeout)) };
            self.run(tcp.addr.to_string(), tcp.interval, tcp.threshold, check);
        }
        for http in &config.http {
            // One for all its checks: reading the system's certificates takes longer than asking.
            let agent = outbound::agent(http.timeout, Trust::System);
            let asked = http.clone();
            let check = move || -> Verdict { Box::pin(must_answer(agent.clone(), asked.clone())) };
            self.run(http.uri.clone(), http.interval, http.threshold, check);
        }
    }

    fn run(&self, name: String, pause: Duration, threshold: u32, check: impl Fn() -> Verdict + 'static) {
        let state = Arc::clone(&self.0);
        actix_rt::spawn(async move {
            let mut in_a_row = 0;
            loop {
                match check().await {
                    Ok(()) => in_a_row = 0,
                    Err(reason) => {
                        in_a_row += 1;
                        state.note(&name, (in_a_row >= threshold).then_some(reason));
                    }
                }
                if in_a_row == 0 {
                    state.note(&name, None);
                }
                tokio::time::sleep(pause).await;
            }
        });
    }
}

impl State {
    fn note(&self, name: &str, failure: Option<String>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            Some(reason) => {
                if failures.insert(name.to_owned(), reason.clone()).is_none() {
                    tracing::warn!(check = name, reason, "a health check fails");
                }
            }
            None => {
                if failures.remove(name).is_some() {
                    tracing::info!(check = name, "a health check is well again");
                }
            }
        }
    }
}

async fn look_at(store: SharedDriver) -> Result<(), String> {
    let key = entrepot_domain::layout::layout();
    match store.stat_if_present(&key).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs `work` off the runtime's threads.
async fn aside(work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

async fn must_be_absent(path: std::path::PathBuf) -> Result<(), String> {
    aside(move || match path.try_exists() {
        Ok(false) => Ok(()),
        Ok(true) => Err("file exists".to_owned()),
        Err(error) => Err(error.to_string()),
    })
    .await
}

async fn must_accept(address: String, timeout: Duration) -> Result<(), String> {
    aside(move || {
        let mut candidates = address.to_socket_addrs().map_err(|error| error.to_string())?;
        let candidate = candidates.next().ok_or("the name has no address")?;
        let connected = std::net::TcpStream::connect_timeout(&candidate, timeout);
        connected.map(drop).map_err(|error| error.to_string())
    })
    .await
}

async fn must_answer(agent: ureq::Agent, asked: config::HttpCheck) -> Result<(), String> {
    aside(move || {
        let mut request = agent.head(&asked.uri);
        for (name, values) in &asked.headers {
            for value in values {
                request = request.header(name, value.expose());
            }
        }
        let answer = request.call().map_err(|error| error.to_string())?;
        match answer.status().as_u16() {
            status if status == asked.status => Ok(()),
            status => Err(format!("status {status} instead of {}", asked.status)),
        }
    })
    .await
}
