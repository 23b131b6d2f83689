//! Requests as the stores' bills call them.

use std::fmt;

use hyper::Method;

use crate::stores::Kind;
use crate::wire::Passed;

use Item::{Abort, Batch, Begin, Blocks, Bucket, Complete, Delete, Get, Head, List, Part, Put, Uploads};
use Place::{JsonBucket, JsonObject, JsonObjects, JsonUpload, XmlBucket, XmlObject};

/// What a request asks for, by one word for all stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// An object, or a range of it.
    Get,
    /// What is known about an object.
    Head,
    /// A whole object, written.
    Put,
    /// An upload in parts, begun.
    Begin,
    /// One part.
    Part,
    /// An upload, completed.
    Complete,
    /// An upload, given up.
    Abort,
    /// A page of objects.
    List,
    /// A page of uploads.
    Uploads,
    /// The parts that wait on one name.
    Blocks,
    /// One object, deleted.
    Delete,
    /// Many objects, deleted.
    Batch,
    /// What is known about the bucket.
    Bucket,
}

/// What an address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    XmlBucket,
    XmlObject,
    JsonBucket,
    JsonObjects,
    JsonObject,
    JsonUpload,
}

/// How one store is asked for something, and what its pages call that.
struct Line {
    store: Kind,
    method: Method,
    place: Place,
    /// Everything the query says, but for the parameters that only say how much of it.
    query: &'static [&'static str],
    item: Item,
    name: &'static str,
}

const fn line(
    store: Kind,
    method: Method,
    place: Place,
    query: &'static [&'static str],
    item: Item,
    name: &'static str,
) -> Line {
    Line { store, method, place, query, item, name }
}

/// All the drivers have reason to ask. What is not here is not known, and fails the test that sees it.
const LINES: &[Line] = &[
    line(Kind::S3, Method::GET, XmlObject, &[], Get, "GetObject"),
    line(Kind::S3, Method::HEAD, XmlObject, &[], Head, "HeadObject"),
    line(Kind::S3, Method::PUT, XmlObject, &[], Put, "PutObject"),
    line(Kind::S3, Method::POST, XmlObject, &["uploads"], Begin, "CreateMultipartUpload"),
    line(Kind::S3, Method::PUT, XmlObject, &["partNumber", "uploadId"], Part, "UploadPart"),
    line(Kind::S3, Method::POST, XmlObject, &["uploadId"], Complete, "CompleteMultipartUpload"),
    line(Kind::S3, Method::DELETE, XmlObject, &["uploadId"], Abort, "AbortMultipartUpload"),
    line(Kind::S3, Method::GET, XmlBucket, &["list-type=2"], List, "ListObjectsV2"),
    line(Kind::S3, Method::GET, XmlBucket, &["uploads"], Uploads, "ListMultipartUploads"),
    line(Kind::S3, Method::DELETE, XmlObject, &[], Delete, "DeleteObject"),
    line(Kind::S3, Method::POST, XmlBucket, &["delete"], Batch, "DeleteObjects"),
    line(Kind::S3, Method::HEAD, XmlBucket, &[], Bucket, "HeadBucket"),
    line(Kind::Azure, Method::GET, XmlObject, &[], Get, "Get Blob"),
    line(Kind::Azure, Method::HEAD, XmlObject, &[], Head, "Get Blob Properties"),
    line(Kind::Azure, Method::PUT, XmlObject, &[], Put, "Put Blob"),
    line(Kind::Azure, Method::PUT, XmlObject, &["blockid", "comp=block"], Part, "Put Block"),
    line(Kind::Azure, Method::PUT, XmlObject, &["comp=blocklist"], Complete, "Put Block List"),
    line(Kind::Azure, Method::GET, XmlObject, &["comp=blocklist"], Blocks, "Get Block List"),
    line(Kind::Azure, Method::GET, XmlBucket, &["comp=list", "restype=container"], List, "List Blobs"),
    line(Kind::Azure, Method::DELETE, XmlObject, &[], Delete, "Delete Blob"),
    line(Kind::Azure, Method::GET, XmlBucket, &["restype=container"], Bucket, "Get Container Properties"),
    line(Kind::Gcs, Method::GET, XmlObject, &[], Get, "GET Object"),
    line(Kind::Gcs, Method::GET, JsonObject, &[], Head, "storage.objects.get"),
    line(Kind::Gcs, Method::POST, JsonUpload, &["uploadType=multipart"], Put, "storage.objects.insert"),
    line(Kind::Gcs, Method::POST, XmlObject, &["uploads"], Begin, "Initiate Multipart Upload"),
    line(Kind::Gcs, Method::PUT, XmlObject, &["partNumber", "uploadId"], Part, "Upload Part"),
    line(Kind::Gcs, Method::POST, XmlObject, &["uploadId"], Complete, "Complete Multipart Upload"),
    line(Kind::Gcs, Method::DELETE, XmlObject, &["uploadId"], Abort, "Abort Multipart Upload"),
    line(Kind::Gcs, Method::GET, JsonObjects, &[], List, "storage.objects.list"),
    line(Kind::Gcs, Method::GET, XmlBucket, &["uploads"], Uploads, "List Multipart Uploads"),
    line(Kind::Gcs, Method::DELETE, XmlObject, &[], Delete, "DELETE Object"),
    line(Kind::Gcs, Method::GET, JsonBucket, &[], Bucket, "storage.buckets.get"),
];

