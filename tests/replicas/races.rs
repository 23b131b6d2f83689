//! Several writers at once: rows B11 and B33; reliability row 29. The outcomes are asserted, never who wins.

use std::sync::Barrier;

use entrepot_api::Failure;
use entrepot_oci::{Algorithm, Digest};
use entrepot_storage::decorate::{Operation, Point, Stepper, Ticket};
use entrepot_tests::http::{Client, Response};
use entrepot_tests::on_every_store;
use entrepot_tests::registry::content::{noise, with_digest};
use entrepot_tests::registry::{Image, Setup, TestRegistry};

/// Does the same at every client at the same moment.
fn at_once<'c>(
    clients: impl IntoIterator<Item = &'c TestRegistry>,
    request: impl Fn(usize, &Client) -> Response + Sync,
) -> Vec<Response> {
    let clients: Vec<&TestRegistry> = clients.into_iter().collect();
    let barrier = Barrier::new(clients.len());
    std::thread::scope(|scope| {
        let send = |(n, client): (usize, &'c TestRegistry)| {
            let (barrier, request) = (&barrier, &request);
            scope.spawn(move || {
                barrier.wait();
                request(n, client)
            })
        };
        let sent: Vec<_> = clients.into_iter().enumerate().map(send).collect();
        sent.into_iter().map(|thread| thread.join().expect("a request is answered")).collect()
    })
}

/// Row 29: one 202, and 416 with the true range for the other.
fn of_two_chunks_at_one_place_one_wins(setup: Setup) {
    let replicas = [setup.start(), setup.start()];
    for round in 0..20_u64 {
        let chunks = [noise(round, 3000), noise(round + 1000, 5000)];
        let location = replicas[0].open_upload("a");

        let answers = at_once(&replicas, |n, client| {
            let range = format!("0-{}", chunks[n].len() - 1);
            client.patch(&location).header("Content-Range", range).body(chunks[n].clone()).send()
        });

        let won: Vec<_> = (0..2).filter(|n| answers[*n].status == 202).collect();
        assert_eq!(won.len(), 1, "{} {}", answers[0], answers[1]);
        let winner = won[0];
        let loser = &answers[1 - winner];
        assert_eq!(loser.status, 416, "{loser}");
        assert_eq!(loser.expect_header("Range"), format!("0-{}", chunks[winner].len() - 1));
        let closing = with_digest(loser.expect_header("Location"), Digest::sha256(&chunks[winner]));
        replicas[winner].put(closing).empty().send().expect(201);
    }
}

/// Later chunks of one session race like first ones.
fn of_two_later_chunks_one_wins(setup: Setup) {
    let replicas = [setup.start(), setup.start()];
    for round in 0..20_u64 {
        let first = noise(round, 1000);
        let chunks = [noise(round + 500, 1000), noise(round + 1000, 2000)];
        let patched = replicas[0].patch(replicas[0].open_upload("a")).body(first.clone()).send().expect(202);
        let location = patched.expect_header("Location");

        let answers = at_once(&replicas, |n, client| {
            let range = format!("1000-{}", 999 + chunks[n].len());
            client.patch(location).header("Content-Range", range).body(chunks[n].clone()).send()
        });

        let winner = usize::from(answers[0].status != 202);
        assert_eq!((answers[winner].status, answers[1 - winner].status), (202, 416));
        let true_range = format!("0-{}", 999 + chunks[winner].len());
        assert_eq!(answers[1 - winner].expect_header("Range"), true_range);
        let whole = [first, chunks[winner].clone()].concat();
        let closing = with_digest(answers[winner].expect_header("Location"), Digest::sha256(&whole));
        replicas[1].put(closing).empty().send().expect(201);
    }
}

/// The winner frees the bytes both began with, so the loser finds nothing there: it has to learn that it
/// lost, not that the store is broken (once answered 503).
fn the_loser_learns_its_fate_although_its_bytes_are_gone(setup: Setup) {
    let winner = setup.start();
    let (held, controls) = setup.breakable();
    let held = held.start();
    let patched = winner.patch(winner.open_upload("a")).body(noise(1, 1000)).send().expect(202);
    let location = patched.expect_header("Location");
    let next = |client: &Client, length: usize| {
        let patch = client.patch(location).header("Content-Range", format!("1000-{}", 999 + length));
        patch.body(noise(2, length)).send()
    };
    let stepper = Stepper::before();
    controls.step_by(&stepper);

    let lost = std::thread::scope(|scope| {
        let loser = scope.spawn(|| next(&held, 500));
        let reads_bytes =
            |ticket: &Ticket| ticket.operation == Operation::Get && ticket.subject.starts_with("data/");
        loop {
            // Looked at once: what comes to wait after this look is not to be released by it.
            let waiting = stepper.waiting();
            if waiting.iter().any(reads_bytes) {
                break;
            }
            assert!(!loser.is_finished(), "nothing was parked");
            waiting.iter().for_each(|ticket| {
                stepper.release(ticket.id);
            });
            std::thread::yield_now();
        }
        next(&winner, 700).expect(202);
        while !loser.is_finished() {
            stepper.release_all();
            std::thread::yield_now();
        }
        loser.join().expect("the loser is answered")
    });

    let lost = lost.refused(Failure::ChunkOutOfOrder);
    assert_eq!(lost.expect_header("Range"), "0-1699");
}

