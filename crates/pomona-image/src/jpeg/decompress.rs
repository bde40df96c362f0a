//! One JPEG in memory to rows of RGB.

use std::ffi::{c_int, c_long, c_void};
use std::ptr;

use mozjpeg_sys as sys;

use super::session::{Failure, TOO_MANY_SCANS, error_manager, guarded, leave};
use crate::decode::{check_size, pixel_buffer};
use crate::error::{DecodeError, Excess};
use crate::flatten::cmyk_to_rgb;
use crate::format::Format;
use crate::limits::{DECODER_OVERHEAD_BYTES, Limits};
use crate::rgb::RgbImage;

/// Encoders write about ten scans. Each costs a pass over all coefficients, so that a small file with thousands
/// of empty ones would keep a core busy for hours.
const MAX_SCANS: u32 = 100;

/// Coefficients of a progressive image: two bytes each, at most four components.
const COEFFICIENT_BYTES_PER_PIXEL: u64 = 8;

/// Rows asked for at once; libjpeg gives fewer where it has fewer.
const ROWS: usize = 16;

/// A libjpeg decompressor over bytes in memory. Destroyed, with all it allocated, on drop.
struct Decompressor<'a> {
    info: Box<sys::jpeg_decompress_struct>,
    // libjpeg keeps pointers into these; they are boxed so that they stay where they are.
    _errors: Box<sys::jpeg_error_mgr>,
    _source: Box<sys::jpeg_source_mgr>,
    _progress: Box<sys::jpeg_progress_mgr>,
    _bytes: std::marker::PhantomData<&'a [u8]>,
}

impl Drop for Decompressor<'_> {
    fn drop(&mut self) {
        // SAFETY: `info` was zeroed and then handed to jpeg_create_decompress; destroying is allowed in every state
        // after that, also after an error, and raises none itself.
        unsafe { sys::jpeg_destroy_decompress(&mut self.info) };
    }
}

/// Decodes to stored (not yet upright) RGB.
pub(super) fn decompress(bytes: &[u8], limits: &Limits) -> Result<RgbImage, DecodeError> {
    guarded(|| {
        let mut decompressor = Decompressor::new(bytes);
        decompressor.read(limits)
    })
    .unwrap_or_else(|failure| Err(explain(failure)))
}

fn truncated() -> DecodeError {
    DecodeError::truncated(Format::Jpeg)
}

impl<'a> Decompressor<'a> {
    /// May leave through [`leave`]: only inside [`guarded`].
    fn new(bytes: &'a [u8]) -> Self {
        let mut errors = error_manager();
        // SAFETY: all three structs are plain C data; all zero (null pointers, absent functions) is a valid value.
        let (mut info, mut source, mut progress) = unsafe {
            (
                Box::new(std::mem::zeroed::<sys::jpeg_decompress_struct>()),
                Box::new(std::mem::zeroed::<sys::jpeg_source_mgr>()),
                Box::new(std::mem::zeroed::<sys::jpeg_progress_mgr>()),
            )
        };
        info.common.err = &mut *errors;
        // SAFETY: `info` is zeroed and has its error manager, as jpeg_create_decompress asks.
        unsafe { sys::jpeg_create_decompress(&mut *info) };
        source.next_input_byte = bytes.as_ptr();
        source.bytes_in_buffer = bytes.len();
        source.init_source = Some(nothing);
        source.fill_input_buffer = Some(no_more_bytes);
        source.skip_input_data = Some(skip);
        source.resync_to_restart = Some(sys::jpeg_resync_to_restart);
        source.term_source = Some(nothing);
        info.src = &mut *source;
        progress.progress_monitor = Some(count_scans);
        info.common.progress = &mut *progress;
        Self {
            info,
            _errors: errors,
            _source: source,
            _progress: progress,
            _bytes: std::marker::PhantomData,
        }
    }

    /// May leave through [`leave`]: only inside [`guarded`].
    fn read(&mut self, limits: &Limits) -> Result<RgbImage, DecodeError> {
        let info = &mut *self.info;
        // SAFETY: `info` is a live decompressor with a source.
        if unsafe { sys::jpeg_read_header(info, 1) } != HEADER_OK {
            return Err(truncated());
        }
        let (width, height) = (info.image_width, info.image_height);
        check_size(Format::Jpeg, width, height, limits)?;
        let components = match info.num_components {
            1 => 1,
            3 => 3,
            4 => 4,
            _ => {
                return Err(DecodeError::UnsupportedFormat {
                    format: "a JPEG of neither 1, 3 nor 4 components",
                });
            }
        };
        info.out_color_space = match components {
            1 => sys::JCS_GRAYSCALE,
            3 => sys::JCS_RGB,
            _ => sys::JCS_CMYK,
        };
        info.dct_method = sys::J_DCT_METHOD::JDCT_ISLOW;
        info.do_fancy_upsampling = 1;
        let memory = u64::from(width) * u64::from(height) * COEFFICIENT_BYTES_PER_PIXEL
            + DECODER_OVERHEAD_BYTES;
        // SAFETY: jpeg_create_decompress set the memory manager.
        unsafe {
            (*info.common.mem).max_memory_to_use = c_long::try_from(memory).unwrap_or(c_long::MAX)
        };
        // SAFETY: `info` has read its header. For a progressive file this reads all of it.
        if unsafe { sys::jpeg_start_decompress(info) } == 0 {
            return Err(truncated());
        }
        // The values below must be what the buffers are made for: libjpeg writes that much.
        if (info.output_width, info.output_height) != (width, height)
            || info.output_components != components
        {
            return Err(DecodeError::stated(
                Format::Jpeg,
                "its header contradicts itself",
            ));
        }
        let pixels = if components == 3 {
            self.read_rows(pixel_buffer::<u8>(width, height, 3)?, width as usize * 3)?
        } else {
            self.read_converted(width, height, components as usize)?
        };
        // SAFETY: all rows were read. Asks for the end marker, without which Pillow refuses the file too.
        if unsafe { sys::jpeg_finish_decompress(&mut self.info) } == 0 {
            return Err(truncated());
        }
        Ok(RgbImage::from_parts(width, height, pixels))
    }

