//! Whether we may do what a registry does: every operation once, on an object of our own.

use std::time::SystemTime;

use bytes::Bytes;
use entrepot_storage::{Error, Finding, Key, PutMode, ReadRange, Result};

use crate::client::Client;

/// Tries every operation. One finding for each that failed, or a single note.
pub(super) async fn inspect(client: &Client) -> Vec<Finding> {
    let Some(key) = probe_key() else { return Vec::new() };
    let mut found = Vec::new();
    let written = client.put(&key, Bytes::from_static(b"inspect"), PutMode::Overwrite).await;
    let may_write = judge(&mut found, "s3:PutObject", &key, written).is_some();
    if may_write {
        judge(&mut found, "s3:GetObject", &key, client.get(&key, ReadRange::Whole).await);
        judge(&mut found, "s3:GetObject", &key, client.stat(&key).await);
        try_upload(client, &key, &mut found).await;
        judge(&mut found, "s3:DeleteObject", &key, client.delete(&key, None).await);
    }
    let uploads = client.list_uploads("", None, 1).await;
    judge(&mut found, "s3:ListBucketMultipartUploads", &key, uploads);
    found.dedup();
    if found.is_empty() {
        found.push(Finding::note("permissions", "everything a registry does is allowed"));
    }
    found
}

/// One upload that is completed needs no other permission than a put; one that is given up does.
async fn try_upload(client: &Client, key: &Key, found: &mut Vec<Finding>) {
    let Some(upload) = judge(found, "s3:PutObject", key, client.upload_begin(key).await) else { return };
    let part = client.upload_part(&upload, 1, vec![Bytes::from_static(b"inspect")]).await;
    judge(found, "s3:PutObject", key, part);
    judge(found, "s3:AbortMultipartUpload", key, client.upload_abort(&upload).await);
}

fn judge<T>(found: &mut Vec<Finding>, action: &str, key: &Key, outcome: Result<T>) -> Option<T> {
    outcome.map_err(|error| found.push(failed(action, key, &error))).ok()
}

fn failed(action: &str, key: &Key, error: &Error) -> Finding {
    let subject = format!("permission {action}");
    let encrypted =
        "where the bucket is encrypted by KMS also kms:GenerateDataKey and kms:Decrypt of its key";
    let remedy = format!("allow {action} to these credentials, see the driver's page; {encrypted}");
    Finding::fault(subject, format!("it failed at {key}: {error}"), remedy)
}

/// A name nobody else uses at this instant; what a crash leaves behind is small and lies in one place.
fn probe_key() -> Option<Key> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let random = getrandom::u32().ok()?;
    format!("probe/inspect-{:x}-{random:08x}", since.as_nanos()).parse().ok()
}
