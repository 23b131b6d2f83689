//! The threads that may wait for the disk: a pool of the store's own.
//!
//! The pools of the runtimes that serve requests would do, but each worker has its own, and idle threads are
//! woken in turn, so that with a little work all the time none of them ever ends: after a burst hundreds
//! would stay, each with its stack and its share of the allocator. Here one bound counts for everybody,
//! and a thread that was not needed for a moment ends.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use entrepot_storage::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::NAME;

/// How long a thread waits for more. Long enough for the next step of one push, short enough that work which
/// comes now and then does not keep everybody.
const IDLE: Duration = Duration::from_millis(100);

pub(crate) struct Threads {
    /// Only its pool is used. There until the store is closed.
    runtime: Option<Runtime>,
    places: Arc<Semaphore>,
}

impl Threads {
    /// A pool of up to `most` threads; none is started yet.
    pub(crate) fn new(most: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .thread_name("disk")
            .max_blocking_threads(most)
            .thread_keep_alive(IDLE)
            .build()?;
        Ok(Self { runtime: Some(runtime), places: Arc::new(Semaphore::new(most)) })
    }

    /// Does `work` on one of them, when one is free.
    ///
    /// A caller that goes away does not stop it: the work is done to its end, and keeps its place until
    /// then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let retryable = || Error::new(NAME, ErrorKind::Backend { retryable: true });
        let closed = || retryable().because("the store was closed");
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| closed())?;
        let runtime = self.runtime.as_ref().ok_or_else(closed)?;
        let task =
            begin(runtime, place, work).ok_or_else(|| retryable().because("the system gives no thread"))?;
        task.await.map_err(|lost| retryable().because(lost))?
    }

    /// Does `work` some time, if a thread is free now. Answers whether it will be done.
    pub(crate) fn run_if_free(&self, work: impl FnOnce() + Send + 'static) -> bool {
        let (Ok(place), Some(runtime)) = (Arc::clone(&self.places).try_acquire_owned(), &self.runtime) else {
            return false;
        };
        begin(runtime, place, work).is_some()
    }
}

/// Hands work to the pool, with the place it keeps until it is done. Tokio panics where the pool is empty and the system refuses another thread; what was
/// handed over is then done by the next thread there is.
fn begin<T: Send + 'static>(
    runtime: &Runtime,
    place: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<JoinHandle<T>> {
    let work = move || {
        let outcome = work();
        drop(place);
        outcome
    };
    catch_unwind(AssertUnwindSafe(|| runtime.spawn_blocking(work))).ok()
}

impl Drop for Threads {
    fn drop(&mut self) {
        // The last user may be on a thread that must not wait, or on one of these.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("free", &self.places.available_permits()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn work_is_done_where_it_may_wait_and_its_answer_comes_back() {
        let threads = Threads::new(1).unwrap();
        let here = std::thread::current().id();

        let there = block_on(threads.run(|| Ok(std::thread::current().id()))).unwrap();

        assert_ne!(here, there);
    }

    #[test]
    fn nothing_more_is_begun_ahead_while_all_threads_are_taken() {
        let threads = Threads::new(1).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        assert!(threads.run_if_free(move || held.recv().unwrap_or_default()));

        assert!(!threads.run_if_free(|| unreachable!("no thread is free")));

        release.send(()).unwrap();
        assert_eq!(block_on(threads.run(|| Ok(1))).unwrap(), 1, "the thread is free again");
    }

    #[test]
    fn threads_end_when_nothing_is_left_to_do() {
        const MANY: usize = 4;
        thread_local! {
            static HELD: std::cell::RefCell<Option<Arc<()>>> = const { std::cell::RefCell::new(None) };
        }
        let threads = Threads::new(MANY).unwrap();
        let (ended, together) = (Arc::new(()), Arc::new(std::sync::Barrier::new(MANY + 1)));
        for _ in 0..MANY {
            let (ended, together) = (Arc::clone(&ended), Arc::clone(&together));
            assert!(threads.run_if_free(move || {
                HELD.set(Some(ended));
                together.wait();
            }));
        }
        together.wait();

        // A thread that ends lets go of what it held. Waits as long as it takes: it fails by never ending.
        while Arc::strong_count(&ended) > 1 {
            std::thread::sleep(IDLE);
        }
    }

    #[test]
    fn the_last_user_may_be_on_one_of_its_own_threads_or_in_a_runtime() {
        let (done, is_done) = std::sync::mpsc::channel();
        let threads = Arc::new(Threads::new(1).unwrap());
        let (release, held) = std::sync::mpsc::channel::<()>();
        let last = Arc::clone(&threads);
        assert!(threads.run_if_free(move || {
            held.recv().unwrap_or_default();
            drop(last);
            done.send(()).unwrap();
        }));
        drop(threads);
        release.send(()).unwrap();

        assert_eq!(is_done.recv(), Ok(()), "it was dropped without a panic");
        block_on(async { drop(Threads::new(1).unwrap()) });
    }

    #[test]
    fn a_panic_is_an_error_and_takes_no_place_with_it() {
        let threads = Threads::new(1).unwrap();

        let lost = block_on(threads.run(|| -> Result<()> { panic!("on purpose") })).unwrap_err();

        assert!(lost.is_retryable());
        assert!(block_on(threads.run(|| Ok(()))).is_ok());
    }
}
