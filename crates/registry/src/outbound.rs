//! What this process asks over HTTP by itself: a presigned URL, a cloud's address ranges, a health check.
//!
//! The store is not among them, it has its drivers; but certificates are judged here as they judge them, by the
//! system's authorities or those of the file `SSL_CERT_FILE` names. Otherwise what a company's own authority
//! vouches for would be refused here and served there.

use std::time::Duration;

use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Whose certificates are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those the system's authorities vouch for.
    System,
    /// Everybody's. Only where the configuration says so of the very server that is asked.
    Anybody,
}

/// An agent whose requests take as long as `patience` at most. It answers every status and follows no redirect,
/// and each request gets a connection of its own: they are rare, and a kept one would be closed by then.
pub(crate) fn agent(patience: Duration, trust: Trust) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_idle_connections(0)
        .tls_config(tls(trust))
        .build()
        .into()
}

fn tls(trust: Trust) -> TlsConfig {
    let config = TlsConfig::builder();
    match trust {
        Trust::System => config.root_certs(authorities()),
        Trust::Anybody => config.disable_verification(true),
    }
    .build()
}

/// The system's authorities. An image without any gets Mozilla's, so that public addresses can be asked.
fn authorities() -> RootCerts {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "some of the system's certificates cannot be read");
    }
    if found.certs.is_empty() {
        return RootCerts::WebPki;
    }
    let certificates: Vec<_> = found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    RootCerts::new_with_certs(&certificates)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn every_status_is_an_answer_and_no_redirect_is_followed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        std::thread::spawn(move || {
            for status in ["302 Found\r\nLocation: /elsewhere", "503 Service Unavailable"] {
                let (mut client, _) = listener.accept().expect("a client");
                let _request = client.read(&mut [0; 4096]).expect("a request");
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                client.write_all(answer.as_bytes()).expect("answered");
            }
        });
        let agent = agent(Duration::from_secs(10), Trust::System);
        let asked = || agent.get(&url).call().expect("an answer").status().as_u16();

        assert_eq!((asked(), asked()), (302, 503));
    }

    #[test]
    fn the_systems_authorities_are_taken_where_there_are_any() {
        let found = rustls_native_certs::load_native_certs().certs.len();

        match authorities() {
            RootCerts::Specific(taken) => assert_eq!(taken.len(), found),
            _ => assert_eq!(found, 0),
        }
    }
}
