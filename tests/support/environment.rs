//! What a person, or `cargo xtask test`, may set for the suites that run programs.
//!
//! | variable | meaning |
//! |---|---|
//! | `ENTREPOT_TEST_BINARY` | the registry to run instead of building ours; it must take `serve CONFIG` |
//! | `ENTREPOT_TEST_TOOLS` | a directory looked into for clients before `PATH` |
//! | `ENTREPOT_TEST_REQUIRE_TOOLS` | a missing client fails its test instead of skipping it |
//! | `ENTREPOT_TEST_UNAVAILABLE` | programs, with commas between, that may be missing even then |
//! | `ENTREPOT_TEST_SEED` | the seed of the crash loop, to repeat a run that failed |

/// The value of `name`, if it is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "switches of the test run, not of the registry")]
    let value = std::env::var(name).ok();
    value.filter(|value| !value.is_empty())
}

/// Whether `program` has to be there.
pub fn requires(program: &str) -> bool {
    let unavailable = variable("ENTREPOT_TEST_UNAVAILABLE").unwrap_or_default();
    variable("ENTREPOT_TEST_REQUIRE_TOOLS").is_some() && !unavailable.split(',').any(|name| name == program)
}
