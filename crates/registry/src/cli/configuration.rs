//! `entrepot config`: check, show, schema, explain.

use super::output::Output;
use super::{Config, Exit, Source, refuse};
use crate::config::{self, Loaded, Surroundings};

pub(super) fn run(command: &Config, surroundings: &dyn Surroundings, output: &mut Output<'_>) -> Exit {
    match command {
        Config::Check(source) => check(source, surroundings, output),
        Config::Show(source) => show(source, surroundings, output),
        Config::Schema => output.say(&config::json_schema()),
        Config::Explain { key } => explain(key, output),
    }
}

fn check(source: &Source, surroundings: &dyn Surroundings, output: &mut Output<'_>) -> Exit {
    match source.load(surroundings) {
        Ok(loaded) => {
            warn(&loaded, output);
            output.say(&format!("{}: ok\n", name(&loaded)))
        }
        Err(error) => refuse(&error, output),
    }
}

fn show(source: &Source, surroundings: &dyn Surroundings, output: &mut Output<'_>) -> Exit {
    match source.load(surroundings) {
        Ok(loaded) => {
            warn(&loaded, output);
            output.say(&config::show(&loaded.config))
        }
        Err(error) => refuse(&error, output),
    }
}

fn explain(key: &str, output: &mut Output<'_>) -> Exit {
    match config::explain(key) {
        Ok(page) => output.say(&page),
        Err(message) => {
            output.complain(&message);
            Exit::Failure
        }
    }
}

fn warn(loaded: &Loaded, output: &mut Output<'_>) {
    loaded.warnings.iter().for_each(|warning| output.complain(&format!("warning: {warning}")));
}

fn name(loaded: &Loaded) -> String {
    loaded
        .path
        .as_deref()
        .map_or_else(|| "defaults and environment".to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Imagined;

    fn source() -> Source {
        Source { file: Some("/config.yml".into()), lenient: false }
    }

    fn ran(command: &Config, text: &str) -> (Exit, String, String) {
        let (mut results, mut complaints) = (Vec::new(), Vec::new());
        let surroundings = Imagined::nothing().file("/config.yml", text);
        let exit = run(command, &surroundings, &mut Output::into(&mut results, &mut complaints));
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (exit, text(results), text(complaints))
    }

    #[test]
    fn check_says_ok_and_shows_warnings() {
        let (exit, results, complaints) = ran(&Config::Check(source()), "version: 0.1\nloglevel: debug\n");

        assert_eq!((exit, results.as_str()), (Exit::Success, "/config.yml: ok\n"));
        assert_eq!(complaints, "entrepot: warning: line 2: loglevel: this is the old name of `log.level`\n");
    }

    #[test]
    fn check_lists_every_problem_and_ends_with_78() {
        let (exit, results, complaints) =
            ran(&Config::Check(source()), "version: 0.1\nhttp: {adr: x}\nredis: {db: 1}\n");

        assert_eq!((exit, results.as_str()), (Exit::Configuration, ""));
        assert!(complaints.contains("/config.yml: 2 problems"), "{complaints}");
        assert!(
            complaints.contains("line 2: http.adr: unknown key; did you mean `http.addr`?"),
            "{complaints}"
        );
        assert!(
            complaints
                .contains("line 3: redis: this key does not work yet, it arrives with the fleet milestone"),
            "{complaints}"
        );
    }

    #[test]
    fn show_hides_secrets() {
        let (exit, results, _) =
            ran(&Config::Show(source()), "version: 0.1\nhttp: {secret: correct-horse-battery}\n");

        assert_eq!(exit, Exit::Success);
        assert!(results.contains("secret:\n    - \"<hidden>\"\n"), "{results}");
        assert!(!results.contains("horse"), "{results}");
    }

    #[test]
    fn explain_answers_or_suggests() {
        let known = ran(&Config::Explain { key: "http.tls.minimumtls".into() }, "");
        let unknown = ran(&Config::Explain { key: "http.tls.minimumtsl".into() }, "");

        assert_eq!(known.0, Exit::Success);
        assert!(known.1.contains("REGISTRY_HTTP_TLS_MINIMUMTLS"), "{}", known.1);
        assert_eq!(unknown.0, Exit::Failure);
        assert!(unknown.2.contains("did you mean `http.tls.minimumtls`?"), "{}", unknown.2);
    }

    #[test]
    fn the_schema_is_json() {
        let (exit, results, _) = ran(&Config::Schema, "");

        let schema: serde_json::Value = serde_json::from_str(&results).expect("JSON");
        assert_eq!(exit, Exit::Success);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }
}
