//! Who is at the other end, and under which address it knows us. Proxies may say so if they are trusted;
//! what anybody else writes into forwarded headers is ignored.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderMap};

use crate::config::{Config, ForwardedHeaders};
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
        let (scheme, host) = match config.forwarded_headers {
            ForwardedHeaders::XForwarded => {
                (nearest(headers, "x-forwarded-proto"), nearest(headers, "x-forwarded-host"))
            }
            ForwardedHeaders::Forwarded => {
                let element = nearest(headers, "forwarded").unwrap_or_default();
                (parameter(element, "proto"), parameter(element, "host"))
            }
        };
        let chain = forwarded_chain(config.forwarded_headers, headers);
        if !chain.is_empty() {
            self.address = end_of(&chain, config);
        }
        match scheme {
            Some("https") => self.scheme = "https",
            Some("http") => self.scheme = "http",
            _ => {}
        }
        if let Some(host) = host {
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
/// stands before it was written by the client itself and proves nothing. `None` where a proxy wrote what
/// is no address: whoever that is, it is not the proxy.
fn end_of(chain: &[Option<IpAddr>], config: &Config) -> Option<IpAddr> {
    let trusted = |address: &IpAddr| config.trusted_proxies.iter().any(|network| network.contains(*address));
    let mut seen = None;
    for address in chain.iter().rev() {
        seen = *address;
        if !address.as_ref().is_some_and(trusted) {
            break;
        }
    }
    seen
}

/// One entry for each that a proxy, or the client, wrote.
fn forwarded_chain(kind: ForwardedHeaders, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    // By bytes: what a client wrote before it must not spoil what a proxy appended.
    let elements = |name| {
        headers
            .get_all(name)
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .map(|element| str::from_utf8(element).unwrap_or_default())
    };
    match kind {
        ForwardedHeaders::XForwarded => elements("x-forwarded-for").map(address).collect(),
        ForwardedHeaders::Forwarded => {
            elements("forwarded").map(|element| parameter(element, "for").and_then(address)).collect()
        }
    }
}

/// `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711` or `2001:db8::1`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim().trim_start_matches('[');
    let bare = bare.split_once(']').map_or(bare, |(inside, _)| inside);
    let without_port = || text.rsplit_once(':').and_then(|(host, _)| host.parse().ok());
    bare.parse().ok().or_else(without_port).map(|address: IpAddr| address.to_canonical())
}

fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
    })
}

/// The last value of a list: what the proxy nearest to us appended.
fn nearest<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let last = headers.get_all(name).last()?.as_bytes().rsplit(|&byte| byte == b',').next()?;
    str::from_utf8(last).ok().map(str::trim)
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
    fn a_client_cannot_hide_behind_its_proxy() {
        let mut spoilt = HeaderMap::new();
        let name = HeaderName::from_static("x-forwarded-for");
        spoilt.append(name, HeaderValue::from_bytes(b"\xff, 192.0.2.7").unwrap());
        let hidden = headers(&[("x-forwarded-for", "192.0.2.7, unknown")]);

        for (headers, address) in [(spoilt, Some("192.0.2.7".parse().unwrap())), (hidden, None)] {
            let mut client = Client { address: Some("10.1.1.1".parse().unwrap()), ..Client::default() };
            client.believe(&behind(&["10.0.0.0/8"]), &headers);
            assert_eq!(client.address, address, "{headers:?}");
        }
    }

    #[test]
    fn either_kind_of_forwarded_headers_is_read_where_it_is_configured() {
        let config = behind(&["10.0.0.0/8"]);
        let old = [("x-forwarded-proto", "https"), ("x-forwarded-host", "r.example.com")];
        let new = [("forwarded", "for=\"[2001:db8::1]:99\";proto=https;host=r.example.com")];

        assert_eq!(believed(&config, &old).origin(&config), "https://r.example.com");
        let config = Config { forwarded_headers: ForwardedHeaders::Forwarded, ..config };
        assert_eq!(believed(&config, &new).origin(&config), "https://r.example.com");
        assert_eq!(believed(&config, &new).address, Some("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn what_a_client_writes_into_the_headers_its_proxy_passes_on_is_not_believed() {
        let (by_the_proxy, by_the_client) = ("192.0.2.7", "10.6.6.6");
        let old =
            [("x-forwarded-for", by_the_proxy), ("forwarded", "for=10.6.6.6;proto=https;host=evil.example")];
        let new = [
            ("forwarded", "for=192.0.2.7"),
            ("x-forwarded-for", by_the_client),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
        ];
        let kinds = [(ForwardedHeaders::XForwarded, &old[..]), (ForwardedHeaders::Forwarded, &new[..])];

        for (forwarded_headers, headers) in kinds {
            let config = Config { forwarded_headers, ..behind(&["127.0.0.1"]) };
            let client = believed(&config, headers);
            assert_eq!(client.address, Some(by_the_proxy.parse().unwrap()), "{forwarded_headers:?}");
            assert_eq!(client.origin(&config), "http://inside:5000", "{forwarded_headers:?}");
        }
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
