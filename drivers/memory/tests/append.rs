//! Appended bodies over the memory driver: what they hold in memory, and what waits for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entrepot_driver_memory::{Config, MemoryDriver};
use entrepot_storage::{AppendOptions, Appender, ErrorKind, Finished, Key, PartBudget, Result, SharedDriver};

const KIB: usize = 1024;
const PART: usize = 256 * KIB;

/// Room for a few parts, and a long patience on a clock that jumps when nothing else can be done: who
/// waits in vain is refused at once.
fn options(parts: usize) -> AppendOptions {
    let budget = PartBudget::new((parts * PART) as u64, Duration::from_secs(3600));
    AppendOptions { part_size: Some(PART as u64), parts_in_flight: 2, budget }
}

fn with_still_clock(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a test can have a runtime")
        .block_on(test);
}

async fn open(driver: &SharedDriver, name: usize, options: &AppendOptions) -> Appender {
    let mut serial = 0;
    let keys = move || -> Key {
        serial += 1;
        format!("body-{name}/{serial}").parse().expect("it is a key")
    };
    Appender::open(Arc::clone(driver), None, keys, options).await.expect("it opens")
}

/// Appends `content` in pieces, and lets others run between them.
async fn append(appender: &mut Appender, content: &Bytes, piece: usize) -> Result<()> {
    let mut rest = content.clone();
    while !rest.is_empty() {
        let room = usize::try_from(appender.room()).expect("parts are small");
        appender.append(rest.split_to(piece.min(room).min(rest.len()))).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn content(length: usize) -> Bytes {
    (0..length).map(|place| (place % 251) as u8).collect()
}

async fn stored(driver: &SharedDriver, finished: &Finished) -> Bytes {
    let object = driver.get(&finished.key, Default::default()).await.expect("it is there");
    object.body.into_bytes().await.expect("it arrives")
}

#[test]
fn many_more_bodies_than_there_is_memory_for_arrive_one_after_the_other() {
    for config in [Config::default(), Config::resembling_a_disk()] {
        with_still_clock(async {
            let driver = MemoryDriver::with(config).shared();
            let options = options(4);
            let whole = content(3 * PART + 1000);
            let bodies = (0..32).map(|name| {
                let (driver, options, whole) = (&driver, &options, &whole);
                async move {
                    let mut appender = open(driver, name, options).await;
                    append(&mut appender, whole, 10_000).await?;
                    appender.finish().await
                }
            });

            for outcome in futures_util::future::join_all(bodies).await {
                let finished = outcome.expect("nobody waits for ever");
                assert_eq!(stored(&driver, &finished).await, whole);
            }
        });
    }
}

#[test]
fn a_small_body_does_not_wait_for_large_ones() {
    with_still_clock(async {
        let driver = MemoryDriver::new().shared();
        let options = options(4);
        let mut large = Vec::new();
        let refused = loop {
            let mut appender = open(&driver, large.len(), &options).await;
            match append(&mut appender, &content(PART - 1), PART).await {
                Ok(()) => large.push(appender),
                Err(error) => break error,
            }
        };
        let small = content(10 * KIB);
        let mut appender = open(&driver, 100, &options).await;

        append(&mut appender, &small, KIB).await.unwrap();

        assert!(matches!(refused.kind(), ErrorKind::Throttled { .. }));
        assert_eq!(stored(&driver, &appender.finish().await.unwrap()).await, small);
    });
}

#[test]
fn a_body_that_was_let_go_gives_its_memory_back() {
    with_still_clock(async {
        let driver = MemoryDriver::new().shared();
        let options = options(4);
        for name in 0..20 {
            let mut appender = open(&driver, name, &options).await;
            append(&mut appender, &content(2 * PART + 1), 100_000).await.unwrap();
        }
    });
}

#[test]
fn a_parked_remainder_goes_on_where_it_ended() {
    with_still_clock(async {
        let driver = MemoryDriver::with(Config::resembling_s3(PART as u64)).shared();
        let options = options(8);
        let whole = content(2 * PART + 700);
        let mut state = None;
        for (name, cut) in [0..900, 900..PART + 5, PART + 5..2 * PART + 700].into_iter().enumerate() {
            let mut serial = 0;
            let keys = move || -> Key {
                serial += 1;
                format!("body-{name}/{serial}").parse().expect("it is a key")
            };
            let mut appender = Appender::open(Arc::clone(&driver), state, keys, &options).await.unwrap();
            append(&mut appender, &whole.slice(cut), 70_000).await.unwrap();
            state = Some(appender.suspend().await.unwrap().state);
        }

        let keys = || "none".parse().expect("it is a key");
        let last = Appender::open(Arc::clone(&driver), state, keys, &options).await.unwrap();

        assert_eq!(stored(&driver, &last.finish().await.unwrap()).await, whole);
    });
}
