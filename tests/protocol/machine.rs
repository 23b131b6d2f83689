//! What the processes do: operations of clients and of the collector, carried out on a replica.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use entrepot_domain::blobs::{BlobBody, BlobRange, BodyError, Intent, Mount};
use entrepot_domain::manifests::{ManifestPush, TagCondition};
use entrepot_domain::mutation::Mutation;
use entrepot_domain::ports::{Clock, Entropy, NoCache};
use entrepot_domain::registry::Parts;
use entrepot_domain::uploads::token::TokenKeys;
use entrepot_domain::uploads::{Expiry, Finish, Reach, Session};
use entrepot_domain::{Config, Error, Registry};
use entrepot_oci::{Digest, Reference, RepositoryName};
use entrepot_storage::SharedDriver;
use futures_util::{Stream, StreamExt, stream};

use crate::collector::{Careless, Collector};
use crate::words::{Blob, Dice, Label, Man, Repo};

/// One operation. A client stops at its first failure; a collector goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A blob in one request.
    Put(Repo, Blob),
    /// Opens the session of a slot. Touches nothing.
    Open(usize, Repo),
    /// Appends a stretch of the blob to the session.
    Append(usize, Blob, Range<usize>),
    /// Closes the session with the stretch that is left.
    Finish(usize, Blob, Range<usize>),
    /// Closes the session under the digest of another blob than its bytes are.
    FinishWrong(usize, Blob),
    /// Removes the session's record after the 201.
    Forget(usize),
    /// Gives the session up.
    Cancel(usize),
    /// Mounts into the first repository from the second.
    Mount(Repo, Repo, Blob),
    /// Asks whether the blob is there; fails where it is not.
    Head(Repo, Blob),
    /// Asks whether the blob is there and sends it where it is not.
    HeadOrPut(Repo, Blob),
    /// Asks whether the manifest is there; fails where it is not.
    HeadManifest(Repo, Man),
    Push(Repo, Man, Vec<Label>),
    /// Reads a tag and everything below it; wrong bytes are a panic, absence is not.
    Pull(Repo, Label),
    DeleteTag(Repo, Label),
    DeleteManifest(Repo, Man),
    DeleteBlob(Repo, Blob),
    /// Ends all sessions and sweeps all orphans, whatever their age, as the daily run does.
    Expire,
    /// The same as the monthly run does: what blob records name is passed over first. Removes old tombstones.
    ExpireEverything,
    GcLink(Repo, Blob),
    GcBlob(Blob),
    GcManifest(Repo, Man),
    DropAnnouncements(Repo, Label),
    Bury(Repo),
}

impl Op {
    /// Whether a program goes on after it failed.
    pub(crate) const fn is_collectors(&self) -> bool {
        matches!(
            self,
            Op::Expire
                | Op::ExpireEverything
                | Op::GcLink(..)
                | Op::GcBlob(_)
                | Op::GcManifest(..)
                | Op::DropAnnouncements(..)
                | Op::Bury(_)
        )
    }
}

/// Settings the scenarios vary.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    /// Every record counts as old: HEAD touches what it relies on.
    pub(crate) touch: bool,
    /// The rule the replicas break.
    pub(crate) mutation: Option<Mutation>,
    /// The rule the collector breaks.
    pub(crate) careless: Option<Careless>,
}

/// A replica with its client.
pub(crate) struct Machine {
    registry: Registry,
    store: SharedDriver,
    entropy: Seeded,
    careless: Option<Careless>,
    pub(crate) sessions: Mutex<HashMap<usize, Session>>,
}

const HOUR: Duration = Duration::from_secs(3600);

/// Ahead of the store's clock, so that everything is older than a zero age, and not as far as a token lives.
static NOW: LazyLock<SystemTime> = LazyLock::new(|| SystemTime::now() + HOUR);

impl Machine {
    pub(crate) fn new(store: SharedDriver, seed: u64, settings: Settings) -> Self {
        let entropy = Seeded(Arc::new(Mutex::new(Dice::new(seed))));
        let registry = Registry::new(Parts {
            store: Arc::clone(&store),
            cache: Arc::new(NoCache),
            clock: Arc::new(Stopped),
            entropy: Arc::new(entropy.clone()),
            tokens: TokenKeys::new(vec![b"one key for all replicas".to_vec()]).unwrap(),
            config: Config {
                touch_after: if settings.touch { Duration::ZERO } else { 1_000_000 * HOUR },
                ..Config::default()
            },
        });
        let registry = match settings.mutation {
            Some(mutation) => registry.breaking(mutation),
            None => registry,
        };
        Self { registry, store, entropy, careless: settings.careless, sessions: Mutex::default() }
    }

