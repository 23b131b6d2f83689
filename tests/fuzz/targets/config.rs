//! The configuration: any file and any environment are answered by a configuration or by problems, and
//! what is printed brings about what was printed.
//!
//! The input is a file; after a NUL byte follow variables, `NAME=value` by line, `REGISTRY_` understood.

#![no_main]

use entrepot_registry::config::{self, ConfigError, Imagined, Leniency, Loaded};
use libfuzzer_sys::fuzz_target;

const FILE: &str = "/config.yml";
const SECRET: &str = "correct-horse-battery-staple";

fuzz_target!(|text: &str| {
    let (file, variables) = text.split_once('\0').unwrap_or((text, ""));
    for leniency in [Leniency::Strict, Leniency::Lenient] {
        match load(file, variables, leniency) {
            Ok(loaded) => accepted(&loaded, file),
            Err(error) => refused(&error, text),
        }
    }
});

fn load(file: &str, variables: &str, leniency: Leniency) -> Result<Loaded, ConfigError> {
    let mut around = Imagined::nothing().file(FILE, file).variable("REGISTRY_HTTP_SECRET", SECRET);
    for (name, value) in variables.lines().filter_map(|line| line.split_once('=')) {
        around = around.variable(&format!("REGISTRY_{name}"), value);
    }
    config::load(Some(FILE.as_ref()), leniency, &around)
}

fn accepted(loaded: &Loaded, file: &str) {
    let printed = with_secrets(&config::show(&loaded.config));
    let around = Imagined::nothing().file(FILE, &printed);
    match config::load(Some(FILE.as_ref()), Leniency::Strict, &around) {
        Ok(again) => assert_eq!(with_secrets(&config::show(&again.config)), printed),
        Err(error) => panic!("what was printed is refused: {error}\n{printed}"),
    }
    // Whoever writes a reference to the variable into another key wants it printed there.
    if !file.contains("${") && !file.contains(SECRET) {
        assert!(!printed.contains(SECRET) && !format!("{:?}", loaded.config).contains(SECRET));
    }
}

/// A printed configuration with the hidden secrets filled in, as its reader is told to do.
fn with_secrets(printed: &str) -> String {
    printed.replace("\"<hidden>\"", "stand-in")
}

fn refused(error: &ConfigError, text: &str) {
    let ConfigError::Invalid { problems, .. } = error else { panic!("the file is readable: {error}") };
    assert!(!problems.is_empty());
    assert!(problems.iter().all(|problem| !problem.message.is_empty()));
    assert!(text.contains("${") || text.contains(SECRET) || !error.to_string().contains(SECRET));
}
