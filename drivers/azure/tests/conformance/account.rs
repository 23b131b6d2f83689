//! The account under test.

use std::sync::Arc;

use entrepot_driver_azure::{AzureDriver, Config, Credentials};
use entrepot_storage::SharedDriver;
use entrepot_storage::conformance::Subject;

pub(crate) const KEYED: &str = "ENTREPOT_TEST_AZURE";

/// What a variable says, where it says anything.
pub(crate) fn read(variable: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test, not the registry")]
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// What `variable` says; says so where it says nothing.
pub(crate) fn variable(variable: &str) -> Option<String> {
    let value = read(variable);
    if value.is_none() {
        #[expect(clippy::print_stdout, reason = "a skipped test is told on its own output")]
        {
            println!("skipped: {variable} is not set");
        }
    }
    value
}

pub(crate) fn container() -> String {
    read("ENTREPOT_TEST_AZURE_CONTAINER").unwrap_or_else(|| "entrepot-test".to_owned())
}

/// The account as its key opens it.
pub(crate) fn with_key() -> Option<Config> {
    let text = variable(KEYED)?;
    Some(Config::new("", container(), Credentials::ConnectionString(text.into())))
}

/// A driver on a container that is there.
pub(crate) async fn open(config: &Config) -> AzureDriver {
    let driver = AzureDriver::open(config).expect("the settings go together");
    driver.create_container().await.expect("the container can be created");
    driver
}

/// Two drivers with connections of their own, as two processes have.
pub(crate) async fn two_handles(config: Config) -> Option<Subject> {
    let (one, other) = (open(&config).await, open(&config).await);
    Some(Subject::new(Arc::new(one) as SharedDriver).with_second(Arc::new(other)))
}
