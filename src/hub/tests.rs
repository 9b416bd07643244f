//! The hub with a real store.
