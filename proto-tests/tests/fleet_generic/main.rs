//! Job systems that the gate does not know.

mod late;
mod others;
mod pattern;
mod seal;

use draingate::fleet::FleetSettings;
use globset::{Glob, GlobSet};
use proto_tests::fleet_script::{self, Script};

/// The clients have been there for long enough to be heard of, if they were of those that report.
fn play_with(settings: FleetSettings, text: &str) -> Script {
    let lines = || text.trim_start().lines();
    let connects = |line: &&str| line.trim_start().starts_with("+ ");
    let begin: String = lines().take_while(connects).map(|line| format!("{line}\n")).collect();
    let rest: Vec<&str> = lines().skip_while(connects).collect();
    fleet_script::play_with(settings, &format!("{begin}+12s\n{}", rest.join("\n")))
}

fn play(text: &str) -> Script {
    play_with(FleetSettings::default(), text)
}

fn declared(text: &str) -> Script {
    let fetch = GlobSet::builder().add(Glob::new("jobs*").unwrap()).build().unwrap();
    play_with(FleetSettings { declared_fetch: fetch, ..FleetSettings::default() }, text)
}
