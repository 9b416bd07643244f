//! Byte scripts: text that is played against a gate with a made-up clock, whole, byte by byte and in random cuts.
//!
//! One line is one step. `W` is the worker, `B` the broker, `>` goes towards the broker and `<` towards the worker:
//! ```text
//! W> BRPOP q 5         the worker sends this command as a RESP array
//! W+ PING              the same, but together with the next line in one write
//! B> BRPOP q ~         the broker has received exactly this next; ~ is the time-out of a slice, ~0.4 one of at most that
//! B< *2 $$q $$job      the broker sends these lines, each with its CRLF; $$x is the bulk string x
//! W< *-1               the worker has received exactly this next
//! W= PING, B= +PONG    it is sent, and has arrived unchanged
//! ..raw "PING\r\n"     the bytes as they stand
//! E Delivered ..       this event came next (a * at the end stands for any rest)
//! DRAIN, UNDRAIN, SYSTEM celery, +5s, +150ms, SAFE, UNSAFE
//! ASK 3, ASK 3 all     the question of this number is put (with `set nonce 7`), about active tasks or about all lists
//! STALL 10             the worker's socket takes 10 bytes more, and then nothing
//! W gone, B gone       that side has closed
//! CLOSED, CLOSED text  the gate closed both sides (with an error that contains the text)
//! set seed 1, set fetch jobs:*, set pass x*, set user_tag, set slice 500, set events all
//! ```
//! Before each new input everything that the gate put out must have been expected. Events about fetches are compared
//! only after `set events all`; `Delivered` and `Taken` must come before the last byte of the `W<` that follows.

mod event;
pub mod memory;
mod play;
pub mod redis;
mod rng;
mod script;

pub use play::{Cuts, Player};
pub use rng::Rng;
pub use script::command;

use proptest::prelude::ProptestConfig;
use script::Script;

/// How often a property is tried, unless PROPTEST_CASES says otherwise.
pub fn cases(cases: u32) -> ProptestConfig {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig { cases: wanted.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}

/// Plays a script in all cuts.
#[track_caller]
pub fn play(text: &str) {
    let script = Script::parse(text);
    script.play(Cuts::Whole);
    script.play(Cuts::Bytes);
    for seed in 1..=6 {
        script.play(Cuts::Random(Rng::new(seed)));
    }
}

/// Plays a template once for each row, its `<1>`, `<2>` .. replaced by the row's words (`|` separates them).
#[track_caller]
pub fn play_rows(template: &str, rows: &[&str]) {
    for row in rows {
        let mut text = template.to_owned();
        for (i, word) in row.split('|').enumerate() {
            text = text.replace(&format!("<{}>", i + 1), word.trim());
        }
        play(&text);
    }
}
