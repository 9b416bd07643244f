//! Which socket is the peer's end of a connection. The kernel is asked for each by its two ends (sock_diag(7)), which costs
//! the same however many sockets the host has. What it does not find that way (it may lack the module, or the socket may
//! be bound to a device) is looked for in its table of all.

use super::Question;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// `inet_diag_req_v2` behind a netlink header; an answer is longer.
const REQUEST: usize = 72;
/// Where an answer has the socket's inode.
const INODE: std::ops::Range<usize> = 84..88;
/// The inode of a socket that is closed and lingers, as most do.
const NOBODYS: u64 = 0;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const TCP: u8 = 6;

/// See the module.
#[derive(Default)]
pub(super) struct Sockets {
    /// `None`: not asked yet, or the kernel did not want to talk.
    kernel: Option<OwnedFd>,
    sequence: u32,
}

impl Sockets {
    /// The inodes of the peers' sockets. Both ends must match: by the peer's alone the gate's own socket to a broker could
    /// be found.
    pub(super) fn inodes(&mut self, questions: &[Question]) -> Vec<Option<u64>> {
        let mut found: Vec<Option<u64>> = questions.iter().map(|question| self.ask(question)).collect();
        if found.contains(&None) {
            look_in_tables(questions, &mut found);
        }
        found.into_iter().map(|inode| inode.filter(|inode| *inode != NOBODYS)).collect()
    }

    /// `None`: the kernel knows no such socket, or is not to be asked.
    fn ask(&mut self, question: &Question) -> Option<u64> {
        let (peer, gate) = (canonical(question.peer), canonical(question.gate));
        if gate.ip().is_unspecified() {
            return None;
        }
        let answer = self.exchange(&peer, &gate);
        if answer.is_err() {
            self.kernel = None;
        }
        answer.ok().flatten()
    }

    fn exchange(&mut self, peer: &SocketAddr, gate: &SocketAddr) -> io::Result<Option<u64>> {
        let kernel = match self.kernel.take() {
            Some(kernel) => kernel,
            None => {
                let diag = Some(netlink::SOCK_DIAG);
                socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, diag)?
            }
        };
        self.sequence = self.sequence.wrapping_add(1);
        send(&kernel, &request(self.sequence, peer, gate), SendFlags::DONTWAIT)?;
        let mut answer = [0; 1_024];
        let length = loop {
            // it has answered before `send` returned
            let (length, _) = recv(&kernel, &mut answer[..], RecvFlags::DONTWAIT)?;
            if length >= 16 && answer[8..12] == self.sequence.to_ne_bytes() {
                break length;
            }
        };
        self.kernel = Some(kernel);
        let is_socket = answer[4..6] == SOCK_DIAG_BY_FAMILY.to_ne_bytes() && length >= INODE.end;
        let inode = answer[INODE].try_into().map(u32::from_ne_bytes).unwrap_or(0);
        Ok(is_socket.then_some(u64::from(inode)))
    }
}

/// Asks for the one TCP socket with these ends, in whatever state.
fn request(sequence: u32, local: &SocketAddr, remote: &SocketAddr) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    request[0..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    request[8..12].copy_from_slice(&sequence.to_ne_bytes());
    let family = if local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    request[16] = family.as_raw() as u8;
    request[17] = TCP;
    request[20..24].copy_from_slice(&u32::MAX.to_ne_bytes());
    request[24..26].copy_from_slice(&local.port().to_be_bytes());
    request[26..28].copy_from_slice(&remote.port().to_be_bytes());
    put(&mut request[28..44], local.ip());
    put(&mut request[44..60], remote.ip());
    // no cookie: any socket with these ends
    request[64..72].fill(0xff);
    request
}

fn put(into: &mut [u8], ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => into[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => into.copy_from_slice(&ip.octets()),
    }
}

fn look_in_tables(questions: &[Question], found: &mut [Option<u64>]) {
    let mut wanted: HashMap<SocketAddr, Vec<usize>> = HashMap::new();
    for (index, question) in questions.iter().enumerate().filter(|(index, _)| found[*index].is_none()) {
        wanted.entry(canonical(question.peer)).or_default().push(index);
    }
    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    for entry in tables.into_iter().flatten().flatten().filter(|entry| entry.inode != 0) {
        let Some(indices) = wanted.get(&canonical(entry.local_address)) else { continue };
        let remote = canonical(entry.remote_address);
        for index in indices {
            let gate = canonical(questions[*index].gate);
            if remote.port() == gate.port() && (gate.ip().is_unspecified() || remote.ip() == gate.ip()) {
                found[*index] = Some(entry.inode);
            }
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    #[test]
    fn the_kernel_finds_a_socket_by_its_ends_and_says_what_the_table_says() {
        for address in ["127.0.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
            let listener = TcpListener::bind(address).expect("bound");
            let gate = listener.local_addr().expect("bound");
            let client = TcpStream::connect(gate).expect("connected");
            let (_socket, peer) = listener.accept().expect("connected");
            let question = Question { peer, gate };
            let mut sockets = Sockets::default();
            let mut by_table = [None];
            look_in_tables(&[question], &mut by_table);
            assert!(by_table[0].is_some(), "{address}");
            assert_eq!(sockets.ask(&question), by_table[0], "{address}");
            // the gate's end is another socket
            assert_ne!(sockets.ask(&Question { peer: gate, gate: peer }), by_table[0]);
            let elsewhere = Question { peer, gate: SocketAddr::new(gate.ip(), gate.port() ^ 1) };
            assert_eq!(sockets.inodes(&[elsewhere, question]), [None, by_table[0]]);
            assert!(sockets.kernel.is_some(), "it is asked again on the same socket");
            // closed first, the client's end lingers, unless the kernel has too many of them: the table need not be
            // read. (It is closed when nobody looks at it any more: other tests read the descriptors of this process,
            // or fork it.)
            drop(client);
            let mut gone = || sockets.ask(&question).is_none_or(|inode| inode == NOBODYS);
            let begun = Instant::now();
            while !gone() {
                assert!(begun.elapsed() < Duration::from_secs(20), "{address}: it is not closed");
            }
            assert_eq!(sockets.inodes(&[question]), [None]);
        }
    }
}
