//! WASI's words for what went wrong.

/// An error as the guest is given it; the numbers are those of WASI preview 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Errno {
    BadDescriptor = 8,
    Exists = 20,
    Fault = 21,
    TooLarge = 22,
    IllegalBytes = 25,
    Invalid = 28,
    IsFolder = 31,
    TooManyOpen = 33,
    NameTooLong = 37,
    NotFound = 44,
    NoSpace = 51,
    NotFolder = 54,
    NotEmpty = 55,
    NotSupported = 58,
    NotPermitted = 63,
    ReadOnly = 69,
    NotSeekable = 70,
    OtherVolume = 75,
    /// The path leads out of the folder it is relative to.
    NotCapable = 76,
}

impl Errno {
    pub(super) fn code(self) -> i32 {
        self as i32
    }
}
