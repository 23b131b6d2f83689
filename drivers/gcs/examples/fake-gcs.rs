//! The fake of Google Cloud Storage as a process: `fake-gcs PORT BUCKET [HMAC_ID HMAC_SECRET]`.
//!
//! Prints its address on a line of its own and runs until it is stopped. Port 0 is any that is free.
//! `fake-gcs --key` prints the service account whose requests and signatures it takes.

use std::process::ExitCode;

use entrepot_driver_gcs::fake::{Options, SERVICE_ACCOUNT, Server};

const USAGE: &str = "usage: fake-gcs PORT BUCKET [HMAC_ID HMAC_SECRET] | fake-gcs --key";

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for scripts")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--key"] {
        println!("{SERVICE_ACCOUNT}");
        return ExitCode::SUCCESS;
    }
    let Some(options) = options(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match Server::start(options) {
        Ok(server) => {
            println!("{}", server.url());
            loop {
                std::thread::park();
            }
        }
        Err(error) => {
            eprintln!("cannot listen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Option<Options> {
    let (port, bucket, hmac) = match arguments {
        [port, bucket] => (port, bucket, None),
        [port, bucket, id, secret] => (port, bucket, Some((id.clone(), secret.clone()))),
        _ => return None,
    };
    let mut options = Options::new(bucket);
    options.port = port.parse().ok()?;
    options.hmac_keys.extend(hmac);
    Some(options)
}
