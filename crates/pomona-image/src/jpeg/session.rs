//! What decoding and encoding share: an error manager that unwinds quietly, and the way back from it.

use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mozjpeg_sys as sys;

/// libjpeg stopped.
#[derive(Debug)]
pub(super) struct Failure {
    /// One of libjpeg's message numbers (`JERR_…`), or [`TOO_MANY_SCANS`].
    pub(super) code: c_int,
    /// libjpeg's own words.
    pub(super) message: String,
}

/// The code of a [`Failure`] that is ours.
pub(super) const TOO_MANY_SCANS: c_int = -1;

/// An error manager whose errors unwind with a [`Failure`] and whose messages go nowhere.
pub(super) fn error_manager() -> Box<sys::jpeg_error_mgr> {
    // SAFETY: the struct is plain C data (numbers, null pointers, absent functions); all zero is a valid value.
    let mut manager: Box<sys::jpeg_error_mgr> = Box::new(unsafe { std::mem::zeroed() });
    // SAFETY: the argument is a valid struct of the size libjpeg expects, which it fills.
    unsafe { sys::jpeg_std_error(&mut manager) };
    manager.error_exit = Some(error_exit);
    manager.emit_message = Some(emit_message);
    manager.output_message = Some(output_message);
    manager
}

/// Runs libjpeg calls; an error that libjpeg raised inside comes back as the [`Failure`].
///
/// libjpeg leaves its error handler by a non-local jump: here by unwinding, for which its C code is compiled with
/// unwind tables. `resume_unwind` does not run the panic hook, so nothing is printed. A panic that is not ours goes on.
pub(super) fn guarded<T>(calls: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(calls)).map_err(|payload| match payload.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(other) => resume_unwind(other),
    })
}

/// Leaves libjpeg with `failure`. Only from libjpeg's callbacks, inside [`guarded`].
pub(super) fn leave(failure: Failure) -> ! {
    resume_unwind(Box::new(failure))
}

unsafe extern "C-unwind" fn error_exit(common: &mut sys::jpeg_common_struct) {
    // SAFETY: libjpeg calls its error handlers with the manager it was given, which lives as long as the session.
    let manager = unsafe { &mut *common.err };
    let code = manager.msg_code;
    let message = message(manager);
    leave(Failure { code, message })
}

/// Warnings (level −1) are counted as libjpeg itself does; traces are dropped.
unsafe extern "C-unwind" fn emit_message(common: &mut sys::jpeg_common_struct, level: c_int) {
    if level < 0 {
        // SAFETY: as in `error_exit`.
        unsafe { (*common.err).num_warnings += 1 };
    }
}

unsafe extern "C-unwind" fn output_message(_: &mut sys::jpeg_common_struct) {}

/// libjpeg's message with its parameters put in.
fn message(manager: &mut sys::jpeg_error_mgr) -> String {
    let unknown = || String::from("unknown JPEG error");
    if manager.jpeg_message_table.is_null()
        || manager.msg_code < 0
        || manager.msg_code > manager.last_jpeg_message
    {
        return unknown();
    }
    // SAFETY: the table holds `last_jpeg_message + 1` pointers, and the code was checked against that.
    let text = unsafe {
        *manager
            .jpeg_message_table
            .add(manager.msg_code.unsigned_abs() as usize)
    };
    if text.is_null() {
        return unknown();
    }
    // SAFETY: libjpeg's messages are static, zero-terminated strings.
    let text = unsafe { CStr::from_ptr(text.cast()) }.to_string_lossy();
    fill_in(
        &text,
        &manager.msg_parm._bindgen_data_.map(u32::cast_signed),
    )
}

/// Puts `numbers` in the places of `%d`, `%u`, `%ld`, `%02x`…; a text parameter (`%s`) is left out.
fn fill_in(text: &str, numbers: &[i32]) -> String {
    let mut message = String::new();
    let mut numbers = numbers.iter();
    let mut parts = text.split('%');
    message.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let Some(end) = part.find(|letter: char| letter.is_ascii_alphabetic() && letter != 'l')
        else {
            message.push_str(part);
            continue;
        };
        let number = numbers.next().copied().unwrap_or_default();
        match part.as_bytes().get(end) {
            Some(b'x' | b'X') => message.push_str(&format!("{number:02x}")),
            Some(b'd' | b'u') => message.push_str(&number.to_string()),
            _ => {}
        }
        message.push_str(part.get(end + 1..).unwrap_or_default());
    }
    message
}

#[cfg(test)]
mod tests {
    use super::fill_in;

    #[test]
    fn parameters_are_put_in() {
        assert_eq!(fill_in("Bogus DQT index %d", &[7]), "Bogus DQT index 7");
        assert_eq!(
            fill_in("SOF type 0x%02x of %ld", &[0xc3, 2]),
            "SOF type 0xc3 of 2"
        );
        assert_eq!(fill_in("plain", &[]), "plain");
    }
}
