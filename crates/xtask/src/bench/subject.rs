//! Who is measured: the two registries we start, and those somebody else runs.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use entrepot_oci::Digest;

use super::instance::Instance;
use super::product::Product;

/// A registry somebody else started: `name=URL,pid=PID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    name: String,
    url: String,
    pid: u32,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || {
            let (name, rest) = text.split_once('=')?;
            let (url, pid) = rest.rsplit_once(",pid=")?;
            let url = url.trim_end_matches('/').to_owned();
            Some(Self { name: name.to_owned(), url, pid: pid.parse().ok()? })
        };
        let peer = parts().filter(|peer| !peer.name.is_empty() && peer.url.starts_with("http://"));
        peer.ok_or_else(|| format!("{text}: a peer is NAME=http://HOST:PORT,pid=PID"))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.url)
    }
}

/// A registry under measurement.
pub(super) struct Subject {
    process: Process,
    /// What was put into it, so that it is put once.
    holds: HashSet<String>,
    /// Which answers take long here, by their paths.
    slow: HashMap<String, bool>,
    /// The large blob it holds, once it does.
    pub(super) large: Option<Digest>,
}

enum Process {
    Ours(Instance),
    Theirs(Peer),
}

impl Subject {
    pub(super) fn ours(instance: Instance) -> Self {
        Self::new(Process::Ours(instance))
    }

    pub(super) fn theirs(peer: Peer) -> Self {
        Self::new(Process::Theirs(peer))
    }

    fn new(process: Process) -> Self {
        Self { process, holds: HashSet::new(), slow: HashMap::new(), large: None }
    }

    pub(super) fn name(&self) -> &str {
        match &self.process {
            Process::Ours(instance) => instance.recipe.product.name(),
            Process::Theirs(peer) => &peer.name,
        }
    }

    /// Where it is, without a slash at the end.
    pub(super) fn url(&self) -> String {
        match &self.process {
            Process::Ours(instance) => instance.url(),
            Process::Theirs(peer) => peer.url.clone(),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        match &self.process {
            Process::Ours(instance) => instance.pid(),
            Process::Theirs(peer) => peer.pid,
        }
    }

    /// The process, if it is ours to stop and its directories ours to write to.
    pub(super) fn instance(&mut self) -> Option<&mut Instance> {
        match &mut self.process {
            Process::Ours(instance) => Some(instance),
            Process::Theirs(_) => None,
        }
    }

    pub(super) fn product(&self) -> Option<Product> {
        match &self.process {
            Process::Ours(instance) => Some(instance.recipe.product),
            Process::Theirs(_) => None,
        }
    }

    /// Whether an answer takes long, as it was found first.
    pub(super) fn is_slow(&mut self, path: &str, found_now: bool) -> bool {
        *self.slow.entry(path.to_owned()).or_insert(found_now)
    }

    /// Puts something into it, unless it was put before.
    pub(super) fn once(
        &mut self,
        what: &str,
        put: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        if !self.holds.contains(what) {
            put(self)?;
            self.holds.insert(what.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_an_address_and_a_process() {
        let expected = Peer { name: "angos".into(), url: "http://127.0.0.1:8000".into(), pid: 42 };

        assert_eq!("angos=http://127.0.0.1:8000/,pid=42".parse(), Ok(expected));
    }

    #[test]
    fn a_peer_without_a_process_or_over_tls_is_refused() {
        for text in ["angos", "a=http://h:1", "a=http://h:1,pid=x", "=http://h:1,pid=1", "a=https://h,pid=1"]
        {
            assert!(text.parse::<Peer>().is_err(), "{text}");
        }
    }
}