    /// Carries one operation out.
    pub(crate) async fn perform(&self, op: &Op) -> Result<(), Error> {
        match op {
            Op::Put(repo, blob) => self.put(*repo, *blob).await,
            Op::Open(slot, repo) => {
                let session = self.registry.begin_upload(&repo.name(), None);
                self.keep(*slot, session);
                Ok(())
            }
            Op::Append(slot, blob, range) => self.append(*slot, *blob, range).await,
            Op::Finish(slot, blob, range) => self.finish(*slot, blob.digest(), *blob, range).await,
            Op::FinishWrong(slot, blob) => {
                let other = if *blob == Blob::A { Blob::B } else { Blob::A };
                self.finish(*slot, other.digest(), *blob, &(0..0)).await
            }
            Op::Cancel(slot) => self.registry.cancel_upload(&self.session(*slot)).await,
            Op::Mount(to, from, blob) => self.mount(*to, *from, *blob).await,
            Op::Head(repo, blob) => {
                self.registry.stat_blob(&repo.name(), &blob.digest(), Intent::Push).await.map(|_| ())
            }
            Op::HeadOrPut(repo, blob) => {
                match self.registry.stat_blob(&repo.name(), &blob.digest(), Intent::Push).await {
                    Err(Error::BlobUnknown { .. }) => self.put(*repo, *blob).await,
                    answer => answer.map(|_| ()),
                }
            }
            Op::HeadManifest(repo, man) => {
                let reference = Reference::Digest(man.digest());
                self.registry.stat_manifest(&repo.name(), &reference, Intent::Push).await.map(|_| ())
            }
            Op::Push(repo, man, labels) => self.push(*repo, *man, labels).await,
            Op::Pull(repo, label) => self.pull(*repo, *label).await,
            Op::DeleteTag(repo, label) => self.registry.delete_tag(&repo.name(), &label.tag()).await,
            Op::DeleteManifest(repo, man) => self.registry.delete_manifest(&repo.name(), &man.digest()).await,
            Op::DeleteBlob(repo, blob) => self.registry.delete_blob(&repo.name(), &blob.digest()).await,
            Op::Expire => self.expire(Reach::Younger(Duration::MAX)).await,
            Op::ExpireEverything => self.expire(Reach::Everything).await,
            collection => Ok(self.collect(collection).await?),
        }
    }

    async fn expire(&self, reach: Reach) -> Result<(), Error> {
        let at_once = Expiry { sessions: Duration::ZERO, orphans: Duration::ZERO, dry_run: false };
        self.registry.expire(&at_once, reach).await.map(|_| ())
    }

    async fn collect(&self, op: &Op) -> entrepot_storage::Result<()> {
        let collector = Collector { store: &self.store, entropy: &self.entropy, careless: self.careless };
        match op {
            Op::GcLink(repo, blob) => collector.link(*repo, *blob).await,
            Op::GcBlob(blob) => collector.blob(*blob).await,
            Op::GcManifest(repo, man) => collector.manifest(*repo, *man).await,
            Op::DropAnnouncements(repo, label) => collector.announcements(*repo, *label).await,
            Op::Bury(repo) => collector.tombstones(*repo).await,
            Op::Forget(slot) => collector.forget_session(self.session(*slot).id()).await,
            other => unreachable!("{other:?} is a client's"),
        }
    }

    async fn put(&self, repo: Repo, blob: Blob) -> Result<(), Error> {
        let size = Some(blob.content().len() as u64);
        self.registry.put_blob(&repo.name(), &blob.digest(), size, body(blob.content())).await
    }

    async fn append(&self, slot: usize, blob: Blob, range: &Range<usize>) -> Result<(), Error> {
        let bytes = &blob.content()[range.clone()];
        let (offset, size) = (Some(range.start as u64), Some(bytes.len() as u64));
        let progress = self.registry.append(&self.session(slot), offset, size, body(bytes)).await?;
        self.keep(slot, progress.session);
        Ok(())
    }

