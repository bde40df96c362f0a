//! RGB to a baseline JPEG, for thumbnails and demonstration photos.

use std::ptr;

use mozjpeg_sys as sys;

use super::session::{error_manager, guarded};
use crate::encode::EncodeError;
use crate::rgb::RgbImage;

/// A libjpeg compressor that writes into a vector. Destroyed, with all it allocated, on drop.
struct Compressor {
    info: Box<sys::jpeg_compress_struct>,
    // libjpeg keeps pointers into these; they are boxed so that they stay where they are.
    _errors: Box<sys::jpeg_error_mgr>,
    destination: Box<Destination>,
}

/// libjpeg's destination with what it fills. `manager` is first, so that a pointer to one is a pointer to the other.
#[repr(C)]
struct Destination {
    manager: sys::jpeg_destination_mgr,
    buffer: [u8; 4096],
    written: Vec<u8>,
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: `info` went through jpeg_create_compress; destroying is allowed in every state after that.
        unsafe { sys::jpeg_destroy_compress(&mut self.info) };
    }
}

/// `quality` as libjpeg counts it, 1..=100. Baseline, chroma halved in both directions, standard Huffman tables: what
/// libjpeg-turbo writes by default, without mozjpeg's slower search for smaller files.
pub(crate) fn encode(image: &RgbImage, quality: u8) -> Result<Vec<u8>, EncodeError> {
    let (width, height) = (image.width(), image.height());
    guarded(|| {
        let mut compressor = Compressor::new();
        let info = &mut *compressor.info;
        info.image_width = width;
        info.image_height = height;
        info.input_components = 3;
        info.in_color_space = sys::JCS_RGB;
        // SAFETY: `info` is a live compressor whose image is described; quality is in libjpeg's range.
        unsafe {
            sys::jpeg_c_set_int_param(
                info,
                sys::JINT_COMPRESS_PROFILE,
                sys::JCP_FASTEST as std::ffi::c_int,
            );
            sys::jpeg_set_defaults(info);
            sys::jpeg_set_quality(info, std::ffi::c_int::from(quality.clamp(1, 100)), 1);
            sys::jpeg_start_compress(info, 1);
        }
        for row in image.pixels().chunks_exact(width as usize * 3) {
            let rows = [row.as_ptr()];
            // SAFETY: one row of image_width × input_components bytes, which libjpeg only reads.
            unsafe { sys::jpeg_write_scanlines(info, rows.as_ptr(), 1) };
        }
        // SAFETY: all rows were written.
        unsafe { sys::jpeg_finish_compress(info) };
        std::mem::take(&mut compressor.destination.written)
    })
    .map_err(|failure| EncodeError::Jpeg {
        width,
        height,
        reason: failure.message,
    })
}

impl Compressor {
    fn new() -> Self {
        let mut errors = error_manager();
        // SAFETY: both structs are plain C data; all zero is a valid value.
        let (mut info, manager) = unsafe {
            (
                Box::new(std::mem::zeroed::<sys::jpeg_compress_struct>()),
                std::mem::zeroed::<sys::jpeg_destination_mgr>(),
            )
        };
        info.common.err = &mut *errors;
        // SAFETY: `info` is zeroed and has its error manager.
        unsafe { sys::jpeg_create_compress(&mut *info) };
        let mut destination = Box::new(Destination {
            manager,
            buffer: [0; 4096],
            written: Vec::new(),
        });
        destination.manager.init_destination = Some(start);
        destination.manager.empty_output_buffer = Some(flush);
        destination.manager.term_destination = Some(finish);
        info.dest = ptr::from_mut(&mut *destination).cast();
        Self {
            info,
            _errors: errors,
            destination,
        }
    }
}

/// The destination of a compressor that [`Compressor::new`] made.
///
/// # Safety
/// `info.dest` points to the `manager` of a live [`Destination`].
unsafe fn destination(info: &mut sys::jpeg_compress_struct) -> &mut Destination {
    // SAFETY: the caller's promise; `manager` is the first member of a `repr(C)` struct, and the pointer was made
    // from the whole of it.
    unsafe { &mut *info.dest.cast::<Destination>() }
}

impl Destination {
    fn restart(&mut self) {
        self.manager.next_output_byte = self.buffer.as_mut_ptr();
        self.manager.free_in_buffer = self.buffer.len();
    }
}

unsafe extern "C-unwind" fn start(info: &mut sys::jpeg_compress_struct) {
    // SAFETY: libjpeg calls this with the destination of `Compressor::new`.
    unsafe { destination(info) }.restart();
}

/// libjpeg calls this when the whole buffer is full, whatever `free_in_buffer` says.
unsafe extern "C-unwind" fn flush(info: &mut sys::jpeg_compress_struct) -> sys::boolean {
    // SAFETY: libjpeg calls this with the destination of `Compressor::new`.
    let destination = unsafe { destination(info) };
    destination.written.extend_from_slice(&destination.buffer);
    destination.restart();
    1
}

unsafe extern "C-unwind" fn finish(info: &mut sys::jpeg_compress_struct) {
    // SAFETY: libjpeg calls this with the destination of `Compressor::new`.
    let destination = unsafe { destination(info) };
    let used = destination
        .buffer
        .len()
        .saturating_sub(destination.manager.free_in_buffer);
    destination
        .written
        .extend_from_slice(&destination.buffer[..used]);
}
