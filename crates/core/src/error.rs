//! One error for every socket: a kind to branch on, a sentence to read, a source to dig in.

use std::error::Error as StdError;
use std::fmt;

/// The result of every fallible call at a socket.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing named does not exist.
    NotFound,
    /// The input is wrong; the same call will fail again.
    Invalid,
    /// The input is fine but the present state forbids it; it may work later.
    Conflict,
    /// We, or a model endpoint, have too much to do; try again after a pause.
    Overloaded,
    /// Something needed is not there: weights, a network, a file system with room.
    Unavailable,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A fault of ours.
    Internal,
}

/// An error with its [kind](ErrorKind), a message for people, and what caused it.
///
/// Messages are lower-case clauses without a full stop that name the thing and the way out.
pub struct Error {
    kind: ErrorKind,
    message: String,
    /// Which part of the input it is about, and a word for programs.
    about: Option<Box<(String, &'static str)>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), about: None, source: None }
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Shorthand for [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Shorthand for [`ErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// Shorthand for [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Shorthand for [`ErrorKind::Corrupt`].
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The same error, remembering what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error, which is about the part of the input at `param`, a JSON path; `code` is a
    /// word of the Assistants API for it, like `string_above_max_length`.
    #[must_use]
    pub fn about(mut self, param: impl Into<String>, code: &'static str) -> Self {
        self.about = Some(Box::new((param.into(), code)));
        self
    }

    /// The same error with `context` (which file, which page, which model) put before its message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The part of the input it is about, if it was said: a JSON path.
    pub fn param(&self) -> Option<&str> {
        self.about.as_deref().map(|(param, _)| param.as_str())
    }

    /// A word for programs, if there is one.
    pub fn code(&self) -> Option<&'static str> {
        self.about.as_deref().map(|(_, code)| *code)
    }

    /// The message without its causes.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    /// Prints the message; `{:#}` appends every cause after a colon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !f.alternate() {
            return Ok(());
        }
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self:#}", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An I/O error keeps the path that `fs_err` put into its message.
impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::InvalidData | Io::UnexpectedEof => ErrorKind::Corrupt,
            Io::InvalidInput | Io::InvalidFilename | Io::IsADirectory => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, source.to_string()).with_source(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alternate_form_tells_every_cause() {
        let disk = std::io::Error::other("disk full");
        let error = Error::unavailable("cannot save").with_source(disk).context("file-1");
        assert_eq!(error.to_string(), "file-1: cannot save");
        assert_eq!(format!("{error:#}"), "file-1: cannot save: disk full");
    }
}
