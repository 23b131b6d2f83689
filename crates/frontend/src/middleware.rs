//! What happens around every request: who called, from where, under which id, and what became of it.

pub(crate) mod access_log;
pub(crate) mod client;
pub(crate) mod cors;
pub(crate) mod observe;
pub(crate) mod record;
pub(crate) mod request_id;
