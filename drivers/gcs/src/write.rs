//! Writing and deleting whole objects.

use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, PutMode, Result, Version};
use futures_util::StreamExt;
use google_cloud_storage::model;
use http::Method;

use crate::NAME;
use crate::client::{Client, IF_GENERATION, Request, ask};
use crate::error::strange;
use crate::read::SMALL_BYTES;

impl Client {
    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/insert>
    pub(crate) async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        let (size, crc) = (body.len() as u64, crc32c::crc32c(&body));
        let condition = match &mode {
            PutMode::Overwrite => None,
            PutMode::IfAbsent | PutMode::Fresh => Some((0, ErrorKind::AlreadyExists)),
            PutMode::IfMatch(version) => Some((generation(key, version)?, ErrorKind::Precondition)),
        };
        let over = condition.map(|(generation, _)| generation);
        let request = self.library.write(self.name_of(key), body, crc, over);
        // The library cannot be told how long to try for a connection: a record does not wait as long as a part.
        let limit = if size <= SMALL_BYTES { self.timeouts.call } else { self.timeouts.sending(size) };
        match ask(limit, request).await.map_err(|error| error.at(key))? {
            Ok(written) => meta(key, &written, size),
            Err(refusal) => match (refusal.kind(), condition) {
                (ErrorKind::Precondition, Some((_, kind))) => Err(refusal.into_error_of(kind, Some(key))),
                // A condition on an object that is not there has been seen to be answered by 404 too.
                (ErrorKind::NotFound, Some((_, ErrorKind::Precondition))) => {
                    Err(refusal.into_error_of(ErrorKind::Precondition, Some(key)))
                }
                // Neither makes sense otherwise, and a put never is "not found".
                (ErrorKind::Precondition | ErrorKind::NotFound, _) => {
                    Err(refusal.into_error_of(ErrorKind::Backend { retryable: false }, Some(key)))
                }
                _ => Err(refusal.into_error(Some(key))),
            },
        }
    }

    /// <https://cloud.google.com/storage/docs/xml-api/delete-object>
    pub(crate) async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let mut request = Request::new(Method::DELETE, self.object_url(key));
        if let Some(version) = version {
            request = request.header(IF_GENERATION, generation(key, version)?.into());
        }
        match self.call(request, self.timeouts.call).await? {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_missing_object() && version.is_none() => Ok(()),
            Err(refusal) if refusal.is_missing_object() => {
                Err(refusal.into_error_of(ErrorKind::Precondition, Some(key)))
            }
            Err(refusal) => Err(refusal.into_error(Some(key))),
        }
    }

    /// One request per key, many at once. A JSON batch would save round trips only: each of its parts is
    /// counted and billed like a request, and it is answered when the slowest is done.
    pub(crate) async fn delete_many(&self, keys: &[Key], at_once: usize) -> Result<Vec<Error>> {
        let deletes: Vec<_> = keys.iter().map(|key| self.delete(key, None)).collect();
        let outcomes: Vec<Result<()>> =
            futures_util::stream::iter(deletes).buffer_unordered(at_once).collect().await;
        Ok(outcomes.into_iter().filter_map(Result::err).collect())
    }
}

/// What a write was answered with. The library fills in what was left out, with zeros.
fn meta(key: &Key, written: &model::Object, size: u64) -> Result<ObjectMeta> {
    if written.generation <= 0 || u64::try_from(written.size) != Ok(size) {
        return Err(strange("a write was answered without its generation, or with another size").at(key));
    }
    let modified = written.update_time.filter(|time| time.seconds() > 0);
    Ok(ObjectMeta {
        key: key.clone(),
        size,
        version: Some(Version(written.generation.to_string())),
        modified: modified.and_then(|time| time.try_into().ok()),
    })
}

/// The generation behind a version. One that is no positive number was never ours: 0 would mean absence.
fn generation(key: &Key, version: &Version) -> Result<i64> {
    match version.0.parse() {
        Ok(generation) if generation > 0 => Ok(generation),
        _ => Err(Error::new(NAME, ErrorKind::Precondition).at(key)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::config::{Config, CredentialSource};

    /// Answers one request as Google answers a write, and tells what arrived.
    fn one_request(listener: &TcpListener, answer: &str) -> String {
        let (mut stream, _) = listener.accept().expect("somebody calls");
        let (mut arrived, mut buffer) = (Vec::new(), [0; 4096]);
        while !arrived.ends_with(b"\r\n0\r\n\r\n") {
            let read = stream.read(&mut buffer).expect("it can be read");
            assert_ne!(read, 0, "it ended early");
            arrived.extend_from_slice(&buffer[..read]);
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all((head + answer).as_bytes()).expect("it can be written");
        String::from_utf8_lossy(&arrived).into_owned()
    }

    async fn put(answer: &'static str) -> (Result<ObjectMeta>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let mut config = Config::new("images");
        config.endpoint = Some(format!("http://{}", listener.local_addr().expect("it listens")));
        config.credentials = CredentialSource::Anonymous;
        config.user_agent = Some("probe/1".into());
        config.kms_key_name = Some("projects/p/cryptoKeys/k".into());
        let client = Client::open(&config).await.expect("the settings make sense");
        let server = std::thread::spawn(move || one_request(&listener, answer));
        let mode = PutMode::IfMatch(Version("7".into()));

        let written =
            client.put(&"tags/a".parse().expect("it is a key"), Bytes::from_static(b"abc"), mode).await;

        (written, server.join().expect("it was asked"))
    }

    #[tokio::test]
    async fn a_write_says_what_it_is_and_under_which_condition() {
        let answer =
            r#"{"generation":"8","size":"3","crc32c":"Nks/tw==","updated":"2026-11-21T10:00:00.500Z"}"#;

        let (written, request) = put(answer).await;

        let said = [
            "POST /upload/storage/v1/b/images/o?uploadType=multipart&name=tags%2Fa&ifGenerationMatch=7&",
            "kmsKeyName=projects%2Fp%2FcryptoKeys%2Fk",
            "user-agent: probe/1 entrepot/",
            r#""contentType":"application/octet-stream""#,
            r#""crc32c":"Nks/tw==""#,
            "\r\n3\r\nabc\r\n",
        ];
        for word in said {
            assert!(request.contains(word), "{word}: {request}");
        }
        let written = written.expect("it is written");
        assert_eq!((written.size, written.version), (3, Some(Version("8".into()))));
        let modified: std::time::SystemTime =
            "2026-11-21T10:00:00.5Z".parse::<jiff::Timestamp>().expect("a time").into();
        assert_eq!(written.modified, Some(modified));
    }

    #[tokio::test]
    async fn an_answer_that_does_not_tell_what_was_written_is_a_failure() {
        for answer in [
            "",
            "{}",
            r#"{"size":"3"}"#,
            r#"{"generation":"8"}"#,
            r#"{"generation":"8","size":"4"}"#,
            r#"{"generation":"8","size":"3","crc32c":"AAAAAA=="}"#,
        ] {
            let (written, _) = put(answer).await;

            let kind = written.expect_err("nobody knows what was written").kind();
            assert_eq!(kind, ErrorKind::Backend { retryable: true }, "{answer}");
        }
    }
}
