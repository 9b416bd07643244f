//! The admin API's Unix socket in the file system: a file that is ours from the moment we listen until it is removed.

use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Who may connect: the gate's own user and group.
const MODE: u32 = 0o660;
/// Connections that the kernel keeps for us.
const BACKLOG: i32 = 256;

/// A Unix socket that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on unix:{}: {why}", path.display())]
pub struct UnixSocketError {
    /// As configured.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// See the module. The file goes with it, unless somebody has put another in its place.
pub(super) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    file: (u64, u64),
}

impl UnixSocket {
    /// Listens. The file that a dead process has left there is replaced.
    pub(super) fn bind(path: &Path) -> Result<UnixSocket, UnixSocketError> {
        let failed = |why: String| UnixSocketError { path: path.to_owned(), why };
        make_room(path).map_err(failed)?;
        let bound = bind(path).and_then(|listener| Ok((listener, identity(&fs::symlink_metadata(path)?))));
        let (listener, file) = bound.map_err(|error| failed(error.to_string()))?;
        // where it is stays true for whoever reads it in another directory
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(UnixSocket { listener, path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Another handle of the listening socket.
    pub(super) fn try_clone(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.file);
        // one that stays behind is replaced by the next gate
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Nobody can connect before it listens, and then the rights are right.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let listens = fs::set_permissions(path, Permissions::from_mode(MODE)).and_then(|()| socket.listen(BACKLOG));
    if let Err(error) = listens {
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(socket.into())
}

/// Removes a socket that nobody listens on. Anything else that stands there stays: why there is no room.
fn make_room(path: &Path) -> Result<(), String> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        // what else is wrong with the path is said when it is bound to
        Err(_) => return Ok(()),
    };
    if !there.file_type().is_socket() {
        return Err("there is a file that is no socket".into());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| format!("what a dead process has left there cannot be removed: {error}")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("whether another process listens there cannot be seen: {error}")),
        Ok(_) => Err("another process listens there".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_replaced_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("admin.sock");
        // closed, and its file is still there
        let dead = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        dead.bind(&SockAddr::unix(&path).expect("a path")).expect("bound");
        drop(dead);
        let socket = UnixSocket::bind(&path).expect("bound");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        UnixStream::connect(&path).expect("connected");

        let taken = UnixSocket::bind(&path).err().expect("taken").to_string();
        assert_eq!(taken, format!("cannot listen on unix:{}: another process listens there", path.display()));
        UnixStream::connect(&path).expect("it is still there");

        drop(socket);
        assert!(!path.exists());
        fs::write(&path, "mine").expect("written");
        let refused = UnixSocket::bind(&path).err().expect("no socket").to_string();
        assert!(refused.ends_with("there is a file that is no socket"), "{refused}");
        assert_eq!(fs::read_to_string(&path).expect("there"), "mine");
    }

    #[test]
    fn what_another_has_put_there_is_not_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("admin.sock");
        let socket = UnixSocket::bind(&path).expect("bound");
        fs::remove_file(&path).expect("removed");
        let _other = UnixSocket::bind(&path).expect("bound");
        drop(socket);
        UnixStream::connect(&path).expect("the other's");
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let refused = UnixSocket::bind(Path::new("/nowhere/admin.sock")).err().expect("no directory").to_string();
        assert!(
            refused.starts_with("cannot listen on unix:/nowhere/admin.sock: No such file or directory"),
            "{refused}"
        );
    }
}
