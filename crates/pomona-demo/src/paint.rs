//! From a picture and a scene to the pixels of a photo.

use crate::error::DemoError;
use crate::pictures::Picture;
use crate::scene::Scene;
use image::RgbaImage;

/// Samples per pixel in each direction.
const SAMPLES: usize = 3;
/// Alpha above which a pixel counts as part of the fruit.
const VISIBLE: f32 = 0.05;
/// Side of the coarse map that the shadow is made of.
const SHADOW_SIDE: usize = 32;

/// A decoded picture, ready to be painted many times.
pub(crate) struct Subject {
    /// Width and height in pixels.
    width: usize,
    height: usize,
    /// Red, green, blue, each times alpha, and alpha, all in [0, 1], row by row.
    pixels: Vec<[f32; 4]>,
    /// Middle of what is not transparent, in pixels.
    middle: [f32; 2],
    /// Diameter in pixels of the circle about the middle that holds all of it, however it is turned.
    diameter: f32,
}

impl Subject {
    /// Decodes a picture.
    pub(crate) fn decode(picture: &Picture) -> Result<Self, DemoError> {
        let rgba: RgbaImage =
            image::load_from_memory_with_format(picture.webp, image::ImageFormat::WebP)
                .map_err(|source| DemoError::Picture {
                    label: picture.label,
                    source,
                })?
                .into_rgba8();
        let (width, height) = (rgba.width() as usize, rgba.height() as usize);
        let (mut low, mut high) = ([width, height], [0, 0]);
        let mut pixels = Vec::with_capacity(width * height);
        for (x, y, pixel) in rgba.enumerate_pixels() {
            let [r, g, b, a] = pixel.0.map(|v| f32::from(v) / 255.0);
            pixels.push([r * a, g * a, b * a, a]);
            if a > VISIBLE {
                low = [low[0].min(x as usize), low[1].min(y as usize)];
                high = [high[0].max(x as usize + 1), high[1].max(y as usize + 1)];
            }
        }
        let centre = |i: usize| f32::midpoint(low[i] as f32, high[i] as f32);
        let middle = [centre(0), centre(1)];
        let radius = pixels
            .iter()
            .enumerate()
            .filter(|(_, pixel)| pixel[3] > VISIBLE)
            .map(|(i, _)| {
                ((i % width) as f32 + 0.5 - middle[0]).hypot((i / width) as f32 + 0.5 - middle[1])
            })
            .fold(1.0, f32::max);
        Ok(Self {
            width,
            height,
            pixels,
            middle,
            diameter: radius * 2.0,
        })
    }

    /// The colour at a place in pixels, between the nearest four; transparent outside.
    fn at(&self, x: f32, y: f32) -> [f32; 4] {
        let (x, y) = (x - 0.5, y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        if left < -1.0 || top < -1.0 || left >= self.width as f32 || top >= self.height as f32 {
            return [0.0; 4];
        }
        let (fx, fy) = (x - left, y - top);
        let pixel = |dx: i32, dy: i32| {
            let (px, py) = (left as i32 + dx, top as i32 + dy);
            let inside =
                px >= 0 && py >= 0 && (px as usize) < self.width && (py as usize) < self.height;
            if inside {
                self.pixels[py as usize * self.width + px as usize]
            } else {
                [0.0; 4]
            }
        };
        let (a, b, c, d) = (pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1));
        std::array::from_fn(|i| {
            let upper = a[i] + (b[i] - a[i]) * fx;
            let lower = c[i] + (d[i] - c[i]) * fx;
            upper + (lower - upper) * fy
        })
    }
}

/// From places on the photo, as shares of its width from its middle, to places in the picture.
struct View {
    columns: [[f32; 2]; 2],
    shift: [f32; 2],
    middle: [f32; 2],
}

impl View {
    fn new(scene: &Scene, subject: &Subject) -> Self {
        let scale = subject.diameter / scene.size;
        let (sin, cos) = scene.turn.sin_cos();
        let (tilt_sin, tilt_cos) = scene.tilt_direction.sin_cos();
        // The inverse of what happens to the fruit: undo the tilt, then the turn, then the mirror.
        let stretch = 1.0 / scene.tilt - 1.0;
        let map = |x: f32, y: f32| {
            let along = (x * tilt_cos + y * tilt_sin) * stretch;
            let (x, y) = (x + along * tilt_cos, y + along * tilt_sin);
            let (x, y) = (x * cos + y * sin, y * cos - x * sin);
            [if scene.mirrored { -x } else { x } * scale, y * scale]
        };
        Self {
            columns: [map(1.0, 0.0), map(0.0, 1.0)],
            shift: scene.shift,
            middle: subject.middle,
        }
    }

    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = (x - self.shift[0], y - self.shift[1]);
        (
            self.middle[0] + self.columns[0][0] * x + self.columns[1][0] * y,
            self.middle[1] + self.columns[0][1] * x + self.columns[1][1] * y,
        )
    }
}

