use super::distance::Distance;
use super::error::KMeansError;
use super::kernel::{self, Point};
use super::{DESCRIPTOR_BYTES, Descriptor, MAX_WORDS, descriptors_in, hamming, one_per_row};

/// Steps of the grid that a Euclidean centre's values lie on, per unit.
pub(crate) const GRID: u32 = 256;

/// The centres of the words, and how near a descriptor is to them.
///
/// A Euclidean centre is 32 numbers in 0..=255 on a grid of 1/256. A descriptor belongs to the centre with the
/// least `|c|²/2 − x·c`, computed about 128 in steps of 1/2048 with |c|²/2 rounded to a step: its squared distance
/// exceeds the least one by 1/1024 at most (a 32-bit floating-point product of matrices is off by more), and
/// of equal ones the first is taken. A Hamming centre is 256 bits; of the fewest differing bits the first is
/// taken. A descriptor's word depends on nothing but the descriptor and the codebook, on any processor.
#[derive(Clone)]
pub struct Codebook {
    centres: Centres,
    packed: Packed,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Centres {
    /// In steps of the grid, 0..=65,280.
    Euclidean(Vec<[u16; DESCRIPTOR_BYTES]>),
    Hamming(Vec<Descriptor>),
}

#[derive(Clone)]
enum Packed {
    Euclidean(Vec<kernel::Block>),
    Hamming(Vec<hamming::Block>),
}

impl PartialEq for Codebook {
    fn eq(&self, other: &Self) -> bool {
        self.centres == other.centres
    }
}

impl Eq for Codebook {}

impl std::fmt::Debug for Codebook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Codebook")
            .field("distance", &self.distance())
            .field("words", &self.words())
            .finish_non_exhaustive()
    }
}

impl Codebook {
    /// Centres of k×32 values in 0..=255, row-major. They are rounded to 1/256; those that
    /// [`euclidean_centres`](Self::euclidean_centres) gave stay as they are.
    pub fn from_euclidean(values: &[f32]) -> Result<Self, KMeansError> {
        let (rows, rest) = values.as_chunks::<DESCRIPTOR_BYTES>();
        if !rest.is_empty() {
            return Err(KMeansError::Shape {
                operation: "reading a codebook",
                expected: format!("whole centres of {DESCRIPTOR_BYTES} values"),
                got: format!("{} values", values.len()),
            });
        }
        // False for NaN too.
        if !values.iter().all(|value| (0.0..=255.0).contains(value)) {
            return Err(KMeansError::Centres {
                reason: "a value in them is outside 0..=255",
            });
        }
        // At most 65,280, and whole.
        let step = |value: f32| (value * GRID as f32).round() as u16;
        Self::new(Centres::Euclidean(
            rows.iter().map(|row| row.map(step)).collect(),
        ))
    }

    /// Centres of k×32 bytes, row-major.
    pub fn from_hamming(bytes: &[u8]) -> Result<Self, KMeansError> {
        let centres = descriptors_in("reading a codebook", bytes)?;
        Self::new(Centres::Hamming(centres.to_vec()))
    }

    pub(crate) fn new(centres: Centres) -> Result<Self, KMeansError> {
        let broken = |reason| Err(KMeansError::Centres { reason });
        match centres.len() {
            0 => return broken("there are none"),
            words if words > MAX_WORDS => return broken("there are too many"),
            _ => {}
        }
        let packed = match &centres {
            Centres::Euclidean(rows) => {
                let largest = (GRID * 255) as u16;
                if rows.iter().flatten().any(|value| *value > largest) {
                    return broken("a value in them is outside 0..=255");
                }
                Packed::Euclidean(pack(rows))
            }
            Centres::Hamming(rows) => Packed::Hamming(hamming::blocks(rows)),
        };
        Ok(Self { centres, packed })
    }

    /// What makes a descriptor near.
    pub fn distance(&self) -> Distance {
        self.centres.distance()
    }

    /// How many words there are, at least 1.
    pub fn words(&self) -> usize {
        self.centres.len()
    }

    /// Euclidean centres, k×32 in 0..=255, row-major.
    pub fn euclidean_centres(&self) -> Option<Vec<f32>> {
        match &self.centres {
            Centres::Euclidean(rows) => Some(
                rows.iter()
                    .flatten()
                    .map(|step| f32::from(*step) / GRID as f32)
                    .collect(),
            ),
            Centres::Hamming(_) => None,
        }
    }

    /// Hamming centres, k×32 bytes, row-major.
    pub fn hamming_centres(&self) -> Option<Vec<u8>> {
        match &self.centres {
            Centres::Hamming(rows) => Some(rows.as_flattened().to_vec()),
            Centres::Euclidean(_) => None,
        }
    }

    /// Bytes this codebook takes.
    pub fn memory_bytes(&self) -> usize {
        let centres = match &self.centres {
            Centres::Euclidean(rows) => size_of_val(rows.as_slice()),
            Centres::Hamming(rows) => size_of_val(rows.as_slice()),
        };
        let packed = match &self.packed {
            Packed::Euclidean(blocks) => size_of_val(blocks.as_slice()),
            Packed::Hamming(blocks) => size_of_val(blocks.as_slice()),
        };
        size_of::<Self>() + centres + packed
    }

    /// The word of each of n descriptors, 0..k.
    pub fn assign(&self, descriptors: &[u8], words: &mut [u32]) -> Result<(), KMeansError> {
        let rows = descriptors_in("assigning words", descriptors)?;
        one_per_row("assigning words", rows.len(), words.len())?;
        self.assign_rows(rows, words);
        Ok(())
    }

