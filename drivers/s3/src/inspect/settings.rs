//! Settings of the bucket that cost money or let strangers in.

use aws_sdk_s3::types::BucketVersioningStatus;
use entrepot_storage::Finding;

use crate::client::Client;

pub(super) async fn inspect(client: &Client) -> Vec<Finding> {
    vec![versioning(client).await, public(client).await]
}

async fn versioning(client: &Client) -> Finding {
    let subject = "versioning";
    let request = client.sdk.get_bucket_versioning().bucket(&client.bucket).send();
    match client.call(client.timeouts.call, request).await {
        Ok(answer) if answer.status() == Some(&BucketVersioningStatus::Enabled) => Finding::warning(
            subject,
            "it is on: what is deleted stays as an old version, and is billed",
            "add a lifecycle rule with NoncurrentVersionExpiration, or switch versioning off",
        ),
        Ok(_) => Finding::note(subject, "it is off: what is deleted is gone"),
        Err(failure) => Finding::unknown(
            subject,
            format!("it cannot be read: {failure}"),
            "allow s3:GetBucketVersioning, or look yourself: old versions of what was deleted are billed",
        ),
    }
}

async fn public(client: &Client) -> Finding {
    let subject = "public access";
    let request = client.sdk.get_bucket_policy_status().bucket(&client.bucket).send();
    match client.call(client.timeouts.call, request).await {
        Ok(answer) if answer.policy_status().and_then(|status| status.is_public()) == Some(true) => {
            Finding::warning(
                subject,
                "the bucket's policy lets anybody in: images can be read past the registry's permissions",
                "remove the public statements from the bucket's policy, presigned URLs need none",
            )
        }
        Ok(_) => Finding::note(subject, "no policy makes the bucket public"),
        Err(failure) if failure.code() == Some("NoSuchBucketPolicy") => {
            Finding::note(subject, "no policy makes the bucket public")
        }
        Err(failure) => Finding::unknown(
            subject,
            format!("it cannot be read: {failure}"),
            "allow s3:GetBucketPolicyStatus, or look yourself: nobody but the registry need read the bucket",
        ),
    }
}
