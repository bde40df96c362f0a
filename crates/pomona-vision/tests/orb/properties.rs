//! What holds for any image and any settings.

use pomona_image::RgbImage;
use pomona_vision::orb::{Orb, OrbError, OrbSettings};

use crate::support::{asset, between, distance, noise, picture};

/// Defaults, and settings that reach over the border.
fn settings() -> Vec<OrbSettings> {
    let defaults = OrbSettings::default();
    vec![
        defaults,
        OrbSettings {
            edge_px: 0,
            patch_px: 127,
            fast_threshold: 0,
            ..defaults
        },
        OrbSettings {
            features: 3,
            scale_factor: 4.0,
            levels: 32,
            edge_px: 3,
            patch_px: 2,
            fast_threshold: 1,
        },
        OrbSettings {
            scale_factor: 1.01,
            edge_px: 20,
            patch_px: 15,
            fast_threshold: 60,
            ..defaults
        },
        OrbSettings {
            fast_threshold: 255,
            ..defaults
        },
    ]
}

#[test]
fn any_size_is_searched() {
    let sides = [1, 2, 3, 5, 6, 7, 8, 31, 61, 62, 63, 64, 65, 97];
    for settings in settings() {
        let mut orb = Orb::new(settings).unwrap();
        for width in sides {
            for height in sides {
                let found = orb
                    .detect_grey(width, height, &noise(width, height, 3))
                    .unwrap();
                if width.min(height) <= 2 * settings.edge_px {
                    assert!(found.is_empty(), "{width} x {height}");
                }
                let edge = settings.edge_px as f32;
                for (point, _) in found {
                    assert!(point.x >= edge && point.x <= width as f32 - edge);
                    assert!(point.y >= edge && point.y <= height as f32 - edge);
                    assert!((0.0..=360.0).contains(&point.angle_degrees));
                    assert!(point.response.is_finite());
                }
            }
        }
        for (width, height) in [(1, 3000), (3000, 1), (63, 2000), (2000, 63)] {
            let grey = noise(width, height, 4);
            orb.detect_grey(width, height, &grey).unwrap();
        }
    }
}

#[test]
fn a_phone_photo_gives_as_many_as_wanted() {
    let (width, height) = (3000, 4000);
    let mut orb = Orb::new(OrbSettings::default()).unwrap();
    let found = orb
        .detect_grey(width, height, &noise(width, height, 9))
        .unwrap();
    // More only by equal responses.
    assert!((500..520).contains(&found.len()), "{}", found.len());
    for octave in 0..8 {
        assert!(found.iter().any(|(point, _)| point.octave == octave));
    }
}

#[test]
fn plain_instructions_give_the_same() {
    for settings in settings() {
        let mut orb = Orb::new(settings).unwrap();
        let mut portable = Orb::new(settings).unwrap().portable();
        let mut some = false;
        for (width, height) in [(97, 131), (128, 64), (150, 151), (301, 77)] {
            for seed in 0..3 {
                let grey = noise(width, height, seed);
                let found = orb.detect_grey(width, height, &grey).unwrap();
                assert_eq!(found, portable.detect_grey(width, height, &grey).unwrap());
                some |= !found.is_empty();
            }
        }
        assert_eq!(some, settings.fast_threshold < 255);
        let shapes = picture(&asset("shapes.png"));
        assert_eq!(orb.detect(&shapes), portable.detect(&shapes));
    }
}

#[test]
fn an_image_does_not_depend_on_the_ones_before() {
    for settings in settings() {
        let mut used = Orb::new(settings).unwrap();
        // 97 and 98 columns have levels of one width made of two widths.
        let sizes = [(200, 90), (97, 131), (98, 131), (64, 64), (97, 131)];
        for (index, (width, height)) in sizes.into_iter().enumerate() {
            let grey = noise(width, height, index as u32 % 2);
            let fresh = Orb::new(settings)
                .unwrap()
                .detect_grey(width, height, &grey)
                .unwrap();
            assert_eq!(used.detect_grey(width, height, &grey).unwrap(), fresh);
        }
    }
}

#[test]
fn key_points_come_level_by_level_and_row_by_row() {
    let found = Orb::new(OrbSettings::default())
        .unwrap()
        .detect(&picture(&asset("shapes.png")));
    assert!(found.len() > 100);
    assert!(found.is_sorted_by(|(one, _), (other, _)| {
        (one.octave, one.y, one.x) < (other.octave, other.y, other.x)
    }));
}

