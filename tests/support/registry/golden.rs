//! Whole answers as files: the diff is the review.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::http::Response;

/// Compares answers, each under a title, with `tests/api/golden/<name>.http`, or writes the file when
/// `ENTREPOT_UPDATE_GOLDEN` is set. Times and identifiers are to be fixed where they are made, see
/// [`Setup::fixed`](super::Setup::fixed); only `Date` is left out, because it is the HTTP library's.
#[track_caller]
pub fn assert_golden(name: &str, answers: &[(String, Response)]) {
    let actual = answers.iter().fold(String::new(), |mut text, (title, answer)| {
        writeln!(text, "### {title}\n{}\n", settled(answer)).expect("writing to a string cannot fail");
        text
    });
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("api/golden").join(format!("{name}.http"));
    #[expect(clippy::disallowed_methods, reason = "a switch of the test run, not of the registry")]
    let update = std::env::var_os("ENTREPOT_UPDATE_GOLDEN").is_some();
    if update {
        let folder = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(folder).expect("the golden folder can be made");
        std::fs::write(&path, actual).expect("the golden file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        actual == expected,
        "{} differs; ENTREPOT_UPDATE_GOLDEN=1 rewrites it. It would be:\n{actual}",
        path.display()
    );
}

/// The answer without what no promise is about: the date, and the order of headers of different names.
fn settled(answer: &Response) -> Response {
    let mut answer = answer.clone();
    answer.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
    answer.headers.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    answer
}
