//! Workers whose job system is not known: loops around a blocking pop.

use super::{Memory, PopShape};
use crate::job::{Job, JobKey};
use std::sync::Arc;

/// Every blocking pop of a list or sorted set asks for a job, and so do reads and claims of a stream's group; a plain
/// pop does not (locks, counters and caches use them), unless the operator names its keys.
pub(super) fn is_fetch(pop: PopShape<'_>) -> bool {
    pop.blocking || matches!(pop.name, b"xreadgroup" | b"xautoclaim" | b"xclaim")
}

/// Whether the keys of a script are called as those of a queue of a job system that takes its jobs by scripts: asynq's
/// `asynq:{q}:pending` beside `..:active`, Laravel's `queues:q` beside `queues:q:reserved`, gocraft/work's `work:jobs:x` beside
/// `work:jobs:x:POOL:inprogress`, TaskTiger's `t:queued:q` beside `t:active:q`.
pub fn are_of_queue(keys: &[String]) -> bool {
    let has_family = |key: &String| {
        let Some((base, "pending" | "reserved" | "inprogress")) = key.rsplit_once(':') else { return false };
        keys.iter().any(|other| other != key && (base.starts_with(other.as_str()) || other.starts_with(base)))
    };
    let is_source = |key: &String| {
        let Some((before, behind)) = key.split_once(":queued:") else { return false };
        keys.contains(&format!("{before}:active:{behind}"))
    };
    keys.iter().any(|key| has_family(key) || is_source(key))
}

/// A job of which nothing is known but its queue.
pub(super) fn job(memory: &mut Memory, queue: &Arc<str>) -> Job {
    memory.nameless += 1;
    let key = JobKey::Text(name(memory.seed, memory.nameless));
    Job { key, id: String::new(), name: String::new(), queue: queue.clone(), eta: None }
}

/// `#SEED-NUMBER`, the seed in hexadecimal digits. All jobs of such workers are called so, and the formatter costs more
/// than all else that is done here.
fn name(seed: u64, number: u64) -> String {
    let mut text = *b"#ffffffffffffffff-18446744073709551615";
    let mut at = text.len();
    let mut write = |byte: u8| {
        at -= 1;
        text[at] = byte;
    };
    let (mut number, mut seed) = (number, seed);
    loop {
        write(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    write(b'-');
    loop {
        write(b"0123456789abcdef"[(seed & 15) as usize]);
        seed >>= 4;
        if seed == 0 {
            break;
        }
    }
    write(b'#');
    std::str::from_utf8(&text[at..]).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_of_scripts_are_told_by_their_keys() {
        for (keys, is) in [
            ("asynq:{q}:pending asynq:{q}:paused asynq:{q}:active asynq:{q}:lease", true),
            ("shop_queues:mail shop_queues:mail:reserved shop_queues:mail:notify", true),
            ("work:jobs:send work:jobs:send:8f:inprogress work:jobs:send:paused", true),
            ("t:queued:mail t:active:mail t:queued t:active t:scheduled", true),
            ("t:scheduled:mail t:queued:mail t:scheduled t:queued", false),
            ("queues:mail:delayed queues:mail queues:mail:notify", false),
            ("orders:pending", false),
            ("orders:pending stock", false),
            ("lock", false),
        ] {
            let keys: Vec<String> = keys.split(' ').map(str::to_owned).collect();
            assert_eq!(are_of_queue(&keys), is, "{keys:?}");
        }
    }

    #[test]
    fn a_name_is_as_the_formatter_writes_it() {
        for seed in [0, 1, 9, 10, 12_345, u64::MAX] {
            for number in [0, 7, 99, 100, 4_000_000_000, u64::MAX] {
                assert_eq!(name(seed, number), format!("#{seed:x}-{number}"));
            }
        }
    }
}
