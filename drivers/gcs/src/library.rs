//! Google's own client, by which objects are written: how it is opened so that a call of ours is one request
//! of its.
//!
//! It would ask again by itself, and turn a large write into a session of several requests. Both are off: `decorate::Retry` asks again within its budget, for every driver alike.
//! It has no deadlines of its own; whoever calls it bounds the wait.
//!
//! It opens a gRPC channel beside its HTTP client for calls we do not make, which connects when it is first
//! used: never.

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use google_cloud_auth::credentials::{CacheableResource, Credentials, CredentialsProvider, EntityTag};
use google_cloud_auth::errors::CredentialsError;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_storage::client::Storage;
use google_cloud_storage::model::Object;
use http::{Extensions, HeaderMap};

use crate::OpenError;
use crate::config::Config;

/// What the library calls a bucket whose project does not matter.
const BUCKETS: &str = "projects/_/buckets/";

/// What everything is stored as: clients are told the media type of a blob by the registry or by the URL
/// they were given, and a type Google can compress would invite transcoding.
const CONTENT_TYPE: &str = "application/octet-stream";

/// A request of the library's, on the heap from the start: its futures are tens of KiB large, and whoever
/// awaits one would carry it.
type Asked<T> = BoxFuture<'static, google_cloud_storage::Result<T>>;

/// The library's way to one bucket.
pub(crate) struct Library {
    storage: Storage,
    bucket: String,
    agent: String,
    kms_key_name: Option<String>,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl Library {
    /// Opens the library's client without asking anybody anything. `endpoint` has no slash at its end.
    pub(crate) async fn open(
        config: &Config,
        endpoint: &str,
        agent: &str,
        credentials: Option<Credentials>,
    ) -> Result<Self, OpenError> {
        let storage = Storage::builder()
            .with_endpoint(endpoint)
            .with_credentials(Credentials::from(Bearer(credentials)))
            .with_retry_policy(NeverRetry)
            .with_resumable_upload_threshold(usize::MAX)
            .with_grpc_subchannel_count(1)
            .build();
        let storage = Box::pin(storage).await.map_err(|error| OpenError::Client(error.to_string()))?;
        let bucket = format!("{BUCKETS}{}", config.bucket);
        Ok(Self { storage, bucket, agent: agent.to_owned(), kms_key_name: config.kms_key_name.clone() })
    }

    /// Writes an object, by its name in the bucket, over this generation where one is given; 0 is absence.
    /// The sum goes ahead of the bytes, for the store to compare, and the library compares the store's with it.
    pub(crate) fn write(&self, name: String, body: Bytes, crc32c: u32, over: Option<i64>) -> Asked<Object> {
        let mut request = self
            .storage
            .write_object(&self.bucket, name, body)
            .with_user_agent(&self.agent)
            .set_content_type(CONTENT_TYPE)
            .with_known_crc32c(crc32c);
        if let Some(key) = &self.kms_key_name {
            request = request.set_kms_key(key);
        }
        if let Some(generation) = over {
            request = request.set_if_generation_match(generation);
        }
        Box::pin(request.send_unbuffered())
    }
}

/// Our credentials as the library wants them, or nobody's.
///
/// It would ask them which of Google's clouds they belong to, which costs the metadata server a request
/// before there is anything to do. The endpoint is configured here, so they do not say.
struct Bearer(Option<Credentials>);

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")
    }
}

impl CredentialsProvider for Bearer {
    async fn headers(
        &self,
        extensions: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        match &self.0 {
            Some(credentials) => credentials.headers(extensions).await,
            None => Ok(CacheableResource::New { entity_tag: EntityTag::default(), data: HeaderMap::new() }),
        }
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}
