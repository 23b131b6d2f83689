//! Bodies of two parts, `multipart/related` (RFC 2387): what an object is to be, and its bytes.

use bytes::Bytes;

/// The two parts of a body, or `None` where it has another number of them or is cut.
pub(super) fn parts(content_type: &str, body: &Bytes) -> Option<(Bytes, Bytes)> {
    let boundary = content_type.strip_prefix("multipart/related;")?.trim().strip_prefix("boundary=")?;
    let boundary = boundary.trim_matches('"');
    let (between, end) = (format!("\r\n--{boundary}\r\n"), format!("\r\n--{boundary}--"));
    let rest = strip_prefix(body, format!("--{boundary}\r\n").as_bytes())?;
    let (first, rest) = split_once(&rest, between.as_bytes())?;
    let (_, first) = split_once(&first, b"\r\n\r\n")?;
    let (_, rest) = split_once(&rest, b"\r\n\r\n")?;
    // From the end: the bytes of the object may be many.
    let rest = strip_suffix(&rest, b"\r\n").unwrap_or(rest);
    let second = strip_suffix(&rest, end.as_bytes())?;
    Some((first, second))
}

fn strip_prefix(bytes: &Bytes, prefix: &[u8]) -> Option<Bytes> {
    bytes.starts_with(prefix).then(|| bytes.slice(prefix.len()..))
}

fn strip_suffix(bytes: &Bytes, suffix: &[u8]) -> Option<Bytes> {
    bytes.ends_with(suffix).then(|| bytes.slice(..bytes.len() - suffix.len()))
}

fn split_once(bytes: &Bytes, at: &[u8]) -> Option<(Bytes, Bytes)> {
    let place = bytes.windows(at.len()).position(|window| window == at)?;
    Some((bytes.slice(..place), bytes.slice(place + at.len()..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &'static [u8]) -> Option<(Bytes, Bytes)> {
        parts("multipart/related; boundary=b", &Bytes::from_static(body))
    }

    #[test]
    fn the_bytes_of_the_second_part_are_kept_as_they_are() {
        let body =
            b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nX: y\r\n\r\n\r\n\r\n--c\r\n--b--\r\n";

        let (about, content) = read(body).expect("it has two parts");

        assert_eq!((&about[..], &content[..]), (&b"{}"[..], &b"\r\n\r\n--c"[..]));
    }

    #[test]
    fn a_body_that_is_cut_is_none() {
        for body in [&b""[..], b"--b\r\n\r\n{}", b"--b\r\n\r\n{}\r\n--b\r\n\r\n\r\nabc"] {
            assert_eq!(read(body), None);
        }
    }
}
