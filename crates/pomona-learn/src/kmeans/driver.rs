use super::codebook::{Centres, Codebook};
use super::error::KMeansError;
use super::keys::threshold;
use super::plan::{PassKind, PassPlan};
use super::sample::SeedSample;
use super::seeding::seed_centres;
use super::settings::KMeansSettings;
use super::totals::PassTotals;
use super::update::{inertia, next_codebook};

/// About as many rows are assigned with the previous codebook too, to tell the moved share: its standard error is
/// below 0.004.
const COMPARED_ROWS: u64 = 16_384;

/// How a pass went.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PassReport {
    /// Number of the pass, from 1.
    pub pass: u32,
    /// What the pass was for.
    pub kind: PassKind,
    /// Rows counted.
    pub rows: u64,
    /// Σ over them of the cost of the nearest centre of this pass's codebook: squared distance, or differing bits.
    pub inertia: f64,
    /// Share of rows whose word differs from that under the previous pass's codebook, 0..=1, among
    /// `compared_rows`; absent in the first pass. Up to 16,384 rows all are compared, else about so many, drawn
    /// by their keys and the same ones in every pass.
    pub moved_share: Option<f64>,
    /// Rows that the moved share was taken of.
    pub compared_rows: u64,
    /// Words without rows in this pass; in mini-batches, in all passes so far.
    pub empty_clusters: u64,
    /// √Σ of the centres' squared shifts at the end of this pass; 0 in the closing pass.
    pub centre_shift: f64,
}

/// Why no more passes are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stop {
    /// No centre moved.
    Settled,
    /// The centres moved by less than the tolerance.
    Tolerance,
    /// As many passes as allowed were made.
    MaxPasses,
}

/// What a person should know about a codebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Note {
    /// There were fewer different descriptors than words wanted.
    FewerDescriptors {
        /// Words asked for.
        wanted: usize,
        /// Words there are: as many as different descriptors.
        kept: usize,
    },
}

impl std::fmt::Display for Note {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FewerDescriptors { wanted, kept } => write!(
                formatter,
                "{wanted} words were asked for, but there are only {kept} different descriptors; the codebook has {kept} words"
            ),
        }
    }
}

/// A finished codebook and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// The words' centres.
    pub codebook: Codebook,
    /// Rows per word, k.
    pub counts: Vec<u64>,
    /// Rows in all.
    pub rows: u64,
    /// Σ over all rows of the cost of their word's centre.
    pub inertia: f64,
    /// Every pass, in order.
    pub passes: Vec<PassReport>,
    /// Why it ended.
    pub stop: Stop,
    /// What to tell a person.
    pub notes: Vec<Note>,
}

/// The steps of a fit, whoever runs the passes; see the [module](self::super)'s description.
#[derive(Debug)]
pub struct KMeans {
    settings: KMeansSettings,
    /// Rows in all, known once seeded.
    rows: u64,
    plan: Option<PassPlan>,
    /// Why the centres move no more.
    stop: Option<Stop>,
    /// Of the columns; from the first pass.
    mean_variance: f64,
    /// Totals of all mini-batches so far: a centre is the mean of all rows it was ever given.
    batches: Option<PassTotals>,
    passes: Vec<PassReport>,
    notes: Vec<Note>,
    /// The final codebook and its rows per word.
    done: Option<(Codebook, Vec<u64>)>,
}

impl KMeans {
    /// A fit that has yet to be seeded.
    pub fn new(settings: KMeansSettings) -> Result<Self, KMeansError> {
        settings.check()?;
        Ok(Self {
            settings,
            rows: 0,
            plan: None,
            stop: None,
            mean_variance: 0.0,
            batches: None,
            passes: Vec::new(),
            notes: Vec::new(),
            done: None,
        })
    }

    /// The sample of no rows, to be filled in every partition.
    pub fn sample(&self) -> SeedSample {
        SeedSample::new(self.settings.seed, self.settings.sample_capacity())
    }

    /// Chooses the first centres from the merged sample of all rows. Uses the threads of the rayon pool it is
    /// called in.
    pub fn seed(&mut self, sample: SeedSample) -> Result<(), KMeansError> {
        let operation = "seeding";
        if !self.is_new() {
            return Err(KMeansError::OutOfTurn { operation });
        }
        if !sample.is_of(self.settings.seed, self.settings.sample_capacity()) {
            return Err(KMeansError::Mixed { operation });
        }
        let total = sample.rows();
        let rows = sample.into_rows();
        if rows.is_empty() {
            return Err(KMeansError::NoDescriptors);
        }
        let KMeansSettings {
            distance,
            words,
            seed,
            ..
        } = self.settings;
        let centres = seed_centres(distance, &rows, words, seed);
        if centres.len() < words {
            self.notes.push(Note::FewerDescriptors {
                wanted: words,
                kept: centres.len(),
            });
        }
        self.start(Codebook::new(Centres::at(distance, &centres))?, total)
    }

    /// Starts from a codebook there is already, instead of [`seed`](Self::seed), on so many rows. Its distance and
    /// number of words count, not the settings'.
    pub fn start(&mut self, codebook: Codebook, rows: u64) -> Result<(), KMeansError> {
        if !self.is_new() {
            let operation = "starting from a codebook";
            return Err(KMeansError::OutOfTurn { operation });
        }
        if rows == 0 {
            return Err(KMeansError::NoDescriptors);
        }
        self.rows = rows;
        let kind = match self.settings.batch_rows {
            Some(batch) if batch < rows => PassKind::Batch,
            _ => PassKind::Full,
        };
        self.plan = Some(self.plan_of(1, kind, codebook, None));
        Ok(())
    }

