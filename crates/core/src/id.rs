//! Identifiers: one `Copy` type per thing, ordered by time, printed with the thing's prefix.
//!
//! The text form is the Assistants API's (`thread_` and 24 letters or digits), and any id of that
//! form is accepted, so that threads exported from the hosted service keep theirs.

use std::fmt;

use crate::{Error, Result};

/// The part of an id behind its prefix: 22 to 24 ASCII letters or digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RawId {
    /// Padded with zero bytes, which sort before every letter and digit.
    bytes: [u8; RawId::MAX_LEN],
}

impl RawId {
    const MIN_LEN: usize = 22;
    const MAX_LEN: usize = 24;

    /// Reads the text behind a prefix; `None` where it has another length or another character.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (Self::MIN_LEN..=Self::MAX_LEN).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self { bytes })
    }

    /// Eight base-62 digits of `millis`, then sixteen of `tail`: text order is time order.
    pub(crate) fn from_parts(millis: u64, tail: u128) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        write_base62(&mut bytes[..8], u128::from(millis));
        write_base62(&mut bytes[8..], tail);
        Self { bytes }
    }

    /// The text form, without a prefix.
    pub fn as_str(&self) -> &str {
        let len = self.bytes.iter().position(|&byte| byte == 0).unwrap_or(Self::MAX_LEN);
        std::str::from_utf8(&self.bytes[..len]).expect("only ASCII is ever stored")
    }
}

impl fmt::Debug for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Digits in ASCII order, so that comparing text compares numbers.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn write_base62(out: &mut [u8], mut value: u128) {
    for digit in out.iter_mut().rev() {
        *digit = DIGITS[(value % 62) as usize];
        value /= 62;
    }
}

/// Parses `text` as `prefix` and a [`RawId`]; `name` is the type's, for the message.
pub(crate) fn parse_prefixed(text: &str, prefix: &str, name: &str) -> Result<RawId> {
    text.strip_prefix(prefix).and_then(RawId::parse).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        Error::invalid(format!(
            "'{shown}' is no {name}; expected '{prefix}' and 22 to 24 letters or digits"
        ))
    })
}

/// Makes an identifier type: `define_id!(/// Doc. ThreadId, "thread_");`
macro_rules! define_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(RawId);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Gives the next id of a source this type.
            pub const fn new(raw: RawId) -> Self {
                Self(raw)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&format!("{}{}", $prefix, self.0.as_str()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                parse_prefixed(text, $prefix, stringify!($name)).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

define_id!(
    /// An assistant: a model with instructions and tools.
    AssistantId, "asst_"
);
define_id!(
    /// A thread of messages.
    ThreadId, "thread_"
);
define_id!(
    /// A message in a thread.
    MessageId, "msg_"
);
define_id!(
    /// One run of an assistant on a thread.
    RunId, "run_"
);
define_id!(
    /// One step of a run.
    StepId, "step_"
);
define_id!(
    /// One call of a tool, asked for by a model.
    CallId, "call_"
);
define_id!(
    /// An uploaded file.
    FileId, "file-"
);
define_id!(
    /// A vector store: a collection of files that can be searched.
    VectorStoreId, "vs_"
);
define_id!(
    /// A batch of files that enter a vector store together.
    BatchId, "vsfb_"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RAW: &str = "0123456789abcdefghijABCD";

    #[test]
    fn a_run_id_is_no_thread_id() {
        let run: RunId = format!("run_{RAW}").parse().unwrap();
        let error = run.to_string().parse::<ThreadId>().unwrap_err();
        assert!(error.to_string().contains("expected 'thread_'"), "{error}");
    }

    #[test]
    fn hostile_text_is_refused_briefly() {
        for text in ["", "thread_", "thread_short", "thread_0123456789abcdefghijAB-D", "\u{0}"] {
            assert!(text.parse::<ThreadId>().is_err(), "{text:?}");
        }
        let long = "x".repeat(1 << 20);
        assert!(long.parse::<ThreadId>().unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn json_keeps_the_prefix() {
        let id: FileId = format!("file-{}", &RAW[..22]).parse().unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"file-0123456789abcdefghijAB\"");
        assert_eq!(serde_json::from_str::<FileId>(&json).unwrap(), id);
    }

    proptest! {
        #[test]
        fn text_order_is_time_order(a in 0u64..1 << 47, b in 0u64..1 << 47, tail in 0u128..1 << 95) {
            let (x, y) = (RawId::from_parts(a, tail), RawId::from_parts(b, tail));
            prop_assert_eq!(a.cmp(&b), x.cmp(&y));
            prop_assert_eq!(x.as_str().cmp(y.as_str()), x.cmp(&y));
            prop_assert_eq!(RawId::parse(x.as_str()), Some(x));
        }
    }
}
