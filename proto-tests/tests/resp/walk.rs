//! Two ways to the same result. On one the gate sees whole commands and replies, and the same fetches again and again: it
//! walks over them, remembers what it has found, and keeps nothing. On the other everything comes byte by byte, and no
//! command is written as it was the last time (BRPOP, bRPOP, ..), so that all is read and judged anew. The bytes and the
//! facts have to be the same, whatever is under way.

use crate::support::redis::{self, Args};
use crate::support::{cases, command};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use draingate::gate::resp::{RespGate, RespSettings};
use draingate::gate::{Action, Gate, Side};
use draingate::job::{JobEvent, System};
use draingate::queue::PausedQueues;
use proptest::prelude::*;
use std::sync::Arc;

/// One of the two gates, and what it has put out since it was looked at.
struct Way {
    gate: RespGate,
    slow: bool,
    /// How many commands its client has sent.
    sent: usize,
    carry: [Vec<u8>; 2],
    written: [Vec<u8>; 2],
    to_client: u64,
    events: Vec<JobEvent>,
    closed: bool,
}

impl Way {
    fn new(slow: bool) -> Way {
        let gate = RespGate::new(Arc::new(RespSettings::default()), 7);
        let (carry, written) = Default::default();
        Way { gate, slow, sent: 0, carry, written, to_client: 0, events: Vec::new(), closed: false }
    }

    /// The client's commands; `~` stands for a number that says nothing.
    fn send(&mut self, now: u64, lines: &[String]) {
        let mut bytes = Vec::new();
        for line in lines {
            self.sent += usize::from(self.slow);
            let (name, rest) = line.split_once(' ').map_or((line.as_str(), ""), |(name, rest)| (name, rest));
            let letter = |(at, letter): (usize, char)| {
                if self.sent >> at & 1 == 1 { letter.to_ascii_lowercase() } else { letter }
            };
            let name: String = name.chars().enumerate().map(letter).collect();
            let rest = rest.replace('~', &(self.sent % 10).to_string());
            bytes.extend(command(format!("{name} {rest}").trim_end()));
        }
        self.feed(now, Side::Client, &bytes);
    }

    fn feed(&mut self, now: u64, from: Side, bytes: &[u8]) {
        for piece in bytes.chunks(if self.slow { 1 } else { bytes.len().max(1) }) {
            self.carry[from as usize].extend(piece);
            self.present(now, from);
        }
        // what that has set free
        self.present(now, from.other());
        self.gate.flushed(self.to_client);
    }

    /// Presents what waits on a side.
    fn present(&mut self, now: u64, side: Side) {
        while !self.closed && self.gate.wants(side) && !self.carry[side as usize].is_empty() {
            let (waiting, mut out) = (std::mem::take(&mut self.carry[side as usize]), Vec::new());
            // as if it had come byte by byte again
            let seen = if self.slow { 1..=waiting.len() } else { waiting.len()..=waiting.len() };
            let mut used = 0;
            for end in seen {
                used = self.gate.input(now, side, &waiting[..end], &mut out);
                self.heed(side, &waiting, std::mem::take(&mut out));
                if used > 0 {
                    break;
                }
            }
            self.carry[side as usize] = waiting[used..].to_vec();
            if used == 0 {
                return;
            }
        }
    }

    fn heed(&mut self, from: Side, input: &[u8], out: Vec<Action>) {
        for action in out {
            let (to, bytes) = match action {
                Action::Forward(range) => (from.other(), input[range].to_vec()),
                Action::Send { to, bytes } => (to, bytes.to_vec()),
                Action::Event(event) => {
                    self.events.push(event);
                    continue;
                }
                Action::Close(_) => {
                    self.closed = true;
                    continue;
                }
            };
            self.to_client += if to == Side::Client { bytes.len() as u64 } else { 0 };
            self.written[to as usize].extend(bytes);
        }
    }

    /// Something has happened to the gate itself.
    fn tell(&mut self, now: u64, told: impl FnOnce(&mut RespGate, &mut Vec<Action>)) {
        let mut out = Vec::new();
        told(&mut self.gate, &mut out);
        if self.gate.next_timeout().is_some_and(|at| at <= now) {
            self.gate.timeout(now, &mut out);
        }
        self.heed(Side::Client, &[], out);
        self.present(now, Side::Client);
        self.present(now, Side::Broker);
    }

