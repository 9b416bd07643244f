//! Bytes that pass leave in as few pieces as possible: stretches of the input that follow one another become one write.

use super::Action;
use std::ops::Range;

/// The stretch of the input that passes and has not been ordered to be forwarded yet. It has to be ordered before anything
/// else is sent to the same side.
#[derive(Debug, Default)]
pub(super) struct Run(Range<usize>);

impl Run {
    /// These bytes pass.
    #[inline]
    pub(super) fn pass(&mut self, stretch: Range<usize>, out: &mut Vec<Action>) {
        if self.0.end != stretch.start {
            self.flush(out);
            self.0.start = stretch.start;
        }
        self.0.end = stretch.end;
    }

    /// Orders what has passed so far to be forwarded.
    #[inline]
    pub(super) fn flush(&mut self, out: &mut Vec<Action>) {
        if self.0.start < self.0.end {
            out.push(Action::Forward(self.0.clone()));
        }
        self.0.start = self.0.end;
    }
}
