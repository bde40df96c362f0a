//! Results do not depend on how many threads there are, to the bit.
#![expect(clippy::unwrap_used, reason = "tests say what they expect by failing")]

mod common;

use common::{fit, reduce, skewed_rows};
use pomona_learn::{Components, Moments, Reducer, SealedFile};

const COLUMNS: usize = 700;

/// Everything a fit yields, as bytes.
fn fitted_bytes(rows: &[f32]) -> Vec<Vec<u8>> {
    let mut moments = Moments::new(COLUMNS);
    for batch in rows.chunks(37 * COLUMNS) {
        moments.update(batch).unwrap();
    }
    let mut bytes = vec![moments.to_bytes()];
    for scale in [true, false] {
        let reducer: Reducer = fit(&moments, Components::Share(0.99), scale).reducer;
        let mut file = SealedFile::new(serde_json::json!({}));
        reducer.write_into(&mut file);
        bytes.push(file.to_bytes().unwrap());
        let reduced = reduce(&reducer, &rows[..50 * COLUMNS]);
        bytes.push(
            reduced
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        );
    }
    bytes
}

#[test]
fn the_same_bits_on_one_thread_and_on_many() {
    let rows = skewed_rows(1_300, COLUMNS, 1);
    let on = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| fitted_bytes(&rows))
    };
    let one = on(1);
    for threads in [2, 3, 8] {
        assert!(
            on(threads) == one,
            "{threads} threads give other bytes than one"
        );
    }
}

/// Fits that share the threads with others neither wait for ever nor change.
#[test]
fn the_same_bits_with_several_fits_at_once() {
    let rows = skewed_rows(300, COLUMNS, 2);
    let alone = fitted_bytes(&rows);
    std::thread::scope(|scope| {
        let fits: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| fitted_bytes(&rows)))
            .collect();
        for fit in fits {
            assert!(fit.join().unwrap() == alone);
        }
    });
}
