//! Slices of many workers: they must not end together, or the broker and the gate are busy with nothing else then.

use crate::support::command;
use draingate::gate::resp::{RespGate, RespSettings};
use draingate::gate::{Action, Gate, Side};
use std::sync::Arc;

/// Seconds of the slice that goes to the broker.
fn slice(out: &[Action]) -> f64 {
    let sent = out.iter().find_map(|action| match action {
        Action::Send { to: Side::Broker, bytes } => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    let sent = sent.expect("it goes to the broker");
    sent.trim_end().rsplit("\r\n").next().and_then(|word| word.parse().ok()).expect("seconds")
}

/// Of what so many workers say between `from` and `to` seconds after all have asked at once.
fn ends(slices: &[f64], from: f64, to: f64) -> usize {
    slices.iter().filter(|end| (from..to).contains(*end)).count()
}

#[test]
fn workers_that_begin_to_wait_together_are_soon_spread_over_a_slice() {
    let settings = Arc::new(RespSettings::default());
    let mut firsts = Vec::new();
    for number in 0..1_000 {
        let mut gate = RespGate::new(settings.clone(), number);
        let mut out = vec![];
        gate.input(5_000, Side::Client, &command("BRPOP q 0"), &mut out);
        let first = slice(&out);
        out.clear();
        let now = 5_000 + (first * 1e3) as u64;
        gate.input(now, Side::Broker, b"*-1\r\n", &mut out);
        let second = slice(&out);
        assert!((0.5..=1.0).contains(&first) && (0.9..=1.0).contains(&second), "{first} {second}");
        firsts.push(first);
    }
    for tenth in [0.5, 0.6, 0.7, 0.8, 0.9] {
        let number = ends(&firsts, tenth, tenth + 0.1);
        assert!((150..250).contains(&number), "{number} of 1000 end in the tenth from {tenth} s on");
    }
}
