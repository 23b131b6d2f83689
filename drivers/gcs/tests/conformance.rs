//! The driver contract, case by case: on the fake, on the fake through a handle that fails and is asked
//! again, and on a real bucket where `ENTREPOT_TEST_GCS` names one.

use std::sync::Arc;

use entrepot_driver_gcs::GcsDriver;
use entrepot_driver_gcs::fake::{Options, Server};
use entrepot_storage::conformance::Subject;
use entrepot_storage::decorate::{Effect, Fault, Operation, Retry, RetryPolicy, Rule};
use entrepot_storage::{ErrorKind, SharedDriver};

fn server() -> Server {
    Server::start(Options::new("images")).expect("a port is free")
}

async fn open(server: &Server, root: &str) -> SharedDriver {
    let mut config = server.config();
    config.root_directory = root.into();
    Arc::new(GcsDriver::open(config).await.expect("the settings make sense"))
}

mod on_the_fake {
    async fn subject() -> super::Subject {
        let server = super::server();
        let open = || super::open(&server, "below/a/root");
        super::Subject::new(open().await).with_second(open().await).keeping(server)
    }

    entrepot_storage::conformance_tests!(subject);
}

mod on_the_fake_through_failures_that_are_retried {
    use super::{Arc, Effect, ErrorKind, Fault, Operation, Retry, RetryPolicy, Rule, SharedDriver, Subject};

    /// Every fifth call or so fails before it is applied, and what may be repeated without a trace loses its
    /// answer as often. Conditional writes are left out of the second, because callers settle those, which the
    /// cases do not; and so are beginnings, whose lost uploads would be listed.
    const SAFE: [Operation; 7] = [
        Operation::Stat,
        Operation::Get,
        Operation::List,
        Operation::UploadPart,
        Operation::UploadComplete,
        Operation::UploadAbort,
        Operation::DeleteMany,
    ];

    fn through(driver: SharedDriver, seed: u64) -> SharedDriver {
        let fault = Fault::new(driver, "tester", seed);
        let lost = ErrorKind::Backend { retryable: true };
        let busy = ErrorKind::Throttled { retry_after: None };
        fault.controls().add(Rule::new(Effect::FailBefore(busy)).with_probability(0.2));
        let rule = SAFE.into_iter().fold(Rule::new(Effect::FailAfter(lost)), Rule::on);
        fault.controls().add(rule.with_probability(0.2));
        let policy = RetryPolicy {
            attempts: 30,
            first_pause: std::time::Duration::from_millis(1),
            longest_pause: std::time::Duration::from_millis(5),
            budget: 100_000,
            ..RetryPolicy::default()
        };
        Arc::new(Retry::new(Arc::new(fault), policy))
    }

    async fn subject() -> Subject {
        let server = super::server();
        let open = async |seed| through(super::open(&server, "").await, seed);
        Subject::new(open(1).await).with_second(open(2).await).keeping(server)
    }

    entrepot_storage::conformance_tests!(subject);
}

/// `ENTREPOT_TEST_GCS=bucket` and Application Default Credentials that may read, write and delete below
/// `entrepot-conformance/` in it. What the cases leave behind is the bucket's lifecycle rules' to clean up.
mod on_a_real_bucket {
    use super::{Arc, GcsDriver, Subject};

    fn named() -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "a test, not the registry")]
        std::env::var("ENTREPOT_TEST_GCS").ok().filter(|bucket| !bucket.is_empty())
    }

    async fn subject() -> Option<Subject> {
        let Some(bucket) = named() else {
            #[expect(clippy::print_stdout, reason = "a skipped case is told on the test's own output")]
            {
                println!("skipped: ENTREPOT_TEST_GCS is not set");
            }
            return None;
        };
        let open = async || {
            let mut config = entrepot_driver_gcs::Config::new(&bucket);
            config.root_directory = "entrepot-conformance".into();
            Arc::new(GcsDriver::open(config).await.expect("the default credentials can be read"))
        };
        Some(Subject::new(open().await).with_second(open().await))
    }

    entrepot_storage::conformance_tests!(subject);
}
