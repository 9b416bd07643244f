//! The text of a script, read into steps and played.

use super::play::{Cuts, Player};
use draingate::gate::Side;
use draingate::gate::resp::RespSettings;
use draingate::job::System;
use draingate::question::{List, Question};
use globset::{Glob, GlobSetBuilder};

/// Longer scripts are not played byte by byte.
const BYTES_MAX: usize = 200_000;

#[derive(Clone, Debug)]
enum Step {
    /// Bytes from that side.
    Send(Side, Vec<u8>),
    /// Bytes to that side; with the place of a slice's time-out and its upper bound in milliseconds.
    Expect(Side, Want),
    Event(String),
    Mark(bool),
    /// These are paused, and no others.
    Pause(Vec<String>),
    System(System),
    /// The question of this number is put.
    Ask(Question),
    Wait(u64),
    Gone(Side),
    Stall(u64),
    Closed(Option<String>),
    Safe(bool),
}

/// What must have been received: literal pieces with a slice's time-out in between.
#[derive(Clone, Debug)]
pub struct Want {
    pub pieces: Vec<Vec<u8>>,
    /// The longest that each of the time-outs may be, in milliseconds.
    pub slices: Vec<u64>,
}

/// See the module.
pub struct Script {
    settings: RespSettings,
    seed: u64,
    all_events: bool,
    /// With the line's number and text.
    steps: Vec<(usize, String, Step)>,
}

impl Script {
    pub fn parse(text: &str) -> Script {
        let mut script = Script { settings: RespSettings::default(), seed: 1, all_events: false, steps: vec![] };
        let (mut fetch, mut pass) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut pending: [Vec<u8>; 2] = [vec![], vec![]];
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let rest = rest.trim();
            if word == "set" {
                let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
                match name {
                    "seed" => script.seed = value.parse().expect("a number"),
                    "slice" => script.settings.slice = value.parse().expect("a number"),
                    "fetch" => drop(fetch.add(Glob::new(value).expect("a glob"))),
                    "pass" => drop(pass.add(Glob::new(value).expect("a glob"))),
                    "user_tag" => script.settings.user_tag = true,
                    "nonce" => script.settings.nonce = Some(value.parse().expect("a number")),
                    "events" => script.all_events = true,
                    other => panic!("line {}: set {other}?", number + 1),
                }
                continue;
            }
            for step in steps(word, rest, &mut pending).unwrap_or_else(|| panic!("line {}: {line}?", number + 1)) {
                script.steps.push((number + 1, line.to_owned(), step));
            }
        }
        script.settings.fetch = fetch.build().expect("globs");
        script.settings.pass = pass.build().expect("globs");
        script
    }

    fn bytes(&self) -> usize {
        let sent = |s: &Step| if let Step::Send(_, bytes) = s { bytes.len() } else { 0 };
        self.steps.iter().map(|(_, _, step)| sent(step)).sum()
    }

    #[track_caller]
    pub fn play(&self, cuts: Cuts) {
        if matches!(cuts, Cuts::Bytes) && self.bytes() > BYTES_MAX {
            return;
        }
        let mut player = Player::new(self.settings.clone(), self.seed, cuts.clone());
        for (number, line, step) in &self.steps {
            player.place = format!("line {number} ({}) cut {cuts:?}", &line[..line.len().min(120)]);
            self.step(&mut player, step);
        }
        player.place = format!("the end, cut {cuts:?}");
        player.nothing_left(self.all_events);
    }

    fn step(&self, player: &mut Player, step: &Step) {
        let input =
            !matches!(step, Step::Expect(..) | Step::Event(_) | Step::Closed(_) | Step::Safe(_) | Step::Stall(_));
        if input {
            player.nothing_left(self.all_events);
        }
        match step {
            Step::Send(side, bytes) => player.send(*side, bytes),
            Step::Expect(side, want) => player.expect(*side, want),
            Step::Event(text) => player.expect_event(text, self.all_events),
            Step::Mark(marked) => player.mark(*marked),
            Step::Pause(names) => player.pause(names),
            Step::Ask(question) => player.ask(question),
            Step::System(system) => player.set_system(*system),
            Step::Wait(ms) => player.wait(*ms),
            Step::Gone(side) => player.gone(*side),
            Step::Stall(bytes) => player.stall(*bytes),
            Step::Closed(why) => player.expect_closed(why.as_deref()),
            Step::Safe(safe) => player.expect_safe(*safe),
        }
    }
}

