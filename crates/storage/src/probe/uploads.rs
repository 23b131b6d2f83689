//! Uploads in parts, by two writers that do not know of each other.

use bytes::Bytes;

use super::ground::{Ground, Shortfall, Tried, broken};
use crate::{ErrorKind, Part, StorageDriverExt, Upload};

/// Stores with a larger minimum are not asked to join parts: no probe should send that much.
const LARGEST_PART: u64 = 8 << 20;

pub(super) async fn parts_join(ground: &Ground<'_>) -> Tried {
    let minimum = ground.store.capabilities().min_part;
    if minimum > LARGEST_PART {
        return Err(Shortfall::Unknown(format!("parts of {minimum} bytes are too large for a probe")));
    }
    let first = Bytes::from(vec![b'.'; usize::try_from(minimum).unwrap_or(1)]);
    let upload = ground.begin("upload-join").await?;
    let parts = [
        part(ground, &upload, 1, first.clone()).await?,
        part(ground, &upload, 2, Bytes::from_static(b"end")).await?,
    ];
    ground.store.upload_flush(&upload).await?;
    if ground.store.stat_if_present(&upload.key).await?.is_some() {
        return broken("an object is visible before its upload is completed");
    }

    ground.store.upload_complete(&upload, &parts).await?;

    ground.expect(&upload.key, &[&first[..], b"end"].concat(), "completing an upload").await
}

pub(super) async fn parts_by_tag(ground: &Ground<'_>) -> Tried {
    let upload = ground.begin("upload-zombie").await?;
    let ours = part(ground, &upload, 1, Bytes::from_static(b"ours")).await?;
    // A writer that was overtaken and does not know it sends its own bytes under the same number.
    let theirs = ground.store.upload_part(&upload, 1, vec![Bytes::from_static(b"them")]).await;
    if let Ok(theirs) = &theirs
        && theirs.tag == ours.tag
    {
        return broken("two parts of different bytes have the same tag");
    }

    match ground.store.upload_complete(&upload, &[ours]).await {
        Ok(_) => ground.expect(&upload.key, b"ours", "completing with our tags").await,
        Err(error) if error.kind() == ErrorKind::PartMismatch => {
            match ground.store.stat_if_present(&upload.key).await? {
                None => Ok(()),
                Some(_) => broken("an object is visible although completing it failed"),
            }
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn complete_twice(ground: &Ground<'_>) -> Tried {
    let upload = ground.begin("upload-twice").await?;
    let parts = [part(ground, &upload, 1, Bytes::from_static(b"once")).await?];
    ground.store.upload_complete(&upload, &parts).await?;

    match ground.store.upload_complete(&upload, &parts).await {
        Ok(meta) if meta.size == 4 => ground.expect(&upload.key, b"once", "completing again").await,
        Ok(meta) => broken(format!("completing again answers an object of {} bytes", meta.size)),
        Err(error) if error.is_retryable() => Err(error.into()),
        Err(error) => broken(format!("completing again fails: {error}")),
    }
}

pub(super) async fn abort_frees(ground: &Ground<'_>) -> Tried {
    let upload = ground.begin("upload-abort").await?;
    let first = part(ground, &upload, 1, Bytes::from_static(b"lost")).await?;

    ground.store.upload_abort(&upload).await?;

    match ground.store.upload_complete(&upload, &[first]).await {
        Err(error) if matches!(error.kind(), ErrorKind::UploadGone | ErrorKind::PartMismatch) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => return broken("an upload was completed after it was aborted"),
    }
    let entries = ground.store.list_uploads(upload.key.as_str(), None, 10).await?;
    match entries.iter().any(|entry| entry.upload == upload) {
        true => broken("an aborted upload is still listed"),
        false => Ok(()),
    }
}

async fn part(ground: &Ground<'_>, upload: &Upload, number: u32, body: Bytes) -> Result<Part, Shortfall> {
    Ok(ground.store.upload_part(upload, number, vec![body]).await?)
}
