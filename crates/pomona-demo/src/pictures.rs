//! The pictures that the photos are made of, and what they show.

/// A drawn fruit or vegetable: WebP, 256 × 256 pixels, transparent around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Picture {
    /// The label its photos get.
    pub(crate) label: &'static str,
    /// The WebP file.
    pub(crate) webp: &'static [u8],
}

/// A picture by the code point that names its file.
macro_rules! picture {
    ($code_point:literal, $label:literal) => {
        Picture {
            label: $label,
            webp: include_bytes!(concat!("../assets/", $code_point, ".webp")),
        }
    };
}

/// All pictures, by label.
#[rustfmt::skip]
pub(crate) const PICTURES: [Picture; 32] = [
    picture!("1f34f", "Apple Green"),
    picture!("1f34e", "Apple Red"),
    picture!("1f346", "Aubergine"),
    picture!("1f951", "Avocado"),
    picture!("1f34c", "Banana"),
    picture!("1fad0", "Blueberry"),
    picture!("1f966", "Broccoli"),
    picture!("1f955", "Carrot"),
    picture!("1f352", "Cherry"),
    picture!("1f330", "Chestnut"),
    picture!("1f336-fe0f", "Chilli"),
    picture!("1f965", "Coconut"),
    picture!("1f952", "Cucumber"),
    picture!("1f9c4", "Garlic"),
    picture!("1f347", "Grape"),
    picture!("1f95d", "Kiwi"),
    picture!("1f34b", "Lemon"),
    picture!("1f34a", "Mandarin"),
    picture!("1f96d", "Mango"),
    picture!("1f348", "Melon"),
    picture!("1fad2", "Olive"),
    picture!("1f9c5", "Onion"),
    picture!("1f351", "Peach"),
    picture!("1f95c", "Peanut"),
    picture!("1f350", "Pear"),
    picture!("1fad1", "Pepper Green"),
    picture!("1f34d", "Pineapple"),
    picture!("1f954", "Potato"),
    picture!("1f353", "Strawberry"),
    picture!("1f33d", "Sweetcorn"),
    picture!("1f345", "Tomato"),
    picture!("1f349", "Watermelon"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_unique() {
        assert!(
            PICTURES
                .windows(2)
                .all(|pair| pair[0].label < pair[1].label)
        );
    }

    #[test]
    fn pictures_are_unique() {
        for (i, a) in PICTURES.iter().enumerate() {
            assert!(
                PICTURES[..i].iter().all(|b| a.webp != b.webp),
                "{}",
                a.label
            );
        }
    }
}
