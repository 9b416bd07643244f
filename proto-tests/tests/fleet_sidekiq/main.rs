//! What the gate says of a Sidekiq worker and of jobs that its scheduler took.

mod beats;
mod end;
mod threads;
mod vanish;

use proto_tests::fleet_script::play;

/// A process with two threads at 10.0.0.7; its connections are pooled, so roles are not bound to them.
const WORKER: &str = "
    + c1 10.0.0.7
    + c2 10.0.0.7
    + c3 10.0.0.7
    c3 is sidekiq
    c3 named sidekiq host:1:aaaa
    c3 work
    c3 sidekiq c=2 busy=0
    c1 fetch default
    c2 fetch default
";

fn story(text: &str) {
    play(&format!("{WORKER}\n{text}"));
}
