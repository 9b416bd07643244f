//! What a caller sends to make a drain.

use serde::{Deserialize, Serialize};

/// The body of `POST /v1/drains`. Everything but the selector may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct NewDrain {
    /// One selector or a list of which any may match.
    pub selector: Selectors,
    /// The drain's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A duration such as `12h`, or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `exact`, `reported` or `inferred`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<String>,
    /// `ignore` or `wait`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delayed: Option<String>,
    /// Mark whoever matches until lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<bool>,
    /// A selector that matches nothing is fine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_empty: Option<bool>,
    /// Refuse when a queue would be left without a consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_starve: Option<bool>,
    /// Only say what would be marked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// "String or list" in a [`NewDrain`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "`selector` has to be a string or a list of strings")]
pub enum Selectors {
    /// One.
    One(String),
    /// Any of these.
    Any(Vec<String>),
}

impl Default for Selectors {
    fn default() -> Self {
        Selectors::Any(vec![])
    }
}

impl Selectors {
    /// The list, however it was written.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Selectors::One(one) => vec![one],
            Selectors::Any(any) => any,
        }
    }
}