/// Paints the subject on white. Returns `side` × `side` pixels of red, green and blue, row by row.
pub(crate) fn paint(subject: &Subject, scene: &Scene, side: usize) -> Vec<u8> {
    let view = View::new(scene, subject);
    let shadow = Shadow::new(subject, &view, scene);
    let (light_y, light_x) = scene.light_direction.sin_cos();
    let mut pixels = Vec::with_capacity(side * side * 3);
    for row in 0..side {
        for column in 0..side {
            let mut sum = [0.0f32; 4];
            for sample in 0..SAMPLES * SAMPLES {
                let dx = (sample % SAMPLES) as f32 + 0.5;
                let dy = (sample / SAMPLES) as f32 + 0.5;
                let (px, py) = view.place(
                    (column as f32 + dx / SAMPLES as f32) / side as f32 - 0.5,
                    (row as f32 + dy / SAMPLES as f32) / side as f32 - 0.5,
                );
                let colour = subject.at(px, py);
                for (s, c) in sum.iter_mut().zip(colour) {
                    *s += c / (SAMPLES * SAMPLES) as f32;
                }
            }
            let x = (column as f32 + 0.5) / side as f32 - 0.5;
            let y = (row as f32 + 0.5) / side as f32 - 0.5;
            let shade = 1.0 + scene.shading * 2.0 * (x * light_x + y * light_y);
            let ground = 1.0 - scene.shadow * shadow.at(x, y);
            for (colour, light) in sum.iter().zip(scene.light) {
                // The fruit takes the light's colour; the ground is overexposed to white but for the shadow.
                let value = (colour * light * shade).min(sum[3]) + (1.0 - sum[3]) * ground;
                pixels.push((value.clamp(0.0, 1.0) * 255.0).round() as u8);
            }
        }
    }
    pixels
}

/// The blurred outline of the subject on the ground, away from the light.
struct Shadow {
    /// Coverage in [0, 1], row by row.
    coverage: Vec<f32>,
    offset: [f32; 2],
}

impl Shadow {
    fn new(subject: &Subject, view: &View, scene: &Scene) -> Self {
        let place = |i: usize| (i as f32 + 0.5) / SHADOW_SIDE as f32 - 0.5;
        let mut coverage: Vec<f32> = (0..SHADOW_SIDE * SHADOW_SIDE)
            .map(|i| {
                let (x, y) = view.place(place(i % SHADOW_SIDE), place(i / SHADOW_SIDE));
                subject.at(x, y)[3]
            })
            .collect();
        for _ in 0..2 {
            blur(&mut coverage, 1);
            blur(&mut coverage, SHADOW_SIDE);
        }
        let (sin, cos) = scene.light_direction.sin_cos();
        Self {
            coverage,
            offset: [-cos * 0.035, -sin * 0.035],
        }
    }

    fn at(&self, x: f32, y: f32) -> f32 {
        let last = (SHADOW_SIDE - 1) as f32;
        let index =
            |v: f32, offset: f32| ((v - offset + 0.5) * SHADOW_SIDE as f32 - 0.5).clamp(0.0, last);
        let (x, y) = (index(x, self.offset[0]), index(y, self.offset[1]));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = (
            (left + 1).min(SHADOW_SIDE - 1),
            (top + 1).min(SHADOW_SIDE - 1),
        );
        let cell = |column: usize, row: usize| self.coverage[row * SHADOW_SIDE + column];
        let (fx, fy) = (x - left as f32, y - top as f32);
        let upper = cell(left, top) + (cell(right, top) - cell(left, top)) * fx;
        let lower = cell(left, bottom) + (cell(right, bottom) - cell(left, bottom)) * fx;
        upper + (lower - upper) * fy
    }
}

/// Averages each cell with its two neighbours along rows (`step` 1) or columns (`step` [`SHADOW_SIDE`]).
fn blur(cells: &mut [f32], step: usize) {
    let before = cells.to_vec();
    for (i, cell) in cells.iter_mut().enumerate() {
        let place = i / step % SHADOW_SIDE;
        let left = if place > 0 {
            before[i - step]
        } else {
            before[i]
        };
        let right = if place + 1 < SHADOW_SIDE {
            before[i + step]
        } else {
            before[i]
        };
        *cell = (left + before[i] * 2.0 + right) / 4.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::PICTURES;
    use crate::scene::Part;

    #[test]
    fn the_edge_is_white_and_the_middle_is_not() {
        for (i, picture) in PICTURES.iter().enumerate() {
            let subject = Subject::decode(picture).unwrap();
            let pixels = paint(&subject, &Scene::new(3, i, Part::Training, 0), 100);
            assert_eq!(pixels.len(), 30_000);
            let edge = |place: usize| {
                [place % 100, place / 100]
                    .iter()
                    .any(|i| [0, 99].contains(i))
            };
            let darkest = pixels
                .iter()
                .enumerate()
                .filter(|(j, _)| edge(j / 3))
                .map(|(_, v)| *v)
                .min();
            assert!(
                darkest >= Some(225),
                "{}: the fruit reaches the edge: {darkest:?}",
                picture.label
            );
            let dark = pixels
                .chunks_exact(3)
                .filter(|p| p.iter().any(|&v| v < 200))
                .count();
            assert!(
                (1_000..9_000).contains(&dark),
                "{}: the fruit covers {dark} pixels",
                picture.label
            );
        }
    }

    #[test]
    fn a_quarter_turn_turns_the_photo() {
        let subject = Subject::decode(&PICTURES[4]).unwrap();
        let mut scene = Scene::new(1, 4, Part::Training, 0);
        (scene.tilt, scene.shading, scene.shadow, scene.shift) = (1.0, 0.0, 0.0, [0.0, 0.0]);
        let upright = paint(&subject, &scene, 64);
        scene.turn += std::f32::consts::FRAC_PI_2;
        let turned = paint(&subject, &scene, 64);
        // Clockwise: what was at (x, y) comes to (63 − y, x).
        let mut worst = 0;
        for y in 0..64 {
            for x in 0..64 {
                for c in 0..3 {
                    let before = upright[(y * 64 + x) * 3 + c];
                    let after = turned[(x * 64 + 63 - y) * 3 + c];
                    worst = worst.max(before.abs_diff(after));
                }
            }
        }
        assert!(worst <= 3, "pixels differ by {worst}");
    }
}
