//! Nobody drains, a deploy kills: the gate can say afterwards what that cost.

use crate::support::celery::Celery;
use crate::support::gate::text;
use crate::support::story::System;
use crate::support::{World, eventually, secs};

/// Two workers are killed with -9: one in the middle of a job that it acknowledged at its start, one idle. The report
/// names the job, and still does after a restart of the gate.
#[test]
fn a_deploy_that_kills_is_told_of() {
    let mut world = World::new();
    world.gate_mut().kill();
    world.gate_mut().set("DRAINGATE__DRAINS__FORGET_AFTER", "3s");
    world.gate_mut().up();
    let celery = Celery::default();
    let (mut busy, mut idle) = (celery.start(&world, "w1", 1), celery.start(&world, "w2", 1));
    let mut producer = celery.producer(&world);
    producer.push("quick", 0.1, 0.0);
    world.log().await_line("end", "quick", secs(60));
    producer.push("long", 60.0, 0.0);
    let started = world.log().await_line("start", "long", secs(60));
    if started.worker == idle.label {
        std::mem::swap(&mut busy, &mut idle);
    }
    // a heartbeat has said that the other one is idle, and that the first is not
    world.gate().await_worker(&idle.name, "active", secs(20));
    eventually("the gate knows who runs what", secs(20), || {
        let worker = |name: &str| world.gate().worker(name);
        let running = |name: &str| worker(name).map(|worker| worker["in_flight"]["running"].as_u64());
        (running(&busy.name) == Some(Some(1)) && running(&idle.name) == Some(Some(0))).then_some(())
    });
    busy.process.kill();
    idle.process.kill();
    let lost = eventually("the loss is told", secs(60), || {
        let report = world.gate().get("/v1/report?since=1h");
        (report["gone"] == 1).then(|| report["lost"].as_array().cloned())?.filter(|lost| !lost.is_empty())
    });
    assert_eq!((lost.len(), text(&lost[0]["name"])), (1, busy.name.as_str()));
    let job = &lost[0]["jobs"][0];
    assert_eq!((text(&job["name"]), text(&job["kind"])), ("jobs.run", "running"));
    assert_eq!(job["kept_by_broker"], false, "it was acknowledged at its start");
    let gone = world.gate().cli(&["workers", "--gone"]).expect(0).out;
    assert!(gone.contains("lost") && gone.contains("] finished after"), "{gone}");
    world.gate_mut().kill();
    world.gate_mut().up();
    let said = world.gate().cli(&["report", "--since", "1h"]).expect(0).out;
    assert!(said.contains("1 worker lost with jobs in flight, 1 worker left with none"), "{said}");
    assert!(
        said.contains(&format!("jobs.run[{}] running", text(&job["id"])))
            && said.contains("the broker no longer has it"),
        "{said}"
    );
}