#[test]
fn a_quarter_turn_turns_the_angles_and_keeps_the_descriptors() {
    let (width, height) = (120_u32, 100_u32);
    let grey = noise(width, height, 1);
    // Clockwise: (x, y) goes to (height − 1 − y, x).
    let turned: Vec<u8> = (0..width)
        .flat_map(|y| (0..height).map(move |x| (x, y)))
        .map(|(x, y)| grey[((height - 1 - x) * width + y) as usize])
        .collect();
    let mut orb = Orb::new(OrbSettings {
        features: 10_000,
        levels: 1,
        ..OrbSettings::default()
    })
    .unwrap();
    let upright = orb.detect_grey(width, height, &grey).unwrap();
    let turned = orb.detect_grey(height, width, &turned).unwrap();
    // The border left out is a pixel wider on one side, and a pixel is lost on the other with the turn.
    assert!(upright.len() > 50, "{}", upright.len());
    let mut distances: Vec<u32> = Vec::new();
    for (point, bits) in &upright {
        let (x, y) = (height as f32 - 1.0 - point.y, point.x);
        let Some((other, other_bits)) = turned
            .iter()
            .find(|(other, _)| (other.x, other.y) == (x, y))
        else {
            assert!(x < 31.0, "{point:?} is lost");
            continue;
        };
        let turn = between(other.angle_degrees, point.angle_degrees + 90.0);
        assert!(turn < 0.05, "{point:?}, {other:?}");
        distances.push(distance(bits, other_bits));
    }
    distances.sort_unstable();
    // Points between two pixels round to even, not outwards.
    assert!(distances[distances.len() / 2] <= 4, "{distances:?}");
}

#[test]
fn colours_are_searched_in_opencvs_grey() {
    let shapes = picture(&asset("shapes.png"));
    let grey: Vec<u8> = shapes
        .pixels()
        .as_chunks::<3>()
        .0
        .iter()
        .map(|&[red, green, blue]| {
            let exact = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
            exact.round() as u8
        })
        .collect();
    let mut orb = Orb::new(OrbSettings::default()).unwrap();
    let of_grey = orb
        .detect_grey(shapes.width(), shapes.height(), &grey)
        .unwrap();
    assert_eq!(orb.detect(&shapes), of_grey);
}

#[test]
fn an_image_of_one_colour_has_no_key_points() {
    for settings in settings() {
        let image = RgbImage::from_pixels(100, 100, vec![90; 30_000]).unwrap();
        assert!(Orb::new(settings).unwrap().detect(&image).is_empty());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let defaults = OrbSettings::default();
    let refused = |settings| Orb::new(settings).err().unwrap().to_string();
    let of_scale = |scale_factor| OrbSettings {
        scale_factor,
        ..defaults
    };
    for scale_factor in [1.0, 4.1, f32::NAN, f32::INFINITY, -2.0] {
        let message = refused(of_scale(scale_factor));
        assert!(message.starts_with("the scale factor between levels must be above 1"));
    }
    assert_eq!(
        refused(OrbSettings {
            features: 0,
            ..defaults
        }),
        "an image can be asked for 1 to 1000000 key points, got 0"
    );
    for levels in [0, 33] {
        let error = Orb::new(OrbSettings { levels, ..defaults }).err();
        assert_eq!(error, Some(OrbError::Levels { got: levels }));
    }
    for patch_px in [0, 1, 128] {
        let error = Orb::new(OrbSettings {
            patch_px,
            ..defaults
        })
        .err();
        assert_eq!(error, Some(OrbError::Patch { got: patch_px }));
    }
    let error = Orb::new(OrbSettings {
        edge_px: 5000,
        ..defaults
    })
    .err();
    assert_eq!(error, Some(OrbError::Edge { got: 5000 }));
    let error = Orb::new(defaults)
        .unwrap()
        .detect_grey(10, 10, &[0; 99])
        .err();
    assert_eq!(
        error.unwrap().to_string(),
        "a grey image of 10 x 10 pixels takes 100 bytes, got 99"
    );
    let none = Orb::new(defaults).unwrap().detect_grey(0, 5, &[]).unwrap();
    assert!(none.is_empty());
}