fn steps(word: &str, rest: &str, pending: &mut [Vec<u8>; 2]) -> Option<Vec<Step>> {
    let plain = |bytes: Vec<u8>| Want { pieces: vec![bytes], slices: vec![] };
    let (place, raw) = word.strip_suffix("raw").map_or((word, false), |w| (w, true));
    let sent = |client: bool| match raw {
        true => tokens(rest).concat(),
        false if client => command(rest),
        false => lines(rest),
    };
    let mut send = |side: Side, bytes: Vec<u8>, now: bool| {
        pending[side as usize].extend(bytes);
        if now { vec![Step::Send(side, std::mem::take(&mut pending[side as usize]))] } else { vec![] }
    };
    Some(match place {
        "W" if rest == "gone" => vec![Step::Gone(Side::Client)],
        "B" if rest == "gone" => vec![Step::Gone(Side::Broker)],
        "W>" => send(Side::Client, sent(true), true),
        "W+" => send(Side::Client, sent(true), false),
        "B<" => send(Side::Broker, sent(false), true),
        "B+" => send(Side::Broker, sent(false), false),
        "W=" => {
            let mut steps = send(Side::Client, sent(true), true);
            steps.push(Step::Expect(Side::Broker, plain(sent(true))));
            steps
        }
        "B=" => {
            let mut steps = send(Side::Broker, sent(false), true);
            steps.push(Step::Expect(Side::Client, plain(sent(false))));
            steps
        }
        "B>" if raw => vec![Step::Expect(Side::Broker, plain(sent(true)))],
        "B>" => vec![Step::Expect(Side::Broker, sliced(rest))],
        "W<" => vec![Step::Expect(Side::Client, plain(sent(false)))],
        "E" => vec![Step::Event(rest.to_owned())],
        "DRAIN" => vec![Step::Mark(true)],
        "UNDRAIN" => vec![Step::Mark(false)],
        "PAUSE" => vec![Step::Pause(rest.split(',').map(str::to_owned).collect())],
        "RESUME" => vec![Step::Pause(vec![])],
        "SYSTEM" => vec![Step::System(System::from_name(rest)?)],
        "ASK" => {
            let (number, what) = rest.split_once(' ').unwrap_or((rest, ""));
            let lists = List::of(what == "all", what == "first");
            vec![Step::Ask(Question { nonce: 7, number: number.parse().ok()?, lists })]
        }
        "STALL" => vec![Step::Stall(rest.parse().ok()?)],
        "CLOSED" => vec![Step::Closed((!rest.is_empty()).then(|| rest.to_owned()))],
        "OPAQUE" => vec![Step::Event("Opaque".to_owned())],
        "SAFE" => vec![Step::Safe(true)],
        "UNSAFE" => vec![Step::Safe(false)],
        _ => {
            let time = word.strip_prefix('+')?;
            let ms = match time.strip_suffix("ms") {
                Some(ms) => ms.parse().ok()?,
                None => time.strip_suffix('s')?.parse::<u64>().ok()? * 1000,
            };
            vec![Step::Wait(ms)]
        }
    })
}

/// A command as a RESP array.
pub fn command(text: &str) -> Vec<u8> {
    let words = tokens(text);
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend(bulk(&word));
    }
    out
}

fn bulk(word: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", word.len()).as_bytes(), word, b"\r\n"].concat()
}

/// Lines of a reply.
fn lines(text: &str) -> Vec<u8> {
    let line = |word: Vec<u8>| match word.strip_prefix(b"$$") {
        Some(content) => bulk(content),
        None => [&word, b"\r\n".as_slice()].concat(),
    };
    tokens(text).into_iter().flat_map(line).collect()
}

/// A command with `~` for the time-out of a slice.
fn sliced(text: &str) -> Want {
    let words = tokens(text);
    let mut want = Want { pieces: vec![format!("*{}\r\n", words.len()).into_bytes()], slices: vec![] };
    for word in words {
        let last = want.pieces.last_mut().expect("not empty");
        match word.strip_prefix(b"~") {
            Some(most) => {
                let most = std::str::from_utf8(most).expect("text");
                let seconds: f64 = if most.is_empty() { 1.0 } else { most.parse().expect("seconds") };
                want.slices.push((seconds * 1000.0) as u64);
                want.pieces.push(vec![]);
            }
            None => last.extend(bulk(&word)),
        }
    }
    want
}

/// Words between spaces. `"..."` with escapes, `'...'` as it stands, `(x*100)` repeated.
fn tokens(text: &str) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = vec![];
    let mut word: Option<Vec<u8>> = None;
    let mut rest = text.bytes();
    while let Some(c) = rest.next() {
        match c {
            b' ' => out.extend(word.take()),
            b'"' => word.get_or_insert_default().extend(escaped(&mut rest)),
            b'\'' => word.get_or_insert_default().extend(rest.by_ref().take_while(|c| *c != b'\'')),
            b'(' => {
                let inside: Vec<u8> = rest.by_ref().take_while(|c| *c != b')').collect();
                let inside = String::from_utf8(inside).expect("text");
                let (what, times) = inside.split_once('*').expect("(x*100)");
                word.get_or_insert_default().extend(what.repeat(times.parse().expect("a number")).bytes());
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    out
}

fn escaped(rest: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let mut out = vec![];
    while let Some(c) = rest.next() {
        out.push(match c {
            b'"' => return out,
            b'\\' => match rest.next().expect("an escape") {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => 0,
                b'x' => {
                    let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                    u8::from_str_radix(std::str::from_utf8(&digits).expect("text"), 16).expect("hex")
                }
                b'"' => b'"',
                b'\\' => b'\\',
                other => panic!("\\{}?", char::from(other)),
            },
            c => c,
        });
    }
    panic!("a quote without an end");
}
