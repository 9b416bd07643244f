//! Takes typed values out of one table of the tree as written. What is wrong is collected, so that one run names all
//! of it; what was not asked for is an unknown key.

use super::problem::{Fault, Problem};
use super::source::{Entries, Kind, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Where problems are collected.
pub(super) type Problems = RefCell<Vec<Problem>>;

/// One table of the tree.
pub(super) struct Section<'p> {
    path: String,
    entries: Entries,
    asked: Vec<&'static str>,
    problems: &'p Problems,
}

impl<'p> Section<'p> {
    pub(super) fn new(path: &str, entries: Entries, problems: &'p Problems) -> Section<'p> {
        Section { path: path.to_owned(), entries, asked: Vec::new(), problems }
    }

    /// The section below `key`; empty if it is not written.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'p> {
        let written = self.table(key).map(|(_, section)| section);
        written.unwrap_or_else(|| Section::new(&self.path_of(key), Entries::new(), self.problems))
    }

    /// The section below `key`, if it is written, and where that is.
    pub(super) fn table(&mut self, key: &'static str) -> Option<(String, Section<'p>)> {
        match self.take(key)? {
            Value { kind: Kind::Table(table), place } => {
                Some((place, Section::new(&self.path_of(key), table, self.problems)))
            }
            value => {
                self.expected(key, &value, &format!("a table [{key}]"));
                None
            }
        }
    }

    /// The tables of `[[key]]`.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'p>> {
        let path = self.path_of(key);
        let list = match self.take(key) {
            None => return Vec::new(),
            Some(Value { kind: Kind::List(list), .. }) => list,
            Some(value) => {
                self.expected(key, &value, &format!("a list of tables [[{key}]]"));
                return Vec::new();
            }
        };
        let mut sections = Vec::new();
        for value in list {
            match value.kind {
                Kind::Table(table) => sections.push(Section::new(&path, table, self.problems)),
                _ => self.expected(key, &value, "tables only"),
            }
        }
        sections
    }

    /// A text as `parse` understands it, else the default. `parse` fails with what was expected.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        default: impl FnOnce() -> T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(value) = self.take(key) else { return default() };
        match &value.kind {
            Kind::Text(text) | Kind::Bare(text) => match parse(text) {
                Ok(parsed) => return parsed,
                Err(expected) => self.expected(key, &value, &expected),
            },
            _ => match parse("") {
                Err(expected) => self.expected(key, &value, &format!("{expected}, in quotes")),
                Ok(_) => self.expected(key, &value, "a text in quotes"),
            },
        }
        default()
    }

    /// A text that must be written.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) {
            self.problem(String::new(), key, Fault::Invalid("is missing".into()));
        }
        self.text(key, || None, |text| parse(text).map(Some))
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, default: T, words: &[(&str, T)]) -> T {
        self.text(
            key,
            || default,
            |text| {
                let found = words.iter().find(|(word, _)| *word == text);
                let names: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
                found.map(|(_, value)| *value).ok_or_else(|| names.join(" or "))
            },
        )
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.take(key) else { return default };
        match &value.kind {
            Kind::Boolean(value) => return *value,
            Kind::Bare(text) if text == "true" => return true,
            Kind::Bare(text) if text == "false" => return false,
            _ => self.expected(key, &value, "true or false"),
        }
        default
    }

    /// A number of things, at least one.
    pub(super) fn count(&mut self, key: &'static str, default: usize) -> usize {
        let Some(value) = self.take(key) else { return default };
        let number = match &value.kind {
            Kind::Integer(number) => usize::try_from(*number).ok(),
            Kind::Bare(text) => text.parse().ok(),
            _ => None,
        };
        match number.filter(|number| *number > 0) {
            Some(number) => number,
            None => {
                self.expected(key, &value, "a whole number above 0");
                default
            }
        }
    }

    /// A text or a list of texts; `None` if it is not written.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<(String, Value)>> {
        let value = self.take(key)?;
        let list = match &value.kind {
            Kind::Text(text) => vec![(text.clone(), value.clone())],
            Kind::Bare(text) => listed(text).into_iter().map(|part| (part, value.clone())).collect(),
            Kind::List(list) => {
                let mut texts = Vec::new();
                for item in list {
                    match &item.kind {
                        Kind::Text(text) => texts.push((text.clone(), item.clone())),
                        _ => self.expected(key, item, "a list of texts"),
                    }
                }
                texts
            }
            _ => {
                self.expected(key, &value, "a text or a list of texts");
                return None;
            }
        };
        Some(list)
    }

    /// Whether a key is written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Where a key stands; empty if it is not written.
    pub(super) fn place_of(&self, key: &str) -> String {
        self.entries.get(key).map_or_else(String::new, |value| value.place.clone())
    }

    /// Says what was expected instead of `value`.
    pub(super) fn expected(&self, key: &str, value: &Value, expected: &str) {
        let fault = Fault::Invalid(format!("expected {expected}, found {}", value.kind.describe()));
        self.problem(value.place.clone(), key, fault);
    }

    pub(super) fn problem(&self, place: String, key: &str, fault: Fault) {
        self.problems.borrow_mut().push(Problem { place, key: self.path_of(key), fault });
    }

    /// Whatever is left was not asked for.
    pub(super) fn finish(self) {
        for (key, value) in &self.entries {
            let nearest = self.asked.iter().max_by(|a, b| closeness(key, a).total_cmp(&closeness(key, b)));
            let nearest = nearest.copied().unwrap_or_default().to_owned();
            self.problem(value.place.clone(), key, Fault::UnknownKey(nearest));
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.entries.remove(key)
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// A list in the environment: separated by commas, or as it would be in the file.
fn listed(text: &str) -> Vec<String> {
    let written = toml::from_str::<BTreeMap<String, Vec<String>>>(&format!("list = {text}"));
    let list = written.ok().and_then(|mut written| written.remove("list"));
    list.unwrap_or_else(|| text.split(',').map(|part| part.trim().to_owned()).collect())
}

fn closeness(written: &str, known: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(written, known)
}