    /// Fills `pixels`, rows of `stride` bytes, directly.
    fn read_rows(&mut self, mut pixels: Vec<u8>, stride: usize) -> Result<Vec<u8>, DecodeError> {
        for block in pixels.chunks_mut(stride * ROWS) {
            self.read_block(block, stride)?;
        }
        Ok(pixels)
    }

    /// Reads grey or CMYK rows and writes RGB.
    fn read_converted(
        &mut self,
        width: u32,
        height: u32,
        components: usize,
    ) -> Result<Vec<u8>, DecodeError> {
        let mut pixels = pixel_buffer::<u8>(width, height, 3)?;
        let stride = width as usize * components;
        let mut rows = vec![0; stride * ROWS];
        for block in pixels.chunks_mut(width as usize * 3 * ROWS) {
            let rows = &mut rows[..block.len() / 3 * components];
            self.read_block(rows, stride)?;
            if components == 1 {
                for (pixel, &grey) in block.chunks_exact_mut(3).zip(&*rows) {
                    pixel.fill(grey);
                }
            } else {
                for (pixel, ink) in block.chunks_exact_mut(3).zip(rows.chunks_exact(4)) {
                    // Adobe writes 255 for no ink; Pillow takes every CMYK JPEG for Adobe's.
                    pixel.copy_from_slice(&cmyk_to_rgb([
                        255 - ink[0],
                        255 - ink[1],
                        255 - ink[2],
                        255 - ink[3],
                    ]));
                }
            }
        }
        Ok(pixels)
    }

    /// Fills `block`: at most [`ROWS`] rows of `stride` bytes, `stride` being what libjpeg writes for one row.
    fn read_block(&mut self, block: &mut [u8], stride: usize) -> Result<(), DecodeError> {
        let mut rows = [ptr::null_mut::<u8>(); ROWS];
        let mut count = 0;
        for (pointer, row) in rows.iter_mut().zip(block.chunks_exact_mut(stride)) {
            *pointer = row.as_mut_ptr();
            count += 1;
        }
        let mut done = 0;
        while done < count {
            // SAFETY: `info` is decompressing; `rows[done..count]` are distinct live rows with room for
            // output_width × output_components bytes, which is `stride`.
            let read = unsafe {
                sys::jpeg_read_scanlines(
                    &mut self.info,
                    rows.as_mut_ptr().add(done),
                    (count - done) as u32,
                )
            };
            if read == 0 {
                return Err(truncated());
            }
            done += read as usize;
        }
        Ok(())
    }
}

/// `JPEG_HEADER_OK`, which the bindings leave out.
const HEADER_OK: c_int = 1;

/// What libjpeg gave up on, for people.
fn explain(failure: Failure) -> DecodeError {
    let too_large = |excess| DecodeError::TooLarge { excess };
    let unsupported = |format| DecodeError::UnsupportedFormat { format };
    match failure.code {
        TOO_MANY_SCANS => too_large(Excess::Scans {
            max_scans: MAX_SCANS,
        }),
        sys::JERR_SOF_UNSUPPORTED => unsupported("lossless or hierarchical JPEG"),
        sys::JERR_ARITH_NOTIMPL => unsupported("arithmetic-coded JPEG"),
        sys::JERR_BAD_PRECISION => unsupported("JPEG with more than 8 bits a value"),
        sys::JERR_NO_BACKING_STORE | sys::JERR_OUT_OF_MEMORY => too_large(Excess::Memory),
        _ => DecodeError::stated(Format::Jpeg, failure.message),
    }
}

unsafe extern "C-unwind" fn nothing(_: &mut sys::jpeg_decompress_struct) {}

/// All bytes were there from the start: suspends, which the callers above take for "the file ends early".
unsafe extern "C-unwind" fn no_more_bytes(_: &mut sys::jpeg_decompress_struct) -> sys::boolean {
    0
}

unsafe extern "C-unwind" fn skip(info: &mut sys::jpeg_decompress_struct, count: c_long) {
    // SAFETY: libjpeg calls this with the source manager set in `Decompressor::new`.
    let source = unsafe { &mut *info.src };
    let count = usize::try_from(count)
        .unwrap_or(0)
        .min(source.bytes_in_buffer);
    // SAFETY: at most the bytes that are left, so the pointer stays within the slice or at its end.
    source.next_input_byte = unsafe { source.next_input_byte.add(count) };
    source.bytes_in_buffer -= count;
}

unsafe extern "C-unwind" fn count_scans(common: &mut sys::jpeg_common_struct) {
    if common.is_decompressor == 0 {
        return;
    }
    let info = ptr::from_mut(common).cast::<c_void>() as *const sys::jpeg_decompress_struct;
    // SAFETY: libjpeg passes the decompressor itself, whose first member is the common part.
    let scans = unsafe { (*info).input_scan_number };
    if u32::try_from(scans).unwrap_or(0) > MAX_SCANS {
        leave(Failure {
            code: TOO_MANY_SCANS,
            message: String::new(),
        })
    }
}
