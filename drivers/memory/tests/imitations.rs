//! The driver contract, case by case, on memory stores that imitate others.

use entrepot_driver_memory::{Config, MemoryDriver};
use entrepot_storage::conformance::Subject;

fn both_handles(config: Config) -> Subject {
    let store = MemoryDriver::with(config);
    Subject::new(store.shared()).with_second(store.shared())
}

mod s3 {
    async fn store() -> super::Subject {
        super::both_handles(super::Config::resembling_s3(64 * 1024))
    }

    entrepot_storage::conformance_tests!(store);
}

mod r2 {
    async fn store() -> super::Subject {
        super::both_handles(super::Config::resembling_r2(64 * 1024))
    }

    entrepot_storage::conformance_tests!(store);
}

mod disk {
    async fn store() -> super::Subject {
        super::both_handles(super::Config::resembling_a_disk())
    }

    entrepot_storage::conformance_tests!(store);
}
