//! What a client sees: `<resource>/<operation>.rs` mirrors the addresses, and each case runs over memory
//! and over the filesystem.
//!
//! Answers that are promised as a whole stand as files in `golden/`; `ENTREPOT_UPDATE_GOLDEN=1` rewrites
//! them. Nothing here looks behind the answers but by breaking the store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod base {
    mod get;
}
mod blobs {
    mod delete;
    mod get;
    mod head;
    mod local;
    mod ranges;
    mod redirects;
}
mod catalog {
    mod list;
}
mod clients {
    mod containerd;
    mod docker;
    mod ggcr;
    mod oras;
    mod podman;
    mod regclient;
}
mod errors {
    mod access;
    mod failures;
    mod methods;
    mod paths;
    mod sample;
    mod successes;
}
mod ext {
    mod tags;
}
mod maintenance {
    mod read_only;
}
mod manifests {
    mod conditions;
    mod delete;
    mod get;
    mod head;
    mod hostile;
    mod put;
    mod references;
}
mod referrers {
    mod list;
}
mod server {
    mod addresses;
    mod expect;
    mod framing;
    mod http2;
    mod limits;
}
mod store {
    mod failing;
    mod lost_answers;
    mod lying_cache;
}
mod tags {
    mod list;
}
mod uploads {
    mod delete;
    mod get;
    mod memory;
    mod patch;
    mod post;
    mod put;
}
