//! Where something is, by a hash of its name. What stands there may be something else: whoever looks compares.

use super::numbers::NumberTable;
use crate::job::JobKey;
use foldhash::fast::RandomState;
use std::hash::BuildHasher;

/// Numbers under one hash. Hardly ever there are two.
#[derive(Clone, Debug)]
enum Seqs {
    One(u64),
    Many(Vec<u64>),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    under: NumberTable<u64, Seqs>,
    /// Clients choose the texts, and do not know the seed.
    secret: RandomState,
}

/// So much is kept when nothing is in it.
const KEPT: usize = 2_048;

impl Index {
    pub(super) fn of_text(&self, text: &str) -> u64 {
        self.secret.hash_one(text)
    }

    pub(super) fn of_key(&self, key: &JobKey) -> u64 {
        match key {
            JobKey::Text(text) => self.of_text(text),
            // the broker counts them up, and the gate its connections: nobody chooses
            JobKey::Delivery { seed, channel, tag } => {
                seed.rotate_left(40) ^ u64::from(*channel).rotate_right(16) ^ tag
            }
        }
    }

    pub(super) fn get(&self, hash: u64) -> &[u64] {
        match self.under.get(&hash) {
            None => &[],
            Some(Seqs::One(seq)) => std::slice::from_ref(seq),
            Some(Seqs::Many(seqs)) => seqs,
        }
    }

    pub(super) fn insert(&mut self, hash: u64, seq: u64) {
        let seqs = match self.under.insert(hash, Seqs::One(seq)) {
            None => return,
            Some(Seqs::One(first)) => vec![first, seq],
            Some(Seqs::Many(mut seqs)) => {
                seqs.push(seq);
                seqs
            }
        };
        self.under.insert(hash, Seqs::Many(seqs));
    }

    pub(super) fn remove(&mut self, hash: u64, seq: u64) {
        let Some(Seqs::Many(mut seqs)) = self.under.remove(&hash) else {
            if self.under.is_empty() && self.under.capacity() > KEPT {
                self.under.shrink_to(0);
            }
            return;
        };
        seqs.retain(|other| *other != seq);
        let left = if let [one] = seqs[..] { Seqs::One(one) } else { Seqs::Many(seqs) };
        self.under.insert(hash, left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_may_have_one_name() {
        let mut index = Index::default();
        let hash = index.of_text("k");
        (1..=3).for_each(|seq| index.insert(hash, seq));
        index.remove(hash, 2);
        assert_eq!(index.get(hash), [1, 3]);
        index.remove(hash, 1);
        assert_eq!(index.get(hash), [3]);
        index.remove(hash, 3);
        assert!(index.get(hash).is_empty() && index.under.is_empty());
    }

    #[test]
    fn deliveries_of_channels_and_connections_do_not_meet() {
        let index = Index::default();
        let mut all = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let seed = 1_700_000_000_000 << 20 | seed;
            for channel in 1..20 {
                let key = |tag| JobKey::Delivery { seed, channel, tag };
                assert!((1..100).all(|tag| all.insert(index.of_key(&key(tag)))));
            }
        }
    }
}
