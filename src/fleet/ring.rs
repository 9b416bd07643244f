//! The last few of many, in the order in which they came: a new one takes the place of the oldest.

/// See the module. `N` are kept.
#[derive(Clone, Debug)]
pub(super) struct Ring<T, const N: usize> {
    items: Vec<T>,
    /// Where the oldest is.
    oldest: usize,
}

impl<T, const N: usize> Default for Ring<T, N> {
    fn default() -> Self {
        Ring { items: Vec::new(), oldest: 0 }
    }
}

impl<T, const N: usize> Ring<T, N> {
    /// One more. Returned is the one that it takes the place of.
    #[inline]
    pub(super) fn push(&mut self, item: T) -> Option<T> {
        if self.items.len() < N {
            self.items.push(item);
            return None;
        }
        let place = self.items.get_mut(self.oldest)?;
        self.oldest = if self.oldest + 1 < N { self.oldest + 1 } else { 0 };
        Some(std::mem::replace(place, item))
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        let (later, earlier) = self.items.split_at(self.oldest);
        earlier.iter().chain(later)
    }

    /// Takes all out, the oldest first.
    pub(super) fn take(&mut self) -> Vec<T> {
        self.items.rotate_left(self.oldest);
        self.oldest = 0;
        std::mem::take(&mut self.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_in_their_order() {
        let mut ring = Ring::<u32, 3>::default();
        for item in 0..8 {
            assert_eq!(ring.push(item), item.checked_sub(3));
            assert!(ring.iter().copied().eq(item.saturating_sub(2)..=item) && ring.iter().next_back() == Some(&item));
        }
        assert_eq!((ring.len(), ring.take(), ring.len()), (3, vec![5, 6, 7], 0));
        assert_eq!((ring.push(8), ring.take()), (None, vec![8]));
    }
}
