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

/// The layout this build writes.
pub const LAYOUT_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Layout {
    version: u32,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Secret {
    key: String,
}

/// Writes the layout record of an empty store, or checks that this build may use the store as it is.
/// Costs one read, whatever the store holds.
pub async fn ensure_layout(store: &SharedDriver) -> Result<()> {
    let layout = Layout { version: LAYOUT_VERSION, features: Vec::new() };
    let found: Layout = read_or_create(store, &layout::layout(), &layout).await?;
    if found.version > LAYOUT_VERSION {
        return Err(Error::Record {
            key: layout::layout().to_string(),
            reason: format!(
                "the store was written in layout {}; this build knows layouts up to {LAYOUT_VERSION}. \
                 Use a newer Entrepot",
                found.version
            ),
        });
    }
    if let Some(feature) = found.features.first() {
        return Err(Error::Record {
            key: layout::layout().to_string(),
            reason: format!("the store needs the feature {feature:?}, which this build lacks"),
        });
    }
    Ok(())
}

/// The key all replicas share where the configuration names none: made by the first of them, kept in the
/// store. Whoever reads the store can read it, but could read and change everything else as well.
pub async fn shared_token_keys(store: &SharedDriver, entropy: &dyn Entropy) -> Result<TokenKeys> {
    let mut raw = [0; 32];
    entropy.fill(&mut raw);
    let made = Secret { key: STANDARD.encode(raw) };
    let found: Secret = read_or_create(store, &layout::secret(), &made).await?;
    let unreadable = || Error::Record { key: layout::secret().to_string(), reason: "not a key".into() };
    let key = STANDARD.decode(found.key).map_err(|_| unreadable())?;
    TokenKeys::new(vec![key]).ok_or_else(unreadable)
}

/// Reads a record, or creates it. Of several replicas that start at once one creates it and all read it.
async fn read_or_create<T>(store: &SharedDriver, key: &entrepot_storage::Key, fresh: &T) -> Result<T>
where
    T: Serialize + for<'de> Deserialize<'de>,
{
    for _ in 0..2 {
        if let Some((bytes, _)) = store.read(key).await? {
            return serde_json::from_slice(&bytes)
                .map_err(|error| Error::Record { key: key.to_string(), reason: error.to_string() });
        }
        let body = serde_json::to_vec(fresh).expect("strings and numbers");
        match store.put(key, Bytes::from(body), PutMode::IfAbsent).await {
            Ok(_) => {}
            Err(error) if error.is_lost_condition() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::busy("the store does not show what was just written to it"))
}
