//! Runs a scenario under a scheduler and checks it after every step and at its end.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entrepot_domain::Error;
use entrepot_domain::uploads::Session;
use entrepot_driver_memory::{Config, MemoryDriver};
use tokio::task::{JoinHandle, LocalSet};

use crate::invariants::{World, short};
use crate::judge::{Answer, Event, judge};
use crate::machine::{Machine, Op, Settings};
use crate::schedule::{Action, Scheduler};
use crate::step::{Board, Stepped, Ticket, Verdict};
use crate::words::{Blob, Label, Man, Repo};

/// The process number of what was done before the run.
const BEFORE: usize = usize::MAX;
/// A run that takes more steps does not end.
const MAX_STEPS: usize = 3000;

/// What is done before, and what the processes do at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) before: Vec<Op>,
    pub(crate) programs: Vec<Vec<Op>>,
    pub(crate) settings: Settings,
    /// The store's part size; bodies longer than this are uploaded in parts.
    pub(crate) part: Option<u64>,
}

/// A scenario whose beginning was carried out.
pub(crate) struct Prepared {
    scenario: Scenario,
    store: MemoryDriver,
    history: History,
    sessions: HashMap<usize, Session>,
}

/// A run that went well.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    /// Operations of clients that were acknowledged.
    pub(crate) acknowledged: usize,
}

/// A run that broke a promise.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) scenario: String,
    pub(crate) why: String,
    pub(crate) trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.scenario, self.why)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl Scenario {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// What is done first, one after the other, without faults.
    pub(crate) fn before(mut self, ops: impl IntoIterator<Item = Op>) -> Self {
        self.before.extend(ops);
        self
    }

    /// One more process.
    pub(crate) fn process(mut self, ops: impl IntoIterator<Item = Op>) -> Self {
        self.programs.push(ops.into_iter().collect());
        self
    }

    /// Carries the beginning out.
    pub(crate) fn prepare(&self) -> Prepared {
        let mut config = Config::default();
        if let Some(part) = self.part {
            config.capabilities.preferred_part = part;
        }
        let store = MemoryDriver::with(config);
        let mut history = History::default();
        let machine =
            Machine::new(store.shared(), 1, Settings { touch: self.settings.touch, ..Settings::default() });
        block_on(async {
            for op in &self.before {
                history.clock += 1;
                let at = history.begin(BEFORE, op.clone());
                history.events[at].start = Some(history.clock);
                let answer = machine.perform(op).await;
                assert!(answer.is_ok(), "{}: {op:?} before the run: {answer:?}", self.name);
                history.end(at, answer);
            }
        });
        let sessions = machine.sessions.lock().unwrap().clone();
        Prepared { scenario: self.clone(), store, history, sessions }
    }
}

impl Prepared {
    /// Runs the processes under `scheduler`.
    pub(crate) fn run(&self, scheduler: &mut dyn Scheduler) -> Result<Report, Failure> {
        block_on(Run::begin(self).finish(scheduler))
    }

    pub(crate) fn processes(&self) -> usize {
        self.scenario.programs.len()
    }
}

/// Events and the clock that orders them.
#[derive(Clone, Debug, Default)]
struct History {
    events: Vec<Event>,
    clock: u64,
}

impl History {
    fn begin(&mut self, process: usize, op: Op) -> usize {
        self.events.push(Event::new(process, op));
        self.events.len() - 1
    }

    fn end(&mut self, at: usize, answer: Result<(), Error>) {
        let event = &mut self.events[at];
        event.end = Some(self.clock);
        event.answer = Some(match answer {
            Ok(()) => Answer::Acknowledged,
            Err(error @ Error::Record { .. }) => Answer::Damaged(error.to_string()),
            Err(error) => Answer::Refused(error.to_string()),
        });
    }

    /// A request of the process was granted: its operation has begun.
    fn granted(&mut self, process: usize) {
        self.clock += 1;
        let clock = self.clock;
        let of_it = |event: &&mut Event| event.process == process && event.end.is_none();
        if let Some(event) = self.events.iter_mut().find(of_it) {
            event.start.get_or_insert(clock);
        }
    }
}

/// One run in progress.
struct Run<'a> {
    prepared: &'a Prepared,
    store: MemoryDriver,
    board: Arc<Board>,
    history: Arc<Mutex<History>>,
    tasks: Vec<Option<JoinHandle<()>>>,
    world: World,
    trace: Vec<String>,
}

