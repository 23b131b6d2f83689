//! Words that must not occur in some places: the design is mostly made of such absences.

use super::{Finding, is_rust};
use crate::workspace::Source;

/// Words that are kept out of a part of the tree.
struct Absence {
    /// Where it holds: beginnings of paths.
    within: &'static [&'static str],
    /// Where it does not, all the same: parts of paths.
    except: &'static [&'static str],
    words: &'static [&'static str],
    reason: &'static str,
}

/// Files that may name a status: tests, and the debug listener, whose pages are not the registry's API and
/// stand in no table.
const MAY_NAME_A_STATUS: &[&str] =
    &["/tests/", "/tests.rs", "golden.rs", "_tests.rs", "crates/frontend/src/debug.rs"];

/// Drivers whose stores are reached by HTTP. What an answer means to a client of the registry is none of their
/// business all the same: they tell `storage::ErrorKind`s.
const SPEAKERS_OF_HTTP: &[&str] = &["drivers/s3/", "drivers/azure/", "drivers/gcs/"];

const ABSENCES: &[Absence] = &[
    Absence {
        within: &["crates/", "drivers/"],
        except: &[
            "crates/registry/src/config",
            "crates/xtask/",
            "/tests/",
            "/tests.rs",
            "golden.rs",
            "/build.rs",
        ],
        words: &["env::var", "env::set_var", "env::remove_var"],
        reason: "the environment is read in registry::config only",
    },
    Absence {
        within: &["crates/frontend/src", "crates/auth/src", "crates/registry/src"],
        except: MAY_NAME_A_STATUS,
        words: &[
            "StatusCode::A",
            "StatusCode::B",
            "StatusCode::C",
            "StatusCode::E",
            "StatusCode::F",
            "StatusCode::G",
            "StatusCode::I",
            "StatusCode::L",
            "StatusCode::M",
            "StatusCode::N",
            "StatusCode::O",
            "StatusCode::P",
            "StatusCode::R",
            "StatusCode::S",
            "StatusCode::T",
            "StatusCode::U",
            "StatusCode::from_u16(1",
            "StatusCode::from_u16(2",
            "StatusCode::from_u16(3",
            "StatusCode::from_u16(4",
            "StatusCode::from_u16(5",
            "HttpResponse::Ok(",
            "HttpResponse::Created(",
            "HttpResponse::Accepted(",
            "HttpResponse::NoContent(",
            "HttpResponse::NotFound(",
            "HttpResponse::BadRequest(",
            "HttpResponse::InternalServerError(",
            "HttpResponse::Unauthorized(",
            "HttpResponse::Forbidden(",
            "HttpResponse::TemporaryRedirect(",
        ],
        reason: "a status comes from the table in `api`",
    },
    Absence {
        within: &["crates/domain/src", "crates/storage/src", "crates/oci/src", "drivers/"],
        except: SPEAKERS_OF_HTTP,
        words: &["actix", "StatusCode", "HttpResponse", "HeaderMap", "hyper::"],
        reason: "HTTP is the frontend's affair",
    },
    Absence {
        within: &["crates/storage/src", "drivers/"],
        except: &[],
        words: &["entrepot_oci", "application/vnd."],
        reason: "a driver knows keys and bytes, not images",
    },
];

/// Everything that occurs where it must not. Comments may say any word.
pub(super) fn findings(sources: &[Source]) -> Vec<Finding> {
    let rust = sources.iter().filter(|source| is_rust(source));
    rust.flat_map(|source| ABSENCES.iter().flat_map(|absence| judge(absence, source))).collect()
}

fn judge(absence: &Absence, source: &Source) -> Vec<Finding> {
    if !absence.holds(&source.path) {
        return Vec::new();
    }
    let lines = source.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let breaches = lines.filter_map(|(index, line)| {
        let word = absence.words.iter().find(|word| line.contains(**word))?;
        Some(Finding::new(&source.path, index + 1, format!("`{word}`: {}", absence.reason)))
    });
    breaches.collect()
}

impl Absence {
    fn holds(&self, path: &str) -> bool {
        let within = self.within.iter().any(|beginning| path.starts_with(beginning));
        within && !self.except.iter().any(|part| path.contains(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source;

    fn judged(path: &str, text: &str) -> Vec<String> {
        findings(&[source(path, text)]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_environment_is_read_in_the_configuration_only() {
        let text = "//! Words.\nlet home = std::env::var(\"HOME\");\n";

        let found = judged("crates/domain/src/lib.rs", text);

        assert_eq!(
            found,
            ["crates/domain/src/lib.rs:2: `env::var`: the environment is read in registry::config only"]
        );
        assert!(judged("crates/registry/src/config/surroundings.rs", text).is_empty());
    }

    #[test]
    fn a_status_written_by_hand_is_reported_in_the_frontend() {
        let named = judged("crates/frontend/src/lib.rs", "let status = StatusCode::NOT_FOUND;");
        let numbered = judged("crates/frontend/src/lib.rs", "let status = StatusCode::from_u16(404);");
        let from_table =
            judged("crates/frontend/src/lib.rs", "let status = StatusCode::from_u16(status.code());");

        assert_eq!((named.len(), numbered.len(), from_table.len()), (1, 1, 0));
    }

    #[test]
    fn the_domain_does_not_speak_http_but_its_comments_may() {
        assert_eq!(judged("crates/domain/src/lib.rs", "use actix_web::web;").len(), 1);
        assert!(judged("crates/domain/src/lib.rs", "// actix drops the body here.").is_empty());
    }

    #[test]
    fn a_driver_knows_no_images() {
        assert_eq!(judged("drivers/s3/src/lib.rs", "use entrepot_oci::Digest;").len(), 1);
    }
}
