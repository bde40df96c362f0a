//! What holds for every image: sizes, constants, order, round trips.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests say what they expect by failing"
)]

use pomona_image::{
    Kernel, Limits, Preparation, RgbImage, decode, encode_jpeg, encode_png, resize, thumbnail,
};
use proptest::prelude::*;

const KERNELS: [Kernel; 4] = [
    Kernel::Nearest,
    Kernel::Bilinear,
    Kernel::Bicubic,
    Kernel::Lanczos3,
];

const STEPS: [&str; 7] = [
    "grey",
    "gamma=0.7",
    "levels",
    "clahe",
    "median=5",
    "bilateral",
    "nlm=10:3:5",
];

fn image(side: u32) -> impl Strategy<Value = RgbImage> {
    (1..=side, 1..=side).prop_flat_map(|(width, height)| {
        proptest::collection::vec(any::<u8>(), (width * height * 3) as usize)
            .prop_map(move |pixels| RgbImage::from_pixels(width, height, pixels).unwrap())
    })
}

fn constant(width: u32, height: u32, colour: [u8; 3]) -> RgbImage {
    RgbImage::from_pixels(width, height, colour.repeat((width * height) as usize)).unwrap()
}

/// Rows and columns exchanged.
fn transposed(image: &RgbImage) -> RgbImage {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let pixels = (0..width)
        .flat_map(|x| (0..height).flat_map(move |y| (0..3).map(move |c| (y * width + x) * 3 + c)))
        .map(|index| image.pixels()[index])
        .collect();
    RgbImage::from_pixels(image.height(), image.width(), pixels).unwrap()
}

proptest! {
    #[test]
    fn resizing_to_the_same_size_changes_nothing(image in image(20), kernel in 0..4_usize) {
        prop_assert_eq!(&resize(&image, image.width(), image.height(), KERNELS[kernel]), &image);
    }

    #[test]
    fn a_constant_image_stays_constant(
        from in (1..60_u32, 1..60_u32),
        to in (1..60_u32, 1..60_u32),
        colour in any::<[u8; 3]>(),
        kernel in 0..4_usize,
    ) {
        let resized = resize(&constant(from.0, from.1, colour), to.0, to.1, KERNELS[kernel]);
        prop_assert_eq!(resized, constant(to.0, to.1, colour));
    }

    #[test]
    fn one_axis_is_treated_as_the_other(image in image(40), to in 1..60_u32, kernel in 0..4_usize) {
        let across = resize(&image, to, image.height(), KERNELS[kernel]);
        let down = resize(&transposed(&image), image.height(), to, KERNELS[kernel]);
        prop_assert_eq!(across, transposed(&down));
    }

    #[test]
    fn a_triangle_never_leaves_the_range_of_its_input(image in image(20), to in (1..40_u32, 1..40_u32)) {
        let resized = resize(&image, to.0, to.1, Kernel::Bilinear);
        let (low, high) = (image.pixels().iter().min(), image.pixels().iter().max());
        prop_assert!(resized.pixels().iter().min() >= low && resized.pixels().iter().max() <= high);
    }

    #[test]
    fn steps_keep_the_size_and_constants_of_any_image(image in image(24), step in 0..7_usize, grey in any::<u8>()) {
        let chain: Preparation = STEPS[step].parse().unwrap();
        let prepared = chain.apply(image.clone());
        prop_assert_eq!((prepared.width(), prepared.height()), (image.width(), image.height()));
        // Gamma and histogram equalisation move a constant; it stays one.
        let flat = chain.apply(constant(image.width(), image.height(), [grey; 3]));
        if !STEPS[step].starts_with("clahe") {
            let first = flat.pixels()[0];
            prop_assert!(flat.pixels().iter().all(|&value| value == first));
            prop_assert!(first == grey || STEPS[step].starts_with("gamma"));
        }
    }

    #[test]
    fn png_gives_back_what_it_was_given(image in image(24)) {
        let decoded = decode(&encode_png(&image).unwrap(), &Limits::default()).unwrap();
        prop_assert_eq!(decoded.image, image);
    }

    #[test]
    fn a_chain_survives_writing(steps in proptest::collection::vec(0..7_usize, 0..5)) {
        let text = steps.iter().map(|&step| STEPS[step]).collect::<Vec<_>>().join(",");
        let chain: Preparation = text.parse().unwrap();
        prop_assert_eq!(chain.is_empty(), steps.is_empty());
        prop_assert_eq!(chain.to_string().parse::<Preparation>().unwrap(), chain);
    }

    #[test]
    fn thumbnails_fit_and_are_never_larger(image in image(90), side in 1..100_u32) {
        let small = thumbnail(&image, side);
        let longer = image.width().max(image.height());
        prop_assert_eq!(small.width().max(small.height()), side.min(longer));
        prop_assert!(small.width() <= image.width() && small.height() <= image.height());
    }
}

