use super::error::KMeansError;

/// Reads little-endian fields off the front of bytes; running out is an error.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Expects the mark that stands at the front.
    pub(crate) fn new(
        bytes: &'a [u8],
        mark: &[u8; 8],
        what: &'static str,
    ) -> Result<Self, KMeansError> {
        let mut reader = Self { rest: bytes, what };
        if reader.array::<8>()? == mark {
            Ok(reader)
        } else {
            Err(reader.broken("not one, or from another version"))
        }
    }

    pub(crate) fn broken(&self, reason: &'static str) -> KMeansError {
        KMeansError::Broken {
            what: self.what,
            reason,
        }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], KMeansError> {
        match self.rest.split_at_checked(count) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.broken("it ends too early")),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], KMeansError> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.broken("it ends too early")),
        }
    }

    pub(crate) fn number(&mut self) -> Result<u64, KMeansError> {
        Ok(u64::from_le_bytes(*self.array()?))
    }

    pub(crate) fn numbers(&mut self, count: usize) -> Result<Vec<u64>, KMeansError> {
        let bytes = self.bytes(count.saturating_mul(8))?;
        let (numbers, _) = bytes.as_chunks();
        Ok(numbers
            .iter()
            .map(|bytes| u64::from_le_bytes(*bytes))
            .collect())
    }

    /// A count of items of `size` bytes that follow, no more than are there.
    pub(crate) fn count(&mut self, most: usize, size: usize) -> Result<usize, KMeansError> {
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if count > most {
            return Err(self.broken("a number in it is too large"));
        }
        match count.checked_mul(size) {
            Some(bytes) if bytes <= self.rest.len() => Ok(count),
            _ => Err(self.broken("it ends too early")),
        }
    }

    pub(crate) fn end(self) -> Result<(), KMeansError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.broken("there is more than it should hold"))
        }
    }
}
