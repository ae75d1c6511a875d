//! The wire form of protobuf, as much of it as remote write uses. Not a codec for any message.

use super::RemoteError;

/// A message being read: fields in the order they come.
#[derive(Clone, Copy)]
pub(super) struct Reader<'m> {
    /// All of the outermost message, so that an error can name its place.
    whole: usize,
    /// How many bytes of the outermost message follow this one.
    after: usize,
    bytes: &'m [u8],
}

/// The value of a field.
pub(super) enum Value<'m> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(Reader<'m>),
}

impl<'m> Reader<'m> {
    pub(super) fn new(message: &'m [u8]) -> Reader<'m> {
        Reader { whole: message.len(), after: 0, bytes: message }
    }

    pub(super) fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// Steps over bytes that were read in another way.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.bytes = self.bytes.get(bytes..).unwrap_or_default();
    }

    #[cold]
    pub(super) fn error(&self, what: &'static str) -> RemoteError {
        let left = self.after + self.bytes.len();
        RemoteError::Malformed { at: self.whole - left.min(self.whole), what }
    }

    /// The next field with its number, or none at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'m>)>, RemoteError> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.fixed64()?),
            2 => Value::Bytes(self.delimited()?),
            5 => {
                self.skip(4)?;
                Value::Fixed32
            }
            _ => return Err(self.error("a field of an unknown form")),
        };
        Ok(Some((key >> 3, value)))
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, RemoteError> {
        match self.bytes {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.bytes = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, RemoteError> {
        let mut value = 0;
        for (at, byte) in self.bytes.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.bytes = &self.bytes[at + 1..];
                return Ok(value);
            }
        }
        Err(self.error("a number is cut, or too long"))
    }

    #[inline]
    fn fixed64(&mut self) -> Result<u64, RemoteError> {
        match self.bytes.split_first_chunk::<8>() {
            Some((chunk, rest)) => {
                self.bytes = rest;
                Ok(u64::from_le_bytes(*chunk))
            }
            None => Err(self.error("a number is cut")),
        }
    }

    #[inline]
    fn delimited(&mut self) -> Result<Reader<'m>, RemoteError> {
        let length = self.varint()?;
        match usize::try_from(length).ok().and_then(|length| self.bytes.split_at_checked(length)) {
            Some((inner, rest)) => {
                self.bytes = rest;
                Ok(Reader { whole: self.whole, after: self.after + rest.len(), bytes: inner })
            }
            None => Err(self.error("a field is longer than what holds it")),
        }
    }

    fn skip(&mut self, bytes: usize) -> Result<(), RemoteError> {
        match self.bytes.split_at_checked(bytes) {
            Some((_, rest)) => {
                self.bytes = rest;
                Ok(())
            }
            None => Err(self.error("a number is cut")),
        }
    }

    /// The bytes as text.
    #[inline]
    pub(super) fn text(&self) -> Result<&'m str, RemoteError> {
        std::str::from_utf8(self.bytes).map_err(|_| self.error("a text is not UTF-8"))
    }
}

pub(super) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes a varint takes.
pub(super) fn varint_length(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

pub(super) fn put_bytes(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Bytes of a field of so many bytes, its key and length included.
pub(super) fn bytes_length(length: usize) -> usize {
    1 + varint_length(length as u64) + length
}
