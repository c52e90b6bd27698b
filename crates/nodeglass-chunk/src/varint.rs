//! Whole numbers in as few bytes as they need: LEB128, signed ones folded by zigzag.

/// Why the front of some bytes is not the value that was asked for; each format has its own error for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The bytes end too early.
    Cut,
    /// They are no such value.
    Malformed(&'static str),
}

/// Appends a number, seven bits a byte, the lowest first.
pub fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number; small ones of either sign are short.
pub fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends a text with its length before it.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Takes values off the front of some bytes. Whatever the bytes are, it ends in a value or an error.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// One at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was not taken so far.
    pub fn left(&self) -> &'a [u8] {
        self.0
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// There is none.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Broken> {
        let (first, rest) = self.0.split_first().ok_or(Broken::Cut)?;
        self.0 = rest;
        Ok(*first)
    }

    /// Takes a number that [`put`] wrote.
    ///
    /// # Errors
    /// It is cut off, or has more than 64 bits.
    #[inline]
    pub fn unsigned(&mut self) -> Result<u64, Broken> {
        // Most numbers are small.
        match self.0 {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long(),
        }
    }

    fn long(&mut self) -> Result<u64, Broken> {
        let mut number = 0_u64;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Ok(number);
            }
        }
        if self.0.len() < 10 {
            return Err(Broken::Cut);
        }
        Err(Broken::Malformed("a number of more than 64 bits"))
    }

    /// Takes a number that [`put_signed`] wrote.
    ///
    /// # Errors
    /// It is cut off, or has more than 64 bits.
    #[inline]
    pub fn signed(&mut self) -> Result<i64, Broken> {
        let folded = self.unsigned()?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    /// Takes a number that must fit 32 bits: counts and places.
    ///
    /// # Errors
    /// It is cut off, or has more than 32 bits.
    #[inline]
    pub fn short(&mut self) -> Result<u32, Broken> {
        u32::try_from(self.unsigned()?).map_err(|_| Broken::Malformed("a count of more than 32 bits"))
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// There are fewer.
    #[inline]
    pub fn bytes(&mut self, length: u64) -> Result<&'a [u8], Broken> {
        let length = usize::try_from(length).map_err(|_| Broken::Cut)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Broken::Cut)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Takes a text that [`put_text`] wrote.
    ///
    /// # Errors
    /// It is cut off, or not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Broken> {
        let length = self.unsigned()?;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Broken::Malformed("a text that is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_texts_come_back(unsigned: u64, signed: i64, text: String) {
            let mut bytes = Vec::new();
            put(&mut bytes, unsigned);
            put_signed(&mut bytes, signed);
            put_text(&mut bytes, &text);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.unsigned(), Ok(unsigned));
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.text(), Ok(text.as_str()));
            prop_assert!(reader.is_empty());
        }
    }
}
