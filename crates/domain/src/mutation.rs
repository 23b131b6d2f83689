//! Deliberate mistakes, for the test of the tests.
//!
//! Each variant breaks one rule of the write protocol. A build with the `mutations` feature can switch
//! one on; the interleaving suite must then find a violation. Without the feature every question is
//! answered "no" at compile time.

/// A rule of the protocol that can be broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// r3: a repeated PUT takes the blob record's version it reads, not the one in the session.
    RepeatedPutStartsNewAttempt,
    /// r12: a session found absent is created again for bytes it named before.
    SessionRecreated,
    /// r12: the orphan sweep reads the blob records before the session is dead.
    OrphanSweepScansFirst,
    /// r8, r13: publishing puts its own instance into a living link without reading the blob record again.
    PublishOverwritesLivingLink,
    /// r10: a manifest is committed against a version read later than the announcement.
    CommitAgainstRereadVersion,
    /// r1: a repeated PUT announces its instance a second time.
    RepeatedPutAnnouncesAgain,
    /// r6: a manifest verifies links only.
    VerifyLinkOnly,
    /// r6: a manifest reads the blob record before the link.
    VerifyBlobBeforeLink,
    /// r7: a manifest ignores that a link names another instance than the blob record.
    IgnoreLinkInstance,
    /// r2: the blob record's version is read after the data was written (no session).
    VersionReadAfterData,
    /// r2: the blob record's version is read after the session moved.
    VersionReadAfterSessionMoved,
    /// r1: after a lost publish the same instance is published again.
    SecondAttemptSameInstance,
    /// r4: bytes are freed without fencing the blob record.
    ReaperWithoutFence,
    /// r11: a manifest is not announced before its references are verified.
    ManifestNotAnnounced,
    /// r11: a condemned link is used without rescuing it.
    CondemnedLinkNotRescued,
    /// r9, r11: a tag is moved without having been announced.
    TagWithoutAnnouncement,
    /// r9: the manifest is read before the tag is announced and not again.
    TagMovedAfterEarlierManifestRead,
    /// r11: a retried upload uses the data key of the first attempt.
    DataKeyReused,
}

impl Mutation {
    /// Every mutation.
    pub const ALL: [Mutation; 18] = [
        Mutation::RepeatedPutStartsNewAttempt,
        Mutation::SessionRecreated,
        Mutation::OrphanSweepScansFirst,
        Mutation::PublishOverwritesLivingLink,
        Mutation::CommitAgainstRereadVersion,
        Mutation::RepeatedPutAnnouncesAgain,
        Mutation::VerifyLinkOnly,
        Mutation::VerifyBlobBeforeLink,
        Mutation::IgnoreLinkInstance,
        Mutation::VersionReadAfterData,
        Mutation::VersionReadAfterSessionMoved,
        Mutation::SecondAttemptSameInstance,
        Mutation::ReaperWithoutFence,
        Mutation::ManifestNotAnnounced,
        Mutation::CondemnedLinkNotRescued,
        Mutation::TagWithoutAnnouncement,
        Mutation::TagMovedAfterEarlierManifestRead,
        Mutation::DataKeyReused,
    ];
}

impl crate::registry::Inner {
    /// Whether `mutation` is switched on.
    #[cfg(feature = "mutations")]
    pub(crate) fn broken(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether `mutation` is switched on: never in this build.
    #[cfg(not(feature = "mutations"))]
    #[expect(clippy::unused_self, reason = "the same call as in a build with the feature")]
    pub(crate) const fn broken(&self, _: Mutation) -> bool {
        false
    }
}
