//! What all scripts have in common: `EVAL text number-of-keys key .. argument ..`, and EVALSHA and FCALL alike.

use std::str::FromStr;

/// A number, as commands write it.
pub fn number<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Words of a command.
type Words<'a> = &'a [&'a [u8]];

/// The keys of a script and the arguments behind them. `None`: it has fewer keys than it says.
pub(super) fn keys_and_arguments<'a>(args: Words<'a>) -> Option<(Words<'a>, Words<'a>)> {
    args.get(3..)?.split_at_checked(number(args.get(2)?)?)
}