impl<'a> Run<'a> {
    fn begin(prepared: &'a Prepared) -> Self {
        let store = prepared.store.fork();
        Run {
            prepared,
            board: Arc::default(),
            history: Arc::new(Mutex::new(prepared.history.clone())),
            tasks: Vec::new(),
            world: World::read(&store).expect("what was done before is readable"),
            trace: Vec::new(),
            store,
        }
    }

    async fn finish(mut self, scheduler: &mut dyn Scheduler) -> Result<Report, Failure> {
        match self.steps(scheduler).await {
            Ok(report) => Ok(report),
            Err(why) => {
                let history = self.history.lock().unwrap();
                let told = history.events.iter().filter(|event| event.process != BEFORE).map(|event| {
                    format!(
                        "p{} {:?} {:?}..{:?}: {:?}",
                        event.process, event.op, event.start, event.end, event.answer
                    )
                });
                let mut trace = std::mem::take(&mut self.trace);
                trace.extend(told);
                Err(Failure { scenario: self.prepared.scenario.name.clone(), why, trace })
            }
        }
    }

    async fn steps(&mut self, scheduler: &mut dyn Scheduler) -> Result<Report, String> {
        self.world.check().map_err(|why| format!("before the run: {why}"))?;
        self.start();
        let mut steps = 0;
        loop {
            settle().await;
            self.reap().await?;
            let waiting = self.board.waiting();
            if waiting.is_empty() {
                break;
            }
            match scheduler.next(&waiting) {
                Action::Crash(process) => self.crash(process),
                Action::Grant(at, verdict) => self.step(&waiting[at], verdict).await?,
            }
            steps += 1;
            if steps > MAX_STEPS {
                return Err("the run does not end".into());
            }
        }
        if self.tasks.iter().any(Option::is_some) {
            return Err("a process waits for nothing".into());
        }
        let events = self.history.lock().unwrap().events.clone();
        judge(&self.world, &events)?;
        self.aftermath().await?;
        let of_clients = |event: &&Event| event.process != BEFORE && !event.op.is_collectors();
        let acknowledged = events.iter().filter(of_clients).filter(|event| event.is_acked()).count();
        Ok(Report { acknowledged })
    }

    fn start(&mut self) {
        for (process, program) in self.prepared.scenario.programs.iter().enumerate() {
            let stepped = Stepped { process, store: self.store.clone(), board: Arc::clone(&self.board) };
            let seed = 100 + process as u64;
            let machine = Machine::new(Arc::new(stepped), seed, self.prepared.scenario.settings);
            *machine.sessions.lock().unwrap() = self.prepared.sessions.clone();
            let (program, history) = (program.clone(), Arc::clone(&self.history));
            let task = tokio::task::spawn_local(async move {
                for op in program {
                    let at = history.lock().unwrap().begin(process, op.clone());
                    let answer = machine.perform(&op).await;
                    let failed = answer.is_err();
                    history.lock().unwrap().end(at, answer);
                    if failed && !op.is_collectors() {
                        break;
                    }
                }
            });
            self.tasks.push(Some(task));
        }
    }

    /// Takes note of processes that ended. One that panicked is a failure.
    async fn reap(&mut self) -> Result<(), String> {
        for (process, slot) in self.tasks.iter_mut().enumerate() {
            if slot.as_ref().is_some_and(JoinHandle::is_finished)
                && let Some(task) = slot.take()
                && let Err(error) = task.await
                && let Ok(panic) = error.try_into_panic()
            {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                return Err(format!("process {process} panicked: {}", text.unwrap_or_default()));
            }
        }
        Ok(())
    }

    async fn step(&mut self, ticket: &Ticket, verdict: Verdict) -> Result<(), String> {
        self.history.lock().unwrap().granted(ticket.process);
        self.board.grant(ticket, verdict);
        settle().await;
        let (touched, outcome) = self.board.take_effects();
        let refreshed = touched.iter().try_for_each(|key| self.world.refresh(&self.store, key));
        let Ticket { process, ask, key, .. } = ticket;
        let state = self.world.tell(key);
        self.trace.push(format!("p{process} {ask:?} {} -> {outcome} | {state}", short(key)));
        refreshed?;
        if verdict == Verdict::ApplyThenVanish {
            self.crash(*process);
        }
        if touched.is_empty() { Ok(()) } else { self.world.check() }
    }

