//! What a log must not hold, at the finest level there is.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use entrepot_driver_azure::{AzureDriver, Config, Credentials};
use entrepot_storage::{Key, PutMode, ReadRange, StorageDriver as _};
use tracing_subscriber::fmt::MakeWriter;

use crate::presigned::first_url;
use crate::{account, tokens};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Everything a driver does, and how it prints itself and its failures.
async fn use_it_all(driver: &AzureDriver, log: &Log) {
    let key: Key = "secrets/object".parse().expect("a key");
    driver.put(&key, Bytes::from_static(b"x"), PutMode::Overwrite).await.expect("it is a sound store");
    driver.get(&key, ReadRange::Whole).await.expect("it is a sound store");
    driver.list("secrets/", Some("secrets/a"), 10).await.expect("it is a sound store");
    let url = first_url(driver, &key).await;
    driver.delete(&key, None).await.expect("it is a sound store");
    let error = driver.stat(&key).await.expect_err("it is deleted");
    let printed = format!("{driver:?} {driver} {url:?} {error} {error:?}");
    log.clone().write_all(printed.as_bytes()).expect("memory takes it");
}

/// What is written while `driver` is used, from all libraries, on this thread.
async fn log_of(driver: &AzureDriver) -> String {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    // Of one subscriber alone the library asks whichever thread comes by an event first whether it is wanted, and
    // believes it for all of them: other tests' threads have none. Of two it asks both.
    let subscriber = tracing::Dispatch::new(subscriber);
    let _other = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::dispatcher::set_default(&subscriber);
    use_it_all(driver, &log).await;
    drop(guard);
    let text = log.text();
    assert!(text.contains("secrets/object") || text.contains("secrets%2Fobject"), "nothing was logged");
    text
}

#[tokio::test]
async fn no_log_holds_the_account_key_or_a_signature() {
    let Some(config) = account::with_key() else { return };
    let Credentials::ConnectionString(_) = &config.credentials else { panic!("a connection string") };
    let text = account::variable(account::KEYED).unwrap();
    let key = text.split(';').find_map(|field| field.strip_prefix("AccountKey=")).expect("a key").to_owned();

    let log = log_of(&account::open(&config).await).await;

    assert!(!log.contains(&key));
    for word in ["SharedKey devstore", "sig=", "SharedKey "] {
        assert!(!log.contains(word), "{word}: {}", context(&log, word));
    }
    assert!(!format!("{config:?}").contains(&key));
}

#[tokio::test]
async fn no_log_holds_a_token_or_a_delegated_key() {
    let Some(config) = tokens::config() else { return };

    let log = log_of(&tokens::without_key(&config).await).await;

    for word in [tokens::SIGNATURE, "Bearer ", "sig=", "<Value>"] {
        assert!(!log.contains(word), "{word}: {}", context(&log, word));
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_its_signature_is_not_repeated() {
    let Some(text) = account::variable(account::KEYED) else { return };
    let wrong: Vec<_> = text
        .split(';')
        .map(|field| match field.strip_prefix("AccountKey=") {
            Some(_) => "AccountKey=d3Jvbmc=",
            None => field,
        })
        .collect();
    let config = Config::new("", account::container(), Credentials::ConnectionString(wrong.join(";").into()));
    let driver = AzureDriver::open(&config).unwrap();

    let error = driver.stat(&"a".parse().unwrap()).await.unwrap_err();

    assert!(!error.is_not_found() && !error.is_retryable(), "{error}");
    let printed = format!("{error} {error:?}");
    assert!(
        printed.contains("403") && !printed.contains("SharedKey") && !printed.contains("signature"),
        "{printed}"
    );
}

/// The line of `log` that holds `word`.
fn context<'l>(log: &'l str, word: &str) -> &'l str {
    log.lines().find(|line| line.contains(word)).unwrap_or_default()
}
