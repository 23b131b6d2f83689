//! What is so about the bucket, for the person who runs the registry: permissions by trying, settings by
//! reading.
//!
//! Every operation the driver needs is tried on an object of its own below the root directory, because a
//! policy that is read says less than a request that is answered. Which permission each takes:
//! <https://cloud.google.com/storage/docs/access-control/iam-xml> and `iam-json`.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_storage::{
    ErrorKind, Finding, Inspection, Key, PresignOptions, PutMode, ReadRange, Result, StorageDriver, Upload,
};
use http::{Method, StatusCode};
use serde_json::Value;

use crate::GcsDriver;
use crate::client::Request;
use crate::credentials::Signing;

const ROLE: &str = "roles/storage.objectUser on the bucket holds it";
const SIGNING_ROLE: &str = "Let whoever the registry is sign as the account: roles/iam.serviceAccountTokenCreator \
    on it (iam.serviceAccounts.signBlob), the account's name in `signingaccount` where the registry is no service \
    account itself, and the API iamcredentials.googleapis.com switched on. Or configure an HMAC key.";
const SETTINGS_ROLE: &str = "roles/storage.legacyBucketReader holds storage.buckets.get";

pub(crate) async fn inspect(driver: &GcsDriver, allowed: Inspection) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(fault) = unreachable(driver).await {
        return vec![fault];
    }
    let Some(probe) = probe_key() else { return findings };
    if allowed.writes {
        objects(driver, &probe, &mut findings).await;
        uploads(driver, &probe, &mut findings).await;
    }
    if allowed.redirects {
        signing(driver, &probe, &mut findings).await;
    }
    settings(driver, allowed.days_of_rest(), &mut findings).await;
    findings
}

/// What is wrong where no operation can work: each further question would say the same again. A permission that
/// is missing is told by what it is for.
async fn unreachable(driver: &GcsDriver) -> Option<Finding> {
    let client = &driver.client;
    let url = format!("{}/o?maxResults=1&fields=kind", client.json_url());
    let subject = "bucket";
    match client.call(Request::new(Method::GET, url), client.timeouts.call).await {
        Ok(Err(refusal)) if refusal.status == StatusCode::NOT_FOUND => Some(Finding::fault(
            subject,
            format!("There is no bucket {:?} for these credentials: {refusal}.", client.bucket),
            "Create it, or correct its name.",
        )),
        Ok(Err(refusal)) if refusal.status == StatusCode::UNAUTHORIZED => Some(Finding::fault(
            subject,
            format!("It does not know these credentials: {refusal}."),
            "Correct the key, or what the Application Default Credentials find here.",
        )),
        Ok(_) => None,
        Err(error) => Some(Finding::fault(
            subject,
            format!("It cannot be asked: {error}."),
            "Check the credentials, the endpoint and the network: without a key the registry asks the metadata \
             server who it is.",
        )),
    }
}

/// A key nobody else has: two that inspect at once must not meet.
fn probe_key() -> Option<Key> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    format!("probe/{}-{}", std::process::id(), now.as_nanos()).parse().ok()
}

/// Says whether an operation worked, and which permission it takes.
fn tried<T>(findings: &mut Vec<Finding>, permission: &str, outcome: &Result<T>) {
    let subject = format!("permission {permission}");
    findings.push(match outcome {
        Ok(_) => Finding::note(subject, "Granted."),
        Err(error) => Finding::fault(
            subject,
            format!("The operation it is for failed: {error}."),
            format!("Grant {permission}; {ROLE}."),
        ),
    });
}

