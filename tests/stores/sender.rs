//! A client that streams what it sends, counts on nothing, and goes on from where an upload stands.

use std::io::Read as _;
use std::net::SocketAddr;

use entrepot_oci::{Algorithm, Digest, Hasher};
use entrepot_tests::http::{Client, Connection, Response};
use entrepot_tests::images::Noise;
use entrepot_tests::registry::content::with_digest;

/// Read and written at once.
const PIECE_BYTES: usize = 256 << 10;

/// Fetched at once when a blob is read back.
const RANGE_BYTES: u64 = 16 << 20;

/// A blob that is made while it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    pub(crate) seed: u64,
    pub(crate) size: u64,
}

impl Content {
    fn reader(self) -> Noise {
        Noise::new(self.seed, self.size)
    }

    pub(crate) fn digest(self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        each_piece(self.reader(), |piece| {
            hasher.update(piece);
            true
        });
        hasher.finish()
    }
}

/// Reads `noise` to its end or until `visit` has had enough.
fn each_piece(mut noise: Noise, mut visit: impl FnMut(&[u8]) -> bool) {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = noise.read(&mut piece).expect("noise can be read");
        if count == 0 || !visit(&piece[..count]) {
            return;
        }
    }
}

/// Sends the bytes of `content` from `first` on, `count` of them. `None` if there was no answer.
fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    content: Content,
    first: u64,
    count: u64,
) -> Option<Response> {
    let mut connection = Connection::try_open(address).ok()?;
    let client = Client::of(address);
    let mut request = client.request(method, target).header("Content-Length", count);
    if method == "PATCH" {
        request = request.header("Content-Range", format!("{first}-{}", first + count - 1));
    }
    connection.try_write(&request.into_bytes(address)).ok()?;
    let rest = Noise::new(content.seed, content.size).from(first).limited(count);
    // A server that has answered before it read everything is heard all the same.
    each_piece(rest, |piece| connection.try_write(piece).is_ok());
    let answer = connection.response_to(method);
    (answer.status != 0).then_some(answer)
}

/// How a client pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// POST, then a PUT with everything, as containerd does.
    Whole,
    /// POST, PATCH with everything, PUT, as docker does.
    Streamed,
    /// POST, PATCHes of so many bytes, PUT.
    Chunked(u64),
}

/// What a push took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effort {
    /// Requests without an answer, or answered by 5xx.
    pub(crate) failures: u64,
    /// How often it went on from a place other than the beginning after a failure.
    pub(crate) resumed: u64,
    /// How often it began anew.
    pub(crate) restarted: u64,
}

/// So many failures in one push mean that the registry does not recover.
const MOST_FAILURES: u64 = 100;

/// A push that does not give up.
pub(crate) struct Push<'p> {
    pub(crate) address: SocketAddr,
    pub(crate) repository: &'p str,
    pub(crate) content: Content,
    pub(crate) habit: Habit,
}

/// Where a push stands.
enum Standing {
    /// Nothing is open.
    Nowhere,
    /// An upload is open, and holds so many bytes.
    At(String, u64),
    /// An upload is open, and what it holds has to be asked for.
    Unsure(String),
    /// The blob is there.
    Done,
}

