//! Third-party decoders that panic on damaged input must cost one photo, not the process, and not the terminal.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IN_DECODER: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// The closure panicked; nothing was printed.
pub(crate) struct Panicked;

/// Runs `decode`; a panic inside becomes an error and prints nothing.
///
/// The panic hook prints before unwinding starts, so catching alone would leave the message on the terminal. The
/// hook in place is wrapped once by one that stays silent for a thread inside this function and hands every other
/// panic on. A program that replaces the hook later gets the message back and loses nothing else.
pub(crate) fn catch<T>(decode: impl FnOnce() -> T) -> Result<T, Panicked> {
    // The hook cannot be set from a thread that is already unwinding.
    if !std::thread::panicking() {
        HOOK.call_once(|| {
            let previous = take_hook();
            set_hook(Box::new(move |info| {
                if !IN_DECODER.try_with(Cell::get).unwrap_or(false) {
                    previous(info);
                }
            }));
        });
    }
    let before = IN_DECODER.replace(true);
    // What the closure captured is dropped with the failed decoding: nothing half-changed is seen afterwards.
    let result = catch_unwind(AssertUnwindSafe(decode)).map_err(|_| Panicked);
    IN_DECODER.set(before);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only test of this crate's own test program that decodes, so that the hook below is the one wrapped.
    #[test]
    fn a_panic_inside_is_an_error_without_a_word_and_others_are_heard() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static HEARD: AtomicUsize = AtomicUsize::new(0);
        let original = take_hook();
        set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some("outside") {
                HEARD.fetch_add(1, Ordering::SeqCst);
            } else {
                original(info);
            }
        }));
        let outside = |work: fn()| {
            let thread = std::thread::Builder::new().name("outside".into());
            let _ = thread.spawn(work).unwrap().join();
            HEARD.load(Ordering::SeqCst)
        };
        assert_eq!(
            outside(|| assert!(catch(|| panic!("no such thing")).is_err())),
            0
        );
        assert_eq!(outside(|| assert!(matches!(catch(|| 7), Ok(7)))), 0);
        assert_eq!(outside(|| panic!("heard")), 1);
    }
}
