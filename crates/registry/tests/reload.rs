//! The real server, told to read its configuration again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    process: Child,
    address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Running {
    fn start(configuration: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_entrepot"))
            .arg("serve")
            .arg(configuration)
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut log = BufReader::new(process.stderr.take().expect("piped")).lines();
        let address = log
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("listening on http://")?.1.trim().to_owned()))
            .expect("the log tells the address");
        // Somebody has to read on, or the server would wait for room in the pipe.
        std::thread::spawn(move || log.for_each(drop));
        Self { process, address }
    }

    fn hang_up(&self) {
        let sent = Command::new("kill").arg("-HUP").arg(self.process.id().to_string()).status();
        assert!(sent.expect("kill is there").success());
    }

    /// The status line of an attempt to open an upload.
    fn push(&self, repository: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        let request = format!(
            "POST /v2/{repository}/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer.lines().next().unwrap_or_default().to_owned()
    }

    /// Waits until a push to `repository` is answered with `status`.
    fn await_push(&self, repository: &str, status: &str) {
        let begun = Instant::now();
        loop {
            let answer = self.push(repository);
            if answer.contains(status) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{repository}: still {answer:?}, not {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn configuration(readonly: &str) -> String {
    format!(
        "version: 0.1\nstorage:\n  inmemory: {{}}\n  maintenance:\n    readonly: {readonly}\n\
         http: {{addr: \"127.0.0.1:0\"}}\n"
    )
}

#[test]
fn repositories_become_read_only_and_writable_again_without_a_restart() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let write = |readonly| std::fs::write(file.path(), configuration(readonly)).expect("written");
    write("{enabled: false}");
    let server = Running::start(file.path());
    server.await_push("team/app", "202");

    write("{repositories: [team]}");
    server.hang_up();

    server.await_push("team/app", "405");
    assert!(server.push("other").contains("202"));

    // A file that must not be used changes nothing.
    write("{enabled: perhaps}");
    server.hang_up();
    write("{enabled: true}");
    server.hang_up();
    server.await_push("other", "405");

    write("{enabled: false}");
    server.hang_up();
    server.await_push("team/app", "202");
}