async fn objects(driver: &GcsDriver, probe: &Key, findings: &mut Vec<Finding>) {
    let created = driver.put(probe, Bytes::from_static(b"probe"), PutMode::IfAbsent).await;
    tried(findings, "storage.objects.create", &created);
    let Ok(created) = created else { return };
    let read = driver.get(probe, ReadRange::Whole).await;
    tried(findings, "storage.objects.get", &read);
    tried(findings, "storage.objects.list", &driver.list(probe.as_str(), None, 1).await);

    // To replace an object is to delete it, in the words of IAM.
    let mode = created.version.map_or(PutMode::Overwrite, PutMode::IfMatch);
    let replaced = driver.put(probe, Bytes::from_static(b"again"), mode).await;
    tried(findings, "storage.objects.delete", &replaced);
    let second = driver.put(probe, Bytes::new(), PutMode::IfAbsent).await;
    findings.push(match second.map_err(|error| error.kind()) {
        Err(ErrorKind::AlreadyExists) => Finding::note("conditional writes", "Honoured."),
        Ok(_) => Finding::fault(
            "conditional writes",
            "A write that should only create has replaced an object.",
            "Use a store that honours ifGenerationMatch; several replicas would lose each other's writes.",
        ),
        Err(kind) => Finding::warning(
            "conditional writes",
            format!("Could not be tried: {kind:?}."),
            "Make the permissions above right first.",
        ),
    });
    let deleted = driver.delete(probe, None).await;
    if replaced.is_ok() {
        tried(findings, "storage.objects.delete, by itself", &deleted);
    }
}

async fn uploads(driver: &GcsDriver, probe: &Key, findings: &mut Vec<Finding>) {
    let Ok(key) = format!("{probe}-upload").parse::<Key>() else { return };
    let begun = driver.upload_begin(&key).await;
    tried(findings, "storage.multipartUploads.create", &begun);
    let listed = driver.list_uploads(key.as_str(), None, 1).await;
    tried(findings, "storage.multipartUploads.list", &listed);
    let Ok(upload) = begun else { return };
    let part = driver.upload_part(&upload, 1, vec![Bytes::from_static(b"probe")]).await;
    tried(findings, "storage.multipartUploads.create, for a part", &part);
    abort(driver, &upload, findings).await;
}

async fn abort(driver: &GcsDriver, upload: &Upload, findings: &mut Vec<Finding>) {
    let aborted = driver.upload_abort(upload).await;
    tried(findings, "storage.multipartUploads.abort", &aborted);
}

async fn signing(driver: &GcsDriver, probe: &Key, findings: &mut Vec<Finding>) {
    let signing = &driver.client.identity.signing;
    if let Signing::Never(why) = signing {
        findings.push(Finding::warning(
            "signed URLs",
            format!("None can be made: {why}. Every byte that is pulled goes through the registry."),
            "Configure an HMAC key, a service account's key, or the account IAM is to sign for.",
        ));
        return;
    }
    let options = PresignOptions {
        signed_at: SystemTime::now(),
        expires_in: Duration::from_secs(60),
        content_type: None,
    };
    // How it is now, whatever a pull met a moment ago.
    driver.presigner.forget_failure();
    findings.push(match (driver.presign_get(probe, &options).await, signing) {
        (Err(error), _) => {
            Finding::fault("signed URLs", format!("None could be made: {error}."), SIGNING_ROLE)
        }
        (Ok(None), _) => Finding::fault("signed URLs", "None could be made just now.", SIGNING_ROLE),
        (Ok(_), Signing::Remote(_)) => Finding::note(
            "signed URLs",
            "Signed by IAM, with a request for each that is new, unless the default credentials hold a key. With \
             an HMAC key redirects are as fast from the first.",
        ),
        (Ok(_), _) => Finding::note("signed URLs", "Signed without a request."),
    });
}

/// <https://cloud.google.com/storage/docs/json_api/v1/buckets#resource>
async fn settings(driver: &GcsDriver, rest: u64, findings: &mut Vec<Finding>) {
    const FIELDS: &str = "lifecycle,softDeletePolicy,versioning,retentionPolicy,iamConfiguration,location,storageClass,billing";
    let client = &driver.client;
    let url = format!("{}?fields={FIELDS}", client.json_url());
    match client.call(Request::new(Method::GET, url), client.timeouts.call).await {
        Ok(Ok(answer)) => match serde_json::from_slice(&answer.body) {
            Ok(bucket) => judge(&bucket, &client.root, rest, findings),
            Err(error) => findings.push(not_read(&error.to_string())),
        },
        Ok(Err(refusal)) => findings.push(not_read(&refusal.to_string())),
        Err(error) => findings.push(not_read(&error.to_string())),
    }
}

