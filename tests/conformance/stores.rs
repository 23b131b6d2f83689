//! The program against object stores: pulls redirected or not, by one replica or by three of which each request
//! meets another.

use entrepot_tests::balancer::Balancer;
use entrepot_tests::server::{Server, Storage};
use entrepot_tests::stores::{Kind, ObjectStore};

use crate::program::{self, Switches};
use crate::{configuration, judge};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pulls {
    Redirected,
    Proxied,
}

fn passes(kind: Kind, pulls: Pulls, replicas: usize) {
    let home = tempfile::tempdir().expect("there is room for results");
    let Some(program) = program::find(home.path()) else { return };
    let Some(store) = ObjectStore::find(kind) else { return };
    let is_redirected = pulls == Pulls::Redirected;
    let storage = Storage::Object(store.redirects(is_redirected));
    // Incomplete manifests are admitted: refusing them has nothing to do with the store.
    let switches = Switches { sparse: true, blob_digests: !is_redirected };
    let servers = Server::start_many(replicas, home.path(), &storage, &configuration(switches));
    let addresses: Vec<_> = servers.iter().map(Server::address).collect();
    let balancer = Balancer::before(&addresses);

    let report = program::run(&program, balancer.address(), home.path(), switches);

    judge(&report, switches);
    assert!(balancer.requests().iter().all(|&count| count > 0), "a replica was asked nothing");
    let redirected = |server: &Server| {
        let labels = [("handler", "blob_get"), ("code", "307")];
        server.metric("registry_http_requests_total", &labels)
    };
    let redirected: u64 = servers.iter().map(redirected).sum();
    assert_eq!(redirected > 0, is_redirected, "{redirected} pulls were redirected");
}

macro_rules! on {
    ($store:ident, $kind:expr) => {
        mod $store {
            use super::{Kind, Pulls, passes};

            #[test]
            fn the_official_program_passes_where_pulls_are_redirected() {
                passes($kind, Pulls::Redirected, 1);
            }

            #[test]
            fn the_official_program_passes_where_pulls_are_proxied() {
                passes($kind, Pulls::Proxied, 1);
            }

            #[test]
            fn the_official_program_passes_through_three_replicas_where_pulls_are_redirected() {
                passes($kind, Pulls::Redirected, 3);
            }

            #[test]
            fn the_official_program_passes_through_three_replicas_where_pulls_are_proxied() {
                passes($kind, Pulls::Proxied, 3);
            }
        }
    };
}

on!(on_s3, Kind::S3);
on!(on_azure, Kind::Azure);
on!(on_gcs, Kind::Gcs);
