//! Fifty uploads at once over three replicas of which one or two are killed again and again.
//!
//! A kill falls when so many bytes have passed the balancer, not when so much time has: whatever the machine,
//! each falls into uploads. `ENTREPOT_TEST_SCALE` makes the blobs smaller by that factor, and
//! `ENTREPOT_TEST_SEED` repeats sizes, habits and kills; who is struck within a request stays up to the
//! machine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use entrepot_tests::balancer::Balancer;
use entrepot_tests::dice::Dice;
use entrepot_tests::environment;
use entrepot_tests::server::{Server, Storage};
use entrepot_tests::stores::{Kind, ObjectStore};

use crate::home;
use crate::sender::{Content, Effort, Habit, Push, read_back};
use crate::storage::{Inventory, clear, expire, wait};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const REPLICAS: usize = 3;
const UPLOADS: usize = 50;
const KILLS: u64 = 20;

/// Sizes at full scale that are always among the fifty; the others are small.
const LARGE: [u64; 6] = [1024 * MIB, 512 * MIB, 300 * MIB, 256 * MIB, 100 * MIB, 64 * MIB];
const SMALLEST: u64 = KIB;
/// How the largest is pushed, which most kills meet: after each of these chunks there is something to go on from.
const LARGEST_GOES: Habit = Habit::Chunked(4 * MIB);
/// Up to this scale uploads are long enough for kills to meet them between two chunks; beyond, chance may spare them.
const SHOWS_RESUMPTION: u64 = 8;

/// One large blob of each size; of the others as many of 1 to 2 KiB as of 2 to 4, and so on up to 16 MiB.
fn contents(dice: &mut Dice, scale: u64) -> Vec<Content> {
    let size = |index: usize, dice: &mut Dice| match LARGE.get(index) {
        Some(size) => size / scale,
        None => {
            let magnitude = KIB << dice.roll(14);
            magnitude + dice.roll(magnitude)
        }
    };
    let content = |index| Content { seed: dice.roll(1 << 30), size: size(index, dice).max(SMALLEST) };
    (0..UPLOADS).map(content).collect()
}

fn habit(dice: &mut Dice) -> Habit {
    match dice.roll(3) {
        0 => Habit::Whole,
        1 => Habit::Streamed,
        _ => Habit::Chunked(MIB << dice.roll(6)),
    }
}

/// Kills one or two replicas each time another share of `total` bytes has passed, and starts them again.
fn kill(servers: &mut [Server], balancer: &Balancer, total: u64, mut dice: Dice, over: &AtomicBool) -> u64 {
    let mut kills = 0;
    let share = total / (KILLS + 1);
    for round in 1..=KILLS {
        let moment = round * share - dice.roll(share.min(1 << 30));
        while balancer.bytes_in() < moment {
            if over.load(Ordering::Relaxed) {
                return kills;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let first = usize::try_from(dice.roll(REPLICAS as u64)).expect("a small number");
        let struck = 1 + usize::from(dice.roll(3) == 0);
        for index in 0..struck {
            servers[(first + index) % REPLICAS].kill();
            kills += 1;
        }
        for index in 0..struck {
            servers[(first + index) % REPLICAS].restart();
        }
    }
    kills
}

#[test]
fn uploads_survive_replicas_that_are_killed_at_random() {
    let Some(store) = ObjectStore::find(Kind::S3) else { return };
    let scale = environment::variable("ENTREPOT_TEST_SCALE");
    let scale: u64 = scale.map_or(1, |text| text.parse().expect("a scale is a number"));
    let mut dice = Dice::announced();
    let home = home();
    let storage = Storage::Object(store.clone());
    let mut servers = Server::start_many(REPLICAS, home.path(), &storage, "");
    let balancer = Balancer::before(&servers.iter().map(Server::address).collect::<Vec<_>>());
    let contents = contents(&mut dice, scale);
    let mut habits: Vec<_> = contents.iter().map(|_| habit(&mut dice)).collect();
    habits[0] = LARGEST_GOES;
    let total: u64 = contents.iter().map(|content| content.size).sum();
    println!("{UPLOADS} uploads of {total} bytes together, scale {scale}");

    let over = AtomicBool::new(false);
    let (efforts, kills) = std::thread::scope(|threads| {
        let (servers, balancer, over) = (&mut servers, &balancer, &over);
        let killer = threads.spawn(move || kill(servers, balancer, total, dice, over));
        let push = |(&content, &habit)| {
            let push = Push { address: balancer.address(), repository: "killed", content, habit };
            threads.spawn(move || push.run())
        };
        let pushes: Vec<_> = contents.iter().zip(&habits).map(push).collect();
        let efforts: Vec<_> = pushes.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        let kills = killer.join().expect("servers can be killed and started");
        let efforts: Vec<Effort> =
            efforts.into_iter().map(|effort| effort.expect("every client finishes")).collect();
        (efforts, kills)
    });

    let sum = |what: fn(&Effort) -> u64| efforts.iter().map(what).sum::<u64>();
    let (failures, resumed) = (sum(|effort| effort.failures), sum(|effort| effort.resumed));
    let restarted = sum(|effort| effort.restarted);
    println!("{kills} kills, {failures} failed requests, {resumed} resumed, {restarted} begun anew");
    assert!(kills >= KILLS / 2 && failures > 0, "the kills met nothing, so nothing was shown");
    // Where servers start slowly there are few kills, and chance may spare all uploads.
    let shows_resumption = scale <= SHOWS_RESUMPTION && kills >= KILLS;
    assert!(resumed > 0 || !shows_resumption, "no upload went on from where it stood");
    for content in &contents {
        assert_eq!(read_back(&balancer.client(), "killed", *content), content.digest(), "{content:?}");
    }
    drop(servers);
    wait(nothing_is_left_over(&store, &contents));
    wait(clear(&store));
}

/// After a month there are as many objects and bytes as blobs, and no upload in parts is open.
#[expect(clippy::print_stdout, reason = "what was found belongs beside the result")]
async fn nothing_is_left_over(store: &ObjectStore, contents: &[Content]) {
    let driver = store.driver().await;
    let before = Inventory::of(&driver).await;
    let expired = expire(&driver).await;
    let after = Inventory::of(&driver).await;

    let (objects, uploads) = (before.data.len(), before.uploads);
    println!("{objects} objects and {uploads} uploads in parts were there; {expired:?}");
    assert_eq!(expired.failures, 0);
    assert_eq!(after.uploads, 0, "uploads in parts are left");
    assert_eq!(after.data.len(), contents.len(), "{after:?}");
    assert_eq!(after.bytes(), contents.iter().map(|content| content.size).sum::<u64>());
}
