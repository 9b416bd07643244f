//! Several workers, each through its own gate, at a model of Redis. Bytes move in pieces, in any interleaving with
//! pushes, marks, time-outs and vanishing clients.
//!
//! What must hold: replies are right and in order; an empty reply never comes before its time-out; nothing is handed
//! out to a gate that has no fetch at the broker, nor from a paused queue to one that has said that none of its fetches is
//! there; and in the end each element is in exactly one place.

use crate::support::redis::{Redis, value};
use crate::support::{Cuts, Player, cases, command};
use draingate::gate::resp::RespSettings;
use draingate::gate::{Gate, Side};
use draingate::job::{Fate, FetchEnd, JobEvent, Place};
use globset::{Glob, GlobSetBuilder};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Debug)]
enum Op {
    /// So many bytes move on one of the four stretches of a connection.
    Move {
        worker: usize,
        stretch: usize,
        bytes: usize,
    },
    Ask {
        worker: usize,
        what: usize,
        tenths: u64,
    },
    Push {
        left: bool,
    },
    Wait {
        ms: u64,
    },
    Mark {
        worker: usize,
        marked: bool,
    },
    /// These queues are paused, and no others.
    Pause {
        queues: &'static [&'static str],
    },
    /// The client goes, and comes again with a new connection.
    Vanish {
        worker: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let worker = 0..3usize;
    prop_oneof![
        20 => (worker.clone(), 0..4usize, prop_oneof![1..6usize, 6..80usize, Just(10_000usize)])
            .prop_map(|(worker, stretch, bytes)| Op::Move { worker, stretch, bytes }),
        6 => (worker.clone(), 0..9usize, 0..45u64).prop_map(|(worker, what, tenths)| Op::Ask { worker, what, tenths }),
        4 => any::<bool>().prop_map(|left| Op::Push { left }),
        4 => prop_oneof![1..50u64, 50..3000u64].prop_map(|ms| Op::Wait { ms }),
        2 => (worker.clone(), any::<bool>()).prop_map(|(worker, marked)| Op::Mark { worker, marked }),
        1 => worker.prop_map(|worker| Op::Vanish { worker }),
        1 => prop_oneof![Just(&[][..]), Just(&["q"][..]), Just(&["other"][..]), Just(&["other", "q"][..])]
            .prop_map(|queues| Op::Pause { queues }),
    ]
}

/// What a client waits for.
#[derive(Debug)]
enum Due {
    Exactly(Vec<u8>),
    /// The result of a fetch: not empty before this time; empty looks so in RESP2.
    Fetch {
        until: Option<u64>,
        nil: &'static [u8],
    },
    Hello {
        three: bool,
    },
}

struct Line {
    player: Player,
    /// Its number at Redis.
    conn: usize,
    /// Bytes that the client has written.
    sent: Vec<u8>,
    /// Bytes that have reached the client.
    got: Vec<u8>,
    due: VecDeque<Due>,
    three: bool,
    /// Fetches at the broker, as the gate tells it.
    at_broker: i64,
    /// The pauses under which it has one there, as the gate tells it.
    open: Vec<String>,
    lost: usize,
    gone: bool,
    ended: bool,
}

struct World {
    redis: Redis,
    lines: Vec<Line>,
    /// The line of each worker now.
    workers: Vec<usize>,
    marked: Vec<bool>,
    paused: Vec<String>,
    pushed: usize,
    /// Elements that a client got, by name.
    received: BTreeMap<Vec<u8>, usize>,
    echoes: usize,
}

impl World {
    fn new() -> World {
        let mut world = World {
            redis: Redis::default(),
            lines: vec![],
            workers: vec![],
            marked: vec![false; 3],
            paused: vec![],
            pushed: 0,
            received: BTreeMap::new(),
            echoes: 0,
        };
        for _ in 0..3 {
            let line = world.connect();
            world.workers.push(line);
        }
        world.redis.now = world.lines[0].player.now;
        world
    }

