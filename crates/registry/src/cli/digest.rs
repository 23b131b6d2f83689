//! `entrepot digest`: the digests of files, one line each, like distribution's tool of that name.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use entrepot_oci::{Algorithm as OciAlgorithm, Hasher};

use super::output::Output;
use super::{Algorithm, Digest, Exit};

const BUFFER_BYTES: usize = 128 * 1024;

/// Goes through all files; one that cannot be read fails the command and not the others.
pub(super) fn run(command: &Digest, output: &mut Output<'_>) -> Exit {
    let input = [Path::new("-").to_owned()];
    let files = if command.files.is_empty() { &input } else { command.files.as_slice() };
    let mut exit = Exit::Success;
    for file in files {
        let ended = match digest(command.algorithm, file) {
            Ok(digest) => output.say(&format!("{digest}\t{}\n", file.display())),
            Err(error) => {
                output.complain(&format!("{}: {error}", file.display()));
                Exit::Failure
            }
        };
        if ended != Exit::Success {
            exit = ended;
        }
    }
    exit
}

fn digest(algorithm: Algorithm, file: &Path) -> io::Result<String> {
    if file == Path::new("-") {
        digest_of(algorithm, io::stdin().lock())
    } else {
        digest_of(algorithm, File::open(file)?)
    }
}

fn digest_of(algorithm: Algorithm, mut reader: impl Read) -> io::Result<String> {
    let mut hasher = Hasher::new(match algorithm {
        Algorithm::Sha256 => OciAlgorithm::Sha256,
        Algorithm::Sha512 => OciAlgorithm::Sha512,
    });
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish().to_string()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn ran(algorithm: Algorithm, files: &[PathBuf]) -> (Exit, String, String) {
        let (mut results, mut complaints) = (Vec::new(), Vec::new());
        let command = Digest { algorithm, files: files.to_vec() };
        let exit = run(&command, &mut Output::into(&mut results, &mut complaints));
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (exit, text(results), text(complaints))
    }

    #[test]
    fn each_file_gets_a_line_and_a_missing_one_fails_the_command() {
        let directory = tempfile::tempdir().expect("a directory");
        let (there, missing) = (directory.path().join("there"), directory.path().join("missing"));
        std::fs::write(&there, b"").expect("written");

        let (exit, results, complaints) = ran(Algorithm::Sha256, &[missing.clone(), there.clone()]);

        assert_eq!(exit, Exit::Failure);
        assert_eq!(results, format!("{EMPTY}\t{}\n", there.display()));
        assert!(complaints.contains(&missing.display().to_string()), "{complaints}");
    }

    #[test]
    fn content_larger_than_the_buffer_is_hashed_whole() {
        let content = vec![7_u8; BUFFER_BYTES * 2 + 1];

        let digest = digest_of(Algorithm::Sha512, content.as_slice()).expect("read");

        assert_eq!(digest, entrepot_oci::Digest::of(OciAlgorithm::Sha512, &content).to_string());
    }
}
