//! The table of evidence: what each story measured, a line for each, in the file that DRAINGATE_EVIDENCE names.
//! `tests/evidence.py` makes a page of it.

use super::held::Held;
use super::joblog::{Drained, breaches};
use super::{World, gate::text};
use serde_json::json;
use std::io::Write;

const FILE: &str = "DRAINGATE_EVIDENCE";

/// Whether there will be a table.
pub(crate) fn wanted() -> bool {
    std::env::var_os(FILE).is_some()
}

/// Appends what this story measured. Called before anything is asserted, so that a breach stands in the table too.
pub(crate) fn record(world: &World, drained: &[Drained], held: Option<&Held>) {
    let Some(path) = std::env::var_os(FILE) else { return };
    let (lines, verdict) = (world.log().lines(), world.log().verdict());
    let settled = drained.iter().map(|drained| {
        let ends = lines.iter().filter(|line| line.what == "end" && line.worker == drained.worker);
        let last = ends.map(|end| end.time).filter(|at| *at <= drained.drained_at).fold(drained.sealed_at, f64::max);
        drained.drained_at - last
    });
    let drains = world.gate().get("/v1/drains");
    let workers = drains["drains"].as_array().into_iter().flatten().filter_map(|drain| drain["workers"].get(0));
    let evidence: std::collections::BTreeSet<&str> = workers.map(|worker| text(&worker["evidence"])).collect();
    let row = json!({
        "story": std::thread::current().name(),
        "broker": world.broker_version(),
        "evidence": evidence,
        "rounds": drained.len(),
        "jobs": verdict.pushed,
        "lost": verdict.lost.len(),
        "doubled": verdict.doubled.len(),
        "breaches": drained.iter().map(|drained| breaches(&lines, drained).len()).sum::<usize>(),
        "settled": settled.collect::<Vec<f64>>(),
        "reconnects": held.map(|held| held.reconnects),
        "held_cpu": held.map(|held| held.cpu),
        "idle_cpu": held.map(|held| held.idle_cpu),
    });
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    // one write, for stories run side by side
    file.and_then(|mut file| file.write_all(format!("{row}\n").as_bytes())).expect("the evidence can be written");
}
