//! What the gate says of a Celery worker.

mod acks;
mod ahead;
mod answers;
mod asking;
mod beats;
mod both;
mod bounds;
mod concealed;
mod given_back;
mod late;
mod lives;
mod lost;

use proto_tests::fleet_script::play;

/// A worker at 10.0.0.5: `c1` fetches, `c2` acknowledges, `c4` sends the heartbeats, `c11` is a child with results.
const WORKER: &str = "
    + c1 10.0.0.5
    + c2 10.0.0.5
    + c4 10.0.0.5
    c4 named celery w1@a
    c4 online active=0 processed=0
    + c11 10.0.0.5
    c1 fetch celery
";

fn story(text: &str) {
    play(&format!("{WORKER}\n{text}"));
}
