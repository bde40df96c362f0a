use super::codebook::Codebook;
use super::error::KMeansError;
use super::keys::{Draw, Lot, fnv, takes_part};
use super::reader::Reader;

const MARK: &[u8; 8] = b"POMONAP1";

/// What a pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PassKind {
    /// Every row is counted, and the centres move.
    Full,
    /// A share of the rows is counted, and the centres move.
    Batch,
    /// Every row is counted with the final centres.
    Closing,
}

/// What every partition needs to know to count its rows in one pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassPlan {
    pub(crate) number: u32,
    pub(crate) kind: PassKind,
    pub(crate) seed: u64,
    pub(crate) codebook: Codebook,
    /// The codebook of the pass before, for the moved share.
    pub(crate) previous: Option<Codebook>,
    /// Which lots are counted.
    pub(crate) batch_threshold: u64,
    /// Which lots are assigned with the previous codebook too.
    pub(crate) compare_threshold: u64,
    /// What tells this pass from every other: a hash of the above.
    pub(crate) fingerprint: u64,
}

impl PassPlan {
    /// Number of the pass, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What the pass is for.
    pub fn kind(&self) -> PassKind {
        self.kind
    }

    /// The codebook that rows are assigned with.
    pub fn codebook(&self) -> &Codebook {
        &self.codebook
    }

    /// Whether every row is counted, whatever its key.
    pub(crate) fn counts_all(&self) -> bool {
        self.batch_threshold == u64::MAX
    }

    pub(crate) fn batch_lot(&self) -> Lot {
        Lot::new(self.seed, Draw::Batch(self.number))
    }

    pub(crate) fn counts(&self, lot: u64) -> bool {
        takes_part(lot, self.batch_threshold)
    }

    pub(crate) fn compare_lot(&self) -> Lot {
        Lot::new(self.seed, Draw::Compare)
    }

    pub(crate) fn compares(&self, lot: u64) -> bool {
        takes_part(lot, self.compare_threshold)
    }

    /// The plan with its fingerprint.
    pub(crate) fn stamped(mut self) -> Self {
        self.fingerprint = fnv(&self.to_bytes());
        self
    }

    /// The plan as bytes, to be sent to where the rows are. Little-endian: the eight bytes `POMONAP1`, u64 each of
    /// number, kind, seed and two thresholds, then the codebook and the previous one (may be empty), each
    /// behind its length as u64.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        let kind = match self.kind {
            PassKind::Full => 0,
            PassKind::Batch => 1,
            PassKind::Closing => 2,
        };
        for number in [
            u64::from(self.number),
            kind,
            self.seed,
            self.batch_threshold,
            self.compare_threshold,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let previous = self.previous.as_ref().map(Codebook::to_bytes);
        for part in [self.codebook.to_bytes(), previous.unwrap_or_default()] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(&part);
        }
        bytes
    }

    /// The plan that [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KMeansError> {
        let mut reader = Reader::new(bytes, MARK, "plan of a pass")?;
        let number = u32::try_from(reader.number()?)
            .map_err(|_| reader.broken("its number is too large"))?;
        let kind = match reader.number()? {
            0 => PassKind::Full,
            1 => PassKind::Batch,
            2 => PassKind::Closing,
            _ => return Err(reader.broken("its kind is unknown")),
        };
        let seed = reader.number()?;
        let batch_threshold = reader.number()?;
        let compare_threshold = reader.number()?;
        let length = reader.count(usize::MAX, 1)?;
        let codebook = Codebook::from_bytes(reader.bytes(length)?)?;
        let previous = match reader.count(usize::MAX, 1)? {
            0 => None,
            length => Some(Codebook::from_bytes(reader.bytes(length)?)?),
        };
        if previous
            .as_ref()
            .is_some_and(|previous| previous.distance() != codebook.distance())
        {
            return Err(reader.broken("its codebooks differ in distance"));
        }
        reader.end()?;
        Ok(Self {
            number,
            kind,
            seed,
            codebook,
            previous,
            batch_threshold,
            compare_threshold,
            fingerprint: fnv(bytes),
        })
    }
}