    /// What it has put out, written as on the other way.
    fn shown(&mut self) -> (Vec<String>, String, bool) {
        let plain = |text: String| {
            let mut parts = text.split("stock");
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |all, part| all + "stock" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
        };
        let written = std::mem::take(&mut self.written);
        let written = written.iter().map(|bytes| plain(bytes.to_ascii_lowercase().escape_ascii().to_string()));
        // told once of each queue: here there are ten of one
        let mut events = std::mem::take(&mut self.events);
        events.retain(|event| !matches!(event, JobEvent::PassesPause { .. }));
        // told behind all that one read has brought
        events.sort_by_key(|event| matches!(event, JobEvent::PausesTaken { .. }));
        (written.collect(), plain(format!("{events:?}")), self.closed)
    }
}

/// What a client may say. What is there several times comes more often.
const CLIENT: &[&str] = &[
    "BRPOP queue:default 1",
    "BRPOP queue:default 1",
    "BRPOP queue:default 0",
    "BRPOP celery celery\u{6}\u{16}3 1",
    "BRPOP celery celery\u{6}\u{16}3 1",
    "BLPOP rq:queue:a rq:queue:b 5",
    "BRPOP jobs 1",
    "BZPOPMIN bull:v:marker 5",
    "EVALSHA a815 4 asynq:{q}:pending asynq:{q}:paused asynq:{q}:active asynq:{q}:lease 1795390699 asynq:{q}:t:",
    "EVALSHA a263 5 asynq:{q}:active asynq:{q}:lease asynq:{q}:t:a asynq:{q}:processed:1 asynq:{q}:processed a 1 2",
    "BLMOVE queue:default mine RIGHT LEFT 1",
    "LREM mine 1 text",
    "LPOP stock~",
    "RPOP stock~",
    "SPOP stock~",
    "RPOP queue:stock~",
    "RPOP queue:stock~",
    "LPOP resque:queue:x",
    "GET stock~",
    "SET stock~ v",
    "SET resque:worker:h:1:x {}",
    "DEL resque:worker:h:1:x",
    "MULTI",
    "MULTI",
    "EXEC",
    "EXEC",
    "DISCARD",
    "HDEL unacked tag-1",
    "ZREM unacked_index tag-1",
    "RPUSH celery text",
    "SETEX celery-task-meta-1 9 {\"status\":\"SUCCESS\"}",
    "SADD processes h:1:0123456789ab",
    "UNLINK h:1:0123456789ab:work",
    "HSET h:1:0123456789ab info {} busy 1 beat 1700000000 quiet false",
    "HSET h:1:0123456789ab:work a {\"jid\":\"0123456789abcdef01234567\"} b {} c {} d {}",
    "HEARTBEAT",
    "LRANGE stock~ 0 -1",
    "HELLO 3",
    "HELLO 2",
    "PING",
    "WATCH arq:in-progress:j1",
    "EXISTS arq:in-progress:j1",
    "PSETEX arq:in-progress:j1 1 1",
    "DEL arq:in-progress:j1 arq:job:j1",
    "EVALSHA s 1 dramatiq fetch 1700000000000 q 0b5a 60000 1 0 900 4",
    "EVALSHA s 1 schedule 1700000000",
    "EVALSHA s 1 other x",
    "XREADGROUP GROUP g c BLOCK 1000 STREAMS s >",
    "XREADGROUP GROUP g c STREAMS s 0",
    "ZPOPMIN s__queue 1",
    "EVAL x 1 s__queue 1700000000000 1700003600000",
    "ZREM s__queue text",
    "XADD s * message text",
    "RPOPLPUSH queue:default working:queue:default:h:1:0123456789ab",
    "BRPOPLPUSH queue:default working:queue:default:h:1:0123456789ab 1",
    "LPUSH working:queue:default:h:1:0123456789ab text",
    "LREM working:queue:default:h:1:0123456789ab 1 text",
    "LMPOP 2 stock~ jobs LEFT COUNT 2",
    "BLMPOP 1 1 queue:default RIGHT",
    "XACK s g 1-1",
    "XAUTOCLAIM s g c 1 0-0",
    "XREAD BLOCK 10 STREAMS s $",
    "CLIENT MAINT_NOTIFICATIONS ON",
];

