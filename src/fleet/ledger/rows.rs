//! Rows in the order of their numbers, which rise: written at the end, mostly struck out near the front. One that is struck
//! out leaves a gap until there are too many.

use std::cell::Cell;
use std::collections::VecDeque;

/// Gaps that are left alone.
const GAPS: usize = 32;
/// So much room is kept for the next rows.
const KEPT: usize = 2_048;

/// See the module. Neither the first row nor the last is a gap.
#[derive(Clone, Debug)]
pub(super) struct Rows<T> {
    /// Side by side with `rows`: what is searched through is dense.
    numbers: VecDeque<u64>,
    rows: VecDeque<Option<Box<T>>>,
    gaps: usize,
    /// Where a row was found last.
    found: Cell<usize>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Rows { numbers: VecDeque::new(), rows: VecDeque::new(), gaps: 0, found: Cell::new(0) }
    }
}

impl<T> Rows<T> {
    pub(super) fn len(&self) -> usize {
        self.rows.len() - self.gaps
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// `number` is none of those that are in it.
    pub(super) fn insert(&mut self, number: u64, row: Box<T>) {
        if self.numbers.back().is_none_or(|last| *last < number) {
            self.numbers.push_back(number);
            self.rows.push_back(Some(row));
            return;
        }
        match self.numbers.binary_search(&number) {
            Ok(at) => self.gaps -= usize::from(self.rows[at].replace(row).is_none()),
            Err(at) => {
                self.numbers.insert(at, number);
                self.rows.insert(at, Some(row));
            }
        }
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Box<T>> {
        let at = self.at(number)?;
        let row = self.rows[at].take()?;
        self.gaps += 1;
        while let Some(None) = self.rows.front() {
            self.rows.pop_front();
            self.numbers.pop_front();
            self.gaps -= 1;
        }
        while let Some(None) = self.rows.back() {
            self.rows.pop_back();
            self.numbers.pop_back();
            self.gaps -= 1;
        }
        if self.gaps > GAPS && self.gaps > self.rows.len() / 2 {
            self.close_gaps();
        }
        if self.rows.capacity() > KEPT && self.rows.capacity() > 8 * self.rows.len() {
            self.rows.shrink_to(2 * self.rows.len());
            self.numbers.shrink_to(2 * self.rows.len());
        }
        Some(row)
    }

    fn close_gaps(&mut self) {
        let mut rows = self.rows.iter();
        self.numbers.retain(|_| rows.next().is_some_and(Option::is_some));
        self.rows.retain(Option::is_some);
        self.gaps = 0;
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        self.rows[self.at(number)?].as_deref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let at = self.at(number)?;
        self.rows[at].as_deref_mut()
    }

    /// Of a row or a gap. What is looked for is mostly what was looked for just now, or the one behind it.
    fn at(&self, number: u64) -> Option<usize> {
        let found = self.found.get();
        if self.numbers.get(found) == Some(&number) {
            return Some(found);
        }
        if self.numbers.get(found + 1) == Some(&number) {
            self.found.set(found + 1);
            return Some(found + 1);
        }
        // they rise by at least one: the distance from both ends says between which places it is
        let (first, last) = (*self.numbers.front()?, *self.numbers.back()?);
        let (from_first, from_last) = (number.checked_sub(first)?, last.checked_sub(number)?);
        let end = self.numbers.len() - 1;
        let high = usize::try_from(from_first).unwrap_or(end).min(end);
        let low = end.saturating_sub(usize::try_from(from_last).unwrap_or(end));
        let (front, back) = self.numbers.as_slices();
        let below = |number_there: &u64| *number_there < number;
        let at = match front.len() {
            _ if low == high => low,
            split if high < split => low + front[low..high].partition_point(below),
            split if low >= split => low + back[low - split..high - split].partition_point(below),
            _ => self.numbers.partition_point(below),
        };
        self.found.set(at);
        (self.numbers[at] == number).then_some(at)
    }

    /// The lowest number.
    pub(super) fn first(&self) -> Option<u64> {
        self.numbers.front().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let all = self.numbers.iter().zip(&self.rows);
        all.filter_map(|(number, row)| Some((*number, row.as_deref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut T)> {
        let all = self.numbers.iter().zip(&mut self.rows);
        all.filter_map(|(number, row)| Some((*number, row.as_deref_mut()?)))
    }

    pub(super) fn into_vec(self) -> Vec<(u64, Box<T>)> {
        self.numbers.into_iter().zip(self.rows).filter_map(|(number, row)| Some((number, row?))).collect()
    }
}

/// Numbers in their order, of which mostly the lowest go and higher ones come.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers(VecDeque<u64>);

impl Numbers {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.0.front().copied()
    }

    pub(super) fn insert(&mut self, number: u64) {
        if self.0.back().is_none_or(|last| *last < number) {
            return self.0.push_back(number);
        }
        if let Err(at) = self.0.binary_search(&number) {
            self.0.insert(at, number);
        }
    }

    pub(super) fn remove(&mut self, number: u64) {
        if self.0.front() == Some(&number) {
            self.0.pop_front();
        } else if let Ok(at) = self.0.binary_search(&number) {
            self.0.remove(at);
        }
        if self.0.capacity() > KEPT && self.0.capacity() > 8 * self.0.len() {
            self.0.shrink_to(2 * self.0.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The same as a map does, whatever comes.
    #[test]
    fn rows_are_a_map_in_order() {
        let (mut rows, mut map) = (Rows::default(), BTreeMap::new());
        let mut random = 12_345_u64;
        for number in 1..5_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let other = number.saturating_sub(random >> 33 & 0x1ff);
            match random >> 60 {
                // bursts of removals, some of the oldest
                0..5 => assert_eq!(rows.remove(other).as_deref(), map.remove(&other).as_ref()),
                5..8 => {
                    let oldest = map.keys().next().copied().unwrap_or(0);
                    assert_eq!(rows.remove(oldest).as_deref(), map.remove(&oldest).as_ref());
                }
                // one that comes back, out of order
                8 if !map.contains_key(&other) => {
                    rows.insert(other, Box::new(number));
                    map.insert(other, number);
                }
                _ => {}
            }
            if random >> 58 & 3 > 0 && !map.contains_key(&number) {
                rows.insert(number, Box::new(number));
                map.insert(number, number);
            }
            assert_eq!((rows.len(), rows.is_empty()), (map.len(), map.is_empty()));
            assert_eq!(rows.first(), map.keys().next().copied());
            assert_eq!(rows.get(other), map.get(&other));
        }
        assert!(map.len() > 100, "{}", map.len());
        assert!(rows.iter().eq(map.iter().map(|(number, row)| (*number, row))));
        for number in map.into_keys().rev() {
            assert!(rows.remove(number).is_some());
        }
        assert!(rows.is_empty() && rows.rows.capacity() <= KEPT);
    }

    #[test]
    fn numbers_are_a_set() {
        let (mut numbers, mut set) = (Numbers::default(), std::collections::BTreeSet::new());
        let mut random = 12_345_u64;
        for number in 1..20_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let other = number.saturating_sub(random >> 33 & 0x1ff);
            if random >> 60 < 8 || number > 15_000 {
                let gone = if random >> 59 & 1 == 0 { other } else { numbers.first().unwrap_or(0) };
                numbers.remove(gone);
                set.remove(&gone);
            } else {
                numbers.insert(other);
                set.insert(other);
            }
            assert_eq!((numbers.len(), numbers.first()), (set.len(), set.first().copied()));
        }
        assert!(numbers.0.iter().eq(&set), "{set:?}");
    }
}
