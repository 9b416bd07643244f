//! The form of a record: a letter and tab-separated fields on one line, closed by a dot, so that a line torn off by a
//! crash is recognised. Backslash escapes what would break the line.

use super::VERSION;
use super::line::Record;
use crate::job::{Evidence, Millis, Protocol, System};

/// Joins a record.
pub(in crate::fleet) fn record(letter: char, fields: &[&str]) -> String {
    let mut line = Vec::new();
    let mut record = Record::begin(&mut line, letter as u8);
    fields.iter().for_each(|field| record.text(field));
    record.end();
    String::from_utf8_lossy(&line).into_owned()
}

/// A number or nothing, as a field.
pub(in crate::fleet) fn optional(number: Option<impl std::fmt::Display>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

/// An optional text: marked, so that an empty one differs from none.
pub(in crate::fleet) fn maybe(text: Option<&str>) -> String {
    text.map_or("-".to_owned(), |text| format!("={text}"))
}

/// Whether the line was written to its end.
pub(in crate::fleet) fn is_whole(line: &str) -> bool {
    line.ends_with("\t.")
}

/// The fields of a record, one after the other. Errors say what was expected.
pub(in crate::fleet) struct Fields<'a> {
    rest: std::str::Split<'a, char>,
}

impl<'a> Fields<'a> {
    /// Splits a line into its letter and its fields.
    pub(in crate::fleet) fn of(line: &'a str) -> Result<(&'a str, Fields<'a>), String> {
        let body = line.strip_suffix("\t.").ok_or("expected a record that ends with a dot")?;
        let mut rest = body.split('\t');
        let letter = rest.next().unwrap_or_default();
        Ok((letter, Fields { rest }))
    }

    pub(in crate::fleet) fn text(&mut self, what: &str) -> Result<String, String> {
        let field = self.rest.next().ok_or_else(|| format!("expected {what}, found the end"))?;
        let mut text = String::with_capacity(field.len());
        let mut chars = field.chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some('t') => text.push('\t'),
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('\\') => text.push('\\'),
                _ => return Err(format!("expected {what}, found a broken escape")),
            }
        }
        Ok(text)
    }

    pub(in crate::fleet) fn maybe(&mut self, what: &str) -> Result<Option<String>, String> {
        let text = self.text(what)?;
        match text.strip_prefix('=') {
            Some(text) => Ok(Some(text.to_owned())),
            None if text == "-" => Ok(None),
            None => Err(format!("expected {what}, found {text:?}")),
        }
    }

    pub(in crate::fleet) fn parse<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, String> {
        let text = self.text(what)?;
        text.parse().map_err(|_| format!("expected {what}, found {text:?}"))
    }

    pub(in crate::fleet) fn optional<T: std::str::FromStr>(&mut self, what: &str) -> Result<Option<T>, String> {
        let text = self.text(what)?;
        if text == "-" {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| format!("expected {what}, found {text:?}"))
    }

    /// A word of a closed vocabulary, of which `name` says how each is written.
    pub(in crate::fleet) fn word<T: Copy>(
        &mut self,
        what: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T, String> {
        let text = self.text(what)?;
        let found = all.iter().copied().find(|word| name(*word) == text);
        found.ok_or_else(|| format!("expected {what}, found {text:?}"))
    }

    pub(in crate::fleet) fn system(&mut self) -> Result<System, String> {
        self.word("a job system", &System::ALL, System::as_str)
    }

    pub(in crate::fleet) fn protocol(&mut self) -> Result<Protocol, String> {
        self.word("a protocol", &Protocol::ALL, Protocol::as_str)
    }

    pub(in crate::fleet) fn evidence(&mut self) -> Result<Evidence, String> {
        self.word("an evidence", &Evidence::ALL, Evidence::as_str)
    }

    /// The version stands in the first record of a text.
    pub(in crate::fleet) fn version(&mut self) -> Result<(), String> {
        match self.text("a version")?.as_str() {
            VERSION => Ok(()),
            other => Err(format!("expected version {VERSION}, found {other:?}")),
        }
    }

    pub(in crate::fleet) fn moment(&mut self, what: &str) -> Result<Millis, String> {
        self.parse(what)
    }

    pub(in crate::fleet) fn flag(&mut self, what: &str) -> Result<bool, String> {
        match self.text(what)?.as_str() {
            "1" => Ok(true),
            "0" => Ok(false),
            other => Err(format!("expected {what} (0 or 1), found {other:?}")),
        }
    }
}

/// A flag as a field.
pub(in crate::fleet) fn flag(set: bool) -> &'static str {
    if set { "1" } else { "0" }
}
