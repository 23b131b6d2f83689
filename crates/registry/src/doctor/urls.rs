//! Whether a client could follow a redirect: a presigned URL is fetched like one would.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_domain::layout;
use entrepot_storage::{Finding, Key, PresignOptions, PutMode, SharedDriver};

use crate::config::Config;
use crate::trial;

const CONTENT: &str = "fetched by a presigned URL";
const DEADLINE: Duration = Duration::from_secs(10);

pub(super) async fn examine(config: &Config, store: &SharedDriver) -> Vec<Finding> {
    const SUBJECT: &str = "pulls";
    if !super::redirects(&config.storage) {
        return vec![Finding::note(SUBJECT, "pass through the registry, as `storage.redirect.disable` says")];
    }
    if !store.capabilities().presign {
        return vec![Finding::note(SUBJECT, "pass through the registry: the store signs no URLs")];
    }
    let mut findings = vec![Finding::note(SUBJECT, "are sent to the store by presigned URLs")];
    if !config.storage.maintenance.readonly.enabled {
        findings.push(fetched(store).await);
    }
    findings
}

/// Writes an object, fetches it by its URL, and removes it.
async fn fetched(store: &SharedDriver) -> Finding {
    let key = layout::probe_object(&trial::probe_random());
    let finding = attempt(store, &key).await;
    match store.delete(&key, None).await {
        Ok(()) => finding,
        Err(error) => Finding::warning(
            "presigned URL",
            format!("the object it was tried on stays: {error}"),
            "grant the permission to delete",
        ),
    }
}

async fn attempt(store: &SharedDriver, key: &Key) -> Finding {
    const SUBJECT: &str = "presigned URL";
    const REMEDY: &str = "check that the credentials may read objects and sign; clients need a way to the host: \
                          `storage.redirect.disable: true` does without";
    let fault = |state: String| Finding::fault(SUBJECT, state, REMEDY);
    if let Err(error) = store.put(key, Bytes::from_static(CONTENT.as_bytes()), PutMode::Overwrite).await {
        return fault(error.to_string());
    }
    let options = PresignOptions {
        signed_at: SystemTime::now(),
        expires_in: Duration::from_secs(300),
        content_type: None,
    };
    let signed = match store.presign_get(key, &options).await {
        Ok(Some(signed)) => signed,
        Ok(None) => return fault("none is signed, though the driver declares it".into()),
        Err(error) => return fault(error.to_string()),
    };
    let host = host(&signed.url).to_owned();
    if !signed.url.starts_with("http") {
        return Finding::note(SUBJECT, "signed, but not one to fetch over HTTP");
    }
    let got = tokio::task::spawn_blocking(move || fetch(&signed.url)).await;
    match got.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(()) => Finding::note(SUBJECT, format!("fetched from {host}; whether clients reach it, they know")),
        Err(reason) => fault(format!("cannot be fetched from {host}: {reason}")),
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

    use super::*;

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
