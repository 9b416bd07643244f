//! What is read out of JSON texts is what stands there, however a text is written and cut: random trees, written with
//! random spaces and escapes, against a walk over the tree itself.

use draingate::dialect::json::{Shape, Skim, Wanted};
use proptest::prelude::*;

const PATHS: &[&str] = &["jid", "headers.id", "headers.task", "properties.delivery_tag", "class"];
const WANTED: Wanted = Wanted::of(PATHS);
const KEYS: &[&str] =
    &["jid", "headers", "properties", "class", "id", "task", "delivery_tag", "x", "headers.id", "ji", ""];

#[derive(Clone, Debug)]
enum Json {
    Text(String),
    /// A number, `true`, `false` or `null`.
    Plain(&'static str),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

fn json() -> impl Strategy<Value = Json> {
    let plain = prop::sample::select(vec!["null", "0", "-1.5e3", "true", "false", "17"]);
    let odd = "[a-z0-9\"\\\\/\u{e9}\u{20ac}\n ]{0,20}";
    let text = prop_oneof![9 => odd, 9 => "[a-z0-9/,:{}\\[\\] -]{0,50}", 1 => "[a-z]{500,530}", 1 => "[a-z]{50,70}"];
    let leaf = prop_oneof![text.prop_map(Json::Text), plain.prop_map(Json::Plain)];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let member = (prop::sample::select(KEYS), inner.clone());
        prop_oneof![
            1 => prop::collection::vec(inner, 0..4).prop_map(Json::List),
            3 => prop::collection::vec(member, 0..6).prop_map(Json::Object),
        ]
    })
}

/// How a text is written.
#[derive(Clone, Copy, Debug)]
enum Style {
    /// Spaces and escapes as the dice fall.
    Thrown,
    /// As Python's library does it; what is not ASCII is escaped.
    Python,
    /// As those of Ruby and JavaScript do it.
    Compact,
}

/// Where a space may stand.
#[derive(PartialEq)]
enum Gap {
    BehindComma,
    BehindColon,
    Elsewhere,
}

/// Writes the tree; `dice` decides about what the style leaves open.
fn write(json: &Json, style: Style, dice: &mut impl FnMut() -> u8, out: &mut String) {
    let space = |gap: Gap, dice: &mut dyn FnMut() -> u8, out: &mut String| match style {
        Style::Thrown => out.push_str(["", " ", "", " ", "\n\t", "", " ", "\r\n  "][usize::from(dice() % 8)]),
        Style::Python if gap != Gap::Elsewhere => out.push(' '),
        Style::Python | Style::Compact => {}
    };
    let quoted = |text: &str, dice: &mut dyn FnMut() -> u8, out: &mut String| {
        out.push('"');
        for char in text.chars() {
            match (char, dice() % 16) {
                ('"' | '\\', _) => out.extend(['\\', char]),
                ('\n', _) => out.push_str("\\n"),
                (_, 0) if matches!(style, Style::Thrown) => out.push_str(&format!("\\u{:04x}", char as u32)),
                ('\u{80}'.., _) if matches!(style, Style::Python) => out.push_str(&format!("\\u{:04x}", char as u32)),
                _ => out.push(char),
            }
        }
        out.push('"');
    };
    match json {
        Json::Text(text) => quoted(text, dice, out),
        Json::Plain(text) => out.push_str(text),
        Json::List(elements) => {
            out.push('[');
            for (number, element) in elements.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                space(if number > 0 { Gap::BehindComma } else { Gap::Elsewhere }, dice, out);
                write(element, style, dice, out);
                space(Gap::Elsewhere, dice, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (number, (key, value)) in members.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                space(if number > 0 { Gap::BehindComma } else { Gap::Elsewhere }, dice, out);
                quoted(key, dice, out);
                space(Gap::Elsewhere, dice, out);
                out.push(':');
                space(Gap::BehindColon, dice, out);
                write(value, style, dice, out);
                space(Gap::Elsewhere, dice, out);
            }
            out.push('}');
        }
    }
}

