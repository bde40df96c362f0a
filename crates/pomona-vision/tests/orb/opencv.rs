//! The pictures beside this file give what OpenCV gave in `tools/orb_reference.py`.

use pomona_vision::orb::{Orb, OrbSettings};

use crate::support::{asset, between, descriptor, distance, key_point, number, picture};

#[test]
fn the_small_pictures_give_what_opencv_finds() {
    let reference: serde_json::Value = serde_json::from_slice(&asset("opencv.json")).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    let mut different = 0;
    for case in cases {
        let name = case["picture"].as_str().unwrap();
        let whole = |index: usize| case["settings"][index].as_u64().unwrap() as u32;
        let settings = OrbSettings {
            features: whole(0) as usize,
            scale_factor: number(&case["settings"][1]),
            levels: whole(2),
            edge_px: whole(3),
            patch_px: whole(4),
            fast_threshold: whole(5) as u8,
        };
        let image = picture(&asset(name));
        let mut found = Orb::new(settings).unwrap().detect(&image);
        let mut expected: Vec<_> = case["found"]
            .as_array()
            .unwrap()
            .iter()
            .map(|values| (key_point(values), descriptor(&values[6])))
            .collect();
        assert_eq!(found.len(), expected.len(), "{name}, {settings:?}");
        // OpenCV leaves the order within a level open.
        for points in [&mut found, &mut expected] {
            points.sort_by(|(one, _), (other, _)| {
                (one.octave, one.y, one.x)
                    .partial_cmp(&(other.octave, other.y, other.x))
                    .unwrap()
            });
        }
        for ((found, bits), (expected, expected_bits)) in found.iter().zip(&expected) {
            let place = format!("{name}, {settings:?}: found {found:?}, expected {expected:?}");
            assert_eq!(found.octave, expected.octave, "{place}");
            assert!((found.x - expected.x).abs() < 1e-3, "{place}");
            assert!((found.y - expected.y).abs() < 1e-3, "{place}");
            assert!((found.size - expected.size).abs() < 1e-3, "{place}");
            let angle = between(found.angle_degrees, expected.angle_degrees);
            assert!(angle < 1e-3, "{place}");
            let response = (found.response - expected.response).abs();
            assert!(response <= 1e-6 * expected.response.abs(), "{place}");
            different += distance(bits, expected_bits);
        }
    }
    // A sine in another last digit may move a point that lies between two pixels.
    assert!(different <= 2, "{different} bits differ");
}
