//! The driver contract, case by case, on the accounts the environment names: as it is, below a root
//! directory, with failures that are retried, and with tokens in place of a key. Beside it, what only a
//! client or a log can see.
//!
//! - `ENTREPOT_TEST_AZURE`: a connection string with an account key.
//! - `ENTREPOT_TEST_AZURE_OAUTH`: the same of a store on https that takes the tests' own unsigned tokens
//!   (`azurite-blob --oauth basic --cert … --key …`).
//! - `ENTREPOT_TEST_AZURE_ACCOUNT`: the name of an account that the tests open as the surroundings say, by the
//!   variables of Azure's libraries; its container has to be there.
//! - `ENTREPOT_TEST_AZURE_CONTAINER`: where all of it happens, default `entrepot-test`; created if missing.

mod account;
mod failing;
mod inspecting;
mod presigned;
mod secrets;
mod surroundings;
mod tokens;

mod plain {
    use entrepot_storage::conformance::Subject;

    use crate::account;

    async fn store() -> Option<Subject> {
        account::two_handles(account::with_key()?).await
    }

    entrepot_storage::conformance_tests!(store);
}

mod below_a_root_directory {
    use entrepot_storage::conformance::Subject;

    use crate::account;

    async fn store() -> Option<Subject> {
        let mut config = account::with_key()?;
        config.root_directory = "/some/root/".into();
        account::two_handles(config).await
    }

    entrepot_storage::conformance_tests!(store);
}
