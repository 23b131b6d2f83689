//! The driver contract, case by case, on a memory store that can do everything.

use entrepot_driver_memory::MemoryDriver;
use entrepot_storage::conformance::Subject;

async fn memory() -> Subject {
    let store = MemoryDriver::new();
    Subject::new(store.shared()).with_second(store.shared())
}

entrepot_storage::conformance_tests!(memory);