fn not_read(why: &str) -> Finding {
    Finding::unknown(
        "bucket settings",
        format!("They cannot be read: {why}."),
        format!(
            "{SETTINGS_ROLE}. Or look yourself: no lifecycle rule may delete what is live, no retention policy may \
             forbid to replace it."
        ),
    )
}

fn judge(bucket: &Value, root: &str, rest: u64, findings: &mut Vec<Finding>) {
    let rules = bucket["lifecycle"]["rule"].as_array().map_or(&[][..], Vec::as_slice);
    findings.extend(rules.iter().filter_map(|rule| lifecycle(rule, root, rest)));
    if seconds(&bucket["softDeletePolicy"]["retentionDurationSeconds"]) > 0 {
        findings.push(Finding::warning(
            "soft delete",
            "What is deleted is kept and billed for a while, every replaced record and swept blob too.",
            "Set the soft delete policy's retention to 0, unless you want to pay for that safety.",
        ));
    }
    if bucket["versioning"]["enabled"] == true {
        findings.push(Finding::warning(
            "object versioning",
            "Every replaced record and deleted blob stays as a noncurrent version, and is billed.",
            "Turn versioning off, or let a lifecycle rule delete noncurrent versions.",
        ));
    }
    if seconds(&bucket["retentionPolicy"]["retentionPeriod"]) > 0 {
        findings.push(Finding::fault(
            "retention policy",
            "Objects may not be replaced or deleted for a while: tags cannot move, pushes cannot finish.",
            "Remove the bucket's retention policy.",
        ));
    }
    if bucket["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"] == false {
        findings.push(Finding::warning(
            "uniform bucket-level access",
            "Off: access control lists of single objects may open what IAM keeps closed.",
            "Turn it on.",
        ));
    }
    if bucket["billing"]["requesterPays"] == true {
        findings.push(Finding::fault(
            "requester pays",
            "Requests have to name a project that pays, and signed URLs cannot.",
            "Turn it off.",
        ));
    }
}

