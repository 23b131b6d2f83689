//! Rules by which the store itself deletes or archives, at a time of its own choosing.

use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule, TransitionStorageClass};
use entrepot_storage::{Finding, Inspection};

use crate::client::Client;

const SUBJECT: &str = "lifecycle rules";

/// One finding: the worst there is. Uploads may rest for so many days.
pub(super) async fn inspect(client: &Client, rest: u64) -> Finding {
    let request = client.sdk.get_bucket_lifecycle_configuration().bucket(&client.bucket).send();
    match client.call(client.timeouts.call, request).await {
        Ok(answer) => judge(answer.rules(), client.root(), rest),
        Err(failure) if failure.code() == Some("NoSuchLifecycleConfiguration") => {
            judge(&[], client.root(), rest)
        }
        Err(failure) => Finding::unknown(
            SUBJECT,
            format!("they cannot be read: {failure}"),
            format!(
                "allow s3:GetLifecycleConfiguration, or look yourself: no rule may expire or archive what lies below \
                 the root directory, and one should abort incomplete uploads after {} days",
                rest.max(Inspection::DAYS_OF_A_PUSH)
            ),
        ),
    }
}

fn judge(rules: &[LifecycleRule], root: &str, rest: u64) -> Finding {
    let active = || rules.iter().filter(|rule| rule.status() == &ExpirationStatus::Enabled);
    let deadly = active().filter(|rule| concerns(rule, root)).find_map(|rule| Some((rule, harm(rule)?)));
    if let Some((rule, harm)) = deadly {
        let name = rule.id().unwrap_or("without a name");
        let state = format!("rule {name:?} {harm}, and images that are in use are among them");
        return Finding::fault(
            SUBJECT,
            state,
            "remove the rule, or limit it to a prefix outside the root directory",
        );
    }
    let wait = rest.max(Inspection::DAYS_OF_A_PUSH);
    let aborts = active().filter(|rule| root.starts_with(prefix(rule))).filter_map(days_until_abort).min();
    match aborts {
        // A rule counts from an upload's beginning, and a slow push may go on for longer than it rests.
        Some(days) if days < wait => Finding::warning(
            SUBJECT,
            format!("unfinished uploads are aborted {days} days after they began, some of which may go on"),
            format!(
                "let the rule wait {wait} days, no less than uploads may rest (`storage.maintenance.uploadpurging.age`)"
            ),
        ),
        Some(_) => Finding::note(SUBJECT, "unfinished uploads are cleaned up, nothing else is touched"),
        None => Finding::warning(
            SUBJECT,
            "no rule cleans up unfinished uploads",
            format!(
                "add a lifecycle rule with AbortIncompleteMultipartUpload after {wait} days: parts of uploads that \
                 nobody finished are billed and not listed"
            ),
        ),
    }
}

/// A rule that is limited to tags or sizes does not meet uploads, which have neither.
fn days_until_abort(rule: &LifecycleRule) -> Option<u64> {
    let filter = rule.filter();
    let is_limited = filter.is_some_and(|filter| {
        filter.tag().is_some()
            || filter.and().is_some()
            || filter.object_size_greater_than().is_some()
            || filter.object_size_less_than().is_some()
    });
    let days = rule.abort_incomplete_multipart_upload().filter(|_| !is_limited)?.days_after_initiation()?;
    Some(u64::try_from(days).unwrap_or_default())
}

/// Whether the rule's prefix meets the root directory: one lies below the other. A rule limited to tags or
/// sizes is taken to meet what it may meet; we set no tags, but somebody may.
fn concerns(rule: &LifecycleRule, root: &str) -> bool {
    let prefix = prefix(rule);
    prefix.starts_with(root) || root.starts_with(prefix)
}

fn prefix(rule: &LifecycleRule) -> &str {
    let filter = rule.filter();
    let nested = filter.and_then(|filter| filter.and()).and_then(|and| and.prefix());
    #[expect(deprecated, reason = "rules of old still have their prefix there")]
    let old = rule.prefix();
    filter.and_then(|filter| filter.prefix()).or(nested).or(old).unwrap_or_default()
}

