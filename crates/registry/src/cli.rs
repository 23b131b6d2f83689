//! The command line of `entrepot`.
//!
//! Every command ends with an exit code that scripts can rely on, see [`Exit`]. Results go to standard
//! output, complaints and warnings to standard error. Nothing here knows how a registry works: `serve`
//! loads the configuration and hands it to the function it was given.

mod configuration;
mod digest;
mod doctor;
mod output;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, ConfigError, Leniency, Loaded, Surroundings};
use output::Output;

const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   it failed while running
  2   the command line makes no sense
  78  the configuration must not be used; the message says what to write instead";

const DOCTOR_EXIT_CODES: &str = "\
Exit codes:
  0   no fault was found
  1   a fault was found
  2   the command line makes no sense
  78  the configuration must not be used; the message says what to write instead";

const FIRST_STEPS: &str = "\
First steps:
  entrepot                          serve on 127.0.0.1:5000 from ./entrepot-data
  docker tag alpine localhost:5000/alpine && docker push localhost:5000/alpine
  entrepot config check config.yml  try a file of CNCF distribution
  entrepot doctor config.yml        examine the store it names
  entrepot config explain http.tls  what a key does";

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success,
    /// It failed while running.
    Failure,
    /// The command line makes no sense.
    Usage,
    /// The configuration must not be used (`EX_CONFIG` of sysexits).
    Configuration,
}

impl Exit {
    /// The number the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// An OCI and Docker registry for everybody in a company.
#[derive(Debug, Parser)]
#[command(name = "entrepot", version, about, after_help = FIRST_STEPS, after_long_help = format!("{FIRST_STEPS}\n\n{EXIT_CODES}"))]
#[command(subcommand_help_heading = "Commands", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the registry (also what happens without a command)
    #[command(after_help = EXIT_CODES)]
    Serve(Serve),
    /// Check, print and explain the configuration
    #[command(subcommand)]
    Config(Config),
    /// Examine the configured store: what it can and cannot do, and what to do about it
    #[command(after_help = DOCTOR_EXIT_CODES)]
    Doctor(Doctor),
    /// Print the digests of files, as registries write them
    Digest(Digest),
    /// Print the documentation of the HTTP API
    ApiDocs(ApiDocs),
    /// Print the version
    Version,
}

#[derive(Debug, Default, Args)]
struct Serve {
    #[command(flatten)]
    source: Source,
}

/// Where the configuration comes from.
#[derive(Debug, Default, Args)]
struct Source {
    /// The configuration file, in the format of CNCF distribution [without it:
    /// $REGISTRY_CONFIGURATION_PATH, else defaults]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take unknown keys for warnings instead of errors
    #[arg(long)]
    lenient: bool,
}

#[derive(Debug, Subcommand)]
enum Config {
    /// Read the configuration as `serve` would and report every problem
    #[command(after_help = EXIT_CODES)]
    Check(Source),
    /// Print the configuration that would be used, as YAML with secrets hidden
    Show(Source),
    /// Print the JSON schema of the configuration file, for editors
    Schema,
    /// Explain one key: what it does, its values, default and environment variable
    Explain {
        /// The full path of the key, such as http.tls.minimumtls
        key: String,
    },
}

