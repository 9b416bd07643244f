//! Log lines that must not become a flood: at most one in a while, which says how many were left out.

use crate::job::Millis;
use std::sync::atomic::{AtomicU64, Ordering};

/// Between two lines.
const EVERY: Millis = 5_000;

/// One kind of line.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// When the next line may come.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl Quiet {
    /// `Some` with the number of lines left out since the last one, if it is time for one.
    pub(super) fn turn(&self, now: Millis) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        let ours =
            now >= next && self.next.compare_exchange(next, now + EVERY, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !ours {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_while_counts_the_others() {
        let quiet = Quiet::default();
        assert_eq!(quiet.turn(1_000_000), Some(0));
        assert_eq!(quiet.turn(1_000_001), None);
        assert_eq!(quiet.turn(1_004_999), None);
        assert_eq!(quiet.turn(1_005_000), Some(2));
    }
}