impl Push<'_> {
    /// Pushes until the blob is there. Panics on an answer that is neither success nor an honest failure.
    pub(crate) fn run(&self) -> Effort {
        let digest = self.content.digest();
        let mut effort = Effort::default();
        let mut standing = Standing::Nowhere;
        loop {
            standing = match standing {
                Standing::Done => return effort,
                Standing::Nowhere => self.open(&mut effort),
                Standing::Unsure(location) => self.ask(&location, digest, &mut effort),
                Standing::At(location, offset) => self.go_on(location, offset, digest, &mut effort),
            };
            assert!(effort.failures < MOST_FAILURES, "{:?} is not pushed after {effort:?}", self.content);
        }
    }

    fn open(&self, effort: &mut Effort) -> Standing {
        let target = format!("/v2/{}/blobs/uploads/", self.repository);
        let nothing = Content { seed: 0, size: 0 };
        match send(self.address, "POST", &target, nothing, 0, 0) {
            Some(answer) if answer.status == 202 => Standing::At(location(&answer), 0),
            answer => self.failed(answer, effort, Standing::Nowhere),
        }
    }

    /// Asks where the upload stands. One that is unknown was finished, or never came to be.
    fn ask(&self, at: &str, digest: Digest, effort: &mut Effort) -> Standing {
        let Some(answer) = request(self.address, "GET", at) else {
            return self.failed(None, effort, Standing::Unsure(at.to_owned()));
        };
        match answer.status {
            204 => {
                let offset = stands_at(&answer);
                effort.resumed += u64::from(offset > 0);
                Standing::At(location(&answer), offset)
            }
            404 => self.look_for(digest, at, effort),
            _ => self.failed(Some(answer), effort, Standing::Unsure(at.to_owned())),
        }
    }

    fn look_for(&self, digest: Digest, at: &str, effort: &mut Effort) -> Standing {
        let target = format!("/v2/{}/blobs/{digest}", self.repository);
        match request(self.address, "HEAD", &target) {
            Some(answer) if answer.status == 200 => Standing::Done,
            Some(answer) if answer.status == 404 => {
                effort.restarted += 1;
                Standing::Nowhere
            }
            answer => self.failed(answer, effort, Standing::Unsure(at.to_owned())),
        }
    }

    /// The next request of an upload that holds `offset` bytes.
    fn go_on(&self, at: String, offset: u64, digest: Digest, effort: &mut Effort) -> Standing {
        let left = self.content.size - offset;
        let count = match self.habit {
            Habit::Chunked(bytes) => left.min(bytes),
            Habit::Whole | Habit::Streamed => left,
        };
        let closes = count == 0 || (self.habit == Habit::Whole && offset == 0);
        let (method, target) = if closes { ("PUT", with_digest(&at, digest)) } else { ("PATCH", at.clone()) };
        match send(self.address, method, &target, self.content, offset, count) {
            Some(answer) if closes && answer.status == 201 => Standing::Done,
            Some(answer) if !closes && answer.status == 202 => {
                let now = stands_at(&answer);
                assert_eq!(now, offset + count, "{answer}");
                Standing::At(location(&answer), now)
            }
            // An attempt whose answer was lost had got further, or the session is over already.
            Some(answer) if matches!(answer.status, 404 | 416) => {
                effort.failures += 1;
                Standing::Unsure(at)
            }
            answer => self.failed(answer, effort, Standing::Unsure(at)),
        }
    }

    /// Counts a failure that a client has to expect when replicas die; anything else is the registry's fault.
    fn failed(&self, answer: Option<Response>, effort: &mut Effort, then: Standing) -> Standing {
        if let Some(answer) = answer {
            let is_honest = matches!(answer.status, 429 | 502 | 503 | 504);
            assert!(is_honest, "{:?} by {:?}: {answer}", self.content, self.habit);
        }
        effort.failures += 1;
        // A balancer without replicas refuses quickly; they are back soon.
        std::thread::sleep(std::time::Duration::from_millis(50));
        then
    }
}

fn request(address: SocketAddr, method: &str, target: &str) -> Option<Response> {
    let mut connection = Connection::try_open(address).ok()?;
    let answer = Client::of(address).request(method, target).on(&mut connection);
    (answer.status != 0).then_some(answer)
}

fn location(answer: &Response) -> String {
    answer.expect_header("Location").to_owned()
}

/// How many bytes an upload holds. `0-0` says none: an upload of one byte is not pushed here.
fn stands_at(answer: &Response) -> u64 {
    let last = answer.expect_header("Range").strip_prefix("0-").and_then(|last| last.parse().ok());
    match last.unwrap_or_else(|| panic!("no range in {answer}")) {
        0 => 0,
        last => last + 1,
    }
}

/// The digest of what a blob's redirects lead to, range by range.
pub(crate) fn read_back(client: &Client, repository: &str, content: Content) -> Digest {
    let target = format!("/v2/{repository}/blobs/{}", content.digest());
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut first = 0;
    while first < content.size {
        let range = format!("bytes={first}-{}", (first + RANGE_BYTES).min(content.size) - 1);
        let answer = client.get(&target).header("Range", &range).send().expect(307);
        let piece = Client::fetching(answer.expect_header("Location"), &[("Range", &range)]).expect(206);
        assert!(piece.complete, "{target}: {range} was cut");
        hasher.update(&piece.body);
        first += piece.body.len() as u64;
    }
    hasher.finish()
}

/// Pushes by one PATCH but for the last byte, which is sent after `pause`; then closes the upload. Returns the
/// answer to the PUT.
pub(crate) fn push_with_a_pause(
    address: SocketAddr,
    repository: &str,
    content: Content,
    pause: impl FnOnce(),
) -> Response {
    let client = Client::of(address);
    let at = client.open_upload(repository);
    let mut connection = Connection::open(address);
    let head = client.patch(&at).header("Content-Length", content.size).into_bytes(address);
    connection.write(&head);
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut left = content.size;
    let mut last = Vec::new();
    each_piece(content.reader(), |piece| {
        hasher.update(piece);
        left -= piece.len() as u64;
        let (now, later) = piece.split_at(piece.len() - usize::from(left == 0));
        connection.write(now);
        last = later.to_vec();
        true
    });
    pause();
    connection.write(&last);
    let patched = connection.response_to("PATCH").expect(202);
    assert_eq!(stands_at(&patched), content.size);
    client.put(with_digest(&location(&patched), hasher.finish())).empty().send()
}
