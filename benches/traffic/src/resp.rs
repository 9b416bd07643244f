//! Commands and replies of Redis as bytes.

/// A command, or an array of bulk strings.
pub fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    words.iter().for_each(|word| bytes.extend(bulk(word)));
    bytes
}

/// The same of text without spaces in its words.
pub fn words(text: &str) -> Vec<u8> {
    command(&text.split(' ').map(str::as_bytes).collect::<Vec<_>>())
}

/// A bulk string.
pub fn bulk(text: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
}

/// The length of the reply at the start of `input`; `None`: it is not all there.
pub fn reply(input: &[u8]) -> Option<usize> {
    let line = input.windows(2).position(|two| two == b"\r\n")? + 2;
    let number = std::str::from_utf8(&input[1..line - 2]).unwrap_or_default().parse::<i64>().unwrap_or_default();
    match input[0] {
        b'$' | b'=' if number >= 0 => Some(line + number as usize + 2).filter(|end| *end <= input.len()),
        b'*' | b'>' | b'~' if number > 0 => (0..number).try_fold(line, |at, _| Some(at + reply(&input[at..])?)),
        _ => Some(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_as_long_as_it_is() {
        for whole in
            [&b"+OK\r\n"[..], b":12\r\n", b"$-1\r\n", b"*-1\r\n", b"$3\r\na\nb\r\n", b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n"]
        {
            assert_eq!(reply(&[whole, b"+next\r\n"].concat()), Some(whole.len()));
            assert!((0..whole.len()).all(|cut| reply(&whole[..cut]).is_none()));
        }
    }
}
