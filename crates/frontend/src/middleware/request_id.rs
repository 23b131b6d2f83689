//! `X-Request-ID`: one name for a request in the client's log, ours, and everything between.

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

/// Ids that sort by time, which makes logs easier to read.
fn generate() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let text = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
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
