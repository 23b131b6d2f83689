//! Not a check: prints what a part costs in memory. Run alone, with `--ignored --nocapture measuring`.

use bytes::Bytes;
use entrepot_storage::{Key, StorageDriver};

use super::server;

/// The most memory this process ever held, in KiB.
fn high_water_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
#[ignore = "a measurement"]
async fn memory_of_a_part_in_pieces() {
    let Some(server) = server::named("ENTREPOT_TEST_S3") else { return };
    let driver = server.open().await;
    let key: Key = "measured/part".parse().expect("a key");
    let upload = driver.upload_begin(&key).await.expect("it begins");
    driver.upload_part(&upload, 1, vec![Bytes::from_static(b"warm")]).await.expect("it is sent");
    let pieces: Vec<Bytes> = (0..2048).map(|n| Bytes::from(vec![n as u8; 128 * 1024])).collect();
    let before = high_water_kib();
    let start = std::time::Instant::now();

    driver.upload_part(&upload, 1, pieces).await.expect("it is sent");

    let (took, after) = (start.elapsed(), high_water_kib());
    println!("a part of 262144 KiB in 2048 pieces: {} KiB more than before, {took:?}", after - before);
    driver.upload_abort(&upload).await.expect("it is given up");
}