    fn crash(&mut self, process: usize) {
        self.trace.push(format!("p{process} stops for ever"));
        if let Some(task) = self.tasks[process].take() {
            task.abort();
        }
        self.board.forget(process);
    }

    /// Whatever happened: everything acknowledged is readable through a fresh replica, everything else can
    /// be reclaimed, and the next pushes succeed.
    async fn aftermath(&self) -> Result<(), String> {
        let settings = Settings { touch: self.prepared.scenario.settings.touch, ..Settings::default() };
        let fresh = Machine::new(self.store.shared(), 7, settings);
        self.pull_everything(&fresh).await?;
        for op in cleaning().chain(cleaning()) {
            fresh.perform(&op).await.map_err(|error| format!("cleaning, {op:?}: {error}"))?;
        }
        let cleaned = World::read(&self.store)?;
        cleaned.check().map_err(|why| format!("after cleaning: {why}"))?;
        for repo in Repo::ALL {
            for label in Label::ALL {
                if cleaned.current(repo, label) != self.world.current(repo, label) {
                    return Err(format!("cleaning moved {label:?} of {repo:?}"));
                }
            }
        }
        self.find_garbage(&fresh, &cleaned).await?;
        for op in pushing() {
            fresh.perform(&op).await.map_err(|error| format!("a push afterwards, {op:?}: {error}"))?;
        }
        World::read(&self.store)?.check().map_err(|why| format!("after the pushes afterwards: {why}"))
    }

    async fn pull_everything(&self, fresh: &Machine) -> Result<(), String> {
        for repo in Repo::ALL {
            for label in Label::ALL {
                if let Some(man) = self.world.current(repo, label) {
                    let pulled = fresh.perform(&Op::Pull(repo, label)).await;
                    pulled.map_err(|error| format!("{man:?} by {label:?} of {repo:?}: {error}"))?;
                }
            }
            for blob in Blob::ALL.into_iter().filter(|blob| self.world.check_held(repo, *blob).is_err()) {
                let is_linked = self.world.links.get(&(repo, blob)).is_some_and(|it| it.visible().is_some());
                if !is_linked && fresh.read(&repo.name(), blob).await.is_ok() {
                    return Err(format!("{blob:?} is readable through {repo:?}, which has no link to it"));
                }
            }
        }
        Ok(())
    }

    async fn find_garbage(&self, fresh: &Machine, cleaned: &World) -> Result<(), String> {
        for key in fresh.data_keys().await {
            if !cleaned.blobs.values().any(|record| record.visible() == Some(&key)) {
                return Err(format!("{key} is never reclaimed"));
            }
        }
        match self.store.uploads_in_progress() {
            0 => Ok(()),
            left => Err(format!("{left} uploads in parts are never aborted")),
        }
    }
}

/// One round of everything the collector does, from the top down.
fn cleaning() -> impl Iterator<Item = Op> {
    let mut ops = vec![Op::Expire];
    for repo in Repo::ALL {
        ops.extend(Label::ALL.map(|label| Op::DropAnnouncements(repo, label)));
        ops.extend(Man::ALL.into_iter().rev().map(|man| Op::GcManifest(repo, man)));
        ops.extend(Blob::ALL.map(|blob| Op::GcLink(repo, blob)));
    }
    ops.extend(Blob::ALL.map(Op::GcBlob));
    ops.into_iter()
}

fn pushing() -> [Op; 6] {
    [
        Op::HeadOrPut(Repo::R0, Blob::A),
        Op::Put(Repo::R1, Blob::A),
        Op::Put(Repo::R0, Blob::B),
        Op::Push(Repo::R0, Man::A0, vec![Label::T0]),
        Op::Push(Repo::R0, Man::Ab, vec![Label::T0, Label::T1]),
        Op::Push(Repo::R0, Man::Ix, vec![Label::T1]),
    ]
}

/// Waits until no process can go on without a grant. The clock is paused, so it costs no time and outlasts
/// every pause between attempts.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// One thread, a paused clock, tasks that need not be `Send`.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O needs nothing");
    LocalSet::new().block_on(&runtime, future)
}
