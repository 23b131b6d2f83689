//! Where a server listens.

use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::net::{UnixListener, UnixStream};

use entrepot_frontend::{Address, BuildError, Config, Endpoint, Listener};

use super::support::{Client, Setup, tcp};

fn on(endpoints: Vec<Endpoint>) -> Setup {
    let mut setup = Setup::default();
    setup.config.listeners = endpoints.into_iter().map(|endpoint| Listener { endpoint, tls: None }).collect();
    setup
}

#[test]
fn a_unix_socket_is_served_and_removed_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("registry.sock");
    let running = on(vec![Endpoint::Unix(path.clone())]).start();

    let response = Client::new(UnixStream::connect(&path).unwrap()).send("GET /v2/");

    assert_eq!(response.status, 200);
    assert_eq!(running.addresses, [Address::Unix(path.clone())]);
    running.stop();
    assert!(!path.exists());
}

#[test]
fn the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (dead, living) = (directory.path().join("dead"), directory.path().join("living"));
    drop(UnixListener::bind(&dead).unwrap());
    let _listener = UnixListener::bind(&living).unwrap();

    let running = on(vec![Endpoint::Unix(dead.clone())]).start();
    assert_eq!(Client::new(UnixStream::connect(&dead).unwrap()).send("GET /v2/").status, 200);
    running.stop();

    assert!(refused(vec![Endpoint::Unix(living)]));
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, "data").unwrap();

    assert!(refused(vec![Endpoint::Unix(path.clone())]));

    assert_eq!(std::fs::read_to_string(path).unwrap(), "data");
}

fn refused(endpoints: Vec<Endpoint>) -> bool {
    let listeners = endpoints.into_iter().map(|endpoint| Listener { endpoint, tls: None }).collect();
    let config = Config { listeners, ..Config::default() };
    let driver = entrepot_driver_memory::MemoryDriver::new();
    let tokens = entrepot_domain::uploads::token::TokenKeys::new(vec![vec![7; 32]]).unwrap();
    let registry = entrepot_domain::Registry::over(driver.shared(), tokens);
    let observer = std::sync::Arc::new(entrepot_frontend::NoObserver);
    let built = entrepot_frontend::Server::build(config, registry, entrepot_auth::Gate::open(), observer);
    matches!(built, Err(BuildError::Listen { .. }))
}

#[test]
fn several_listeners_serve_the_same_registry() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("registry.sock");
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let running = on(vec![Endpoint::Tcp(local), Endpoint::Unix(path.clone()), Endpoint::Tcp(local)]).start();

    for address in &running.addresses {
        let status = match address {
            Address::Tcp { address, .. } => Client::new(tcp(*address)).send("GET /v2/").status,
            Address::Unix(path) => Client::new(UnixStream::connect(path).unwrap()).send("GET /v2/").status,
        };
        assert_eq!(status, 200, "{address:?}");
    }
}

#[test]
fn a_dual_stack_listener_takes_both_families() {
    let running = on(vec![Endpoint::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)))]).start();
    let port = running.address().port();

    for address in [SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))] {
        assert_eq!(Client::new(tcp(address)).send("GET /v2/").status, 200, "{address}");
    }
}