    /// The word of each of n descriptors and the cost of its centre: the squared Euclidean distance (exact, a
    /// multiple of 2⁻¹⁶) or the number of differing bits.
    pub fn assign_with_costs(
        &self,
        descriptors: &[u8],
        words: &mut [u32],
        costs: &mut [f64],
    ) -> Result<(), KMeansError> {
        let rows = descriptors_in("assigning words", descriptors)?;
        one_per_row("assigning words", rows.len(), words.len())?;
        one_per_row("assigning words", rows.len(), costs.len())?;
        self.assign_rows(rows, words);
        let unit = self.distance().cost_unit();
        for ((row, word), cost) in rows.iter().zip(words.iter()).zip(costs) {
            *cost = self.cost(row, *word) as f64 * unit;
        }
        Ok(())
    }

    /// `words` is as long as `rows`.
    pub(crate) fn assign_rows(&self, rows: &[Descriptor], words: &mut [u32]) {
        match &self.packed {
            Packed::Euclidean(blocks) => {
                let mut points = [Point::default(); kernel::POINTS];
                for (rows, words) in rows
                    .chunks(kernel::POINTS)
                    .zip(words.chunks_mut(kernel::POINTS))
                {
                    for (point, row) in points.iter_mut().zip(rows) {
                        // (128 − x)·8: the scores come out as |c|²/2 − x·c in steps of 1/2048.
                        *point = kernel::point(|at| 1024 - 8 * i16::from(row[at]));
                    }
                    kernel::nearest(&points[..rows.len()], blocks, words);
                }
            }
            Packed::Hamming(blocks) => hamming::nearest(rows, blocks, words),
        }
    }

    /// What it costs to stand for a descriptor by a word, in [`Distance::cost_unit`]s.
    pub(crate) fn cost(&self, row: &Descriptor, word: u32) -> u64 {
        match &self.centres {
            Centres::Euclidean(centres) => {
                let mut cost = 0_u64;
                for (value, centre) in row.iter().zip(&centres[word as usize]) {
                    let apart = i32::from(*value) * GRID as i32 - i32::from(*centre);
                    // At most 65,280² < 2³², and 32 of them.
                    cost += u64::from(apart.unsigned_abs().wrapping_mul(apart.unsigned_abs()));
                }
                cost
            }
            Centres::Hamming(centres) => u64::from(hamming::apart(row, &centres[word as usize])),
        }
    }

    pub(crate) fn centres(&self) -> &Centres {
        &self.centres
    }

    /// Σ of the squared distances between the centres of two codebooks, in cost units.
    pub(crate) fn squared_shift(&self, other: &Self) -> u64 {
        match (&self.centres, &other.centres) {
            (Centres::Euclidean(from), Centres::Euclidean(to)) => from
                .as_flattened()
                .iter()
                .zip(to.as_flattened())
                .map(|(from, to)| u64::from(from.abs_diff(*to)).pow(2))
                .sum(),
            (Centres::Hamming(from), Centres::Hamming(to)) => from
                .iter()
                .zip(to)
                .map(|(from, to)| u64::from(hamming::apart(from, to)))
                .sum(),
            // A fit never changes its distance.
            _ => u64::MAX,
        }
    }
}

impl Centres {
    pub(crate) fn distance(&self) -> Distance {
        match self {
            Self::Euclidean(_) => Distance::Euclidean,
            Self::Hamming(_) => Distance::Hamming,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Euclidean(rows) => rows.len(),
            Self::Hamming(rows) => rows.len(),
        }
    }

    /// The descriptors themselves as centres.
    pub(crate) fn at(distance: Distance, rows: &[Descriptor]) -> Self {
        match distance {
            Distance::Euclidean => Self::Euclidean(rows.iter().map(on_grid).collect()),
            Distance::Hamming => Self::Hamming(rows.to_vec()),
        }
    }
}

impl Distance {
    /// One step of a cost: 2⁻¹⁶ of a squared distance, or one bit.
    pub(crate) fn cost_unit(self) -> f64 {
        match self {
            Self::Euclidean => 1.0 / f64::from(GRID * GRID),
            Self::Hamming => 1.0,
        }
    }
}

/// A descriptor's bytes in steps of the grid.
pub(crate) fn on_grid(row: &Descriptor) -> [u16; DESCRIPTOR_BYTES] {
    row.map(|value| u16::from(value) * GRID as u16)
}

/// Centres less 128, and half their squared norms in steps of 1/2048.
fn pack(rows: &[[u16; DESCRIPTOR_BYTES]]) -> Vec<kernel::Block> {
    // −32,768..=32,512
    let value = |row: usize, at: usize| (i32::from(rows[row][at]) - 32_768) as i16;
    let start = |row: usize| {
        let norm: u64 = (0..DESCRIPTOR_BYTES)
            .map(|at| i64::from(value(row, at)).pow(2).cast_unsigned())
            .sum();
        // |c|² in steps of 2⁻¹⁶, so |c|²/2 in steps of 2⁻¹¹ is its 64th part: at most 2²⁹. With a product below
        // 2³⁰ every score stays below the 2³¹ − 1 of vacant lanes.
        ((norm + 32) / 64) as i32
    };
    kernel::blocks(rows.len(), value, start, i32::MAX)
}