#[derive(Debug, Args)]
struct Doctor {
    #[command(flatten)]
    source: Source,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Digest {
    /// The algorithm
    #[arg(short, long, value_enum, default_value_t = Algorithm::Sha256)]
    algorithm: Algorithm,
    /// The files; `-` or none stands for standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// The algorithms a registry accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Algorithm {
    /// SHA-256
    Sha256,
    /// SHA-512
    Sha512,
}

#[derive(Debug, Args)]
struct ApiDocs {
    /// The format
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// OpenAPI 3.1, as JSON
    Openapi,
    /// For people
    Markdown,
}

/// Runs the command that `arguments` name; the first of them is the name of the program.
///
/// `serve` gets the loaded configuration, must show its warnings, and returns when the registry was
/// asked to stop. Its error is printed with all its causes.
pub fn run<E: std::error::Error>(
    arguments: impl IntoIterator<Item = OsString>,
    surroundings: &dyn Surroundings,
    serve: impl FnOnce(Loaded) -> Result<(), E>,
) -> Exit {
    let output = &mut Output::of_process();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(message) => return explain_usage(&message),
    };
    match cli.command.unwrap_or(Command::Serve(Serve::default())) {
        Command::Serve(command) => run_serve(&command, surroundings, serve, output),
        Command::Config(command) => configuration::run(&command, surroundings, output),
        Command::Doctor(command) => doctor::run(&command, surroundings, crate::doctor::run, output),
        Command::Digest(command) => digest::run(&command, output),
        Command::ApiDocs(command) => output.say(&api_docs(command.format)),
        Command::Version => output.say(&format!("entrepot {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

/// Help and version are answers, everything else clap reports is a mistake.
fn explain_usage(message: &clap::Error) -> Exit {
    let printed = message.print();
    match (message.use_stderr(), printed) {
        (true, _) => Exit::Usage,
        (false, Ok(())) => Exit::Success,
        (false, Err(_)) => Exit::Failure,
    }
}

fn run_serve<E: std::error::Error>(
    command: &Serve,
    surroundings: &dyn Surroundings,
    serve: impl FnOnce(Loaded) -> Result<(), E>,
    output: &mut Output<'_>,
) -> Exit {
    let loaded = match command.source.load(surroundings) {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&error, output),
    };
    match serve(loaded) {
        Ok(()) => Exit::Success,
        Err(error) => {
            output.complain(&with_causes(&error));
            Exit::Failure
        }
    }
}

impl Source {
    fn load(&self, surroundings: &dyn Surroundings) -> Result<Loaded, ConfigError> {
        let leniency = if self.lenient { Leniency::Lenient } else { Leniency::Strict };
        config::load(self.file.as_deref(), leniency, surroundings)
    }
}

fn refuse(error: &ConfigError, output: &mut Output<'_>) -> Exit {
    output.complain(&with_causes(error));
    Exit::Configuration
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| match cause.to_string() {
        // Some errors say what is behind them by themselves.
        said if text.ends_with(&said) => text,
        cause => format!("{text}: {cause}"),
    })
}

fn api_docs(format: Format) -> String {
    match format {
        Format::Openapi => entrepot_api::emit::openapi::document(),
        Format::Markdown => entrepot_api::emit::markdown::document(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::Imagined;

    fn serve_with(arguments: &[&str], surroundings: &Imagined) -> (Exit, Option<Loaded>) {
        let mut seen = None;
        let arguments = ["entrepot"].iter().chain(arguments).map(OsString::from);
        let exit = run(arguments, surroundings, |loaded| -> Result<(), std::io::Error> {
            seen = Some(loaded);
            Ok(())
        });
        (exit, seen)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_what_happens_without_a_command() {
        let (exit, seen) = serve_with(&[], &Imagined::nothing());

        assert_eq!(exit, Exit::Success);
        assert!(seen.expect("served").path.is_none());
    }

    #[test]
    fn the_file_comes_from_the_argument_else_from_the_variable() {
        let files = Imagined::nothing()
            .variable("REGISTRY_CONFIGURATION_PATH", "/b.yml")
            .file("/a.yml", "version: 0.1\nlog: {level: debug}\n")
            .file("/b.yml", "version: 0.1\nlog: {level: error}\n");

        let (_, argument) = serve_with(&["serve", "/a.yml"], &files);
        let (_, variable) = serve_with(&["serve"], &files);

        assert_eq!(argument.expect("served").config.log.level, config::Level::Debug);
        assert_eq!(variable.expect("served").config.log.level, config::Level::Error);
    }

    #[test]
    fn a_bad_configuration_ends_with_78_and_is_not_served() {
        let files = Imagined::nothing().file("/a.yml", "version: 0.1\nhttp: {adr: x}\n");

        for path in ["/a.yml", "/missing.yml"] {
            let (exit, seen) = serve_with(&["serve", path], &files);
            assert_eq!((exit, exit.code()), (Exit::Configuration, 78), "{path}");
            assert!(seen.is_none(), "{path}");
        }
    }

    #[test]
    fn lenient_takes_unknown_keys_for_warnings() {
        let files = Imagined::nothing().file("/a.yml", "version: 0.1\nhttp: {adr: x}\n");

        let (exit, seen) = serve_with(&["serve", "--lenient", "/a.yml"], &files);

        assert_eq!(exit, Exit::Success);
        assert_eq!(seen.expect("served").warnings.len(), 1);
    }

    #[test]
    fn a_failure_of_the_server_ends_with_1() {
        let arguments = ["entrepot", "serve"].map(OsString::from);

        let exit = run(arguments, &Imagined::nothing(), |_| Err(std::io::Error::other("the port is taken")));

        assert_eq!((exit, exit.code()), (Exit::Failure, 1));
    }

    #[test]
    fn a_senseless_command_line_ends_with_2_and_help_with_0() {
        assert_eq!(serve_with(&["--nonsense"], &Imagined::nothing()).0.code(), 2);
        assert_eq!(serve_with(&["--help"], &Imagined::nothing()).0.code(), 0);
        assert_eq!(serve_with(&["version"], &Imagined::nothing()).0.code(), 0);
    }

    #[test]
    fn a_cause_that_the_error_told_is_not_told_again() {
        #[derive(Debug, thiserror::Error)]
        #[error("storage: {0}")]
        struct Outer(#[source] std::io::Error);

        assert_eq!(with_causes(&Outer(std::io::Error::other("away"))), "storage: away");
    }

    #[test]
    fn causes_are_printed_behind_the_error() {
        let missing = config::load(Some("/missing".as_ref()), Leniency::Strict, &Imagined::nothing());

        let text = with_causes(&missing.expect_err("there is no such file"));

        assert_eq!(text, "cannot read the configuration file /missing: entity not found");
    }
}
