//! A registry that runs in a thread of the test.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use entrepot_domain::{Registry, maintenance, registry::Parts};
use entrepot_frontend::{Address, Handle, NoObserver, Server};
use entrepot_storage::SharedDriver;

use super::Setup;
use crate::http::Client;

/// A running registry, and a [`Client`] of it. Dropping it is a crash: connections are cut, requests in
/// flight are never finished, and nothing is told to the store.
#[derive(Debug)]
pub struct TestRegistry {
    client: Client,
    address: SocketAddr,
    setup: Setup,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl TestRegistry {
    pub(super) fn start(setup: &Setup) -> Self {
        let (told, tells) = mpsc::channel();
        let parts = setup.clone();
        let serve = async move {
            let server = assemble(parts).await;
            let address = tcp(&server.addresses()[0]);
            told.send((address, server.handle())).expect("the test waits for the server");
            server.run().await.expect("a server that listens can be run");
        };
        let thread = std::thread::Builder::new()
            .name("registry under test".to_owned())
            .spawn(|| actix_rt::System::new().block_on(serve))
            .expect("a thread for the server");
        let (address, handle) = tells.recv().expect("the server starts");
        Self { client: Client::of(address), address, setup: setup.clone(), handle, thread: Some(thread) }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of its own, which outlives it.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Another registry of the same parts over the same store.
    pub fn replica(&self) -> TestRegistry {
        self.setup.start()
    }

    /// What it is made of.
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Its store.
    pub const fn store(&self) -> &SharedDriver {
        self.setup.store()
    }

    /// Stops taking requests, finishes those in flight, and is gone.
    pub fn stop(mut self) {
        block_on(self.handle.stop());
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Its panic was printed where it happened; a second one here would abort the test run.
            let _ = thread.join();
        }
    }
}

impl Deref for TestRegistry {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        if self.thread.is_some() {
            block_on(self.handle.kill());
            self.join();
        }
    }
}

async fn assemble(setup: Setup) -> Server {
    maintenance::ensure_layout(&setup.store).await.expect("a store this build can use");
    let tokens = match setup.keys {
        Some(keys) => keys,
        None => maintenance::shared_token_keys(&setup.store, &*setup.entropy)
            .await
            .expect("a store that keeps the shared keys"),
    };
    let registry = Registry::new(Parts {
        store: setup.store,
        cache: setup.cache,
        clock: setup.clock,
        entropy: setup.entropy,
        tokens,
        config: setup.domain,
    });
    Server::build(setup.frontend, registry, setup.gate, Arc::new(NoObserver))
        .expect("settings that can be used")
}

fn tcp(address: &Address) -> SocketAddr {
    match address {
        Address::Tcp { address, .. } => *address,
        Address::Unix(path) => panic!("{} is no TCP address", path.display()),
    }
}

/// Waits for a future outside of any runtime.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime on this thread").block_on(future)
}
