//! The texts of one queue are mostly of one shape: the same keys, numbers and brackets, and only strings that differ. What
//! stands between the strings of a text is remembered, and the next text is compared with it as it stands. It finds what
//! the walk (`super::whole`) finds; a text of another shape it leaves to that.

use super::found::{Found, Spans};
use super::string::until_mark;
use super::wanted::Wanted;
use super::whole::{Walk, behind_escapes, whole};
use super::{At, Skim};

/// As many strings as a text may have to be remembered.
const STRINGS_MAX: usize = 64;
/// As many bytes as may stand between them.
const BETWEEN_MAX: usize = 2 * 1024;

/// What is remembered of the last texts, all of which are read for the same values. Takes the room of a pointer before
/// the first.
#[derive(Debug, Default)]
pub struct Shape(Option<Box<Known>>);

#[derive(Debug, Default)]
struct Known {
    learnt: Learnt,
    /// So many texts were of another shape since one was of this.
    misses: u8,
}

impl Shape {
    /// Reads a whole text, as [`Skim::of`] does it.
    pub fn read(&mut self, wanted: Wanted, text: &[u8]) -> Skim {
        let known = self.0.get_or_insert_default();
        let found = known.learnt.found(text);
        if found.is_some() {
            known.misses = 0;
        }
        match found.or_else(|| known.walk(&wanted, text)) {
            // what comes behind it says nothing
            Some(found) => Skim { found, at: At::Lost, ..Skim::new(wanted) },
            None => Skim::of(wanted, text),
        }
    }
}

impl Known {
    /// The quick walk. It learns the shape of the first text, the second, the fourth ... that is not of the one known: where
    /// each is of its own, learning costs more than it brings.
    fn walk(&mut self, wanted: &Wanted, text: &[u8]) -> Option<Found> {
        self.misses = self.misses.saturating_add(1);
        if !self.misses.is_power_of_two() || !text.ends_with(b"}") {
            return None;
        }
        let mut learning = Learning::default();
        let found = whole(wanted, text, &mut learning)?;
        if let Some(learnt) = learning.learnt(text) {
            self.learnt = learnt;
        }
        Some(found)
    }
}

/// A string that is a value.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The bit of the path at which it is wanted.
    bit: u32,
    /// Where, in what stands between the strings, its closing quote is.
    at: u32,
}

/// The empty one is that of the empty text.
#[derive(Debug, Default)]
struct Learnt {
    /// What stands between the strings, with their quotes.
    between: Box<[u8]>,
    places: Box<[Place]>,
}

impl Learnt {
    fn found(&self, text: &[u8]) -> Option<Found> {
        let (mut spans, mut rest, mut between) = (Spans::default(), text, &*self.between);
        let mut passed = 0;
        for place in &self.places {
            let (before, behind) = between.split_at_checked(place.at as usize - passed)?;
            rest = rest.strip_prefix(before)?;
            (between, passed) = (behind, place.at as usize);
            let length = until_mark(rest);
            let (from, behind) = (text.len() - rest.len(), rest.get(length..)?);
            rest = match behind {
                [b'"', ..] => behind,
                escaped if place.bit == 0 => behind_escapes(escaped)?,
                _ => return None,
            };
            spans.put(place.bit, from, length)?;
        }
        (rest == between).then(|| spans.found(text)).flatten()
    }
}

/// What a walk passes.
#[derive(Default)]
struct Learning {
    /// Of each string its bit, and where it begins and ends.
    strings: Vec<(u32, usize, usize)>,
    /// Where `null` stands in place of what is wanted.
    nulls: u32,
    /// A wanted value is no string.
    plain: bool,
}

impl Walk for Learning {
    fn string(&mut self, bit: u32, from: usize, to: usize) {
        self.strings.push((bit, from, to));
    }

    fn null(&mut self, bit: u32) {
        self.nulls |= bit;
    }

    fn plain(&mut self) {
        self.plain = true;
    }
}

impl Learning {
    /// `None`: it is too long, or says more than its strings do.
    fn learnt(&self, text: &[u8]) -> Option<Learnt> {
        let strings: usize = self.strings.iter().map(|(_, from, to)| to - from).sum();
        let struck = self.strings.iter().any(|(bit, ..)| bit & self.nulls != 0);
        if self.plain || struck || self.strings.len() > STRINGS_MAX || text.len() - strings > BETWEEN_MAX {
            return None;
        }
        let (mut between, mut behind) = (Vec::with_capacity(text.len() - strings), 0);
        let mut places = Vec::with_capacity(self.strings.len());
        for &(bit, from, to) in &self.strings {
            between.extend_from_slice(text.get(behind..from)?);
            places.push(Place { bit, at: u32::try_from(between.len()).ok()? });
            behind = to;
        }
        between.extend_from_slice(text.get(behind..)?);
        Some(Learnt { between: between.into(), places: places.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted::of(&["jid", "headers.id", "n"]);

    fn learnt(shape: &Shape, text: &str) -> bool {
        shape.0.as_ref().is_some_and(|known| known.learnt.found(text.as_bytes()).is_some())
    }

    #[test]
    fn a_text_of_the_shape_of_the_last_is_read_by_its_strings() {
        let mut shape = Shape::default();
        let text = |id: &str, args: &str| {
            format!(r#"{{"headers": {{"id": "{id}", "args": "{args}"}}, "jid": null, "x": [1]}}"#)
        };
        assert_eq!(shape.read(WANTED, text("a", "()").as_bytes()).get("headers.id"), Some("a"));
        for (id, args, known) in [
            ("b", "(1, 2)", true),
            ("", "", true),
            ("\u{e9}", r#"{\"a\": \\}"#, true),
            (r"\u0061", "", false),
            ("a", r"\ux", false),
        ] {
            assert_eq!(learnt(&shape, &text(id, args)), known, "{id} {args}");
        }
        for other in [r#"{"headers": {"id": "b", "args": ""}, "jid": null, "x": [2]}"#, "{}", ""] {
            assert!(!learnt(&shape, other), "{other}");
        }
        let whole = text("b", "(1)");
        (0..whole.len()).for_each(|cut| assert!(!learnt(&shape, &whole[..cut]), "cut at {cut}"));
        assert!(!learnt(&shape, &format!("{whole} ")));
    }

    #[test]
    fn what_says_more_than_its_strings_is_not_learnt() {
        for text in [r#"{"jid": "a", "n": 1}"#, r#"{"jid": "a", "jid": null}"#, r#"{"n":true}"#] {
            let mut shape = Shape::default();
            shape.read(WANTED, text.as_bytes());
            assert!(!learnt(&shape, text), "{text}");
        }
    }

    #[test]
    fn another_shape_takes_the_place_of_the_first_and_changing_ones_are_soon_left_alone() {
        let mut shape = Shape::default();
        for text in [r#"{"jid": "a"}"#, r#"{"jid": "a", "x": 1}"#] {
            shape.read(WANTED, text.as_bytes());
            assert!(learnt(&shape, text), "{text}");
            shape.read(WANTED, text.as_bytes());
        }
        let learnings = (0..200).filter(|number| {
            let text = format!(r#"{{"jid": "a", "x": {}}}"#, number + 2);
            shape.read(WANTED, text.as_bytes());
            learnt(&shape, &text)
        });
        assert_eq!(learnings.count(), 8);
    }
}