impl Item {
    /// All, in the order they are told in.
    pub const ALL: [Self; 13] =
        [Get, Head, Put, Begin, Part, Complete, Abort, List, Uploads, Blocks, Delete, Batch, Bucket];

    /// What a request to a store of this kind asks for; `None` where no bill was foreseen for it. The
    /// bucket is the first segment of the path, behind the account for Azure.
    pub fn of(store: Kind, request: &Passed) -> Option<Self> {
        let query = telling(store, &request.query);
        let place = place(store, &request.path)?;
        let line = LINES.iter().find(|line| {
            (line.store, &line.method, line.place) == (store, &request.method, place) && line.query == query
        })?;
        (!request.is_copy).then_some(line.item)
    }

    /// What a store of this kind calls it; `None` where it has nothing like it.
    pub fn name_at(self, store: Kind) -> Option<&'static str> {
        LINES.iter().find(|line| (line.store, line.item) == (store, self)).map(|line| line.name)
    }

    /// Whether it changes the store and adds to what is stored.
    pub const fn is_write(self) -> bool {
        matches!(self, Put | Begin | Part | Complete)
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Get => "get",
            Head => "head",
            Put => "put",
            Begin => "begin",
            Part => "part",
            Complete => "complete",
            Abort => "abort",
            List => "list",
            Uploads => "uploads",
            Blocks => "blocks",
            Delete => "delete",
            Batch => "batch",
            Bucket => "bucket",
        })
    }
}

/// The parameters that tell what is asked for, in order: by their names, or whole where the name is shared.
fn telling(store: Kind, query: &str) -> Vec<&str> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut telling: Vec<_> = pairs
        .filter_map(|pair| {
            let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                _ if how_much(store).contains(&name) => None,
                "comp" | "restype" | "list-type" | "uploadType" => Some(pair),
                _ => Some(name),
            }
        })
        .collect();
    telling.sort_unstable();
    telling
}

/// Parameters that say how much of something, from where, or in which spelling.
const fn how_much(store: Kind) -> &'static [&'static str] {
    match store {
        Kind::S3 => &[
            "x-id",
            "prefix",
            "start-after",
            "max-keys",
            "encoding-type",
            "key-marker",
            "upload-id-marker",
            "max-uploads",
        ],
        Kind::Azure => {
            &["prefix", "startFrom", "marker", "maxresults", "include", "timeout", "blocklisttype"]
        }
        Kind::Gcs => &[
            "name",
            "ifGenerationMatch",
            "fields",
            "prefix",
            "startOffset",
            "maxResults",
            "pageToken",
            "key-marker",
            "upload-id-marker",
            "max-uploads",
        ],
    }
}

