//! The real server, told by signals to read its configuration again, and to end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

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
        let mut process = spawn(configuration);
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
        send(&self.process, Signal::HUP);
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
        within_reason(&format!("a push to {repository} is answered with {status}"), || {
            self.push(repository).contains(status).then_some(())
        });
    }
}

/// What `look` finds, looked for until it is there.
fn within_reason<T>(event: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it did not happen that {event}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn spawn(configuration: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_entrepot"))
        .arg("serve")
        .arg(configuration)
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn send(process: &Child, signal: Signal) {
    kill_process(Pid::from_child(process), signal).expect("it has not been waited for");
}

fn await_end(process: &mut Child) -> ExitStatus {
    within_reason("the process ends", || process.try_wait().expect("a child"))
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

#[test]
fn a_signal_that_comes_while_the_store_lets_it_wait_is_not_lost() {
    let store = TcpListener::bind("127.0.0.1:0").expect("a port");
    store.set_nonblocking(true).expect("a listener can be asked");
    let endpoint = store.local_addr().expect("bound");
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = format!(
        "version: 0.1\nstorage:\n  s3: {{bucket: b, region: r, accesskey: a, secretkey: s, \
         regionendpoint: \"http://{endpoint}\", forcepathstyle: true}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n"
    );
    std::fs::write(file.path(), text).expect("written");
    let mut running = Running { process: spawn(file.path()), address: String::new() };
    // It looks at its store, which will not answer.
    let _connection = within_reason("the store is asked", || store.accept().ok());

    // Whoever manages its configuration does not know that it has only just begun.
    send(&running.process, Signal::HUP);
    // Nothing is in progress that could be finished.
    send(&running.process, Signal::TERM);

    assert_eq!(await_end(&mut running.process).code(), Some(0), "ended by none of them");
}

#[test]
fn a_server_told_to_end_as_soon_as_it_says_where_it_is_does_so_in_order() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), configuration("{enabled: false}")).expect("written");
    let mut server = Running::start(file.path());

    send(&server.process, Signal::TERM);

    assert_eq!(await_end(&mut server.process).code(), Some(0));
}
