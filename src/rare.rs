//! A value that few of many thousand connections have: for the others it takes no more room than a pointer.

use std::ops::{Deref, DerefMut};

/// What a thing is before anything has been said of it.
pub trait Blank: Default + 'static {
    /// The same for all.
    const BLANK: &'static Self;
}

/// A value that takes the room of a pointer until it is first changed.
#[derive(Debug)]
pub struct Rare<T>(Option<Box<T>>);

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Rare(None)
    }
}

impl<T> Rare<T> {
    /// Whether it has been changed: its room is taken then, whatever it is now.
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }
}

impl<T: Blank> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::BLANK)
    }
}

impl<T: Blank> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}
