//! What host and warden say to each other: one JSON message a packet, with a file now and then.
//!
//! The channel is a `SOCK_SEQPACKET` pair, so a message is whole or not there, and its end is how
//! each learns that the other is gone. Programs in the sandbox cannot reach it: the warden is not
//! dumpable and its descriptors are closed on exec.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Layers;

/// The longest message: what the kernel takes in one packet without being asked.
const MESSAGE_BYTES: usize = 128 << 10;

/// Everything a sandbox is built from. The first message to its builder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The user and group to become first; none if the host is an ordinary user.
    pub(super) throw_away_id: Option<u32>,
    /// The control group to enter, as a file that takes a process's number.
    pub(super) cgroup: Vec<PathBuf>,
    /// Folders and files of the host that are shown, read only, under their own names.
    pub(super) shown: Vec<PathBuf>,
    /// Files that are written into the sandbox: path, text.
    pub(super) written: Vec<(PathBuf, String)>,
    /// The program and its arguments.
    pub(super) command: Vec<PathBuf>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) memory_bytes: u64,
    pub(super) data_bytes: u64,
    pub(super) files: u64,
    pub(super) processes: u64,
    pub(super) layers: Layers,
}

/// What the host asks of a warden.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Open a regular file to read.
    Open(Place),
    /// Make a new file, with the folders it lies in.
    Create(Place),
    /// Have the first take the place of the second.
    Move(Place, Place),
    /// Remove a file.
    Remove(Place),
    /// The regular files under `/mnt/data`, at most so many.
    List(usize),
    /// Interrupt the program, and say when that is done: an interruption must not reach the next.
    Interrupt,
}

/// A path under one of the two folders that can be written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) folder: Folder,
    pub(super) path: String,
}

/// The two folders that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Folder {
    /// `/mnt/data`.
    Data,
    /// `/tmp`.
    Temporary,
}

/// What a warden says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The walls stand, but for what this kernel lacks, and the program was started.
    Ready(Vec<String>),
    /// They could not be built.
    Failed(String),
    /// The file, in the same packet.
    Opened,
    /// It could not be opened: the system's error number.
    Refused(i32),
    /// What was asked for is done, or not: the system's error number, 0 for none.
    Done(i32),
    /// Path and length of each.
    Files(Vec<(String, u64)>),
    /// The program is over, and with it the sandbox.
    Ended(Ended),
}

/// Why a sandbox is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ended {
    /// The program exited with this status.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// All its processes together had more memory than allowed.
    OutOfMemory,
}

/// One end of the channel.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

impl Channel {
    /// Both ends.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(ours), theirs))
    }

    pub(super) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends a message, with a file if it is about one.
    pub(super) fn send(
        &self,
        message: &impl Serialize,
        file: Option<BorrowedFd>,
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let files = file.as_slice();
        if !files.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(files));
        }
        let flags = SendFlags::NOSIGNAL;
        rustix::net::sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut ancillary, flags)?;
        Ok(())
    }

    /// The next message, with its file; none once the other end is gone.
    ///
    /// # Errors
    /// [`InvalidData`](io::ErrorKind::InvalidData), with the text, for what is no message: a
    /// panic's last words come this way.
    pub(super) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Option<OwnedFd>)>> {
        let mut bytes = vec![0; MESSAGE_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = loop {
            match rustix::net::recvmsg(&self.0, &mut into, &mut ancillary, flags) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                other => break other?,
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        let file = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        let bytes = &bytes[..received.bytes];
        let message = serde_json::from_slice(bytes).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, String::from_utf8_lossy(bytes))
        })?;
        Ok(Some((message, file)))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