    fn connect(&mut self) -> usize {
        let fetch = GlobSetBuilder::new().add(Glob::new("q").unwrap()).build().unwrap();
        let settings = RespSettings { fetch, ..RespSettings::default() };
        let mut player = Player::new(settings, self.lines.len() as u64, Cuts::Whole);
        player.now = self.redis.now.max(player.now);
        player.stall(0);
        self.lines.push(Line {
            player,
            conn: self.redis.connect(),
            sent: vec![],
            got: vec![],
            due: VecDeque::new(),
            three: false,
            at_broker: 0,
            open: vec![],
            lost: 0,
            gone: false,
            ended: false,
        });
        self.lines.len() - 1
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Move { worker, stretch, bytes } => self.move_bytes(self.workers[worker], stretch, bytes),
            Op::Ask { worker, what, tenths } => self.ask(self.workers[worker], worker, what, tenths),
            Op::Push { left } => {
                self.pushed += 1;
                let element = format!("e{}", self.pushed);
                self.redis.push(b"q", element.as_bytes(), left);
                self.check_handed();
            }
            Op::Wait { ms } => self.wait(ms),
            Op::Mark { worker, marked } => {
                self.marked[worker] = marked;
                let line = self.workers[worker];
                self.lines[line].player.mark(marked);
                self.look(line);
            }
            Op::Vanish { worker } => {
                let line = self.workers[worker];
                self.lines[line].gone = true;
                self.lines[line].sent.clear();
                self.lines[line].player.gone(Side::Client);
                self.look(line);
                let line = self.connect();
                self.workers[worker] = line;
                self.lines[line].player.mark(self.marked[worker]);
                self.lines[line].player.pause(&self.paused);
            }
            Op::Pause { queues } => {
                self.paused = queues.iter().map(|queue| (*queue).to_owned()).collect();
                for line in 0..self.lines.len() {
                    self.lines[line].player.pause(&self.paused);
                    self.look(line);
                }
            }
        }
    }

    fn ask(&mut self, line: usize, worker: usize, what: usize, tenths: u64) {
        self.echoes += 1;
        let now = self.redis.now;
        let line = &mut self.lines[line];
        let seconds = format!("{}.{}", tenths / 10, tenths % 10);
        let until = (tenths > 0).then_some(now + tenths * 100);
        let word = format!("word{}", self.echoes);
        let bulk = |w: &str| format!("${}\r\n{w}\r\n", w.len()).into_bytes();
        let fetch = Due::Fetch { until, nil: b"*-1\r\n" };
        let (text, due) = match what {
            0 | 1 => (format!("BRPOP q {seconds}"), fetch),
            2 => (format!("BLPOP other q {seconds}"), fetch),
            3 => (format!("BLMOVE q w{worker} RIGHT LEFT {seconds}"), fetch),
            4 => ("LPOP q".to_owned(), Due::Fetch { until: Some(0), nil: b"$-1\r\n" }),
            5 => (format!("ECHO {word}"), Due::Exactly(bulk(&word))),
            6 => {
                let three = tenths.is_multiple_of(2);
                (format!("HELLO {}", if three { 3 } else { 2 }), Due::Hello { three })
            }
            7 => {
                line.sent.extend(command("MULTI"));
                line.due.push_back(Due::Exactly(b"+OK\r\n".to_vec()));
                line.sent.extend(command(&format!("ECHO {word}")));
                line.due.push_back(Due::Exactly(b"+QUEUED\r\n".to_vec()));
                ("EXEC".to_owned(), Due::Exactly([b"*1\r\n".to_vec(), bulk(&word)].concat()))
            }
            _ => ("PING".to_owned(), Due::Exactly(b"+PONG\r\n".to_vec())),
        };
        line.sent.extend(command(&text));
        line.due.push_back(due);
    }

    fn move_bytes(&mut self, line: usize, stretch: usize, bytes: usize) {
        let it = &mut self.lines[line];
        match stretch {
            0 => {
                let piece: Vec<u8> = it.sent.drain(..bytes.min(it.sent.len())).collect();
                it.player.send(Side::Client, &piece);
            }
            1 => {
                let out = &mut it.player.out[Side::Broker as usize];
                let piece: Vec<u8> = out.drain(..bytes.min(out.len())).collect();
                self.redis.input(it.conn, &piece);
            }
            2 => {
                let out = &mut self.redis.conns[it.conn].output;
                let piece: Vec<u8> = out.drain(..bytes.min(out.len())).collect();
                it.player.send(Side::Broker, &piece);
            }
            _ if it.gone => it.player.out[Side::Client as usize].clear(),
            _ => {
                let piece = it.player.hand_over(bytes);
                it.got.extend(piece);
            }
        }
        self.look(line);
        self.receive(line);
        self.check_handed();
    }

    fn wait(&mut self, ms: u64) {
        self.redis.pass_time(ms);
        for line in 0..self.lines.len() {
            self.lines[line].player.wait(ms);
            self.look(line);
        }
        self.check_handed();
    }

    /// Keeps count of what the gate tells.
    fn look(&mut self, line: usize) {
        let it = &mut self.lines[line];
        for event in std::mem::take(&mut it.player.events) {
            match event {
                JobEvent::FetchAsked { place: Place::Broker, .. } | JobEvent::FetchMoved { to: Place::Broker } => {
                    it.at_broker += 1;
                }
                JobEvent::FetchMoved { to: Place::Gate } => it.at_broker -= 1,
                JobEvent::FetchAnswered { from: Place::Broker, end, .. } => {
                    it.at_broker -= 1;
                    assert!(end != FetchEnd::Error && (end == FetchEnd::Vanished) == it.gone);
                }
                JobEvent::Delivered(_) => assert!(it.at_broker > 0, "a delivery while sealed"),
                JobEvent::Orphan(Fate::Lost) => it.lost += 1,
                JobEvent::PausesTaken { open, .. } => it.open = open.into_iter().map(|(name, _)| name).collect(),
                JobEvent::Orphan(_)
                | JobEvent::Acknowledges
                | JobEvent::Returned(_)
                | JobEvent::FetchOrphaned
                | JobEvent::FetchAsked { .. }
                | JobEvent::FetchAnswered { .. } => {}
                other => panic!("{other:?}"),
            }
            assert!(it.at_broker >= 0);
        }
        if let Some(closed) = it.player.closed.take() {
            assert_eq!(closed, Ok(()));
            assert!(it.gone, "closed under a living client");
            it.ended = true;
            self.redis.close(it.conn);
        }
    }

    /// Redis has handed elements out: only to gates that have a fetch there.
    fn check_handed(&mut self) {
        for conn in std::mem::take(&mut self.redis.handed) {
            let line = self.lines.iter().find(|l| l.conn == conn).expect("a line");
            assert!(line.at_broker > 0, "handed out to a gate without a fetch");
            let paused = self.paused.iter().any(|queue| queue == "q");
            let open = line.open.iter().any(|queue| queue == "q");
            assert!(!paused || open, "handed out from a paused queue");
        }
    }

    fn receive(&mut self, line: usize) {
        let now = self.redis.now;
        let it = &mut self.lines[line];
        while let Some(end) = value(&it.got) {
            let reply: Vec<u8> = it.got.drain(..end).collect();
            match it.due.pop_front().expect("a reply that nobody waits for") {
                Due::Exactly(expected) => assert_eq!(reply, expected),
                Due::Hello { three } => {
                    it.three = three;
                    assert_eq!(reply[0], if three { b'%' } else { b'*' });
                }
                Due::Fetch { until, nil } => {
                    let nil: &[u8] = if it.three { b"_\r\n" } else { nil };
                    if reply == nil {
                        assert!(until.is_some_and(|at| now >= at), "an early nil");
                        continue;
                    }
                    let text = String::from_utf8(reply).unwrap();
                    let element = text.trim_end().rsplit("\r\n").next().unwrap().as_bytes().to_vec();
                    assert_eq!(element[0], b'e', "not an element: {text:?}");
                    *self.received.entry(element).or_default() += 1;
                }
            }
        }
    }

    /// Everything comes to rest: marks and pauses are lifted, all bytes move, time-outs end.
    fn settle(&mut self) {
        for worker in 0..3 {
            self.apply(&Op::Mark { worker, marked: false });
        }
        self.apply(&Op::Pause { queues: &[] });
        for _ in 0..2_000 {
            for _ in 0..12 {
                for line in 0..self.lines.len() {
                    (0..4).for_each(|stretch| self.move_bytes(line, stretch, usize::MAX));
                }
            }
            if self.is_calm() {
                return;
            }
            self.wait(100);
        }
    }

    fn is_calm(&self) -> bool {
        let finite = |d: &Due| !matches!(d, Due::Fetch { until: None, .. });
        self.lines.iter().all(|l| match l.gone {
            true => l.ended,
            false => !l.due.front().is_some_and(finite),
        })
    }

    /// Every element is in a list, or with a client, or was written to the socket of one that then vanished.
    fn check_conservation(&mut self) {
        let mut found: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for list in self.redis.lists.values() {
            list.iter().for_each(|e| *found.entry(e.clone()).or_default() += 1);
        }
        let moved: Vec<Vec<u8>> =
            self.redis.lists.iter().filter(|(k, _)| k.starts_with(b"w")).flat_map(|(_, l)| l.iter().cloned()).collect();
        for (element, times) in &self.received {
            assert_eq!(*times, 1, "doubled");
            if !moved.contains(element) {
                *found.entry(element.clone()).or_default() += 1;
            }
        }
        let missing = self.pushed - found.len();
        let lost: usize = self.lines.iter().map(|l| l.lost).sum();
        assert!(found.values().all(|n| *n == 1), "doubled: {found:?}");
        assert_eq!(missing, lost, "of {} elements {missing} are missing and {lost} told as lost", self.pushed);
        for line in self.lines.iter().filter(|l| l.gone) {
            assert!(line.ended, "a vanished client's connection was not closed");
        }
        for line in self.lines.iter().filter(|l| !l.gone) {
            let infinite = |d: &Due| matches!(d, Due::Fetch { until: None, .. });
            assert!(line.due.front().is_none_or(infinite), "no reply came: {:?}", line.due);
            assert_eq!(line.due.is_empty(), line.player.gate.at_safe_boundary());
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn no_element_is_lost_doubled_or_handed_out_while_sealed(ops in prop::collection::vec(op(), 1..300)) {
        let mut world = World::new();
        ops.iter().for_each(|op| world.apply(op));
        world.settle();
        world.check_conservation();
    }
}
