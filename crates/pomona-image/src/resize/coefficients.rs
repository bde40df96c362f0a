//! The weights of one pass (`precompute_coeffs` and `normalize_coeffs_8bpc` in Pillow's `Resample.c`).

use std::f64::consts::PI;

use super::Kernel;

/// Fractional bits of a weight: 32 less 8 for the result and 2 for overshoot and sign.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;

/// For each output position, where its input starts and what each value of it weighs.
pub(super) struct Coefficients {
    first: Vec<u32>,
    count: Vec<u32>,
    /// `taps` weights an output position, of which `count` are used.
    weights: Vec<i32>,
    taps: usize,
    /// How a row is summed up, made when first asked for.
    #[cfg(target_arch = "x86_64")]
    windows: std::cell::OnceCell<Option<super::windows::Windows>>,
}

impl Coefficients {
    /// Weights that take `from` values to `to` values; both at least 1.
    pub(super) fn new(kernel: Kernel, from: u32, to: u32) -> Self {
        let scale = f64::from(from) / f64::from(to);
        let stretch = scale.max(1.0);
        let support = kernel.support() * stretch;
        let taps = (support.ceil() as usize * 2 + 1).min(from as usize);
        let per_value = 1.0 / stretch;

        let mut first = Vec::with_capacity(to as usize);
        let mut count = Vec::with_capacity(to as usize);
        let mut weights = Vec::with_capacity(to as usize * taps);
        let mut exact = Vec::with_capacity(taps);
        for position in 0..to {
            let centre = (f64::from(position) + 0.5) * scale;
            // The casts cut towards zero and stop at zero, as Pillow's do.
            let start = (centre - support + 0.5) as u32;
            let end = ((centre + support + 0.5) as u32).min(from);
            exact.clear();
            exact.extend(
                (start..end)
                    .map(|index| kernel.weight((f64::from(index) - centre + 0.5) * per_value)),
            );
            let sum: f64 = exact.iter().sum();
            let used = exact.len();
            weights.extend(
                exact
                    .iter()
                    .map(|&weight| fixed_point(if sum == 0.0 { weight } else { weight / sum })),
            );
            weights.resize(weights.len() + taps - used, 0);
            first.push(start);
            count.push(used as u32);
        }
        Self {
            first,
            count,
            weights,
            taps,
            #[cfg(target_arch = "x86_64")]
            windows: std::cell::OnceCell::new(),
        }
    }

    /// How rows are summed up without turning them; none where this processor or these lengths do not allow it.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn windows(&self) -> Option<&super::windows::Windows> {
        use super::windows::Windows;
        let made = || Windows::can_run().then(|| Windows::new(self)).flatten();
        self.windows.get_or_init(made).as_ref()
    }

    /// How many values come out.
    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    /// For each output position: index of the first input, and the weights from there on.
    pub(super) fn positions(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let counts = self.first.iter().zip(&self.count);
        counts
            .zip(self.weights.chunks_exact(self.taps))
            .map(|((&first, &count), weights)| (first as usize, &weights[..count as usize]))
    }
}

/// Rounds half away from zero.
fn fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1_u32 << PRECISION_BITS);
    (if weight < 0.0 {
        scaled - 0.5
    } else {
        scaled + 0.5
    }) as i32
}

impl Kernel {
    fn support(self) -> f64 {
        match self {
            Kernel::Nearest => 0.5,
            Kernel::Bilinear => 1.0,
            Kernel::Bicubic => 2.0,
            Kernel::Lanczos3 => 3.0,
        }
    }

    /// The kernel at `x`; the expressions are Pillow's, operation by operation, so that they round alike.
    fn weight(self, x: f64) -> f64 {
        match self {
            Kernel::Nearest => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Kernel::Bilinear => {
                let x = x.abs();
                if x < 1.0 { 1.0 - x } else { 0.0 }
            }
            Kernel::Bicubic => {
                const A: f64 = -0.5;
                let x = x.abs();
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * A
                } else {
                    0.0
                }
            }
            Kernel::Lanczos3 => {
                if (-3.0..3.0).contains(&x) {
                    sinc(x) * sinc(x / 3.0)
                } else {
                    0.0
                }
            }
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * PI;
    x.sin() / x
}
