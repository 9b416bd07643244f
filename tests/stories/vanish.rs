//! A worker vanishes while its fetch waits at the broker, and at that moment a job is pushed. What the broker then hands
//! out for the dead goes back to where it came from.

use crate::support::celery::Celery;
use crate::support::redis::Client;
use crate::support::sidekiq::Sidekiq;
use crate::support::story::{System, random};
use crate::support::{World, eventually, rounds, secs};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Each job is pushed when the last client that could have fetched it is gone: all of them must be there afterwards.
#[test]
fn nobody_is_left() {
    const QUEUES: usize = 30;
    let world = World::new();
    for round in 0..rounds() {
        let queues: Vec<String> = (0..QUEUES).map(|number| format!("q{round}-{number}")).collect();
        // some wait long, some in slices of the gate, some for ever
        let clients: Vec<Client> = (0..4 * QUEUES)
            .map(|number| {
                let mut client = Client::connect(&world.worker_address()).expect("the gate accepts");
                let timeout = ["1", "2", "30", "0"][number % 4];
                client.send(&["BRPOP", &queues[number / 4], timeout]).expect("sent");
                client
            })
            .collect();
        eventually("the fetches are at the broker", secs(60), || {
            (world.redis.info("blocked_clients") >= 3 * QUEUES as u64).then_some(())
        });
        let mut pusher = Client::connect(&world.redis.address()).expect("the broker");
        for (queue, four) in queues.iter().zip(chunks_of_four(clients)) {
            four.into_iter().for_each(Client::leave);
            for job in 0..4 {
                pusher.command(&["LPUSH", queue, &format!("job{job}")]).expect("pushed");
            }
        }
        // the last slice is over after a second or two
        eventually("no fetch waits at the broker", secs(60), || {
            (world.redis.info("blocked_clients") == 0).then_some(())
        });
        eventually("the gate has closed the broker's sides", secs(60), || {
            (world.gate().metric("draingate_connections") == 0.0).then_some(())
        });
        for queue in &queues {
            let mut left: Vec<String> =
                world.redis.command(&["LRANGE", queue, "0", "-1"]).lines().map(str::to_owned).collect();
            left.sort();
            assert_eq!(left, ["job0", "job1", "job2", "job3"], "{queue} in round {round}");
        }
    }
}

fn chunks_of_four(clients: Vec<Client>) -> Vec<Vec<Client>> {
    let mut chunks: Vec<Vec<Client>> = Vec::new();
    for (number, client) in clients.into_iter().enumerate() {
        if number % 4 == 0 {
            chunks.push(Vec::new());
        }
        chunks.last_mut().expect("a chunk").push(client);
    }
    chunks
}

/// What is moved to a list for the dead, and is taken from there by somebody else at once, is not pushed back besides.
#[test]
fn somebody_else_clears_up() {
    const QUEUES: usize = 20;
    let world = World::new();
    let name = |kind: &str, number: usize| format!("{kind}{number}");
    let ask = |address: &str, words: &[&str]| {
        let mut client = Client::connect(address).expect("it accepts");
        client.send(words).expect("sent");
        client
    };
    let dead: Vec<Client> = (0..QUEUES)
        .map(|n| ask(&world.worker_address(), &["BLMOVE", &name("q", n), &name("mine", n), "LEFT", "RIGHT", "30"]))
        .collect();
    let others: Vec<Client> =
        (0..QUEUES).map(|n| ask(&world.redis.address(), &["BLPOP", &name("mine", n), "3"])).collect();
    eventually("all wait at the broker", secs(60), || {
        (world.redis.info("blocked_clients") == 2 * QUEUES as u64).then_some(())
    });
    dead.into_iter().for_each(Client::leave);
    for n in 0..QUEUES {
        world.redis.command(&["RPUSH", &name("q", n), "job"]);
    }
    eventually("the gate has closed the broker's sides", secs(60), || {
        (world.gate().metric("draingate_connections") == 0.0).then_some(())
    });
    let mut taken = 0;
    for (n, mut other) in others.into_iter().enumerate() {
        // a slice may have ended before the job came: then it is where it was pushed to
        let in_hand = usize::from(other.reply().expect("a reply").ends_with("job"));
        let left: usize = world.redis.command(&["LLEN", &name("q", n)]).trim().parse().expect("a number");
        assert_eq!(in_hand + left, 1, "of queue {n}: {in_hand} in other hands, {left} in the queue");
        taken += in_hand;
    }
    assert!(taken > 0, "nobody else was quick enough: this proves nothing");
}

