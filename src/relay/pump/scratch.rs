//! What the connections of a thread share, as only one of them has its turn: room for what is read, for what is ordered, and
//! for reads that wait.

use super::READ;
use super::parked::Parked;
use crate::gate::Action;
use std::cell::RefCell;

/// One per thread: the buffer that everything is read into, the list that gates append to, and room for reads that are
/// parked.
pub(super) struct Scratch {
    pub(super) buffer: Vec<u8>,
    pub(super) actions: Vec<Action>,
    #[expect(clippy::vec_box, reason = "each goes into a connection and comes back as it is")]
    pub(super) spare: Vec<Box<Parked>>,
}

impl Scratch {
    /// All that was ordered has been carried out. What is passed on owns nothing that had to be dropped.
    pub(super) fn clear(&mut self) {
        match self.actions[..] {
            [] => (),
            [Action::Forward(_)] => std::mem::forget(self.actions.pop()),
            _ => self.actions.clear(),
        }
    }

    /// Makes room for so many bytes.
    pub(super) fn hold(&mut self, bytes: usize) {
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 0);
        }
    }

    /// Gives back what the largest needed.
    pub(super) fn trim(&mut self) {
        if self.buffer.len() > 2 * READ {
            self.buffer.truncate(2 * READ);
            self.buffer.shrink_to_fit();
        }
    }
}

thread_local! {
    pub(super) static SCRATCH: RefCell<Scratch> =
        RefCell::new(Scratch { buffer: vec![0; 2 * READ], actions: Vec::new(), spare: Vec::new() });
}
