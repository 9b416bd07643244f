//! Rows in the order of their numbers, which rise: written at the end, mostly struck out near the front. One that is struck
//! out leaves a gap until there are too many.

use std::cell::Cell;
use std::collections::VecDeque;

/// Gaps that are left alone.
const GAPS: usize = 32;
/// So much room is kept for the next rows.
const KEPT: usize = 2_048;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Rows<T> {
    rows: Vec<Row<T>>,
    gaps: usize,
    /// Where the first is that is no gap; behind the last if there is none.
    first: usize,
    /// Where a row was found last by its number.
    found: Cell<usize>,
    /// Where one was found last by what is in it.
    met: Cell<usize>,
}

/// Of a gap the number is left.
type Row<T> = (u64, Option<Box<T>>);

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Rows { rows: Vec::new(), gaps: 0, first: 0, found: Cell::new(0), met: Cell::new(0) }
    }
}

impl<T> Rows<T> {
    pub(super) fn len(&self) -> usize {
        self.rows.len() - self.gaps
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `number` is none of those that are in it.
    #[inline]
    pub(super) fn insert(&mut self, number: u64, row: Box<T>) {
        if self.rows.last().is_none_or(|(last, _)| *last < number) {
            return self.rows.push((number, Some(row)));
        }
        let at = match self.rows.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => {
                self.gaps -= usize::from(self.rows[at].1.replace(row).is_none());
                at
            }
            Err(at) => {
                self.rows.insert(at, (number, Some(row)));
                at
            }
        };
        self.first = if at < self.first { at } else { self.first_from(self.first) };
    }

    #[inline]
    pub(super) fn remove(&mut self, number: u64) -> Option<Box<T>> {
        let at = self.at(number)?;
        let row = self.rows[at].1.take()?;
        self.gaps += 1;
        if at == self.first {
            self.first = self.first_from(at + 1);
        }
        let many = self.gaps > GAPS && self.gaps > self.rows.len() / 2;
        if many || self.first == self.rows.len() {
            self.close_gaps();
        }
        Some(row)
    }

    /// The first at or behind this place that is no gap.
    fn first_from(&self, at: usize) -> usize {
        at + self.rows[at..].iter().take_while(|(_, row)| row.is_none()).count()
    }

    fn close_gaps(&mut self) {
        let met = self.met.get().min(self.rows.len());
        let before = self.rows[..met].iter().filter(|(_, row)| row.is_some()).count();
        self.met.set(before);
        self.rows.retain(|(_, row)| row.is_some());
        (self.gaps, self.first) = (0, 0);
        if self.rows.capacity() > KEPT && self.rows.capacity() > 8 * self.rows.len() {
            self.rows.shrink_to(2 * self.rows.len());
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        self.rows[self.at(number)?].1.as_deref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let at = self.at(number)?;
        self.rows[at].1.as_deref_mut()
    }

    /// The number of a row like that, if it is the one that was looked for last, the one behind it, or `reach` places away.
    #[inline]
    pub(super) fn near(&self, reach: usize, wanted: impl Fn(&T) -> bool) -> Option<u64> {
        let is_there = |row: &Row<T>| row.1.as_deref().is_some_and(&wanted);
        let met = self.met.get();
        for at in [met + 1, met] {
            if let Some(row) = self.rows.get(at).filter(|row| is_there(row)) {
                self.met.set(at);
                return Some(row.0);
            }
        }
        let (before, behind) = self.rows.split_at(met.min(self.rows.len()));
        let later = || behind.iter().take(reach).position(is_there).map(|places| before.len() + places);
        let sooner = || before.iter().rev().take(reach).position(is_there).map(|places| before.len() - 1 - places);
        let at = later().or_else(sooner)?;
        self.met.set(at);
        Some(self.rows[at].0)
    }

    /// Of a row or a gap. What is looked for is mostly what was looked for just now, or the one behind it.
    #[inline(always)]
    fn at(&self, number: u64) -> Option<usize> {
        let found = self.found.get();
        let is_at = |at: usize| self.rows.get(at).is_some_and(|(there, _)| *there == number);
        if is_at(found) {
            return Some(found);
        }
        let at = if is_at(found + 1) { found + 1 } else { self.search(number)? };
        self.found.set(at);
        Some(at)
    }

    fn search(&self, number: u64) -> Option<usize> {
        // they rise by at least one: the distance from both ends says between which places it is
        let (first, last) = (self.rows.first()?.0, self.rows.last()?.0);
        let (from_first, from_last) = (number.checked_sub(first)?, last.checked_sub(number)?);
        let end = self.rows.len() - 1;
        let high = usize::try_from(from_first).unwrap_or(end).min(end);
        let low = end.saturating_sub(usize::try_from(from_last).unwrap_or(end));
        let at = low + self.rows[low..high].partition_point(|row| row.0 < number);
        (self.rows[at].0 == number).then_some(at)
    }

    /// The lowest number.
    pub(super) fn first(&self) -> Option<u64> {
        self.rows.get(self.first).map(|(number, _)| *number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.rows[self.first..].iter().filter_map(|(number, row)| Some((*number, row.as_deref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut T)> {
        self.rows[self.first..].iter_mut().filter_map(|(number, row)| Some((*number, row.as_deref_mut()?)))
    }

    pub(super) fn into_vec(self) -> Vec<(u64, Box<T>)> {
        self.rows.into_iter().filter_map(|(number, row)| Some((number, row?))).collect()
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
            let near = rows.near(8, |row| *row == other);
            assert!(near.is_none_or(|at| map.get(&at) == Some(&other)));
        }
        assert!(map.len() > 100, "{}", map.len());
        assert!(rows.iter().eq(map.iter().map(|(number, row)| (*number, row))));
        for number in map.into_keys().rev() {
            assert!(rows.remove(number).is_some());
        }
        assert!(rows.is_empty() && rows.rows.capacity() <= KEPT);
    }

    #[test]
    fn what_is_looked_for_in_order_is_near() {
        let mut rows = Rows::default();
        for round in 0..10_u64 {
            let numbers = round * 100..round * 100 + 100;
            numbers.clone().for_each(|number| rows.insert(number, Box::new(number)));
            for number in numbers.clone().map(|number| number ^ 3) {
                assert_eq!(rows.near(8, |row| *row == number), Some(number));
            }
            numbers.for_each(|number| assert!(rows.remove(number).is_some()));
        }
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
