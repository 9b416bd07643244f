//! A fetch with another time-out, or without some of its keys: what goes to the broker in its place.

use super::encode::{bulk, bulk_length, encode};
use super::pop::{Pop, Timeout};
use super::table::Form;
use crate::job::Millis;
use bytes::Bytes;

/// Longest time-out that is written: 20 digits, or 17 and three behind the point.
const TIME_MAX: usize = 24;

impl Timeout {
    /// So many milliseconds as they are written, at the end of `room`. `whole` seconds for a server that knows no
    /// fractions.
    fn write<'a>(&self, ms: Millis, whole: bool, room: &'a mut [u8; TIME_MAX]) -> &'a [u8] {
        let ms = ms.max(1);
        let mut at = TIME_MAX;
        let number = match (self.in_ms, whole) {
            (true, _) => ms,
            (false, true) => (ms / 1000).max(1),
            (false, false) => {
                let digit = |of: Millis| b'0' + (ms / of % 10) as u8;
                at -= 4;
                room[at..].copy_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
                ms / 1000
            }
        };
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        room[at - digits.len()..at].copy_from_slice(digits);
        &room[at - digits.len()..]
    }
}

impl Pop {
    /// The same with another time-out.
    pub(super) fn sliced(&self, ms: Millis, whole: bool) -> Vec<Bytes> {
        let mut args = self.args.clone();
        if let Some(timeout) = self.timeout {
            args[timeout.arg] = Bytes::copy_from_slice(timeout.write(ms, whole, &mut [0; TIME_MAX]));
        }
        args
    }

    /// The same as it is sent. Most time-outs stand last, and all before them goes on as it came.
    pub(super) fn slice(&self, ms: Millis, whole: bool) -> Bytes {
        let last = self.timeout.zip(self.args.last()).filter(|(timeout, _)| timeout.arg + 1 == self.args.len());
        let Some((timeout, before)) = last.and_then(|(timeout, last)| Some((timeout, self.before(last)?))) else {
            return encode(&self.sliced(ms, whole));
        };
        let mut room = [0; TIME_MAX];
        let time = timeout.write(ms, whole, &mut room);
        let mut out = Vec::with_capacity(before.len() + bulk_length(time.len()));
        out.extend_from_slice(before);
        bulk(time, &mut out);
        Bytes::from(out)
    }

    /// What came before the last argument.
    fn before(&self, last: &Bytes) -> Option<&[u8]> {
        let at = self.text.len().checked_sub(bulk_length(last.len()))?;
        // else its length is written in another way
        (self.text.get(at) == Some(&b'$')).then(|| &self.text[..at])
    }

    /// Takes keys out of the arguments of this command (as they are, or [`Pop::sliced`]). At least one has to stay.
    pub(super) fn without(&self, mut args: Vec<Bytes>, left_out: impl Fn(&Bytes) -> bool) -> Vec<Bytes> {
        let keys = self.keys.clone();
        let out: Vec<usize> = keys.clone().filter(|i| left_out(&self.args[*i])).collect();
        match self.row.form {
            Form::TimeoutCounted | Form::Counted => {
                args[keys.start - 1] = Bytes::from((keys.len() - out.len()).to_string());
            }
            // an id for each
            Form::ReadGroup => out.iter().rev().for_each(|i| drop(args.remove(i + keys.len()))),
            _ => {}
        }
        out.iter().rev().for_each(|i| drop(args.remove(*i)));
        args
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::read_whole;
    use super::*;

    fn pop(line: &str) -> Pop {
        let args: Vec<Bytes> = line.split(' ').map(|a| Bytes::copy_from_slice(a.as_bytes())).collect();
        let (args, text) = read_whole(&encode(&args)).expect("RESP").expect("whole");
        Pop::read(&args[0].to_ascii_lowercase(), args, text).expect(line)
    }

    #[test]
    fn a_slice_is_never_for_ever() {
        let brpop = pop("brpop q 0");
        assert_eq!(brpop.sliced(0, false)[2], "0.001");
        assert_eq!(brpop.sliced(950, false)[2], "0.950");
        assert_eq!(brpop.sliced(950, true)[2], "1");
    }

    #[test]
    fn a_slice_is_written_as_it_is_read() {
        for line in
            ["BRPOP q 0", "blpop a $ 7 0.25", "BLMOVE a b LEFT RIGHT 405", "BRPOPLPUSH a b 10", "bzpopmin z 1234567"]
                .into_iter()
                .chain(["BLMPOP 9 2 a b LEFT", "XREADGROUP GROUP g c BLOCK 9000 STREAMS s >", "LPOP q"])
        {
            let pop = pop(line);
            for ms in (0..2_100).chain([9_999, 10_000, 60_000, 123_456_789, u64::MAX]) {
                for whole in [false, true] {
                    let args = pop.sliced(ms, whole);
                    assert_eq!(pop.slice(ms, whole), encode(&args), "{line}");
                    let Some(timeout) = pop.timeout else { continue };
                    let ms = ms.max(1);
                    let time = match (timeout.in_ms, whole) {
                        (true, _) => format!("{ms}"),
                        (false, true) => format!("{}", (ms / 1000).max(1)),
                        (false, false) => format!("{}.{:03}", ms / 1000, ms % 1000),
                    };
                    assert_eq!(args[timeout.arg], time);
                }
            }
        }
    }

    #[test]
    fn lengths_may_be_written_oddly() {
        for text in ["*3\r\n$5\r\nBRPOP\r\n$1\r\n$\r\n$01\r\n0\r\n", "*3\r\n$5\r\nbrpop\r\n$1\r\nq\r\n$003\r\n900\r\n"]
        {
            let (args, text) = read_whole(text.as_bytes()).expect("RESP").expect("whole");
            let pop = Pop::read(b"brpop", args, text).expect("well-formed");
            assert_eq!(pop.slice(950, false), encode(&pop.sliced(950, false)));
        }
    }

    #[test]
    fn keys_are_taken_out_with_what_belongs_to_them() {
        for (whole, part) in [
            ("brpop a x b x 1", "brpop a b 1"),
            ("bzpopmin x a 0", "bzpopmin a 0"),
            ("blmpop 2.5 3 a x b left COUNT 3", "blmpop 2.5 2 a b left COUNT 3"),
            ("zmpop 2 x a MIN", "zmpop 1 a MIN"),
            ("xreadgroup GROUP g c BLOCK 9 STREAMS s x t > > >", "xreadgroup GROUP g c BLOCK 9 STREAMS s t > >"),
            ("blmpop 1 2 a b left", "blmpop 1 2 a b left"),
        ] {
            let pop = pop(whole);
            let args = pop.without(pop.args().to_vec(), |key| key == "x");
            assert_eq!(args.iter().map(|a| String::from_utf8_lossy(a)).collect::<Vec<_>>().join(" "), part);
        }
    }
}