const SYSTEMS: [System; 5] = [System::Unknown, System::Celery, System::Sidekiq, System::Rq, System::Resque];
const PAUSES: [&[&str]; 4] = [&[], &["default"], &["celery", "jobs"], &["mine", "queue:default"]];
const PAYLOADS: [&str; 4] = [
    "text",
    r#"{"class":"Add","jid":"0123456789abcdef01234567","queue":"default"}"#,
    r#"{"body": "W10=", "headers": {"id": "i", "task": "t", "eta": null}, "properties": {"delivery_tag": "tag-1"}}"#,
    r#"{"class":"Add","args":[]}"#,
];

#[derive(Clone, Debug)]
enum Do {
    Client(Vec<String>),
    /// The broker answers so many commands, by these choices.
    Broker(Vec<usize>),
    Mark(bool),
    Pause(usize),
    System(usize),
    Wait(u64),
}

fn line() -> impl Strategy<Value = String> {
    let beat =
        STANDARD.encode(r#"{"hostname": "w", "type": "worker-heartbeat", "active": 1, "timestamp": 1700000000.5}"#);
    let beat = format!("PUBLISH /0.celeryev/worker.heartbeat '{{\"body\": \"{beat}\"}}'");
    prop::sample::select(CLIENT).prop_map(move |line| line.replace("HEARTBEAT", &beat))
}

fn act() -> impl Strategy<Value = Do> {
    prop_oneof![
        9 => prop::collection::vec(line(), 1..6).prop_map(Do::Client),
        9 => prop::collection::vec(0..12_usize, 1..8).prop_map(Do::Broker),
        1 => any::<bool>().prop_map(Do::Mark),
        1 => (0..PAUSES.len()).prop_map(Do::Pause),
        1 => (0..SYSTEMS.len()).prop_map(Do::System),
        2 => prop::sample::select(vec![1, 200, 1_000, 5_000]).prop_map(Do::Wait),
    ]
}

/// The broker: what it has to answer.
#[derive(Default)]
struct Broker {
    input: Vec<u8>,
    asked: std::collections::VecDeque<Args>,
    queued: Option<Vec<Args>>,
    three: bool,
}

impl Broker {
    fn hear(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
        while let Some((args, used)) = redis::command(&self.input) {
            self.input.drain(..used);
            self.asked.push_back(args);
        }
    }

    fn answer(&mut self, choice: usize) -> Vec<u8> {
        let Some(args) = self.asked.pop_front() else { return Vec::new() };
        match (args[0].to_ascii_lowercase().as_slice(), &mut self.queued) {
            (b"multi", None) if choice == 11 => return b"-ERR no\r\n".to_vec(),
            (b"multi", None) => self.queued = Some(Vec::new()),
            (b"multi", Some(_)) => return b"-ERR nested\r\n".to_vec(),
            (b"exec", queued) => {
                let Some(queued) = queued.take() else { return b"-ERR EXEC without MULTI\r\n".to_vec() };
                if choice == 0 {
                    return if self.three { b"_\r\n".to_vec() } else { b"*-1\r\n".to_vec() };
                }
                let head = format!("*{}\r\n", queued.len()).into_bytes();
                let replies = queued.iter().zip(choice..).map(|(args, choice)| self.reply(args, choice % 12));
                return replies.fold(head, |all, reply| [all, reply].concat());
            }
            (b"discard", queued) => *queued = None,
            (_, Some(queued)) => {
                queued.push(args);
                return b"+QUEUED\r\n".to_vec();
            }
            _ => return self.reply(&args, choice),
        }
        b"+OK\r\n".to_vec()
    }

    fn reply(&mut self, args: &Args, choice: usize) -> Vec<u8> {
        let bulk = |text: &[u8]| [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat();
        let payload = bulk(PAYLOADS[choice % PAYLOADS.len()].as_bytes());
        let name = args[0].to_ascii_lowercase();
        let blocking = name.starts_with(b"b");
        match name.as_slice() {
            b"hello" => {
                self.three = args[1] == b"3";
                let kind = if self.three { '%' } else { '*' };
                format!("{kind}{}\r\n+proto\r\n:3\r\n", if self.three { 1 } else { 2 }).into_bytes()
            }
            b"evalsha" if choice < 3 => b"*0\r\n".to_vec(),
            b"evalsha" if choice < 8 => bulk(b"text"),
            b"xreadgroup" if choice < 5 => {
                b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*1\r\n$1\r\na\r\n".to_vec()
            }
            b"xreadgroup" | b"xread" if self.three => b"_\r\n".to_vec(),
            b"xreadgroup" | b"xread" => b"*-1\r\n".to_vec(),
            b"zpopmin" if choice < 6 => b"*0\r\n".to_vec(),
            b"zpopmin" => [b"*2\r\n".to_vec(), bulk(b"text"), bulk(b"1700000000000")].concat(),
            b"eval" if choice < 6 => b"$-1\r\n".to_vec(),
            b"eval" => bulk(b"text"),
            b"lmpop" | b"blmpop" if choice < 6 && self.three => b"_\r\n".to_vec(),
            b"lmpop" | b"blmpop" if choice < 6 => b"*-1\r\n".to_vec(),
            b"lmpop" | b"blmpop" => {
                let key = args[2..].iter().find(|arg| !arg[0].is_ascii_digit()).map_or(vec![], |key| bulk(key));
                [b"*2\r\n".to_vec(), key, b"*1\r\n".to_vec(), payload].concat()
            }
            b"xautoclaim" => b"*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n".to_vec(),
            b"exists" if choice < 6 => b":0\r\n".to_vec(),
            b"ping" => args.get(1).map_or(b"+PONG\r\n".to_vec(), |text| bulk(text)),
            _ if choice == 11 => b"-ERR no\r\n".to_vec(),
            b"lrange" if choice < 5 => b"*2\r\n$-1\r\n:1\r\n".to_vec(),
            b"lrange" => b"*2\r\n*1\r\n+a\r\n$1\r\nb\r\n".to_vec(),
            b"rpoplpush" if choice < 5 => b"$-1\r\n".to_vec(),
            b"rpoplpush" => payload,
            _ if !name.ends_with(b"pop") && !blocking => b":1\r\n".to_vec(),
            _ if choice < 5 && self.three => b"_\r\n".to_vec(),
            _ if choice < 5 && blocking => b"*-1\r\n".to_vec(),
            _ if choice < 5 => b"$-1\r\n".to_vec(),
            b"bzpopmin" => [b"*3\r\n".to_vec(), bulk(&args[1]), bulk(b"0"), bulk(b"0")].concat(),
            b"brpop" | b"blpop" => [b"*2\r\n".to_vec(), bulk(&args[1]), payload].concat(),
            _ => payload,
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn what_is_walked_over_and_remembered_is_as_if_it_were_read_anew(acts in prop::collection::vec(act(), 1..40)) {
        let mut ways = [Way::new(false), Way::new(true)];
        let (mut broker, mut now) = (Broker::default(), 1_700_000_000_000);
        for act in acts {
            let answers: Vec<u8> = match &act {
                Do::Broker(choices) => choices.iter().flat_map(|choice| broker.answer(*choice)).collect(),
                _ => Vec::new(),
            };
            now += if let Do::Wait(ms) = act { ms } else { 0 };
            for way in &mut ways {
                match &act {
                    Do::Client(lines) => way.send(now, lines),
                    Do::Broker(_) => way.feed(now, Side::Broker, &answers),
                    Do::Mark(marked) => way.tell(now, |gate, out| gate.mark(now, *marked, out)),
                    Do::Pause(set) => {
                        let names = PAUSES[*set].iter().map(|name| (*name).to_owned());
                        let set = Arc::new(PausedQueues::new(*set as u64, names));
                        way.tell(now, |gate, out| gate.pause(now, &set, out));
                    }
                    Do::System(system) => way.tell(now, |gate, _| gate.set_system(SYSTEMS[*system])),
                    Do::Wait(_) => way.tell(now, |_, _| {}),
                }
            }
            let bytes = ways[0].written[Side::Broker as usize].clone();
            broker.hear(&bytes);
            let [fast, slow] = &mut ways;
            prop_assert_eq!(fast.shown(), slow.shown(), "{:?}", act);
        }
    }
}
