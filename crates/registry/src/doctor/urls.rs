//! Whether a client could follow a redirect: a presigned URL is fetched like one would.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_domain::layout;
use entrepot_storage::{Finding, Key, PresignOptions, PutMode, SharedDriver};

use crate::config::{Config, Process};
use crate::redirects::{self, Destination};
use crate::trial;

const CONTENT: &str = "fetched by a presigned URL";
const DEADLINE: Duration = Duration::from_secs(10);

pub(super) async fn examine(config: &Config, store: &SharedDriver) -> Vec<Finding> {
    const SUBJECT: &str = "pulls";
    if !super::redirects(&config.storage) {
        return vec![Finding::note(SUBJECT, "pass through the registry, as `storage.redirect.disable` says")];
    }
    let destinations = match redirects::destinations(config, store, &Process).await {
        Ok(destinations) => destinations,
        Err(error) => {
            let remedy = "correct `middleware.storage` and `storage.redirect`";
            return vec![Finding::fault("redirects", error.to_string(), remedy)];
        }
    };
    if destinations.is_empty() {
        return vec![Finding::note(SUBJECT, "pass through the registry: the store signs no URLs")];
    }
    let names: Vec<&str> = destinations.iter().map(|destination| destination.name.as_str()).collect();
    let mut findings = vec![Finding::note(SUBJECT, format!("are sent to {}", names.join(", ")))];
    if !config.storage.maintenance.readonly.enabled {
        findings.extend(fetched(store, &destinations).await);
    }
    findings
}

/// Writes an object, fetches it from everywhere clients are sent, and removes it.
async fn fetched(store: &SharedDriver, destinations: &[Destination]) -> Vec<Finding> {
    let key = layout::probe_object(&trial::probe_random());
    let mut findings = Vec::new();
    match store.put(&key, Bytes::from_static(CONTENT.as_bytes()), PutMode::Overwrite).await {
        Ok(_) => {
            for destination in destinations {
                findings.push(attempt(destination, &key).await);
            }
        }
        Err(error) => {
            let remedy = "grant the permission to write, or say `storage.maintenance.readonly`";
            findings.push(Finding::fault("presigned URL", error.to_string(), remedy));
        }
    }
    // A write that failed may have been applied.
    if let Err(error) = store.delete(&key, None).await {
        findings.push(Finding::warning(
            "presigned URL",
            format!("the object it was tried on stays: {error}"),
            "grant the permission to delete",
        ));
    }
    findings
}

/// A place that is not the store's own may be meant for other networks than ours: that it does not answer
/// here is worth a look, and no more.
async fn attempt(destination: &Destination, key: &Key) -> Finding {
    let Destination { name, is_own, signer } = destination;
    let subject = if *is_own { "presigned URL".to_owned() } else { format!("URL of {name}") };
    let failed = |state: String| match is_own {
        true => Finding::fault(
            subject.clone(),
            state,
            "check that the credentials may read objects and sign; clients need a way to the host: \
             `storage.redirect.disable: true` does without",
        ),
        false => Finding::warning(
            subject.clone(),
            state,
            "nothing to do if only clients elsewhere reach it; else check its address, its keys, and that it \
             may read the store",
        ),
    };
    let options = PresignOptions {
        signed_at: SystemTime::now(),
        expires_in: Duration::from_secs(300),
        content_type: None,
    };
    let signed = match signer.sign(key, &options, None).await {
        Ok(Some(signed)) => signed,
        Ok(None) => return failed("none is signed: these pulls pass through the registry".into()),
        Err(error) => return failed(error.to_string()),
    };
    let host = host(&signed.url).to_owned();
    if !signed.url.starts_with("http") {
        return Finding::note(subject, "signed, but not one to fetch over HTTP");
    }
    let got = tokio::task::spawn_blocking(move || fetch(&signed.url)).await;
    match got.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(()) => Finding::note(subject, format!("fetched from {host}; whether clients reach it, they know")),
        Err(reason) => failed(format!("cannot be fetched from {host}: {reason}")),
    }
}

/// Waits for the answer, on a thread that may. Nothing of the URL gets into the reason: it is a password.
fn fetch(url: &str) -> Result<(), String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(DEADLINE))
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .into();
    let mut answer = agent.get(url).call().map_err(|error| without_url(&error, url))?;
    if answer.status().as_u16() != 200 {
        return Err(format!("status {}", answer.status().as_u16()));
    }
    match answer.body_mut().with_config().limit(1024).read_to_string() {
        Ok(content) if content == CONTENT => Ok(()),
        Ok(_) => Err("other content than was written".to_owned()),
        Err(error) => Err(without_url(&error, url)),
    }
}

fn without_url(error: &ureq::Error, url: &str) -> String {
    error.to_string().replace(url, "the URL")
}

/// The part of a URL that may be shown.
fn host(url: &str) -> &str {
    url.split(['/', '?']).nth(2).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use entrepot_driver_memory::MemoryDriver;

    use super::*;
    use crate::config::{self, Imagined, Leniency};

    /// Serves one request with `answer`; the URL to ask.
    fn answering(answer: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            let _read = client.read(&mut [0; 4096]).expect("a request");
            client.write_all(answer.as_bytes()).expect("answered");
        });
        format!("http://{address}/object?signature=secret")
    }

    fn status(status: &str, body: &str) -> String {
        let length = body.len();
        answering(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"))
    }

    /// What a doctor says of a memory store behind a middleware at `base_url`.
    fn examined(base_url: &str) -> Vec<String> {
        let text = format!(
            "version: 0.1\nauth: none\nstorage: inmemory\nmiddleware:\n  storage:\n  - name: redirect\n    options: {{baseurl: '{base_url}'}}\n"
        );
        let around = Imagined::nothing().file("/config.yml", &text);
        let loaded = config::load(Some("/config.yml".as_ref()), Leniency::Strict, &around).expect("good");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut settings = entrepot_driver_memory::Config::default();
        settings.capabilities.presign = false;
        let store = MemoryDriver::with(settings).shared();
        let findings = runtime.block_on(examine(&loaded.config, &store));
        findings
            .iter()
            .map(|finding| format!("{:?} {}: {}", finding.severity, finding.subject, finding.state))
            .collect()
    }

    #[test]
    fn what_stands_in_front_of_the_store_is_tried_too() {
        let good =
            answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{CONTENT}", CONTENT.len()));
        let bad = status("403 Forbidden", "");
        let place = |url: &str| url.split_once("/object").expect("made above").0.to_owned();

        let fetched = examined(&place(&good));
        let refused = examined(&place(&bad));

        assert!(fetched[0].contains("redirect"), "{fetched:?}");
        assert!(fetched[1].starts_with("Note URL of redirect: fetched"), "{fetched:?}");
        assert!(
            refused[1].starts_with("Warning URL of redirect") && refused[1].ends_with("status 403"),
            "{refused:?}"
        );
    }

    #[test]
    fn only_the_very_content_counts_as_fetched() {
        assert_eq!(fetch(&status("200 OK", CONTENT)), Ok(()));
        assert!(fetch(&status("200 OK", "a login page")).is_err());
        assert_eq!(fetch(&status("403 Forbidden", "")), Err("status 403".into()));
    }

    #[test]
    fn a_failure_does_not_show_the_signature() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/object?signature=secret", listener.local_addr().expect("bound"));
        drop(listener);

        let reason = fetch(&url).expect_err("nobody listens");

        assert!(!reason.contains("secret"), "{reason}");
        assert!(host(&url).starts_with("127.0.0.1:"));
    }
}