    fn is_new(&self) -> bool {
        self.rows == 0
    }

    fn plan_of(
        &self,
        number: u32,
        kind: PassKind,
        codebook: Codebook,
        previous: Option<Codebook>,
    ) -> PassPlan {
        let batch = match (kind, self.settings.batch_rows) {
            (PassKind::Batch, Some(batch)) => batch,
            _ => self.rows,
        };
        PassPlan {
            number,
            kind,
            seed: self.settings.seed,
            codebook,
            previous,
            batch_threshold: threshold(batch, self.rows),
            compare_threshold: threshold(COMPARED_ROWS, batch),
            fingerprint: 0,
        }
        .stamped()
    }

    /// The next pass; none before seeding and after the last.
    pub fn plan(&self) -> Option<&PassPlan> {
        self.plan.as_ref()
    }

    /// Takes the merged totals of the pass that [`plan`](Self::plan) gives, and moves on.
    pub fn finish_pass(&mut self, totals: PassTotals) -> Result<&PassReport, KMeansError> {
        let operation = "finishing a pass";
        let Some(plan) = self.plan.take() else {
            return Err(KMeansError::OutOfTurn { operation });
        };
        let all = plan.kind == PassKind::Batch || totals.rows == self.rows;
        if totals.fingerprint != plan.fingerprint || !all {
            self.plan = Some(plan);
            return Err(KMeansError::Mixed { operation });
        }
        let mut report = PassReport {
            pass: plan.number,
            kind: plan.kind,
            rows: totals.rows,
            inertia: inertia(&totals, &plan.codebook) as f64 * totals.distance.cost_unit(),
            moved_share: (totals.compared > 0)
                .then(|| totals.moved as f64 / totals.compared as f64),
            compared_rows: totals.compared,
            empty_clusters: empty(&totals),
            centre_shift: 0.0,
        };
        if plan.kind == PassKind::Closing {
            self.done = Some((plan.codebook, totals.counts));
        } else {
            self.move_on(plan, totals, &mut report)?;
        }
        self.passes.push(report);
        self.passes
            .last()
            .ok_or(KMeansError::OutOfTurn { operation })
    }

    /// Moves the centres and plans what comes next.
    fn move_on(
        &mut self,
        plan: PassPlan,
        totals: PassTotals,
        report: &mut PassReport,
    ) -> Result<(), KMeansError> {
        if plan.number == 1 {
            self.mean_variance = totals.mean_variance();
        }
        let (next, counts) = match plan.kind {
            PassKind::Batch => (self.add_batch(&plan, totals, report)?, Vec::new()),
            _ => (next_codebook(&totals, &plan.codebook, true)?, totals.counts),
        };
        let shift = plan.codebook.squared_shift(&next) as f64 * next.distance().cost_unit();
        report.centre_shift = shift.sqrt();
        self.stop = if report.rows > 0 && shift == 0.0 {
            Some(Stop::Settled)
        } else if report.rows > 0 && shift <= self.settings.tolerance * self.mean_variance {
            Some(Stop::Tolerance)
        } else if plan.number >= self.settings.max_passes {
            Some(Stop::MaxPasses)
        } else {
            None
        };
        let kind = match (self.stop, plan.kind) {
            // All rows were counted with these very centres.
            (Some(Stop::Settled), PassKind::Full) => {
                self.done = Some((next, counts));
                return Ok(());
            }
            (Some(_), _) => PassKind::Closing,
            (None, kind) => kind,
        };
        self.plan = Some(self.plan_of(plan.number + 1, kind, next, Some(plan.codebook)));
        Ok(())
    }

    /// A centre becomes the mean (or majority) of all rows that any batch gave it, which is Sculley's learning rate
    /// of 1 ÷ rows so far, a batch at a time. Centres never hit keep their seeds until the batches have drawn as
    /// many rows as there are; then they are re-seeded.
    fn add_batch(
        &mut self,
        plan: &PassPlan,
        totals: PassTotals,
        report: &mut PassReport,
    ) -> Result<Codebook, KMeansError> {
        let batches = match self.batches.take() {
            Some(mut batches) => {
                batches.add_pass(totals)?;
                batches
            }
            None => totals,
        };
        report.empty_clusters = empty(&batches);
        let next = next_codebook(&batches, &plan.codebook, batches.rows >= self.rows);
        self.batches = Some(batches);
        next
    }

    /// The codebook, once no pass is left.
    pub fn finish(self) -> Result<Clustering, KMeansError> {
        let last = self.passes.last().map(|pass| (pass.rows, pass.inertia));
        match (self.done, self.stop, last) {
            (Some((codebook, counts)), Some(stop), Some((rows, inertia))) => Ok(Clustering {
                codebook,
                counts,
                rows,
                inertia,
                passes: self.passes,
                stop,
                notes: self.notes,
            }),
            _ => Err(KMeansError::OutOfTurn {
                operation: "finishing the fit",
            }),
        }
    }
}

fn empty(totals: &PassTotals) -> u64 {
    totals.counts.iter().filter(|count| **count == 0).count() as u64
}
