//! The PROXY protocol (versions 1 and 2, haproxy.org/download/2.9/doc/proxy-protocol.txt): a header in front of a
//! connection's first byte that says whose it is.

use ppp::{HeaderResult, PartialResult, v1, v2};
use std::io;
use std::net::SocketAddr;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What each header of version 2 begins with: no other protocol does. One of version 1 is longer than that, too.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Behind it: version and command, family, length.
const FIXED: usize = 16;
/// The longest header of version 1.
const LONGEST_LINE: usize = 107;
/// One of version 2 that is longer than that is no header: this is room for every address with kilobytes of extras.
const LONGEST: usize = 16 * 1024;

/// Whose connection it is, and where it was made to.
pub(super) type Ends = (SocketAddr, SocketAddr);

/// Reads the header and not a byte more. `None`: who sends it speaks for itself (a check of its own, or it does not know).
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<Ends>> {
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        read_on(stream, &mut header, FIXED).await?;
        let length = usize::from(u16::from_be_bytes([header[FIXED - 2], header[FIXED - 1]]));
        if length > LONGEST {
            return Err(not_one("it is too long"));
        }
        read_on(stream, &mut header, FIXED + length).await?;
    } else if header.starts_with(b"PROXY ") {
        while !header.ends_with(b"\r\n") && header.len() < LONGEST_LINE {
            header.push(stream.read_u8().await?);
        }
    } else {
        return Err(not_one("there is none"));
    }
    ends(&header)
}

async fn read_on(stream: &mut TcpStream, header: &mut Vec<u8>, to: usize) -> io::Result<()> {
    let from = header.len();
    header.resize(to, 0);
    stream.read_exact(&mut header[from..]).await.map(|_| ())
}

fn ends(header: &[u8]) -> io::Result<Option<Ends>> {
    let parsed = HeaderResult::parse(header);
    if parsed.is_incomplete() {
        return Err(not_one("it is cut off"));
    }
    match parsed {
        HeaderResult::V1(Ok(header)) => Ok(match header.addresses {
            v1::Addresses::Tcp4(it) => {
                told((it.source_address, it.source_port), (it.destination_address, it.destination_port))
            }
            v1::Addresses::Tcp6(it) => {
                told((it.source_address, it.source_port), (it.destination_address, it.destination_port))
            }
            v1::Addresses::Unknown => None,
        }),
        HeaderResult::V2(Ok(header)) if header.command == v2::Command::Local => Ok(None),
        HeaderResult::V2(Ok(header)) => Ok(match header.addresses {
            v2::Addresses::IPv4(it) => {
                told((it.source_address, it.source_port), (it.destination_address, it.destination_port))
            }
            v2::Addresses::IPv6(it) => {
                told((it.source_address, it.source_port), (it.destination_address, it.destination_port))
            }
            v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
        }),
        HeaderResult::V1(Err(error)) => Err(not_one(&error.to_string())),
        HeaderResult::V2(Err(error)) => Err(not_one(&error.to_string())),
    }
}

fn told(from: impl Into<SocketAddr>, to: impl Into<SocketAddr>) -> Option<Ends> {
    Some((from.into(), to.into()))
}

/// A header of version 2 that says this.
pub(super) fn of(ends: Ends) -> io::Result<Vec<u8>> {
    let version = v2::Version::Two | v2::Command::Proxy;
    let (peer, local) = (canonical(ends.0), canonical(ends.1));
    v2::Builder::with_addresses(version, v2::Protocol::Stream, (peer, local)).build()
}

/// Both ends have to be of one family: an IPv4 address in the clothes of IPv6 is what it is.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn not_one(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no header of the PROXY protocol: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    const ENDS: ([u8; 4], u16) = ([10, 1, 2, 3], 5555);

    /// What is read when these bytes come in two pieces and nothing more; and what is left.
    async fn told(bytes: &[u8], cut: usize) -> (io::Result<Option<Ends>>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
        let (mut stream, _) = listener.accept().await.expect("accepted");
        client.set_nodelay(true).expect("set");
        let send = async {
            client.write_all(&bytes[..cut]).await.expect("written");
            tokio::task::yield_now().await;
            client.write_all(&bytes[cut..]).await.expect("written");
            drop(client);
        };
        let (told, ()) = tokio::join!(read(&mut stream), send);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("read");
        (told, rest)
    }

    fn second(command: v2::Command, addresses: impl Into<v2::Addresses>) -> Vec<u8> {
        let header = v2::Builder::with_addresses(v2::Version::Two | command, v2::Protocol::Stream, addresses);
        header.write_tlv(v2::Type::Authority, b"redis").expect("room").build().expect("built")
    }

    #[tokio::test]
    async fn a_header_is_read_and_not_a_byte_more() {
        let ours: Ends = (ENDS.into(), ([10, 9, 9, 9], 6379).into());
        let cases = [
            (b"PROXY TCP4 10.1.2.3 10.9.9.9 5555 6379\r\n".to_vec(), Some(ours)),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ::1 ::1 5555 6379\r\n".to_vec(), None),
            (of(ours).expect("built"), Some(ours)),
            (second(v2::Command::Proxy, ours), Some(ours)),
            (second(v2::Command::Local, ours), None),
            (second(v2::Command::Proxy, v2::Unix::new([1; 108], [2; 108])), None),
        ];
        for (header, expected) in cases {
            for cut in 0..header.len() {
                let (told, rest) = told(&[&header, &b"*1\r\n"[..]].concat(), cut).await;
                assert_eq!(told.expect("a header"), expected, "{header:?}");
                assert_eq!(rest, b"*1\r\n");
            }
        }
    }

    #[tokio::test]
    async fn what_is_none_is_refused() {
        let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat();
        let long = [&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat();
        let odd = [&SIGNATURE[..], &[0x71, 0x11, 0, 0]].concat();
        let cases = [&b"*1\r\n$4\r\nPING\r\n"[..], &endless, &long, &odd, b"PROXY TCP4 a b c d\r\n", b"PROXY ", b""];
        for bytes in cases {
            assert!(told(bytes, bytes.len()).await.0.is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn both_ends_are_of_one_family() {
        let mapped: Ends = ("[::ffff:10.1.2.3]:5555".parse().expect("an address"), ([10, 9, 9, 9], 6379).into());
        assert_eq!(ends(&of(mapped).expect("built")).expect("a header"), Some((ENDS.into(), mapped.1)));
    }
}
