//! How one photo is taken: turn, distance, place and light.

use crate::random::Random;

/// The golden angle in radians: successive multiples never come close to one another.
const GOLDEN_ANGLE: f32 = 2.399_963_2;

/// Which part of the set a photo belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Training,
    Test,
}

impl Part {
    /// The folder of the part, as in Fruits-360.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Training => "Training",
            Self::Test => "Test",
        }
    }
}

/// Everything that makes one photo differ from the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    /// Turn in radians, clockwise.
    pub(crate) turn: f32,
    /// Seen from the other side.
    pub(crate) mirrored: bool,
    /// The fruit's diameter as a share of the photo's width.
    pub(crate) size: f32,
    /// How much narrower the fruit looks along one direction, as when it is tilted: 1 is not at all.
    pub(crate) tilt: f32,
    /// Direction of the tilt in radians.
    pub(crate) tilt_direction: f32,
    /// Place of the middle off the photo's middle, as a share of its width.
    pub(crate) shift: [f32; 2],
    /// Factors on red, green and blue: exposure and colour of the light.
    pub(crate) light: [f32; 3],
    /// Direction the light comes from, in radians.
    pub(crate) light_direction: f32,
    /// How much brighter the lit side is than the middle, as a share.
    pub(crate) shading: f32,
    /// Darkness of the shadow on the white ground, 0 to 1.
    pub(crate) shadow: f32,
}

impl Scene {
    /// The scene of photo `number` of a label. It depends on nothing else, so more photos leave the others as
    /// they are. Training and test photos are turned by different angles.
    pub(crate) fn new(seed: u64, label: usize, part: Part, number: usize) -> Self {
        let offset = match part {
            Part::Training => 0.0,
            Part::Test => 0.5,
        };
        let mut random = Random::keyed(&[seed, label as u64, part as u64, number as u64]);
        let start = Random::keyed(&[seed, label as u64]).between(0.0, std::f32::consts::TAU);
        let exposure = random.between(0.82, 1.08);
        // Warm light has more red and less blue.
        let warmth = random.between(-0.06, 0.08);
        Self {
            turn: start + (number as f32 + offset) * GOLDEN_ANGLE + random.between(-0.05, 0.05),
            mirrored: random.between(0.0, 1.0) < 0.5,
            size: random.between(0.76, 0.96),
            tilt: random.between(0.80, 1.0),
            tilt_direction: random.between(0.0, std::f32::consts::PI),
            shift: [random.between(-0.015, 0.015), random.between(-0.015, 0.015)],
            light: [
                exposure * (1.0 + warmth),
                exposure,
                exposure * (1.0 - warmth),
            ],
            light_direction: random.between(0.0, std::f32::consts::TAU),
            shading: random.between(0.05, 0.22),
            shadow: random.between(0.04, 0.16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_photos_are_turned_otherwise_than_training_photos() {
        let turn = |part, number| {
            Scene::new(1, 4, part, number)
                .turn
                .rem_euclid(std::f32::consts::TAU)
        };
        for test in 0..8 {
            for training in 0..20 {
                let apart = (turn(Part::Test, test) - turn(Part::Training, training)).abs();
                assert!(
                    apart > 0.005,
                    "test {test} and training {training} are {apart} apart"
                );
            }
        }
    }

    #[test]
    fn scenes_depend_on_seed_label_part_and_number() {
        let size = |seed, label, part, number| Scene::new(seed, label, part, number).size;
        let base = size(1, 0, Part::Training, 0);
        for other in [
            size(2, 0, Part::Training, 0),
            size(1, 1, Part::Training, 0),
            size(1, 0, Part::Test, 0),
            size(1, 0, Part::Training, 1),
        ] {
            assert!((base - other).abs() > 1e-5);
        }
    }
}