fn place(store: Kind, path: &str) -> Option<Place> {
    if store == Kind::Gcs && path.starts_with("/upload/storage/v1/b/") {
        return Some(JsonUpload);
    }
    let json = path.strip_prefix("/storage/v1/b/").filter(|_| store == Kind::Gcs);
    if let Some(rest) = json {
        return Some(match rest.split_once('/') {
            None => JsonBucket,
            Some((_, "o")) => JsonObjects,
            Some(_) => JsonObject,
        });
    }
    let path = path.strip_prefix('/')?;
    let path = if store == Kind::Azure { path.split_once('/')?.1 } else { path };
    Some(match path.split_once('/') {
        None | Some((_, "")) => XmlBucket,
        Some(_) => XmlObject,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(store: Kind, method: &str, target: &str) -> Option<Item> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = method.parse().expect("a method");
        Item::of(store, &Passed { method, path: path.into(), query: query.into(), ..Passed::default() })
    }

    #[test]
    fn a_request_is_known_by_its_method_its_place_and_its_query() {
        for (store, method, target, item) in [
            (Kind::S3, "GET", "/b/k/1?x-id=GetObject", Get),
            (Kind::S3, "PUT", "/b/k?x-id=UploadPart&partNumber=1&uploadId=u", Part),
            (Kind::S3, "GET", "/b/?list-type=2&prefix=a%2F&max-keys=3", List),
            (Kind::S3, "POST", "/b?delete", Batch),
            (Kind::Azure, "PUT", "/a/c/k?comp=block&blockid=MQ%3D%3D", Part),
            (Kind::Azure, "PUT", "/a/c/k?comp=blocklist", Complete),
            (Kind::Azure, "GET", "/a/c/k?comp=blocklist&blocklisttype=all", Blocks),
            (Kind::Azure, "GET", "/a/c?restype=container&comp=list&prefix=a", List),
            (Kind::Gcs, "GET", "/storage/v1/b/b/o/k%2F1?fields=size", Head),
            (Kind::Gcs, "GET", "/storage/v1/b/b/o?fields=items&prefix=a", List),
            (Kind::Gcs, "POST", "/upload/storage/v1/b/b/o?name=k&uploadType=multipart", Put),
            (Kind::Gcs, "POST", "/b/k?uploads", Begin),
        ] {
            assert_eq!(asked(store, method, target), Some(item), "{method} {target}");
        }
    }

    #[test]
    fn what_nobody_foresaw_is_nothing_else() {
        for (store, method, target) in [
            (Kind::S3, "GET", "/b/k?tagging"),
            (Kind::S3, "GET", "/b?list-type=1"),
            (Kind::S3, "PATCH", "/b/k"),
            (Kind::Azure, "PUT", "/a/c/k?comp=copy"),
            (Kind::Azure, "GET", "/a"),
            (Kind::Gcs, "POST", "/storage/v1/b/b/o/k/rewriteTo/b/b/o/l"),
        ] {
            assert_eq!(asked(store, method, target), None, "{method} {target}");
        }
        let copy = Passed { method: Method::PUT, path: "/b/k".into(), is_copy: true, ..Passed::default() };
        assert_eq!(Item::of(Kind::S3, &copy), None);
    }

    #[test]
    fn each_store_has_one_name_for_a_thing() {
        for (index, line) in LINES.iter().enumerate() {
            let same = |other: &&Line| (other.store, other.item) == (line.store, line.item);
            assert!(LINES[..index].iter().find(same).is_none(), "{} stands twice", line.name);
            assert!(line.query.is_sorted(), "{}", line.name);
        }
        let names = |item: Item| [Kind::S3, Kind::Azure, Kind::Gcs].map(|store| item.name_at(store));
        assert!(Item::ALL.iter().all(|item| names(*item).iter().flatten().count() > 0));
    }
}
