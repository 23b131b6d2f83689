//! The configuration as a whole: files in, `Config` or problems out.

mod environment;
mod files;
mod golden;
mod messages;
mod references;
mod round_trip;
mod walk;

use super::*;

/// Loads `text` as a file, with nothing around it.
fn load_text(text: &str) -> Result<Loaded, Vec<Problem>> {
    load_with(text, Imagined::nothing())
}

/// Loads `text` as a file in the given surroundings.
fn load_with(text: &str, surroundings: Imagined) -> Result<Loaded, Vec<Problem>> {
    let surroundings = surroundings.file("/config.yml", text);
    problems(load(Some("/config.yml".as_ref()), Leniency::Strict, &surroundings))
}

/// Loads the environment alone.
fn load_environment(surroundings: &Imagined) -> Result<Loaded, Vec<Problem>> {
    problems(load(None, Leniency::Strict, surroundings))
}

fn problems(loaded: Result<Loaded, ConfigError>) -> Result<Loaded, Vec<Problem>> {
    loaded.map_err(|error| match error {
        ConfigError::Invalid { problems, .. } => problems,
        ConfigError::Unreadable { .. } => panic!("{error}"),
    })
}

/// The configuration that `text` brings about.
fn config(text: &str) -> Config {
    match load_text(text) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{text}\n{problems:#?}"),
    }
}

/// The only problem of `text`, printed.
fn only_problem(text: &str) -> String {
    let problems = load_text(text).expect_err(text);
    assert_eq!(problems.len(), 1, "{text}\n{problems:#?}");
    problems[0].to_string()
}
