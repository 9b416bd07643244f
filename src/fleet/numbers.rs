//! A map keyed by numbers that we give out ourselves. They need no defence against chosen keys, and the hot path looks
//! one connection and one worker up for every fetch of the whole fleet.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

/// A hash table with such keys.
pub(super) type NumberTable<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// A map for [`crate::job::ConnId`] and worker numbers. A table has up to twice the places that it needs, and keeps them:
/// so the values are in boxes of their own, and a table that has become too large for what it holds shrinks.
#[derive(Debug)]
pub(super) struct NumberMap<K, V>(NumberTable<K, Box<V>>);

/// A table with fewer places is not worth shrinking.
const SMALL: usize = 64;

/// Gives places back after something was removed, if by far the most are empty.
pub(super) fn shrink<K: Eq + Hash, V, S: BuildHasher>(table: &mut HashMap<K, V, S>) {
    if table.capacity() > SMALL && table.len() < table.capacity() / 8 {
        table.shrink_to(2 * table.len());
    }
}

impl<K, V> Default for NumberMap<K, V> {
    fn default() -> Self {
        NumberMap(NumberTable::default())
    }
}

impl<K: Eq + Hash, V> NumberMap<K, V> {
    pub(super) fn insert(&mut self, key: K, value: impl Into<Box<V>>) {
        self.0.insert(key, value.into());
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<Box<V>> {
        let value = self.0.remove(key);
        shrink(&mut self.0);
        value
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key).map(|value| &**value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key).map(|value| &mut **value)
    }

    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values().map(|value| &**value)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Spreads one `u64` over all bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        // the golden ratio's multiplier; the high half carries the entropy down to where the table looks
        let spread = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ (spread >> 32);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_was_large_is_small_again() {
        let mut map = NumberMap::default();
        (0..10_000_u64).for_each(|number| map.insert(number, number));
        (5..10_000).for_each(|number| assert_eq!(map.remove(&number).as_deref(), Some(&number)));
        assert!(map.0.capacity() <= SMALL, "{} places", map.0.capacity());
        assert_eq!((map.len(), map.get(&4), map.get(&5)), (5, Some(&4), None));
    }
}
