//! A file's tensors, and how their numbers are written.

use std::fmt;
use std::io::{Read, Seek};

use docent_core::{Error, Result};

use super::bytes::Bytes;

/// A tensor as the header names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its sizes, the innermost first.
    pub sizes: Vec<u64>,
    /// How its numbers are written.
    pub kind: TensorType,
    /// Where it begins, from the first byte of tensors.
    pub offset: u64,
}

impl Tensor {
    pub(super) fn read(bytes: &mut Bytes<impl Read + Seek>) -> Result<Self> {
        const MOST_SIZES: u32 = 4;
        let name = bytes.name()?;
        let count = bytes.u32()?;
        if count > MOST_SIZES {
            return Err(Error::corrupt(format!("tensor {name:?} has {count} sizes")));
        }
        let sizes: Vec<u64> = (0..count).map(|_| bytes.length()).collect::<Result<_>>()?;
        if sizes.iter().try_fold(1u64, |all, size| all.checked_mul(*size)).is_none() {
            return Err(Error::corrupt(format!("tensor {name:?} has sizes {sizes:?}")));
        }
        let kind = TensorType(bytes.u32()?);
        Ok(Self { name, sizes, kind, offset: bytes.u64()? })
    }

    /// How many numbers it has.
    pub fn numbers(&self) -> u64 {
        // Reading saw that the product fits.
        self.sizes.iter().product()
    }

    /// How many bytes it has in the file; none for a type that is not known.
    pub fn bytes(&self) -> Option<u64> {
        self.kind.bytes_of(self.numbers())
    }
}

/// How numbers are written: ggml's number of the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorType(pub u32);

impl TensorType {
    /// The name, how many numbers are written together, and in how many bytes.
    fn known(self) -> Option<(&'static str, u64, u64)> {
        Some(match self.0 {
            0 => ("F32", 1, 4),
            1 => ("F16", 1, 2),
            2 => ("Q4_0", 32, 18),
            3 => ("Q4_1", 32, 20),
            6 => ("Q5_0", 32, 22),
            7 => ("Q5_1", 32, 24),
            8 => ("Q8_0", 32, 34),
            9 => ("Q8_1", 32, 36),
            10 => ("Q2_K", 256, 84),
            11 => ("Q3_K", 256, 110),
            12 => ("Q4_K", 256, 144),
            13 => ("Q5_K", 256, 176),
            14 => ("Q6_K", 256, 210),
            15 => ("Q8_K", 256, 292),
            16 => ("IQ2_XXS", 256, 66),
            17 => ("IQ2_XS", 256, 74),
            18 => ("IQ3_XXS", 256, 98),
            19 => ("IQ1_S", 256, 50),
            20 => ("IQ4_NL", 32, 18),
            21 => ("IQ3_S", 256, 110),
            22 => ("IQ2_S", 256, 82),
            23 => ("IQ4_XS", 256, 136),
            24 => ("I8", 1, 1),
            25 => ("I16", 1, 2),
            26 => ("I32", 1, 4),
            27 => ("I64", 1, 8),
            28 => ("F64", 1, 8),
            29 => ("IQ1_M", 256, 56),
            30 => ("BF16", 1, 2),
            34 => ("TQ1_0", 256, 54),
            35 => ("TQ2_0", 256, 66),
            39 => ("MXFP4", 32, 17),
            _ => return None,
        })
    }

    /// Whether weights of this type can be run here.
    pub fn runs(self) -> bool {
        matches!(self.0, 0..=3 | 6..=15 | 30)
    }

    /// How many bytes so many numbers have; none for a type that is not known.
    pub fn bytes_of(self, numbers: u64) -> Option<u64> {
        let (_, together, bytes) = self.known()?;
        Some(numbers.div_ceil(together).saturating_mul(bytes))
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some((name, ..)) => f.pad(name),
            None => f.pad(&format!("type {}", self.0)),
        }
    }
}