/// What has to be found at a path: of several the last one that is no list or object.
fn at(json: &Json, path: &str) -> Option<String> {
    let Json::Object(members) = json else { return None };
    let mut found = None;
    for (key, value) in members {
        let inner = match (value, path.strip_prefix(key).and_then(|rest| rest.strip_prefix('.'))) {
            (Json::Object(inner), Some(rest)) => inner.iter().filter(|(key, _)| *key == rest).map(|(_, v)| v).collect(),
            _ if *key == path && !path.contains('.') => vec![value],
            _ => vec![],
        };
        for value in inner {
            match value {
                Json::Text(text) => {
                    let bytes = &text.as_bytes()[..text.len().min(512)];
                    found = Some(String::from_utf8_lossy(bytes).into_owned());
                }
                Json::Plain("null") => found = None,
                Json::Plain(plain) => found = Some((*plain).to_owned()),
                Json::List(_) | Json::Object(_) => {}
            }
        }
    }
    found
}

/// The same tree with other strings for values.
fn reworded(json: &Json, words: &mut impl FnMut() -> String) -> Json {
    match json {
        Json::Text(_) => Json::Text(words()),
        Json::Plain(plain) => Json::Plain(plain),
        Json::List(elements) => Json::List(elements.iter().map(|element| reworded(element, words)).collect()),
        Json::Object(members) => {
            Json::Object(members.iter().map(|(key, value)| (*key, reworded(value, words))).collect())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_text_that_is_broken_says_the_same_at_once_and_byte_by_byte(
        json in json(),
        style in prop::sample::select(vec![Style::Thrown, Style::Python, Style::Compact]),
        dice in prop::collection::vec(any::<u8>(), 1..64),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"{}[]\",:\\ n0\xff".as_slice())), 1..4),
        tail in prop::sample::select(vec!["", ", {\"jid\": 1}", ",\"jid\":1}", "{\"jid\":1}", "},\"jid\": 1", "],\"jid\": 1", "}"]),
    ) {
        let mut thrown = dice.iter().copied().cycle();
        let mut text = String::new();
        write(&json, style, &mut || thrown.next().unwrap_or_default(), &mut text);
        let mut text = text.into_bytes();
        for (at, byte) in &breaks {
            let at = at.index(text.len());
            text[at] = *byte;
        }
        text.extend(tail.bytes());
        let (whole, mut bytes) = (Skim::of(WANTED, &text), Skim::new(WANTED));
        text.iter().for_each(|byte| bytes.feed(std::slice::from_ref(byte)));
        for path in PATHS {
            prop_assert_eq!(whole.get(path), bytes.get(path), "{} in {}", path, String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn what_stands_there_is_found_however_it_is_written_and_cut(
        json in json(),
        style in prop::sample::select(vec![Style::Thrown, Style::Python, Style::Compact]),
        dice in prop::collection::vec(any::<u8>(), 1..64),
        cuts in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let mut thrown = dice.iter().copied().cycle();
        let mut text = String::new();
        write(&json, style, &mut || thrown.next().unwrap_or_default(), &mut text);
        let whole = Skim::of(WANTED, text.as_bytes());
        let (mut pieces, mut rest, mut cut) = (Skim::new(WANTED), text.as_bytes(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(cut.next().map_or(1, |cut| (*cut).min(rest.len())));
            pieces.feed(piece);
            rest = behind;
        }
        for path in PATHS {
            let expected = at(&json, path);
            prop_assert_eq!(whole.get(path), expected.as_deref(), "{} in {}", path, &text);
            prop_assert_eq!(pieces.get(path), expected.as_deref(), "{} in pieces of {}", path, &text);
        }
    }

    #[test]
    fn texts_of_one_shape_say_what_each_says_alone(
        trees in prop::collection::vec(json(), 1..3),
        style in prop::sample::select(vec![Style::Python, Style::Compact]),
        words in prop::collection::vec("[a-z\"\\\\\u{e9},:{}]{0,12}", 1..12),
        breaks in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 8),
    ) {
        let (mut shape, mut words) = (Shape::default(), words.iter().cycle());
        for (turn, (at, byte)) in breaks.iter().enumerate() {
            let tree = reworded(&trees[turn / 3 % trees.len()], &mut || words.next().cloned().unwrap_or_default());
            let mut text = String::new();
            write(&tree, style, &mut || 1, &mut text);
            let mut broken = text.clone().into_bytes();
            let at = at.index(broken.len());
            broken[at] = *byte;
            for text in [text.as_bytes(), &broken] {
                let (alone, of_shape) = (Skim::of(WANTED, text), shape.read(WANTED, text));
                for path in PATHS {
                    prop_assert_eq!(of_shape.get(path), alone.get(path), "{} in {}", path, String::from_utf8_lossy(text));
                }
            }
        }
    }
}
