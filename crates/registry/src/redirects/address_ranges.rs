//! A cloud's own networks, as Amazon and Google publish them.
//!
//! Sources: "AWS IP address ranges", AWS general reference: a JSON document with `prefixes[].ip_prefix` and
//! `ipv6_prefixes[].ipv6_prefix`, each with a `region`. "Obtain Google IP address ranges", Google Workspace
//! admin help: `goog.json` with `prefixes[]`, each an `ipv4Prefix` or an `ipv6Prefix`.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;

use crate::config::{FilterBy, Network, NetworkFilter};
use crate::outbound::{self, Trust};

/// The published document is about 2 MiB; past this it is something else.
const LARGEST_DOCUMENT: u64 = 32 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);
const MOST_REDIRECTS: u32 = 5;
/// After a failure, the next attempt.
const AGAIN: Duration = Duration::from_secs(60);

/// Addresses of a cloud, renewed by a thread of its own. Until the first document has arrived, no address is:
/// clients then take the way through the CDN, which is right for all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressRanges(Arc<RwLock<Spans>>);

/// Spans of addresses, first and last, in order and apart from each other.
#[derive(Debug, Default, PartialEq, Eq)]
struct Spans {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

#[derive(Deserialize)]
struct Document {
    prefixes: Vec<Prefix>,
    #[serde(default)]
    ipv6_prefixes: Vec<Prefix>,
}

#[derive(Deserialize)]
struct Prefix {
    #[serde(alias = "ip_prefix", alias = "ipv6_prefix", alias = "ipv4Prefix", alias = "ipv6Prefix")]
    network: String,
    region: Option<String>,
}

impl AddressRanges {
    /// Fetches the ranges now and from time to time, until nobody asks any more.
    pub(super) fn watch(filter: &NetworkFilter) -> Self {
        let ranges = Self::default();
        let (held, filter) = (Arc::downgrade(&ranges.0), filter.clone());
        let work = move || {
            loop {
                let fetched = fetch(&filter);
                let Some(held) = held.upgrade() else { return };
                let pause = match fetched {
                    Ok(spans) => {
                        tracing::debug!(v4 = spans.v4.len(), v6 = spans.v6.len(), "a cloud's address ranges");
                        *held.write().unwrap_or_else(PoisonError::into_inner) = spans;
                        filter.update_every
                    }
                    Err(reason) => {
                        let url = &filter.ranges_url;
                        tracing::warn!(url, reason, "a cloud's address ranges stay as they are");
                        AGAIN
                    }
                };
                drop(held);
                std::thread::sleep(pause);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("ranges".into()).spawn(work) {
            tracing::warn!(%error, "a cloud's address ranges are not fetched");
        }
        ranges
    }

    /// Whether the address is one of those that were asked for.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let spans = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&spans.v4, address.to_bits().into()),
            IpAddr::V6(address) => holds(&spans.v6, address.to_bits()),
        }
    }
}

fn holds(spans: &[(u128, u128)], address: u128) -> bool {
    let after = spans.partition_point(|(first, _)| *first <= address);
    after > 0 && address <= spans[after - 1].1
}

fn fetch(filter: &NetworkFilter) -> Result<Spans, String> {
    let agent = outbound::agent(PATIENCE, Trust::System);
    let asked = agent.get(&filter.ranges_url).config();
    let asked = asked.max_redirects(MOST_REDIRECTS).http_status_as_error(true).build();
    let mut answer = asked.call().map_err(|error| error.to_string())?;
    let body = answer.body_mut().with_config().limit(LARGEST_DOCUMENT).read_to_vec();
    read(&body.map_err(|error| error.to_string())?, filter)
}

fn read(document: &[u8], filter: &NetworkFilter) -> Result<Spans, String> {
    let document: Document = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    let wanted = |prefix: &&Prefix| {
        filter.by != FilterBy::Region
            || prefix.region.as_ref().is_some_and(|region| filter.regions.contains(region))
    };
    let mut spans = Spans::default();
    for prefix in document.prefixes.iter().chain(&document.ipv6_prefixes).filter(wanted) {
        let network = Network::parse(&prefix.network)?;
        let free = |width: u32| width - u32::from(network.bits());
        match network.address() {
            IpAddr::V4(first) => spans.v4.push(span(first.to_bits().into(), free(32))),
            IpAddr::V6(first) => spans.v6.push(span(first.to_bits(), free(128))),
        }
    }
    spans.v4 = merged(spans.v4);
    spans.v6 = merged(spans.v6);
    Ok(spans)
}

/// The addresses that share all but the last `free` bits with `address`.
fn span(address: u128, free: u32) -> (u128, u128) {
    let mask = 1_u128.checked_shl(free).map_or(u128::MAX, |above| above - 1);
    (address & !mask, address | mask)
}

fn merged(mut spans: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    spans.sort_unstable();
    let mut apart: Vec<(u128, u128)> = Vec::with_capacity(spans.len());
    for (first, last) in spans {
        match apart.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => apart.push((first, last)),
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &[u8] = br#"{"syncToken":"1","createDate":"2026-11-01-00-00-00",
        "prefixes":[
            {"ip_prefix":"3.5.140.0/22","region":"ap-northeast-2","service":"AMAZON","network_border_group":"x"},
            {"ip_prefix":"3.5.140.0/24","region":"ap-northeast-2","service":"S3","network_border_group":"x"},
            {"ip_prefix":"52.94.76.0/22","region":"us-west-2","service":"AMAZON","network_border_group":"x"}],
        "ipv6_prefixes":[
            {"ipv6_prefix":"2600:1f00:c000::/40","region":"us-west-2","service":"AMAZON","network_border_group":"x"}]}"#;

    fn filter(by: FilterBy, regions: &[&str]) -> NetworkFilter {
        NetworkFilter {
            by,
            regions: regions.iter().map(|&region| region.to_owned()).collect(),
            update_every: Duration::from_secs(3600),
            ranges_url: String::new(),
        }
    }

    fn ranges(by: FilterBy, regions: &[&str]) -> AddressRanges {
        AddressRanges(Arc::new(RwLock::new(read(DOCUMENT, &filter(by, regions)).unwrap())))
    }

    #[test]
    fn addresses_of_amazon_are_known_by_network_and_region() {
        let (all, west) = (ranges(FilterBy::Aws, &[]), ranges(FilterBy::Region, &["us-west-2"]));

        for (address, in_all, in_west) in [
            ("3.5.143.255", true, false),
            ("3.5.144.0", false, false),
            ("3.5.139.255", false, false),
            ("52.94.76.0", true, true),
            ("::ffff:52.94.76.9", true, true),
            ("2600:1f00:c0ff::1", true, true),
            ("2600:1f00:c100::1", false, false),
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!((all.contains(parsed), west.contains(parsed)), (in_all, in_west), "{address}");
        }
    }

    #[test]
    fn googles_document_has_no_regions() {
        let document = br#"{"syncToken":"1","creationTime":"2026-11-01T00:00:00.0",
            "prefixes":[{"ipv4Prefix":"8.8.4.0/24"},{"ipv6Prefix":"2001:4860::/32"}]}"#;

        let spans = read(document, &filter(FilterBy::Google, &[])).unwrap();

        let ranges = AddressRanges(Arc::new(RwLock::new(spans)));
        for (address, expected) in [("8.8.4.4", true), ("8.8.5.4", false), ("2001:4860::8888", true)] {
            assert_eq!(ranges.contains(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn a_document_of_another_kind_is_refused() {
        for document in
            [&b"{}"[..], b"<html>", br#"{"prefixes":[{"ip_prefix":"x","region":"r"}],"ipv6_prefixes":[]}"#]
        {
            assert!(read(document, &filter(FilterBy::Aws, &[])).is_err());
        }
    }

    /// Serves `document` to everybody who asks, after a redirect: where Amazon publishes its own has moved before.
    fn published(document: &'static [u8]) -> String {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = format!("http://{}", listener.local_addr().unwrap());
        let moved = format!(
            "HTTP/1.1 302 Found\r\nLocation: {place}/new\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let mut request = [0; 4096];
                let length = client.read(&mut request).unwrap();
                if request[..length].starts_with(b"GET /old ") {
                    client.write_all(moved.as_bytes()).unwrap();
                    continue;
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    document.len()
                );
                client.write_all(&[head.as_bytes(), document].concat()).unwrap();
            }
        });
        format!("{place}/old")
    }

    #[test]
    fn ranges_are_fetched_by_themselves() {
        let ranges_url = published(DOCUMENT);
        let ranges = AddressRanges::watch(&NetworkFilter { ranges_url, ..filter(FilterBy::Aws, &[]) });
        let patience = std::time::Instant::now() + PATIENCE;

        while !ranges.contains("52.94.76.9".parse().unwrap()) {
            assert!(std::time::Instant::now() < patience, "they never arrive");
            std::thread::sleep(Duration::from_millis(10));
        }

        assert!(!ranges.contains("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn whole_address_spaces_are_spans_too() {
        assert_eq!(span(5, 128), (0, u128::MAX));
        assert_eq!(merged(vec![(4, 7), (0, 3), (9, 9)]), [(0, 7), (9, 9)]);
    }
}