/// Clients come, fetch and say goodbye at random moments, while jobs are pushed as fast as they are taken. They half-close
/// and read to the end, so that it is known what reached them: each job reaches one of them or is still in its queue.
#[test]
fn jobs_are_pushed_all_the_time() {
    let world = World::new();
    let jobs = 1500 * rounds();
    let stop = AtomicBool::new(false);
    let received = Mutex::new(Vec::<String>::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut random = random();
                while !stop.load(Ordering::Relaxed) {
                    let mut client = Client::connect(&world.worker_address()).expect("the gate accepts");
                    for fetch in 0.. {
                        client.send(&["BRPOP", "q", "2"]).expect("sent");
                        if fetch == 2 || random.bool() {
                            break;
                        }
                        note(&received, client.reply().expect("a reply"));
                    }
                    std::thread::sleep(Duration::from_micros(random.u64(0..6000)));
                    client.half_close().expect("half-closed");
                    while let Ok(reply) = client.reply() {
                        note(&received, reply);
                    }
                }
            });
        }
        let _stop = crate::support::story::StopOnDrop(&stop);
        let mut random = random();
        let mut pusher = Client::connect(&world.redis.address()).expect("the broker");
        for number in 0..jobs {
            pusher.command(&["LPUSH", "q", &format!("job{number}")]).expect("pushed");
            if random.u8(0..4) == 0 {
                std::thread::sleep(Duration::from_micros(random.u64(0..4000)));
            }
        }
    });
    eventually("no connection is left", secs(60), || {
        (world.gate().metric("draingate_connections") == 0.0).then_some(())
    });
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let left = world.redis.command(&["LRANGE", "q", "0", "-1"]);
    let received = received.into_inner().expect("no thread failed");
    for job in left.lines().chain(received.iter().map(String::as_str)).filter(|job| !job.is_empty()) {
        *count.entry(job.to_owned()).or_default() += 1;
    }
    let lost: Vec<String> =
        (0..jobs).map(|number| format!("job{number}")).filter(|job| !count.contains_key(job)).collect();
    let doubled: Vec<&String> = count.iter().filter(|(_, count)| **count > 1).map(|(job, _)| job).collect();
    assert!(lost.is_empty() && doubled.is_empty(), "of {jobs}: lost {lost:?}, doubled {doubled:?}");
    let put_back = world.gate().metric("draingate_orphan_replies_total");
    eprintln!("{} received, {put_back} replies for clients that had gone", received.len());
    assert!(put_back > 0.0, "no fetch was caught in the act: this proves nothing");
}

/// What a BRPOP answered: the key and the job, or nothing.
fn note(received: &Mutex<Vec<String>>, reply: String) {
    if let Some((_, job)) = reply.split_once('\n') {
        received.lock().expect("no thread failed").push(job.to_owned());
    }
}

/// Real workers: all threads of one wait for a job, it is killed, and the jobs that are pushed in the same instant run on
/// the other one.
#[test]
fn killed_while_it_waits() {
    let systems: [&dyn System; 3] = [&Sidekiq::new(6), &Sidekiq::new(8), &Celery::default()];
    for system in systems {
        let world = World::new();
        let _other = system.start(&world, "w2", 1);
        let mut producer = system.producer(&world);
        producer.push("warm", 0.0, 0.0);
        world.log().await_line("end", "warm", secs(60));
        for round in 1..=rounds() {
            let mut worker = system.start(&world, "w1", round);
            eventually("it waits for a job", secs(60), || {
                world.gate().worker(&worker.name).filter(|worker| worker["in_flight"]["running"] == 0)
            });
            std::thread::sleep(Duration::from_millis(random().u64(0..1500)));
            worker.process.kill();
            for job in 0..20 {
                producer.push(&format!("job{round}-{job}"), 0.01, 0.0);
            }
            // a producer of its own process may be behind
            world.log().await_line("push", &format!("job{round}-19"), secs(60));
            world.log().await_all_ended(secs(60));
        }
        world.log().assert_exactly_once(&[]);
    }
}
