//! Pushes by a real client into a server that is killed in the middle, again and again.
//!
//! After every restart, and at the end once more: whatever the client was told is stored can be read by
//! digest and hashes right, and every tag that is listed leads to a whole image. `ENTREPOT_TEST_SEED`
//! repeats a run; when the kill falls is still up to the machine.

use std::time::Duration;

use entrepot_tests::closure;
use entrepot_tests::dice::Dice;
use entrepot_tests::images::{Layer, Layout, TAG};
use entrepot_tests::programs::Finished;

use crate::{Scene, text};

const ROUNDS: u64 = 25;
const REPOSITORIES: [&str; 2] = ["crash/one", "crash/two"];

/// What the client was told is stored.
struct Acknowledged {
    repository: &'static str,
    digest: String,
}

/// An image of one to four layers up to 6 MiB, half of them shared between rounds, so that some pushes meet
/// blobs an earlier crash left behind.
fn image(scene: &Scene, round: u64, seed: u64, dice: &mut Dice) -> Layout {
    let layers: Vec<_> = (0..=dice.roll(4))
        .map(|layer| match dice.roll(2) {
            0 => Layer::gzip(seed.wrapping_add(layer), 200_000),
            _ => Layer::plain(seed.wrapping_add(1000 * (round + 1) + layer), 1 + dice.roll(6 << 20)),
        })
        .collect();
    Layout::image(&scene.path(&format!("made-{round}")), &layers)
}

/// How long to wait before a kill: at random, within a range that follows how long pushes take here, so that
/// most kills fall into one on a fast machine as on a slow one.
struct Aim {
    range_ms: u64,
    hits: u64,
}

impl Aim {
    fn delay(&self, dice: &mut Dice) -> Duration {
        Duration::from_millis(5 + dice.roll(self.range_ms))
    }

    fn learn(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.range_ms = if hit { (self.range_ms * 5 / 4).min(1000) } else { (self.range_ms * 3 / 4).max(20) };
    }
}

/// Pushes while the server is killed after `delay`. Returns how the push ended, and whether the kill fell
/// into it.
fn push_into_a_kill(scene: &mut Scene, layout: &Layout, to: &str, delay: Duration) -> (Finished, bool) {
    let (program, server) = (&scene.program, &mut scene.server);
    std::thread::scope(|threads| {
        let push = threads.spawn(|| program.attempt(&["push", text(layout.directory()), to]));
        std::thread::sleep(delay);
        let hit = !push.is_finished();
        server.kill();
        // The client may be retrying by now; it meets a server again soon, as it would in life.
        server.restart();
        (push.join().expect("the push does not panic"), hit)
    })
}

/// That nothing acknowledged is lost and nothing dangles.
fn verify(scene: &Scene, acknowledged: &[Acknowledged]) {
    let client = scene.server.client();
    for push in acknowledged {
        closure::verify(&client, push.repository, &push.digest);
    }
    for repository in REPOSITORIES {
        for tag in closure::tags(&client, repository) {
            closure::verify(&client, repository, &tag);
        }
    }
}

/// Only the newest pushes: reading all of them after each of the rounds would be most of the time.
fn newest(acknowledged: &[Acknowledged]) -> &[Acknowledged] {
    &acknowledged[acknowledged.len().saturating_sub(3)..]
}

#[test]
fn what_was_acknowledged_survives_being_killed_at_any_moment() {
    let Some(mut scene) = Scene::with("crane") else { return };
    let mut dice = Dice::announced();
    let seed = dice.seed();
    let mut aim = Aim { range_ms: 400, hits: 0 };
    let mut acknowledged = Vec::new();

    for round in 0..ROUNDS {
        let repository = REPOSITORIES[usize::try_from(dice.roll(2)).expect("0 or 1")];
        let layout = image(&scene, round, seed, &mut dice);
        // Half of the rounds move one tag, the others make a new one.
        let tag = if dice.roll(2) == 0 { TAG.to_owned() } else { format!("round-{round}") };
        let to = format!("{}:{tag}", scene.repository(repository));
        let delay = aim.delay(&mut dice);

        let (first, hit) = push_into_a_kill(&mut scene, &layout, &to, delay);
        aim.learn(hit);
        verify(&scene, newest(&acknowledged));
        if !first.succeeded {
            let again = scene.program.attempt(&["push", text(layout.directory()), &to]);
            assert!(again.succeeded, "round {round}: the repeated push failed\n{again}\nafter\n{first}");
        }
        assert_eq!(closure::verify(&scene.server.client(), repository, &tag), layout.digest());
        acknowledged.push(Acknowledged { repository, digest: layout.digest().to_owned() });
    }

    assert_eq!(acknowledged.len() as u64, ROUNDS);
    println!("{} of {ROUNDS} kills fell into a push", aim.hits);
    assert!(aim.hits > 0, "no kill fell into a push, so nothing was shown");
    scene.server.kill();
    scene.server.restart();
    verify(&scene, &acknowledged);
}
