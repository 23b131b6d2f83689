//! What is found out about a bucket, for the person who runs the registry.
//!
//! Each permission is tried on an object nobody else uses. What only tells about the bucket's settings may be
//! forbidden to us, and that is no fault: the registry does not need it.

mod lifecycle;
mod permissions;
mod settings;

use entrepot_storage::{Finding, Inspection};

use crate::client::Client;

/// Everything that was found, in the order it was looked at. Stops early where the bucket cannot be reached:
/// each further question would say the same again.
pub(crate) async fn inspect(client: &Client, allowed: Inspection) -> Vec<Finding> {
    let mut findings = match reachable(client).await {
        Ok(finding) => vec![finding],
        Err(finding) => return vec![finding],
    };
    if allowed.writes {
        findings.extend(permissions::inspect(client).await);
    }
    findings.push(lifecycle::inspect(client, allowed.days_of_rest()).await);
    findings.extend(settings::inspect(client).await);
    findings
}

/// By a listing, not by HEAD: its answer has a body that says what is wrong.
async fn reachable(client: &Client) -> Result<Finding, Finding> {
    let request =
        client.sdk.list_objects_v2().bucket(&client.bucket).prefix(client.root()).max_keys(1).send();
    let subject = format!("bucket {}", client.bucket);
    let Err(failure) = client.call(client.timeouts.call, request).await else {
        return Ok(Finding::note(subject, "it answers"));
    };
    let remedy = match failure.code() {
        Some("NoSuchBucket") => "create it, or correct `bucket`",
        Some("AccessDenied") => {
            "allow s3:ListBucket on the bucket, see the driver's page; of Garage, or of a proxy, it may mean that \
             `accesskey` and `secretkey` are wrong"
        }
        Some("InvalidAccessKeyId" | "SignatureDoesNotMatch") => "correct `accesskey` and `secretkey`",
        Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            "set `region` to the bucket's own"
        }
        Some("RequestTimeTooSkewed") => "set this machine's clock: it is off by more than 15 minutes",
        _ if failure.is_of_unknown_authority() => {
            "install the authority behind its certificate (`ca-certificates` has the public ones), or name a file \
             with it by SSL_CERT_FILE"
        }
        _ => "see that `regionendpoint`, name resolution, TLS and proxies lead to the store",
    };
    Err(Finding::fault(subject, format!("it cannot be listed: {failure}"), remedy))
}
