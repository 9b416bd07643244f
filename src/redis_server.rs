//! The gate's own connection to a Redis or a Sentinel: blocking, with a time-out for each of its steps, by TLS where it is
//! asked for. What is spoken on it is the `redis` crate's.

use crate::config::RedisServer;
use crate::tls;
use redis::{Cmd, ConnectionLike, FromRedisValue, Parser, RedisError, RedisResult, Value};
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// For each address, each write and each read.
const PATIENCE: Duration = Duration::from_secs(2);

enum Stream {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// See the module. Not to be used any more once something on it has failed.
pub struct Connection {
    stream: Stream,
    parser: Parser,
    database: u32,
}

impl Connection {
    /// Connects, logs in and chooses the database.
    pub fn open(place: &RedisServer, database: u32) -> io::Result<Connection> {
        let stream = Stream::connect(place)?;
        let mut connection = Connection { stream, parser: Parser::new(), database };
        if let Some(password) = &place.password {
            let mut auth = redis::cmd("AUTH");
            auth.arg(place.user.as_deref()).arg(&password.0);
            connection.ask::<()>(&auth)?;
        }
        if database != 0 {
            connection.ask::<()>(redis::cmd("SELECT").arg(database))?;
        }
        Ok(connection)
    }

    /// The reply to a command. An error reply is an error.
    pub fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> io::Result<T> {
        command.query(self).map_err(as_io)
    }
}

impl Stream {
    fn connect(place: &RedisServer) -> io::Result<Stream> {
        let (host, port) = (place.address.host.as_str(), place.address.port);
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(socket) => return Stream::greet(place, socket),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn greet(place: &RedisServer, socket: TcpStream) -> io::Result<Stream> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let Some(wanted) = &place.tls else { return Ok(Stream::Plain(socket)) };
        // read anew each time: whoever renews certificates puts them under the names of the old ones
        let config = tls::client(wanted).map_err(io::Error::other)?;
        let name = wanted.server_name.as_deref().unwrap_or(&place.address.host);
        let name = tls::server_name(name).map_err(io::Error::other)?;
        let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Stream::Secure(Box::new(StreamOwned::new(session, socket))))
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(into),
            Stream::Secure(secure) => secure.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Secure(secure) => secure.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Secure(secure) => secure.flush(),
        }
    }
}

/// What Redis itself has said is said as it was.
fn as_io(error: RedisError) -> io::Error {
    match (error.code(), error.detail()) {
        (Some(code), detail) => io::Error::other(format!("{code} {}", detail.unwrap_or_default())),
        (None, _) if error.is_timeout() => late(),
        (None, _) => io::Error::other(error.to_string()),
    }
}

/// For one that does not answer.
pub fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", PATIENCE.as_secs()))
}

impl ConnectionLike for Connection {
    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        self.stream.write_all(command)?;
        self.stream.flush()?;
        self.parser.parse_value(&mut self.stream)
    }

    fn req_packed_commands(&mut self, commands: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        self.stream.write_all(commands)?;
        self.stream.flush()?;
        let replies = (0..offset + count).map(|_| self.parser.parse_value(&mut self.stream));
        Ok(replies.collect::<RedisResult<Vec<_>>>()?.split_off(offset))
    }

    fn get_db(&self) -> i64 {
        self.database.into()
    }

    fn check_connection(&mut self) -> bool {
        redis::cmd("PING").query::<()>(self).is_ok()
    }

    fn is_open(&self) -> bool {
        true
    }
}
