//! `X-Request-ID`: one name for a request in the client's log, ours, and everything between.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::http::header::HeaderValue;
use uuid::Uuid;

/// The longest id taken over from a request.
const MAX_BYTES: usize = 128;

/// The id a request brings if it is fit for logs, a new one otherwise.
pub(crate) fn choose(brought: Option<&HeaderValue>) -> HeaderValue {
    brought.filter(|value| is_sane(value.as_bytes())).cloned().unwrap_or_else(generate)
}

fn is_sane(id: &[u8]) -> bool {
    let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    (1..=MAX_BYTES).contains(&id.len()) && id.iter().all(sane)
}

thread_local! {
    /// Where this thread's ids go on from: drawn once, because a system call per request for a number that
    /// nobody has to be unable to guess is a poor bargain.
    static NEXT: Cell<u64> = Cell::new(Uuid::now_v7().as_u64_pair().1);
}

/// Ids that sort by time, which makes logs easier to read.
fn generate() -> HeaderValue {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let next = NEXT.get().wrapping_add(1);
    NEXT.set(next);
    let mut rest = [0; 10];
    rest[2..].copy_from_slice(&next.to_be_bytes());
    rest[..2].copy_from_slice(&(since.subsec_nanos() as u16).to_be_bytes());
    let mut buffer = Uuid::encode_buffer();
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &rest).into_uuid();
    let text = id.hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(text).expect("hexadecimal digits and hyphens are a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_taken_over() {
        let brought = HeaderValue::from_static("0af7651916cd43dd-b7ad.1:2/3");

        assert_eq!(choose(Some(&brought)), brought);
    }

    #[test]
    fn anything_else_is_replaced() {
        for id in ["", "a b", "a\"b", &"x".repeat(129)] {
            let brought = HeaderValue::from_str(id).unwrap();
            assert_ne!(choose(Some(&brought)), brought, "{id:?}");
        }
        assert_ne!(choose(None), choose(None));
    }
}
