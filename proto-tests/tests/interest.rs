//! What a SET is asked in a hurry is what the dialects say of it: a key that one of them wants must not slip by.

use draingate::dialect::{Interest, Memory, interest, interest_in_set};
use draingate::job::System;
use proptest::prelude::*;

const SYSTEMS: [System; 4] = [System::Unknown, System::Celery, System::Taskiq, System::Resque];

/// Both ways give the same answer, whoever the worker is.
fn asked(key: &[u8]) -> [Interest; SYSTEMS.len()] {
    SYSTEMS.map(|system| {
        let memory = Memory { system, ..Memory::default() };
        let quick = interest_in_set(&memory, key);
        assert_eq!(quick, interest(&memory, b"set", key), "{:?} of {system:?}", String::from_utf8_lossy(key));
        quick
    })
}

#[test]
fn keys_that_tell_of_jobs_are_wanted() {
    for key in ["celery-task-meta-x", "app_celery-task-meta-0ae3", "resque:worker:h:1:q", ":worker:", "a:worker:b"] {
        assert_eq!(asked(key.as_bytes()), [Interest::Tap; 4], "{key}");
    }
    let id = "0123456789abcdef0123456789ABCDEF";
    for key in [id.to_owned(), format!("results:{id}")] {
        assert_eq!(asked(key.as_bytes()), [Interest::Tap, Interest::None, Interest::Tap, Interest::None], "{key}");
    }
    for key in ["", "key:000000000123", ":worker", "worker:", "celery-task-meta", &id[1..], &format!("x{id}")] {
        assert_eq!(asked(key.as_bytes()), [Interest::None; 4], "{key}");
    }
}

proptest! {
    #[test]
    fn any_key_is_asked_alike(parts in prop::collection::vec(
        prop_oneof![
            Just(":worker:".to_owned()),
            Just("celery-task-meta-".to_owned()),
            "[0-9a-f]{31,33}",
            "[a-z:]{0,9}",
        ],
        0..4,
    )) {
        asked(parts.concat().as_bytes());
    }
}
