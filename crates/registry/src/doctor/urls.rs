//! Whether a client could follow a redirect: a presigned URL is fetched like one would.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_domain::layout;
use entrepot_storage::{Finding, Key, PresignOptions, PutMode, SharedDriver};

use crate::config::{Backend, Config, Process};
use crate::outbound::{self, Trust};
use crate::redirects::{self, Destination, Place};
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
        findings.extend(fetched(config, store, &destinations).await);
    }
    findings
}

/// Writes an object, fetches it from everywhere clients are sent, and removes it.
async fn fetched(config: &Config, store: &SharedDriver, destinations: &[Destination]) -> Vec<Finding> {
    let trust = trust(&config.storage.backend);
    let key = layout::probe_object(&trial::probe_random());
    let mut findings = Vec::new();
    match store.put(&key, Bytes::from_static(CONTENT.as_bytes()), PutMode::Overwrite).await {
        Ok(_) => {
            for destination in destinations {
                findings.push(attempt(destination, trust, &key).await);
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

/// How a URL could not be fetched. The two differ in whose fault it is.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// Nobody answered. Clients elsewhere may have a way there that we have not.
    Unreached(String),
    /// Somebody did, and not with the object: clients will be told the same.
    Answered(String),
}

async fn attempt(destination: &Destination, trust: Trust, key: &Key) -> Finding {
    let Destination { name, place, signer, .. } = destination;
    let subject = if *place == Place::Store { "presigned URL".to_owned() } else { format!("URL of {name}") };
    let options = PresignOptions {
        signed_at: SystemTime::now(),
        expires_in: Duration::from_secs(300),
        content_type: None,
    };
    let failed = |state: String| unfit(destination, subject.clone(), state, false);
    let signed = match signer.sign(key, &options, None).await {
        Ok(Some(signed)) => signed,
        Ok(None) => return failed("none is signed: these pulls pass through the registry".into()),
        Err(error) => return failed(error.to_string()),
    };
    let host = host(&signed.url).to_owned();
    if !signed.url.starts_with("http") {
        return Finding::note(subject, "signed, but not one to fetch over HTTP");
    }
    let trust = if *place == Place::Front { Trust::System } else { trust };
    let got = tokio::task::spawn_blocking(move || fetch(&signed.url, trust)).await;
    match got.unwrap_or_else(|error| Err(Failure::Unreached(error.to_string()))) {
        Ok(()) if trust == Trust::Anybody => Finding::note(
            subject,
            format!("fetched from {host}, its certificate unseen as `skipverify` says; clients look at it"),
        ),
        Ok(()) => Finding::note(subject, format!("fetched from {host}; whether clients reach it, they know")),
        Err(Failure::Unreached(reason)) => failed(format!("cannot be fetched from {host}: {reason}")),
        Err(Failure::Answered(reason)) => {
            unfit(destination, subject.clone(), format!("cannot be fetched from {host}: {reason}"), true)
        }
    }
}

/// A place that is not the store's own may be meant for other networks than ours: that nobody answers there is worth
/// a look, and no more. Where pulls go that no rule is about, an answer that is not the object is what all of these
/// clients get.
fn unfit(destination: &Destination, subject: String, state: String, was_answered: bool) -> Finding {
    match destination.place {
        Place::Store => Finding::fault(
            subject,
            state,
            "check that the credentials may read objects and sign; clients need a way to the host: \
             `storage.redirect.disable: true` does without",
        ),
        Place::Front | Place::StoreElsewhere if was_answered && destination.is_usual => Finding::fault(
            subject,
            state,
            "pulls go there that no rule is about: check its address, its keys, and that it may read the store; or \
             let a last rule lead them elsewhere, `{ action: presign }`",
        ),
        Place::Front | Place::StoreElsewhere => Finding::warning(
            subject,
            state,
            "nothing to do if only clients elsewhere reach it; else check its address, its keys, and that it may \
             read the store",
        ),
    }
}

/// Waits for the answer, on a thread that may. Nothing of the URL gets into the reason: it is a password.
fn fetch(url: &str, trust: Trust) -> Result<(), Failure> {
    let agent = outbound::agent(DEADLINE, trust);
    let mut answer = agent.get(url).call().map_err(|error| Failure::Unreached(without_url(&error, url)))?;
    if answer.status().as_u16() != 200 {
        return Err(Failure::Answered(format!("status {}", answer.status().as_u16())));
    }
    match answer.body_mut().with_config().limit(1024).read_to_string() {
        Ok(content) if content == CONTENT => Ok(()),
        Ok(_) => Err(Failure::Answered("other content than was written".to_owned())),
        Err(error) => Err(Failure::Unreached(without_url(&error, url))),
    }
}

/// Whose certificates the registry takes of its store. Clients ask for better ones.
const fn trust(backend: &Backend) -> Trust {
    let skips = match backend {
        Backend::S3(settings) => settings.skip_verify,
        Backend::Azure(settings) => settings.skip_verify,
        Backend::Gcs(_) | Backend::Filesystem(_) | Backend::Inmemory(_) => false,
    };
    if skips { Trust::Anybody } else { Trust::System }
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

    /// What a doctor says of a memory store with this below `middleware.storage`.
    fn examined(middlewares: &str) -> Vec<String> {
        examined_with(middlewares, "")
    }

    /// The same with more of `storage`.
    fn examined_with(middlewares: &str, storage: &str) -> Vec<String> {
        let text = format!(
            "version: 0.1\nauth: none\nstorage:\n  inmemory:\n{storage}middleware:\n  storage: [{middlewares}]\n"
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

    /// The entry of a middleware at the place of a URL made above.
    fn redirect(url: &str) -> String {
        let place = url.split_once("/object").expect("made above").0;
        format!("{{name: redirect, options: {{baseurl: '{place}'}}}}")
    }

    fn good() -> String {
        answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{CONTENT}", CONTENT.len()))
    }

    #[test]
    fn what_stands_in_front_of_the_store_is_tried_too() {
        let fetched = examined(&redirect(&good()));

        assert!(fetched[0].contains("redirect"), "{fetched:?}");
        assert!(fetched[1].starts_with("Note URL of redirect: fetched"), "{fetched:?}");
    }

    #[test]
    fn a_refusal_is_a_fault_where_most_pulls_go_and_a_warning_elsewhere() {
        let bad = || status("403 Forbidden", "");

        let said = examined(&format!("{}, {}", redirect(&bad()), redirect(&bad())));

        assert!(
            said[1].starts_with("Warning URL of redirect") && said[1].ends_with("status 403"),
            "{said:?}"
        );
        assert!(said[2].starts_with("Fault URL of redirect") && said[2].ends_with("status 403"), "{said:?}");
    }

    #[test]
    fn a_rule_about_everybody_decides_where_most_pulls_go() {
        let bad = || redirect(&status("403 Forbidden", ""));
        let severity = |rules: &str| {
            let middlewares = bad();
            let said = examined_with(&middlewares, &format!("  redirect: {{rules: [{rules}]}}\n"));
            said.iter().find(|line| line.contains("URL of redirect")).cloned().unwrap_or_default()
        };

        assert!(
            severity("{action: 'cdn:redirect', repositories: [a]}, {action: proxy}").starts_with("Warning")
        );
        assert!(severity("{action: proxy, repositories: [a]}").starts_with("Fault"));
        assert!(severity("{action: 'cdn:redirect'}").starts_with("Fault"));
    }

    #[test]
    fn a_place_that_does_not_answer_may_be_for_others() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/object", listener.local_addr().expect("bound"));
        drop(listener);

        let said = examined(&redirect(&url));

        assert!(said[1].starts_with("Warning URL of redirect"), "{said:?}");
    }

    #[test]
    fn only_the_very_content_counts_as_fetched() {
        let answered = |said: &str| Err(Failure::Answered(said.to_owned()));

        assert_eq!(fetch(&status("200 OK", CONTENT), Trust::System), Ok(()));
        assert_eq!(
            fetch(&status("200 OK", "a login page"), Trust::System),
            answered("other content than was written")
        );
        assert_eq!(fetch(&status("403 Forbidden", ""), Trust::System), answered("status 403"));
    }

    #[test]
    fn certificates_are_taken_of_anybody_only_where_the_store_is_asked_that_way() {
        let says = |storage: &str| {
            let text = format!("version: 0.1\nauth: none\nstorage: {storage}\n");
            let around = Imagined::nothing().file("/config.yml", &text);
            let loaded = config::load(Some("/config.yml".as_ref()), Leniency::Strict, &around).expect("good");
            trust(&loaded.config.storage.backend)
        };

        assert_eq!(says("{s3: {bucket: b, region: r, skipverify: true}}"), Trust::Anybody);
        assert_eq!(says("{s3: {bucket: b, region: r}}"), Trust::System);
        assert_eq!(says("{azure: {accountname: a, container: c, skipverify: true}}"), Trust::Anybody);
        assert_eq!(says("inmemory"), Trust::System);
    }

    #[test]
    fn a_failure_does_not_show_the_signature() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/object?signature=secret", listener.local_addr().expect("bound"));
        drop(listener);

        let Err(Failure::Unreached(reason)) = fetch(&url, Trust::System) else { panic!("nobody listens") };

        assert!(!reason.contains("secret"), "{reason}");
        assert!(host(&url).starts_with("127.0.0.1:"));
    }
}