/// Two replicas close one session: both may say 201, and there is one blob.
fn of_two_commits_none_is_lost(setup: Setup) {
    let setup = setup.domain(|config| config.part_bytes = Some(16 * 1024));
    let replicas = [setup.start(), setup.start()];
    for round in 0..20_u64 {
        let content = noise(round, if round % 2 == 0 { 2000 } else { 100_000 });
        let digest = Digest::sha256(&content);
        let patched =
            replicas[0].patch(replicas[0].open_upload("a")).body(content.clone()).send().expect(202);
        let closing = with_digest(patched.expect_header("Location"), digest);

        let answers = at_once(&replicas, |_, client| client.put(&closing).empty().send());

        assert!(answers.iter().any(|answer| answer.status == 201), "{} {}", answers[0], answers[1]);
        for answer in answers {
            assert!([201, 416, 503].contains(&answer.status), "{answer}");
        }
        replicas[0].put(&closing).empty().send().expect(201);
        assert!(replicas[1].get(format!("/v2/a/blobs/{digest}")).send().expect(200).body == content);
    }
}

/// Whoever closes a session, the bytes that get a digest are those that hash to it.
fn of_two_closings_with_other_last_bytes_none_gets_the_others(setup: Setup) {
    let setup = setup.domain(|config| config.part_bytes = Some(8 * 1024));
    let replicas = [setup.start(), setup.start()];
    for round in 0..20_u64 {
        let first = noise(round, 8 * 1024);
        // As long as a part, and as long as each other: no count of bytes tells them apart.
        let wholes = [1, 2].map(|n| [first.clone(), noise(round * 2 + 1000 + n, 8 * 1024)].concat());
        let patched = replicas[0].patch(replicas[0].open_upload("a")).body(first).send().expect(202);
        let location = patched.expect_header("Location");

        let answers = at_once(&replicas, |n, client| {
            let closing = with_digest(location, Digest::sha256(&wholes[n]));
            client.put(closing).body(wholes[n][8 * 1024..].to_vec()).send()
        });

        assert!(answers.iter().filter(|answer| answer.status == 201).count() <= 1, "{answers:?}");
        for (whole, answer) in wholes.iter().zip(&answers) {
            assert_holds_only_the_right_bytes(&replicas[1], whole, answer.status == 201);
        }
    }
}

/// A proxy repeats a PUT that carries the last bytes while the first is still at work. Which of the two parts the
/// store holds is chance, and both are right.
fn of_two_closings_with_the_same_last_bytes_one_comes_about(setup: Setup) {
    let setup = setup.domain(|config| config.part_bytes = Some(8 * 1024));
    let replicas = [setup.start(), setup.start()];
    for round in 0..40_u64 {
        let (first, last) = (noise(round, 8 * 1024), noise(round + 1000, 8 * 1024 + 10));
        let whole = [first.clone(), last.clone()].concat();
        let patched = replicas[0].patch(replicas[0].open_upload("a")).body(first).send().expect(202);
        let closing = with_digest(patched.expect_header("Location"), Digest::sha256(&whole));

        let answers = at_once(&replicas, |_, client| client.put(&closing).body(last.clone()).send());

        assert!(answers.iter().any(|answer| answer.status == 201), "{} {}", answers[0], answers[1]);
        assert!(answers.iter().all(|answer| [201, 503].contains(&answer.status)), "{answers:?}");
        replicas[0].put(&closing).body(last).send().expect(201);
        assert_holds_only_the_right_bytes(&replicas[1], &whole, true);
    }
}

#[track_caller]
fn assert_holds_only_the_right_bytes(client: &Client, content: &[u8], is_acknowledged: bool) {
    let pulled = client.get(format!("/v2/a/blobs/{}", Digest::sha256(content))).send();
    match pulled.status {
        200 => assert!(pulled.body == content, "other bytes have this digest"),
        404 => assert!(!is_acknowledged, "an acknowledged blob is gone"),
        _ => panic!("{pulled}"),
    }
}