/// Numbers of 64 bits are text in the JSON API.
fn seconds(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

/// What a lifecycle rule would do to live data. Harmless ones are no finding: those that only touch
/// noncurrent versions, abort uploads when none goes on any more, or cannot match below the root directory.
/// <https://cloud.google.com/storage/docs/lifecycle>
fn lifecycle(rule: &Value, root: &str, rest: u64) -> Option<Finding> {
    let (action, condition) = (&rule["action"], &rule["condition"]);
    let is_noncurrent = condition["isLive"] == false
        || condition["numNewerVersions"].as_u64().is_some_and(|newer| newer > 0)
        || !condition["daysSinceNoncurrentTime"].is_null()
        || !condition["noncurrentTimeBefore"].is_null();
    if is_noncurrent || !may_match(&condition["matchesPrefix"], root) {
        return None;
    }
    let remedy = "Remove the rule, or bind it to a prefix that is not the registry's.";
    match action["type"].as_str()? {
        "Delete" => Some(Finding::fault(
            "lifecycle rules",
            format!("A rule deletes live objects, with them images that are in use: {condition}."),
            remedy,
        )),
        "SetStorageClass" => Some(Finding::warning(
            "lifecycle rules",
            format!(
                "A rule moves live objects to {}: reading them costs, and deleting them early does too.",
                action["storageClass"].as_str().unwrap_or("another storage class")
            ),
            remedy,
        )),
        "AbortIncompleteMultipartUpload" => {
            aborts(condition["age"].as_u64()?, rest.max(Inspection::DAYS_OF_A_PUSH))
        }
        _ => None,
    }
}

/// A rule counts from an upload's beginning, and a slow push may go on for longer than it rests.
fn aborts(days: u64, wait: u64) -> Option<Finding> {
    (days < wait).then(|| {
        Finding::warning(
            "lifecycle rules",
            format!("Unfinished uploads are aborted {days} days after they began, some of which may go on."),
            format!(
                "Let the rule wait {wait} days since they began, no less than uploads may rest \
                 (`storage.maintenance.uploadpurging.age`)."
            ),
        )
    })
}

fn may_match(prefixes: &Value, root: &str) -> bool {
    let Some(prefixes) = prefixes.as_array().filter(|prefixes| !prefixes.is_empty()) else { return true };
    let mut prefixes = prefixes.iter().filter_map(Value::as_str);
    prefixes.any(|prefix| prefix.starts_with(root) || root.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use entrepot_storage::Severity;
    use serde_json::json;

    use super::*;

    fn severities(bucket: &Value) -> Vec<Severity> {
        let mut findings = Vec::new();
        judge(bucket, "registry/", 7, &mut findings);
        findings.into_iter().map(|finding| finding.severity).collect()
    }

    fn rule(action: Value, condition: Value) -> Value {
        json!({ "lifecycle": { "rule": [{ "action": action, "condition": condition }] } })
    }

    #[test]
    fn a_rule_that_deletes_live_objects_is_a_fault() {
        for condition in [json!({ "age": 30 }), json!({ "age": 1, "matchesPrefix": ["registry/data/"] })] {
            assert_eq!(severities(&rule(json!({ "type": "Delete" }), condition)), [Severity::Fault]);
        }
        let archive = json!({ "type": "SetStorageClass", "storageClass": "ARCHIVE" });
        assert_eq!(severities(&rule(archive, json!({ "age": 30 }))), [Severity::Warning]);
    }

    #[test]
    fn a_rule_that_leaves_live_objects_alone_is_no_finding() {
        let harmless = [
            rule(json!({ "type": "Delete" }), json!({ "isLive": false })),
            rule(json!({ "type": "Delete" }), json!({ "daysSinceNoncurrentTime": 1 })),
            rule(json!({ "type": "Delete" }), json!({ "age": 1, "matchesPrefix": ["logs/"] })),
            rule(json!({ "type": "AbortIncompleteMultipartUpload" }), json!({ "age": 7 })),
            json!({}),
        ];
        for bucket in harmless {
            assert_eq!(severities(&bucket), [], "{bucket}");
        }
    }

    /// Uploads that may rest for two hours go on for days, and a rule of one day passed for harmless.
    #[test]
    fn a_rule_that_aborts_uploads_that_may_go_on_is_a_warning() {
        for (age, rest, wait) in [(7, 30, 30), (1, 1, 7), (6, 7, 7)] {
            let rule = rule(json!({ "type": "AbortIncompleteMultipartUpload" }), json!({ "age": age }));
            let mut findings = Vec::new();

            judge(&rule, "registry/", rest, &mut findings);

            let [told] = &findings[..] else { panic!("{findings:?}") };
            assert_eq!(told.severity, Severity::Warning);
            assert!(told.state.contains(&format!("{age} days after they began")), "{told:?}");
            assert!(told.remedy.contains(&format!("wait {wait} days since they began")), "{told:?}");
        }
    }

    #[test]
    fn settings_that_cost_or_harm_are_told() {
        let bucket = json!({
            "softDeletePolicy": { "retentionDurationSeconds": "604800" },
            "versioning": { "enabled": true },
            "retentionPolicy": { "retentionPeriod": "3600" },
            "iamConfiguration": { "uniformBucketLevelAccess": { "enabled": false } },
        });

        use Severity::{Fault, Warning};
        assert_eq!(severities(&bucket), [Warning, Warning, Fault, Warning]);
    }
}
