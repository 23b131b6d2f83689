//! What a registry does at its start: the layout's version, and the keys it signs tokens with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use entrepot_storage::{PutMode, SharedDriver, StorageDriverExt};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::layout;
use crate::ports::Entropy;
use crate::uploads::token::TokenKeys;

/// The layout this build writes, and the newest it reads.
pub const LAYOUT_VERSION: u32 = 1;

/// Required features this build knows. A store that names another one is refused.
const FEATURES: [&str; 0] = [];

/// What a store says about how it is laid out.
///
/// Fields a newer Entrepot adds are no reason to refuse: what must be understood is named in `features`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The layout's version. One that is newer than ours cannot be read.
    pub version: u32,
    /// What a reader must understand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// What a reader may ignore.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional: Vec<String>,
}

impl Layout {
    /// The layout of a store that this build fills.
    const fn ours() -> Self {
        Self { version: LAYOUT_VERSION, features: Vec::new(), optional: Vec::new() }
    }

    /// Reads a record. The version is read on its own first: whatever else a newer Entrepot writes, the
    /// answer must be that it is newer, not that it is damaged.
    fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let garbled = |error: serde_json::Error| {
            unusable(format!(
                "it does not say how the store is laid out ({error}). If the store holds images, bring the \
                 record back from a backup, or write {} into it; if it holds something else, configure \
                 another one",
                serde_json::to_string(&Layout::ours()).expect("strings and numbers"),
            ))
        };
        // By way of an object: a list would do for a record as well, and nobody writes one.
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(garbled)?;
        let object = serde_json::Value::Object(object);
        let Versioned { version } = Versioned::deserialize(&object).map_err(garbled)?;
        if version > LAYOUT_VERSION {
            return Err(unusable(format!(
                "the store is in layout {version}, written by a newer Entrepot; this one, {}, reads layouts \
                 up to {LAYOUT_VERSION}. Run the newer Entrepot; nothing was changed",
                env!("CARGO_PKG_VERSION")
            )));
        }
        if version == 0 {
            return Err(unusable("there is no layout 0".into()));
        }
        serde_json::from_value(object).map_err(garbled)
    }

    /// Refuses what must be understood and is not.
    fn check(&self) -> Result<()> {
        match self.features.iter().find(|feature| !FEATURES.contains(&feature.as_str())) {
            None => Ok(()),
            Some(feature) => Err(unusable(format!(
                "the store uses {feature:?}, which this Entrepot, {}, does not know. Run the Entrepot that \
                 wrote it, or a newer one; nothing was changed",
                env!("CARGO_PKG_VERSION")
            ))),
        }
    }
}

fn unusable(reason: String) -> Error {
    Error::Record { key: layout::layout().to_string(), reason }
}

#[derive(Serialize, Deserialize)]
struct Secret {
    key: String,
}

/// Writes the layout record of an empty store, or checks that this build may use the store as it is.
/// Costs one read, whatever the store holds. Of several replicas that start at once one writes it.
///
/// Fails with `Record` where the store was written by a newer Entrepot or the record cannot be read, and
/// with `Store` where the store failed: that is never taken for an empty store.
pub async fn ensure_layout(store: &SharedDriver) -> Result<()> {
    let fresh = serde_json::to_vec(&Layout::ours()).expect("strings and numbers");
    Layout::parse(&read_or_create(store, &layout::layout(), fresh).await?)?.check()
}

/// How the store is laid out; `None` where nobody has written to it yet. Changes nothing.
///
/// Fails as [`ensure_layout`] does.
pub async fn find_layout(store: &SharedDriver) -> Result<Option<Layout>> {
    let Some((bytes, _)) = store.read(&layout::layout()).await? else { return Ok(None) };
    let found = Layout::parse(&bytes)?;
    found.check()?;
    Ok(Some(found))
}

/// Whether the store keeps the key that signs upload tokens.
pub async fn keeps_token_key(store: &SharedDriver) -> Result<bool> {
    Ok(store.stat_if_present(&layout::secret()).await?.is_some())
}

/// The key all replicas share where the configuration names none: made by the first of them, kept in the
/// store. Whoever reads the store can read it, but could read and change everything else as well.
pub async fn shared_token_keys(store: &SharedDriver, entropy: &dyn Entropy) -> Result<TokenKeys> {
    let mut raw = [0; 32];
    entropy.fill(&mut raw);
    let made = Secret { key: STANDARD.encode(raw) };
    let fresh = serde_json::to_vec(&made).expect("strings and numbers");
    let found = read_or_create(store, &layout::secret(), fresh).await?;
    let unreadable = || Error::Record { key: layout::secret().to_string(), reason: "not a key".into() };
    // Without the cause: it could quote what should have been the key.
    let found: Secret = serde_json::from_slice(&found).map_err(|_| unreadable())?;
    let key = STANDARD.decode(found.key).map_err(|_| unreadable())?;
    TokenKeys::new(vec![key]).ok_or_else(unreadable)
}

/// Reads a record, or creates it. Of several replicas that start at once one creates it and all read it.
async fn read_or_create(store: &SharedDriver, key: &entrepot_storage::Key, fresh: Vec<u8>) -> Result<Bytes> {
    let fresh = Bytes::from(fresh);
    for _ in 0..2 {
        if let Some((bytes, _)) = store.read(key).await? {
            return Ok(bytes);
        }
        match store.put(key, fresh.clone(), PutMode::IfAbsent).await {
            Ok(_) => {}
            Err(error) if error.is_lost_condition() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::busy("the store does not show what was just written to it"))
}
