//! The configuration as written: a tree of values that each remember where they stand, read from TOML and overlaid
//! with the environment (`DRAINGATE__ADMIN__BIND`, `DRAINGATE__LISTENER__0__UPSTREAM`).

use super::problem::{ConfigError, Fault, Problem};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const PREFIX: &str = "DRAINGATE__";

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) place: String,
    pub(super) kind: Kind,
}

/// What was written.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text(String),
    /// A text without type: from the environment.
    Bare(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Value>),
    Table(Entries),
    /// A float or a date: never asked for.
    Other(&'static str),
}

pub(super) type Entries = BTreeMap<String, Value>;

impl Kind {
    /// For "expected .., found ..".
    pub(super) fn describe(&self) -> String {
        match self {
            Kind::Text(text) | Kind::Bare(text) => format!("{:?}", super::read::masked(text)),
            Kind::Integer(number) => number.to_string(),
            Kind::Boolean(value) => value.to_string(),
            Kind::List(_) => "a list".into(),
            Kind::Table(_) => "a table".into(),
            Kind::Other(what) => (*what).into(),
        }
    }
}

/// The whole.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) root: Entries,
}

impl Tree {
    /// Reads `(name, text)` of a file.
    pub(super) fn new(file: Option<(&str, &str)>) -> Result<Tree, ConfigError> {
        let Some((name, text)) = file else { return Ok(Tree::default()) };
        let reader = Reader { name, text };
        match DeTable::parse(text) {
            Ok(table) => Ok(Tree { root: reader.entries(table.get_ref()) }),
            Err(error) => {
                let place = error.span().map_or(name.to_owned(), |span| reader.place(span.start));
                let fault = Fault::Invalid(format!("not TOML: {}", error.message()));
                Err(ConfigError::Wrong(vec![Problem { place, key: String::new(), fault }]))
            }
        }
    }

    /// Puts the variables that begin with `DRAINGATE__` over what the file says.
    pub(super) fn overlay_environment(&mut self, environment: &[(String, String)]) {
        let mut ours: Vec<_> = environment.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        ours.sort(); // so that LISTENER__0 comes before LISTENER__1
        for (name, text) in ours {
            let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
            insert(&mut self.root, &path, name, text);
        }
    }
}

/// Walks down `path`, making tables on the way, and sets the value there.
fn insert(entries: &mut Entries, path: &[String], name: &str, text: &str) {
    let Some((key, rest)) = path.split_first() else { return };
    let bare = || Value { place: name.to_owned(), kind: Kind::Bare(text.to_owned()) };
    let Some((next, below)) = rest.split_first() else {
        entries.insert(key.clone(), bare());
        return;
    };
    let empty = |kind| Value { place: name.to_owned(), kind };
    let indexed = next.parse::<usize>().is_ok() || key == "listener";
    let slot = entries
        .entry(key.clone())
        .or_insert_with(|| empty(if indexed { Kind::List(Vec::new()) } else { Kind::Table(Entries::new()) }));
    match &mut slot.kind {
        Kind::Table(table) => insert(table, rest, name, text),
        Kind::List(list) => {
            let Some(index) = position(list, next) else {
                // an index far behind the end, or a name that no table of the list has
                entries.insert(format!("{key}.{next}"), bare());
                return;
            };
            if index == list.len() {
                list.push(empty(Kind::Table(Entries::new())));
            }
            match &mut list[index].kind {
                Kind::Table(table) => insert(table, below, name, text),
                _ => list[index] = bare(),
            }
        }
        _ => *slot = bare(),
    }
}

/// A number, or the `name` of a table in the list.
fn position(list: &[Value], word: &str) -> Option<usize> {
    if let Ok(index) = word.parse::<usize>() {
        return (index <= list.len()).then_some(index);
    }
    list.iter().position(|value| match &value.kind {
        Kind::Table(table) => {
            matches!(table.get("name"), Some(Value { kind: Kind::Text(name), .. }) if name.eq_ignore_ascii_case(word))
        }
        _ => false,
    })
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn place(&self, offset: usize) -> String {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        format!("{}:{}", self.name, 1 + before.iter().filter(|byte| **byte == b'\n').count())
    }

    fn entries(&self, table: &DeTable<'_>) -> Entries {
        table
            .iter()
            .map(|(key, value)| {
                let mut value = self.value(value);
                value.place = self.place(key.span().start);
                (key.get_ref().to_string(), value)
            })
            .collect()
    }

    fn value(&self, value: &Spanned<DeValue<'_>>) -> Value {
        let kind = match value.get_ref() {
            DeValue::String(text) => Kind::Text(text.to_string()),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or(Kind::Other("a number"), Kind::Integer)
            }
            DeValue::Boolean(value) => Kind::Boolean(*value),
            DeValue::Array(list) => Kind::List(list.iter().map(|value| self.value(value)).collect()),
            DeValue::Table(table) => Kind::Table(self.entries(table)),
            DeValue::Float(_) => Kind::Other("a number with a point"),
            DeValue::Datetime(_) => Kind::Other("a date"),
        };
        Value { place: self.place(value.span().start), kind }
    }
}
