//! The driver contract, case by case, on the servers the environment names: as it is, below a root directory,
//! and with failures that are retried.

mod canned;
mod damaged;
mod encrypted;
mod inspecting;
mod measuring;
mod presigned;
mod secrets;
mod server;

use std::sync::Arc;

use entrepot_storage::SharedDriver;
use entrepot_storage::conformance::{Subject, asking_again, unreliable};
use server::{CEPH, FIRST, GARAGE, HTTPS, SECOND, Server};

async fn two_handles(server: Server) -> Subject {
    let (first, second) = server.open_two().await;
    let shared = |driver| Arc::new(driver) as SharedDriver;
    Subject::new(shared(first)).with_second(shared(second))
}

mod plain {
    use super::*;

    async fn store() -> Option<Subject> {
        Some(two_handles(server::named(FIRST)?).await)
    }

    entrepot_storage::conformance_tests!(store);
}

mod below_a_root_directory {
    use entrepot_storage::conformance::{CASES, run};

    use super::*;

    async fn store() -> Option<Subject> {
        let mut server = server::named(FIRST)?;
        server.config.root_directory = "/some/root/".into();
        Some(two_handles(server).await)
    }

    /// Its keys are as long as a store's names may be, and the root directory is part of the name.
    const TOO_LONG: &str = "every_valid_key_is_a_key";

    #[test]
    fn every_case_holds_but_for_the_length_of_keys() {
        for case in CASES.iter().filter(|case| case.name != TOO_LONG) {
            println!("{}", case.name);
            run(case.name, store);
        }
    }
}

/// Payloads are not signed there, and ETags are no digests of what was sent.
mod over_https_and_encrypted {
    use super::*;

    async fn store() -> Option<Subject> {
        Some(two_handles(server::named(HTTPS)?).await)
    }

    entrepot_storage::conformance_tests!(store);
}

mod second_server {
    use super::*;

    async fn store() -> Option<Subject> {
        Some(two_handles(server::named(SECOND)?.unless_it_breaks_the_case()?).await)
    }

    entrepot_storage::conformance_tests!(store);
}

/// Servers that answer 500, or close the connection, where AWS tells what is wrong: asked again they tell it
/// too, so they are tried below the decorator that asks again, which the registry has as well.
macro_rules! on_one_that_wants_to_be_asked_again {
    ($server:ident, $variable:ident) => {
        mod $server {
            use super::*;

            async fn store() -> Option<Subject> {
                let server = server::named($variable)?.unless_it_breaks_the_case()?;
                let open = || async { asking_again(Arc::new(server.open().await)) };
                Some(Subject::new(open().await).with_second(open().await))
            }

            entrepot_storage::conformance_tests!(store);
        }
    };
}

on_one_that_wants_to_be_asked_again!(ceph, CEPH);
on_one_that_wants_to_be_asked_again!(garage, GARAGE);

mod through_failures_that_are_retried {
    use super::*;

    async fn store() -> Option<Subject> {
        let server = server::named(FIRST)?;
        let (first, second) = server.open_two().await;
        let first = unreliable(Arc::new(first), 1);
        Some(Subject::new(first).with_second(unreliable(Arc::new(second), 2)))
    }

    entrepot_storage::conformance_tests!(store);
}