/// What the rule does to live objects, as the middle of a sentence.
fn harm(rule: &LifecycleRule) -> Option<&'static str> {
    let expires = rule.expiration().is_some_and(|end| end.days().is_some() || end.date().is_some());
    if expires {
        return Some("deletes objects by their age");
    }
    let archives = |class: Option<&TransitionStorageClass>| {
        matches!(class, Some(TransitionStorageClass::Glacier | TransitionStorageClass::DeepArchive))
    };
    let archived = rule.transitions().iter().any(|transition| archives(transition.storage_class()));
    archived.then_some("archives objects so that they cannot be read at once")
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{
        AbortIncompleteMultipartUpload, LifecycleExpiration, LifecycleRuleFilter, Transition,
    };

    use entrepot_storage::Severity;

    use super::*;

    fn rule(prefix: &str) -> aws_sdk_s3::types::builders::LifecycleRuleBuilder {
        let filter = LifecycleRuleFilter::builder().prefix(prefix).build();
        LifecycleRule::builder().id("r").status(ExpirationStatus::Enabled).filter(filter)
    }

    fn expiring(prefix: &str) -> LifecycleRule {
        rule(prefix).expiration(LifecycleExpiration::builder().days(30).build()).build().unwrap()
    }

    #[test]
    fn a_rule_that_would_delete_or_archive_images_is_a_fault() {
        let class = TransitionStorageClass::DeepArchive;
        let transition = Transition::builder().days(1).storage_class(class).build();
        let archiving = rule("").transitions(transition).build().unwrap();

        let judge = |rules: &[LifecycleRule], root: &str| judge(rules, root, 7);
        assert_eq!(judge(&[expiring("")], "").severity, Severity::Fault);
        assert_eq!(judge(&[expiring("registry/data/")], "registry/").severity, Severity::Fault);
        assert_eq!(judge(&[expiring("reg")], "registry/").severity, Severity::Fault);
        assert_eq!(judge(&[archiving], "registry/").severity, Severity::Fault);
    }

    #[test]
    fn a_rule_for_others_or_switched_off_is_no_fault() {
        let off = LifecycleRule::builder().status(ExpirationStatus::Disabled);
        let off = off.expiration(LifecycleExpiration::builder().days(1).build()).build().unwrap();
        let cheaper =
            Transition::builder().days(30).storage_class(TransitionStorageClass::StandardIa).build();
        let cheaper = rule("").transitions(cheaper).build().unwrap();

        let judged = judge(&[expiring("logs/"), off, cheaper], "registry/", 7);
        assert_eq!(judged.severity, Severity::Warning);
    }

    fn aborting(prefix: &str, days: i32) -> LifecycleRule {
        let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(days).build();
        rule(prefix).abort_incomplete_multipart_upload(abort).build().unwrap()
    }

    #[test]
    fn unfinished_uploads_that_nobody_cleans_up_are_a_warning() {
        let judged = |rule: LifecycleRule| judge(&[rule], "registry/", 7);

        assert_eq!(judge(&[], "", 7).severity, Severity::Warning);
        assert_eq!(judged(aborting("", 7)).severity, Severity::Note);
        assert_eq!(judged(aborting("registry/", 30)).severity, Severity::Note);
        for others in ["logs/", "registry/uploads/"] {
            assert_eq!(judged(aborting(others, 7)).severity, Severity::Warning, "{others}");
        }
        let early = judged(aborting("", 1));
        assert!(early.severity == Severity::Warning && early.state.contains("1 days after"), "{early:?}");
    }

    #[test]
    fn a_rule_has_to_wait_as_long_as_uploads_may_rest() {
        let week = [aborting("", 7)];

        assert_eq!(judge(&week, "", 2).severity, Severity::Note);
        assert_eq!(judge(&[aborting("", 2)], "", 2).severity, Severity::Warning, "pushes may take longer");
        let early = judge(&week, "", 30);
        assert_eq!(early.severity, Severity::Warning);
        assert!(early.remedy.contains("wait 30 days"), "{early:?}");
    }
}
