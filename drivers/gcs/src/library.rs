//! Google's own client for whole objects: how it is opened so that a call of ours is one request of its.
//!
//! It would ask again by itself, continue a read that broke off, and turn a large write into a session of
//! several requests. All three are off: `decorate::Retry` asks again within its budget, for every driver alike.
//! It has no deadlines of its own; whoever calls it bounds the wait.
//!
//! It opens a gRPC channel beside its HTTP client for calls we do not make, which connects when it is first
//! used: never.

use std::fmt;

use bytes::Bytes;
use google_cloud_auth::credentials::{CacheableResource, Credentials, CredentialsProvider, EntityTag};
use google_cloud_auth::errors::CredentialsError;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_storage::builder::storage::{ReadObject, WriteObject};
use google_cloud_storage::client::Storage;
use google_cloud_storage::read_resume_policy::NeverResume;
use google_cloud_storage::streaming_source::BytesSource;
use http::{Extensions, HeaderMap};

use crate::OpenError;

/// What the library calls a bucket whose project does not matter.
const BUCKETS: &str = "projects/_/buckets/";

/// The library's way to one bucket.
pub(crate) struct Library {
    storage: Storage,
    bucket: String,
    agent: String,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl Library {
    /// Opens the library's client without asking anybody anything. `endpoint` has no slash at its end.
    pub(crate) async fn open(
        endpoint: &str,
        bucket: &str,
        agent: &str,
        credentials: Option<Credentials>,
    ) -> Result<Self, OpenError> {
        let storage = Storage::builder()
            .with_endpoint(endpoint)
            .with_credentials(Credentials::from(Bearer(credentials)))
            .with_retry_policy(NeverRetry)
            .with_read_resume_policy(NeverResume)
            .with_resumable_upload_threshold(usize::MAX)
            .with_grpc_subchannel_count(1)
            .build()
            .await
            .map_err(|error| OpenError::Client(error.to_string()))?;
        Ok(Self { storage, bucket: format!("{BUCKETS}{bucket}"), agent: agent.to_owned() })
    }

    /// A read of the object of this name in the bucket.
    pub(crate) fn read(&self, name: String) -> ReadObject {
        self.storage.read_object(&self.bucket, name).with_user_agent(&self.agent)
    }

    /// A write of the object of this name in the bucket.
    pub(crate) fn write(&self, name: String, body: Bytes) -> WriteObject<BytesSource> {
        self.storage.write_object(&self.bucket, name, body).with_user_agent(&self.agent)
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