/// A closing that is held up at any of its writes while another, with a digest of another algorithm that is
/// wrong, does all it can (once it completed the upload, was refused, and the first took its object for its own).
fn a_wrong_closing_puts_nothing_into_a_right_one(setup: Setup) {
    const PART: usize = 8 * 1024;
    let setup = setup.domain(|config| config.part_bytes = Some(PART as u64));
    let meddler = setup.start();
    let (held, controls) = setup.breakable();
    let held = held.start();
    let stops = [Operation::UploadPart, Operation::UploadFlush, Operation::Put, Operation::UploadComplete];
    for (round, stop) in stops.into_iter().enumerate() {
        let round = round as u64;
        let (first, right, wrong) = (noise(round, PART), noise(round + 10, PART), noise(round + 20, PART));
        let whole = [first.clone(), right.clone()].concat();
        let patched = meddler.patch(meddler.open_upload("a")).body(first).send().expect(202);
        let location = patched.expect_header("Location").to_owned();
        let stepper = Stepper::before_and_after();
        controls.step_by(&stepper);

        let answer = std::thread::scope(|scope| {
            let closing = with_digest(&location, Digest::sha256(&whole));
            let closing = scope.spawn(|| held.put(closing).body(right).send());
            let mut is_meddled = false;
            while !closing.is_finished() {
                for ticket in stepper.waiting() {
                    if ticket.operation == stop && !is_meddled && ticket.point == Point::After {
                        let refused =
                            with_digest(&location, Digest::of(Algorithm::Sha512, b"something else"));
                        let refused = meddler.put(refused).body(wrong.clone()).send();
                        assert!([400, 404].contains(&refused.status), "{refused}");
                        is_meddled = true;
                    }
                    stepper.release(ticket.id);
                }
                std::thread::yield_now();
            }
            assert!(is_meddled, "the closing makes no {stop}");
            closing.join().expect("it is answered")
        });
        controls.clear();

        assert!([201, 404, 503].contains(&answer.status), "{answer}");
        assert_holds_only_the_right_bytes(&meddler, &whole, answer.status == 201);
        // And whoever comes with the right bytes can push them.
        meddler.push_blob("a", &whole);
        assert_holds_only_the_right_bytes(&meddler, &whole, true);
    }
}

/// BuildKit pushes one layer many times at once.
fn one_blob_pushed_by_many_is_one_blob(setup: Setup) {
    let replicas: Vec<_> = (0..3).map(|_| setup.start()).collect();
    for round in 0..10_u64 {
        let content = noise(round, 2000);
        let digest = Digest::sha256(&content);
        let everybody = replicas.iter().chain(&replicas);

        let answers = at_once(everybody, |n, client| {
            let name = if n % 2 == 0 { "a" } else { "b" };
            client.put(with_digest(&client.open_upload(name), digest)).body(content.clone()).send()
        });

        for answer in answers {
            assert_eq!(answer.status, 201, "{answer}");
        }
        for name in ["a", "b"] {
            assert!(replicas[2].get(format!("/v2/{name}/blobs/{digest}")).send().expect(200).body == content);
        }
    }
}

/// B33: the tag names one of them, and every manifest that was acknowledged can be pulled.
fn one_tag_pushed_by_many_names_one_of_them(setup: Setup) {
    let replicas: Vec<_> = (0..3).map(|_| setup.start()).collect();
    for round in 0..6 {
        let images: Vec<_> = (0..6).map(|n| Image::called(&format!("{round}-{n}"))).collect();
        for image in &images {
            replicas[0].push_blob("a", &image.config);
            replicas[0].push_blob("a", &image.layer);
        }

        let everybody = replicas.iter().chain(&replicas);
        let answers = at_once(everybody, |n, client| client.put_manifest("a", "latest", &images[n].manifest));

        let tagged = replicas[0].get("/v2/a/manifests/latest").send().expect(200);
        assert!(images.iter().any(|image| image.manifest.bytes == tagged.body));
        let mut acknowledged = 0;
        for (image, answer) in images.iter().zip(answers) {
            match answer.status {
                201 => acknowledged += 1,
                503 => continue,
                _ => panic!("{answer}"),
            }
            let pulled = replicas[1].get(format!("/v2/a/manifests/{}", image.digest())).send().expect(200);
            assert_eq!(pulled.body, image.manifest.bytes);
        }
        assert!(acknowledged > 0);
    }
}

/// A push races with the delete of what it names: acknowledged means whole.
fn a_push_and_a_delete_of_what_it_names_agree(setup: Setup) {
    let replicas = [setup.start(), setup.start()];
    for round in 0..20 {
        let image = Image::called(&format!("contested {round}"));
        replicas[0].push_blob("a", &image.config);
        let layer = replicas[0].push_blob("a", &image.layer);
        let blob = format!("/v2/a/blobs/{layer}");

        let answers = at_once(&replicas, |n, client| match n {
            0 => client.put_manifest("a", "v1", &image.manifest),
            _ => client.delete(&blob).send(),
        });

        let (pushed, deleted) = (answers[0].status, answers[1].status);
        assert!([201, 400, 503].contains(&pushed), "{}", answers[0]);
        assert!([202, 405, 503].contains(&deleted), "{}", answers[1]);
        assert!(!(pushed == 201 && deleted == 202), "a manifest without its layer was acknowledged");
        if pushed == 201 {
            replicas[1].get(&blob).send().expect(200);
        }
    }
}

on_every_store![
    of_two_chunks_at_one_place_one_wins,
    of_two_later_chunks_one_wins,
    the_loser_learns_its_fate_although_its_bytes_are_gone,
    of_two_commits_none_is_lost,
    of_two_closings_with_other_last_bytes_none_gets_the_others,
    of_two_closings_with_the_same_last_bytes_one_comes_about,
    a_wrong_closing_puts_nothing_into_a_right_one,
    one_blob_pushed_by_many_is_one_blob,
    one_tag_pushed_by_many_names_one_of_them,
    a_push_and_a_delete_of_what_it_names_agree,
];
