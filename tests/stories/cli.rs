//! What the command line answers when it cannot do what was asked. Its exit codes are a contract.

use crate::support::World;
use crate::support::redis::free_port;

#[test]
fn a_selector_that_matches_nothing_is_not_success() {
    let world = World::new();
    for selector in ["celery@nobody", "worker=web-*", "all"] {
        world.gate().cli(&["drain", selector, "--wait"]).expect(3);
    }
    world.gate().cli(&["drain", "all", "--allow-empty"]).expect(0);
}

#[test]
fn a_selector_that_cannot_be_read_is_a_usage_error() {
    let world = World::new();
    for selector in ["colour=red", "ip=10.0.0.0/99", "before=yesterday-ish"] {
        let answer = world.gate().cli(&["drain", selector]).expect(2);
        assert!(!answer.err.is_empty());
    }
    world.gate().cli(&["drain"]).expect(2);
    world.gate().cli(&["drain", "all", "--ttl", "soon"]).expect(2);
}

#[test]
fn a_gate_that_is_not_there_is_said_plainly() {
    let mut world = World::new();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for arguments in [&["drain", "all", "--wait"][..], &["wait", "x"], &["workers"], &["undrain", "x"]] {
        let mut cli = world.gate().command(arguments);
        let code = cli.env("DRAINGATE_ADMIN", &nobody).status().expect("the command line runs").code();
        assert_eq!(code, Some(7), "{arguments:?}");
    }
    world.gate().cli(&["healthcheck"]).expect(0);
    world.gate_mut().kill();
    assert_ne!(world.gate().cli(&["healthcheck"]).code, 0);
}