    async fn finish(
        &self,
        slot: usize,
        digest: Digest,
        blob: Blob,
        rest: &Range<usize>,
    ) -> Result<(), Error> {
        let finish = Finish { digest, offset: None, body_size: None, total_size: None };
        let bytes = &blob.content()[rest.clone()];
        self.registry.finish_upload(&self.session(slot), finish, body(bytes)).await
    }

    async fn mount(&self, to: Repo, from: Repo, blob: Blob) -> Result<(), Error> {
        match self.registry.mount_blob(&to.name(), &blob.digest(), &from.name()).await? {
            Mount::Mounted => Ok(()),
            Mount::Declined => Err(Error::BlobUnknown { repository: from.name(), digest: blob.digest() }),
        }
    }

    async fn push(&self, repo: Repo, man: Man, labels: &[Label]) -> Result<(), Error> {
        let push = ManifestPush {
            reference: Reference::Digest(man.digest()),
            tags: labels.iter().map(|label| label.tag()).collect(),
            content_type: Some(man.media_type().parse().unwrap()),
            bytes: man.content(),
            condition: TagCondition::None,
        };
        self.registry.put_manifest(&repo.name(), push).await.map(|_| ())
    }

    /// Reads as a client does. A race with a delete may answer "unknown"; what is answered must be right.
    async fn pull(&self, repo: Repo, label: Label) -> Result<(), Error> {
        let name = repo.name();
        let manifest = self.registry.get_manifest(&name, &Reference::Tag(label.tag())).await?;
        let man = Man::of(&manifest.descriptor.digest).expect("nothing else is pushed");
        assert_eq!(manifest.bytes, man.content(), "a manifest was served with other bytes");
        self.pull_below(&name, man).await
    }

    async fn pull_below(&self, name: &RepositoryName, man: Man) -> Result<(), Error> {
        for &child in man.children() {
            let manifest = self.registry.get_manifest(name, &Reference::Digest(child.digest())).await?;
            assert_eq!(manifest.bytes, child.content(), "a child was served with other bytes");
            for &blob in child.blobs() {
                self.read(name, blob).await?;
            }
        }
        for &blob in man.blobs() {
            self.read(name, blob).await?;
        }
        Ok(())
    }

    /// Reads a blob through a repository and compares it.
    pub(crate) async fn read(&self, name: &RepositoryName, blob: Blob) -> Result<(), Error> {
        let opened = self.registry.read_blob(name, &blob.digest(), BlobRange::Whole).await?;
        let mut bytes = Vec::new();
        match opened.body {
            BlobBody::Whole(whole) => bytes.extend_from_slice(&whole),
            BlobBody::Local(_) => unreachable!("the store of the model is in memory"),
            BlobBody::Stream(mut chunks) => {
                while let Some(chunk) = chunks.next().await {
                    bytes.extend_from_slice(&chunk?);
                }
            }
        }
        assert_eq!(bytes, blob.content(), "{blob:?} was served with other bytes");
        Ok(())
    }

    /// A read past the registry, for those who judge.
    pub(crate) async fn data_keys(&self) -> Vec<entrepot_storage::Key> {
        let page = self.store.list("data/", None, 1000).await.expect("memory does not fail");
        page.objects.into_iter().map(|meta| meta.key).collect()
    }

    fn session(&self, slot: usize) -> Session {
        self.sessions.lock().unwrap().get(&slot).expect("opened before").clone()
    }

    fn keep(&self, slot: usize, session: Session) {
        self.sessions.lock().unwrap().insert(slot, session);
    }
}

/// A body in two chunks, where there is enough for two.
fn body(bytes: &'static [u8]) -> impl Stream<Item = Result<Bytes, BodyError>> + Unpin {
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    stream::iter([Ok(Bytes::from_static(head)), Ok(Bytes::from_static(tail))])
}

/// Reproducible randomness; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Seeded(Arc<Mutex<Dice>>);

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        let mut dice = self.0.lock().unwrap();
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&dice.next().to_be_bytes()[..chunk.len()]);
        }
    }
}

/// A clock that stands still.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        *NOW
    }
}
