//! The selectors that say whom a drain means.

use super::{FLEET, story};
use draingate::fleet::DrainError;
use proto_tests::fleet_script::play;

#[test]
fn selectors_say_whom_they_mean() {
    let cases = [
        ("all", 3),
        ("web-1@a", 1),
        ("worker=web-*", 2),
        ("worker=web-?@a", 1),
        ("worker=web-[12]@*", 2),
        ("ip=10.0.0.0/24", 2),
        ("ip=10.0.1.7", 1),
        ("ip=10.0.*", 3),
        ("ip=10.0.0.0/24,worker=web-2@b", 1),
        ("client=cron", 1),
        ("client=cr*", 1),
        ("user=app", 1),
        ("listener=blue", 1),
        ("listener=*", 3),
        ("system=celery", 2),
        ("system=unknown", 1),
        ("cron", 1),
        ("before=now", 3),
        ("before=2000-01-01T00:00:00Z", 0),
        ("web-1@a cron", 2),
        ("web-1@a worker=web-*", 2),
        ("nobody", 0),
        ("system=rq", 0),
    ];
    for (selector, count) in cases {
        let mut script = play(FLEET);
        match script.ask(&format!("drain d {selector}")) {
            Ok(answer) => assert_eq!(answer.drain.workers.len(), count, "{selector}"),
            Err(DrainError::NothingMatched(_)) => assert_eq!(count, 0, "{selector}"),
            Err(other) => panic!("{selector}: {other}"),
        }
        let selector = selector.split(' ').next();
        let listed = script.fleet.workers(script.now(), selector, false).unwrap().len();
        assert!(listed <= count, "{selector:?} lists {listed}");
    }
}

#[test]
fn an_id_selects_its_worker() {
    let mut script = play(FLEET);
    let id = script.worker("web-1@a").unwrap().id;
    let answer = script.ask(&format!("drain d {id}")).unwrap();
    assert_eq!(answer.drain.workers[0].name, "web-1@a");
}

/// A name made of the characters that selectors are made of.
#[test]
fn a_name_with_odd_characters_can_be_said_literally() {
    play(
        "
        + c1 10.0.0.5
        c1 client bull:cTE=:w:wk1
        c1 fetch q
        + c2 10.0.0.6
        c2 client bull:cTE=:w:wk2
        c2 fetch q
        drain d bull:cTE=:w:wk1
        ? c1 marked
        ? c2 free
        drain e client=bull:cTE=:w:wk*
        ? c2 marked
    ",
    );
}

#[test]
fn wrong_selectors_are_one_clear_line() {
    story(
        "
        drain d wroker=web-1 ! did you mean worker=?
        drain d colour=blue ! use worker=, ip=, client=, user=, listener=, system=, before=, or all
        drain d ip=10.0.0.300 ! expected an address, a network
        drain d ip=10.0.0.0/33 ! expected an address, a network
        drain d worker=[a ! not a pattern
        drain d system=celary ! did you mean celery?
        drain d before=yesterday ! expected now or a time
        drain d worker= ! worker= needs a value
        drain d ip=10.0.0.5, ! empty part
        drain d '' ! empty
        drain d nobody ! no worker matches nobody
    ",
    );
}

#[test]
fn two_workers_of_one_name_are_both_marked() {
    play(
        "
        + a1 10.0.0.5
        a1 named celery w@x
        + b1 10.0.0.6
        b1 named celery w@x
        drain d w@x
        ? a1 marked
        ? b1 marked
        ? drain d workers=2
    ",
    );
}