#[test]
fn steps_are_applied_in_the_order_given() {
    let pixels = (0..30 * 20 * 3)
        .map(|index| (index * index % 251) as u8)
        .collect();
    let image = RgbImage::from_pixels(30, 20, pixels).unwrap();
    let apply = |chain: &str| chain.parse::<Preparation>().unwrap().apply(image.clone());
    assert_ne!(
        apply("median,gamma=0.5,levels"),
        apply("levels,median,gamma=0.5")
    );
    let one_by_one = "levels"
        .parse::<Preparation>()
        .unwrap()
        .apply(apply("median"));
    assert_eq!(apply("median,levels"), one_by_one);
    assert_eq!(apply(""), image);
}

#[test]
fn a_big_photo_keeps_its_colours_as_a_thumbnail() {
    // Left half red, right half blue.
    let row: Vec<u8> = [[250, 10, 10].repeat(1000), [10, 10, 250].repeat(1000)].concat();
    let image = RgbImage::from_pixels(2000, 1500, row.repeat(1500)).unwrap();
    let small = thumbnail(&image, 96);
    assert_eq!((small.width(), small.height()), (96, 72));
    assert_eq!(small.pixels()[..3], [250, 10, 10]);
    assert_eq!(small.pixels()[95 * 3..96 * 3], [10, 10, 250]);
}

#[test]
fn jpegs_written_here_are_close_and_better_with_quality() {
    let pixels = (0..64 * 48).flat_map(|index| {
        let (x, y) = (index % 64, index / 64);
        [x * 4, y * 5, 255 - x * 2 - y].map(|value| value.min(255) as u8)
    });
    let image = RgbImage::from_pixels(64, 48, pixels.collect()).unwrap();
    let error = |quality| {
        let bytes = encode_jpeg(&image, quality).unwrap();
        let decoded = decode(&bytes, &Limits::default()).unwrap().image;
        let sum: u32 = decoded
            .pixels()
            .iter()
            .zip(image.pixels())
            .map(|(a, b)| u32::from(a.abs_diff(*b)))
            .sum();
        f64::from(sum) / image.pixels().len() as f64
    };
    assert!(
        error(95) < 2.0 && error(95) < error(40),
        "{} {}",
        error(95),
        error(40)
    );
    let wide = RgbImage::from_pixels(65_501, 1, vec![0; 65_501 * 3]).unwrap();
    assert!(
        encode_jpeg(&wide, 80)
            .unwrap_err()
            .to_string()
            .starts_with("an image of 65501 x 1 pixels")
    );
}

#[test]
fn shapes_are_checked() {
    assert!(RgbImage::from_pixels(2, 2, vec![0; 12]).is_ok());
    assert!(RgbImage::from_pixels(0, 2, vec![]).is_err());
    assert!(RgbImage::from_pixels(u32::MAX, u32::MAX, vec![0; 3]).is_err());
    let message = RgbImage::from_pixels(2, 2, vec![0; 11])
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "an image of 2 x 2 pixels takes 12 bytes (3 a pixel, at least one pixel), got 11"
    );
}
