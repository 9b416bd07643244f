//! What the gate writes itself, as RESP: into one buffer of just the length that it needs.

use bytes::Bytes;

/// A command.
pub(super) fn encode(args: &[Bytes]) -> Bytes {
    let length = header_length(args.len()) + args.iter().map(|arg| bulk_length(arg.len())).sum::<usize>();
    let mut out = Vec::with_capacity(length);
    header(b'*', args.len(), &mut out);
    args.iter().for_each(|arg| bulk(arg, &mut out));
    Bytes::from(out)
}

/// A header line.
pub(super) fn header(kind: u8, number: usize, out: &mut Vec<u8>) {
    if number < 10 {
        // almost all
        return out.extend_from_slice(&[kind, b'0' + number as u8, b'\r', b'\n']);
    }
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A bulk string.
pub(super) fn bulk(text: &[u8], out: &mut Vec<u8>) {
    header(b'$', text.len(), out);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

/// How long a bulk string of a text of so many bytes is.
pub(super) fn bulk_length(text: usize) -> usize {
    header_length(text) + text + 2
}

fn header_length(number: usize) -> usize {
    3 + number.checked_ilog10().map_or(1, |tens| tens as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_as_long_as_was_foreseen() {
        for length in [0, 1, 9, 10, 99, 100, 1_000, 12_345] {
            let mut out = Vec::new();
            bulk(&vec![b'x'; length], &mut out);
            assert_eq!(out, format!("${length}\r\n{}\r\n", "x".repeat(length)).into_bytes());
            assert_eq!(out.len(), bulk_length(length));
        }
        assert_eq!(encode(&[Bytes::from_static(b"PING")]), b"*1\r\n$4\r\nPING\r\n"[..]);
        assert_eq!(encode(&vec![Bytes::new(); 10]), format!("*10\r\n{}", "$0\r\n\r\n".repeat(10)).as_bytes());
    }
}
