//! Floats as the shortest decimals that read back as the same float.

/// Adds the shortest decimal of a float that reads back as it, without an exponent, as the standard library displays it:
/// `0.1`, `-2`, `0.00000001`, `NaN`, `inf`.
///
/// Schubfach, see R. Giulietti, "The Schubfach way to render doubles" (2021), for 32 bits.
pub(crate) fn push_float(text: &mut Vec<u8>, value: f32) {
    let bits = value.to_bits();
    if !value.is_finite() {
        let told = match (value.is_nan(), value > 0.0) {
            (true, _) => "NaN",
            (false, true) => "inf",
            (false, false) => "-inf",
        };
        text.extend_from_slice(told.as_bytes());
        return;
    }
    if bits >> 31 == 1 {
        text.push(b'-');
    }
    let (fraction, exponent) = (bits & FRACTION, bits >> 23 & 0xFF);
    if fraction == 0 && exponent == 0 {
        text.push(b'0');
        return;
    }
    let (mut digits, mut power) = shortest(fraction, exponent);
    while digits % 10 == 0 {
        digits /= 10;
        power += 1;
    }
    push_plain(text, digits, power);
}

const FRACTION: u32 = (1 << 23) - 1;
/// The lowest and the highest power of ten that a float needs.
const POWERS: std::ops::RangeInclusive<i32> = -31..=45;
const COUNT: usize = 77;
/// Of each of those powers the first 64 bits, rounded up.
static TENS: [u64; COUNT] = tens();

const fn tens() -> [u64; COUNT] {
    let mut all = [0; COUNT];
    let mut index = 0;
    while index < COUNT {
        let power = index as i32 + *POWERS.start();
        // Powers of two only move the bits: 5 stands for 10.
        let mut five: u128 = 1;
        let mut left = power.unsigned_abs();
        while left > 0 {
            five *= 5;
            left -= 1;
        }
        let length = 128 - five.leading_zeros();
        all[index] = if power >= 0 {
            if length <= 64 {
                (five as u64) << (64 - length)
            } else {
                let cut = length - 64;
                let top = (five >> cut) as u64;
                if five & ((1 << cut) - 1) == 0 {
                    top
                } else {
                    top + 1
                }
            }
        } else {
            // The quotient of the power of two below it by it, bit by bit: it is between 1/2 and 1, and never ends.
            let (mut rest, mut quotient, mut bit) = (1_u128 << (length - 1), 0_u64, 0);
            while bit < 64 {
                rest <<= 1;
                quotient <<= 1;
                if rest >= five {
                    rest -= five;
                    quotient |= 1;
                }
                bit += 1;
            }
            quotient + 1
        };
        index += 1;
    }
    all
}

fn floor_log2_pow10(power: i32) -> i32 {
    (power * 1_741_647) >> 19
}

/// The product's high bits, with the lowest set where anything follows that matters.
fn to_odd(ten: u64, scaled: u32) -> u32 {
    let product = u128::from(ten) * u128::from(scaled);
    let (high, low) = ((product >> 64) as u32, (product >> 32) as u32);
    high | u32::from(low > 1)
}

/// Digits and the power of ten that they are multiplied with; the digits may end with zeros.
fn shortest(fraction: u32, exponent: u32) -> (u32, i32) {
    const HIDDEN: u32 = 1 << 23;
    let (significand, power) = if exponent == 0 {
        (fraction, -149)
    } else {
        (fraction | HIDDEN, exponent as i32 - 150)
    };
    // Small whole numbers.
    if exponent != 0 && (-23..=0).contains(&power) {
        let below = 1_u32 << -power;
        if significand & (below - 1) == 0 {
            return (significand >> -power, 0);
        }
    }
    let is_even = significand & 1 == 0;
    // Below a power of two floats lie closer together.
    let is_narrow = fraction == 0 && exponent > 1;
    let tens = if is_narrow {
        (power * 1_262_611 - 524_031) >> 22
    } else {
        (power * 1_262_611) >> 22
    };
    let shift = power + floor_log2_pow10(-tens) + 1;
    let ten = TENS[(-tens - POWERS.start()) as usize];
    let middle = 4 * significand;
    let lower = to_odd(ten, (middle - 2 + u32::from(is_narrow)) << shift);
    let value = to_odd(ten, middle << shift);
    let upper = to_odd(ten, (middle + 2) << shift);
    let (lower, upper) = (lower + u32::from(!is_even), upper - u32::from(!is_even));
    let digits = value / 4;
    if digits >= 10 {
        let shorter = digits / 10;
        let is_low_inside = lower <= 40 * shorter;
        let is_high_inside = 40 * shorter + 40 <= upper;
        if is_low_inside != is_high_inside {
            return (shorter + u32::from(is_high_inside), tens + 1);
        }
    }
    let is_low_inside = lower <= 4 * digits;
    let is_high_inside = 4 * digits + 4 <= upper;
    if is_low_inside != is_high_inside {
        return (digits + u32::from(is_high_inside), tens);
    }
    // Halves go up, as in the standard library; the paper takes the even digit.
    let rounds_up = value >= 4 * digits + 2;
    (digits + u32::from(rounds_up), tens)
}

fn push_plain(text: &mut Vec<u8>, mut digits: u32, power: i32) {
    let mut written = [0_u8; 10];
    let mut first = written.len();
    while first == written.len() || digits > 0 {
        first -= 1;
        written[first] = b'0' + (digits % 10) as u8;
        digits /= 10;
    }
    let written = &written[first..];
    let point = written.len() as i32 + power;
    if power >= 0 {
        text.extend_from_slice(written);
        text.resize(text.len() + power as usize, b'0');
    } else if point > 0 {
        let (whole, rest) = written.split_at(point as usize);
        text.extend_from_slice(whole);
        text.push(b'.');
        text.extend_from_slice(rest);
    } else {
        text.extend_from_slice(b"0.");
        text.resize(text.len() + point.unsigned_abs() as usize, b'0');
        text.extend_from_slice(written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bits: u32, text: &mut Vec<u8>) {
        let value = f32::from_bits(bits);
        text.clear();
        push_float(text, value);
        assert_eq!(
            std::str::from_utf8(text).unwrap(),
            value.to_string(),
            "{bits:#x}"
        );
    }

    #[test]
    fn all_exponents_and_edges_are_as_the_standard_library_displays_them() {
        let mut text = Vec::new();
        for exponent in 0..=255_u32 {
            for fraction in [0, 1, 2, 3, 0x3F_FFFF, 0x40_0000, 0x7F_FFFE, 0x7F_FFFF] {
                for sign in [0, 1 << 31] {
                    check(sign | exponent << 23 | fraction, &mut text);
                }
            }
        }
        for value in [
            0.1_f32,
            0.3,
            1.0,
            10.0,
            1e10,
            16_777_216.0,
            9.999_999e9,
            1e-7,
        ] {
            check(value.to_bits(), &mut text);
        }
    }

    #[test]
    fn floats_of_every_size_are_as_the_standard_library_displays_them() {
        let mut text = Vec::new();
        // A prime step: all fractions, exponents and both signs.
        for number in 0..300_000_u32 {
            check(number.wrapping_mul(2_654_435_761), &mut text);
        }
    }

    #[test]
    #[ignore = "a quarter of an hour"]
    fn each_float_is_as_the_standard_library_displays_it() {
        let mut text = Vec::new();
        for bits in 0..=u32::MAX {
            check(bits, &mut text);
        }
    }
}
