//! What is found in a ledger, and by what.

use super::*;
use crate::job::Job;

fn key(tag: u64) -> JobKey {
    JobKey::Delivery { seed: 7, channel: 1, tag }
}

fn insert(ledger: &mut Ledger, tag: u64) {
    let (id, name, queue) = (String::new(), String::new(), "q".into());
    ledger.insert(tag, Box::new(Entry::new(Job { key: key(tag), id, name, queue, eta: None }, 0, Some(ConnId(1)))));
}

#[test]
fn deliveries_are_found_by_their_keys_in_whatever_order_they_are_settled() {
    let mut ledger = Ledger::default();
    (1..=300).for_each(|tag| insert(&mut ledger, tag));
    for tag in [1, 2, 4, 3, 10, 5] {
        assert_eq!(ledger.any(&key(tag)), Some(tag));
        assert!(ledger.remove(tag).is_some());
        assert_eq!(ledger.any(&key(tag)), None);
    }
    // from here on an index is kept as well
    assert_eq!(ledger.oldest(&key(250), Stage::Delivered), Some(250));
    (301..=310).for_each(|tag| insert(&mut ledger, tag));
    for tag in [305, 6, 150, 7, 310] {
        assert_eq!(ledger.any(&key(tag)), Some(tag));
        assert!(ledger.remove(tag).is_some());
        assert_eq!(ledger.any(&key(tag)), None);
    }
}

#[test]
fn of_two_with_the_same_key_the_one_is_meant_that_is_not_acknowledged() {
    let mut ledger = Ledger::default();
    insert(&mut ledger, 1);
    ledger.start(1, 0);
    // its channel is closed, and another counts anew
    let again = ledger.entry(1).cloned().map(|entry| Entry { stage: Stage::Delivered, ..entry });
    ledger.insert(2, again.map(Box::new).expect("it is there"));
    assert_eq!((ledger.any(&key(1)), ledger.oldest(&key(1), Stage::Delivered)), (Some(2), Some(2)));
    assert!(ledger.has_twice(&key(1)));
    ledger.remove(2);
    assert_eq!((ledger.any(&key(1)), ledger.oldest(&key(1), Stage::Delivered)), (Some(1), None));
}
