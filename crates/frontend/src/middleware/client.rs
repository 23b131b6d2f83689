//! Who is at the other end, and under which address it knows us. Proxies may say so if they are trusted;
//! what anybody else writes into forwarded headers is ignored.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderMap};

use crate::config::Config;
use crate::context::Shared;
use crate::server::connection::Connection;

/// The other end of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// Its address; `None` on a unix socket without a trusted proxy before it.
    pub(crate) address: Option<IpAddr>,
    /// Its certificate in DER.
    pub(crate) certificate: Option<Arc<[u8]>>,
    /// `http` or `https`, as the client sees it.
    scheme: &'static str,
    /// The authority the client asked for; empty if it is unfit for use in an address.
    host: String,
}

impl Client {
    pub(crate) fn of(shared: &Shared, head: &RequestHead, connection: Option<&Connection>) -> Self {
        let secure = connection.is_some_and(|connection| connection.secure);
        let peer = head.peer_addr.map(|address| address.ip().to_canonical());
        let mut client = Self {
            address: peer,
            certificate: connection.and_then(|connection| connection.certificate.clone()),
            scheme: if secure { "https" } else { "http" },
            host: authority(head).to_owned(),
        };
        if is_trusted(&shared.config, peer) {
            client.believe(&shared.config, head.headers());
        }
        if !is_authority(&client.host) {
            client.host.clear();
        }
        client
    }

    /// Scheme and authority for absolute addresses; empty for relative ones.
    pub(crate) fn origin(&self, config: &Config) -> String {
        match &config.host {
            Some(host) => host.clone(),
            None if config.relative_urls || self.host.is_empty() => String::new(),
            None => format!("{}://{}", self.scheme, self.host),
        }
    }

    fn believe(&mut self, config: &Config, headers: &HeaderMap) {
        if let Some(address) = forwarded_for(config, headers) {
            self.address = Some(address);
        }
        let scheme = forwarded(headers, "proto").or_else(|| first(headers, "x-forwarded-proto"));
        match scheme {
            Some("https") => self.scheme = "https",
            Some("http") => self.scheme = "http",
            _ => {}
        }
        if let Some(host) = forwarded(headers, "host").or_else(|| first(headers, "x-forwarded-host")) {
            host.clone_into(&mut self.host);
        }
    }
}

/// A unix socket is reachable by local processes with permission only; there the proxy is trusted if any is.
fn is_trusted(config: &Config, peer: Option<IpAddr>) -> bool {
    match peer {
        Some(peer) => config.trusted_proxies.iter().any(|network| network.contains(peer)),
        None => !config.trusted_proxies.is_empty(),
    }
}

fn authority(head: &RequestHead) -> &str {
    let host = head.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    host.or_else(|| head.uri.authority().map(|authority| authority.as_str())).unwrap_or_default()
}

/// Host and port, and nothing that could turn an address into another one.
fn is_authority(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(plain)
}

/// The client's address: read from the end of the chain, the first that is not a trusted proxy. What
/// stands before it was written by the client itself and proves nothing.
fn forwarded_for(config: &Config, headers: &HeaderMap) -> Option<IpAddr> {
    let trusted = |address: &IpAddr| config.trusted_proxies.iter().any(|network| network.contains(*address));
    let chain = forwarded_chain(headers);
    let mut seen = None;
    for address in chain.into_iter().rev() {
        let address = address?;
        seen = Some(address);
        if !trusted(&address) {
            break;
        }
    }
    seen
}

fn forwarded_chain(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let elements = |name| {
        headers.get_all(name).filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
    };
    let standard: Vec<_> =
        elements("forwarded").map(|element| parameter(element, "for").and_then(address)).collect();
    if standard.is_empty() {
        elements("x-forwarded-for").map(|element| address(element.trim())).collect()
    } else {
        standard
    }
}

/// `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711` or `2001:db8::1`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[');
    let bare = bare.split_once(']').map_or(bare, |(inside, _)| inside);
    let without_port = || text.rsplit_once(':').and_then(|(host, _)| host.parse().ok());
    bare.parse().ok().or_else(without_port).map(|address: IpAddr| address.to_canonical())
}

/// A parameter of the last `Forwarded` element, the one our own proxy wrote.
fn forwarded<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let last = headers.get_all("forwarded").last()?.to_str().ok()?;
    parameter(last.rsplit(',').next()?, name)
}

fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
    })
}

/// The last value a proxy appended: the one nearest to us.
fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let last = headers.get_all(name).last()?.to_str().ok()?;
    last.rsplit(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn behind(networks: &[&str]) -> Config {
        let trusted_proxies = networks.iter().map(|text| text.parse().unwrap()).collect();
        Config { trusted_proxies, relative_urls: false, ..Config::default() }
    }

    fn believed(config: &Config, pairs: &[(&'static str, &'static str)]) -> Client {
        let mut client = Client { scheme: "http", host: "inside:5000".into(), ..Client::default() };
        client.believe(config, &headers(pairs));
        client
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_proxy() {
        let config = behind(&["10.0.0.0/8"]);

        let client = believed(&config, &[("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.1.1.1")]);

        assert_eq!(client.address, Some("192.0.2.7".parse().unwrap()));
    }

    #[test]
    fn both_kinds_of_forwarded_headers_are_read() {
        let config = behind(&["10.0.0.0/8"]);
        let old = [("x-forwarded-proto", "https"), ("x-forwarded-host", "r.example.com")];
        let new = [("forwarded", "for=\"[2001:db8::1]:99\";proto=https;host=r.example.com")];

        assert_eq!(believed(&config, &old).origin(&config), "https://r.example.com");
        assert_eq!(believed(&config, &new).origin(&config), "https://r.example.com");
        assert_eq!(believed(&config, &new).address, Some("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn nobody_is_trusted_unless_configured() {
        let local: IpAddr = "127.0.0.1".parse().unwrap();

        assert!(!is_trusted(&Config::default(), Some(local)));
        assert!(is_trusted(&behind(&["127.0.0.1"]), Some(local)));
        assert!(!is_trusted(&behind(&["10.0.0.0/8"]), Some(local)));
    }

    #[test]
    fn a_host_that_could_bend_an_address_is_not_used() {
        for text in ["", "a/b", "user@host", "a\"b", "a b", "a?b", "a#b", &"x".repeat(256)] {
            assert!(!is_authority(text), "{text:?}");
        }
        for text in ["r.example.com", "127.0.0.1:5000", "[::1]:5000"] {
            assert!(is_authority(text), "{text:?}");
        }
    }

    #[test]
    fn a_configured_host_goes_before_everything() {
        let config = Config { host: Some("https://r.example.com".into()), ..Config::default() };

        assert_eq!(
            believed(&config, &[("x-forwarded-host", "evil")]).origin(&config),
            "https://r.example.com"
        );
        assert_eq!(Client::default().origin(&Config::default()), "");
    }
}
