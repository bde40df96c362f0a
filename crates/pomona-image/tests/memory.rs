//! A file that claims to be huge is refused before room is made for it.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests say what they expect by failing"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use pomona_image::{DecodeError, Limits, decode};

/// Remembers the largest piece ever asked for.
struct Watching;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's promises are the ones the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

fn photo(name: &str) -> Vec<u8> {
    let folder = Path::new("tests/references/photos");
    std::fs::read(folder.join(name)).unwrap()
}

// One test in this program: the allocator is shared by all threads.
#[test]
fn bombs_are_refused_before_anything_large_is_allocated() {
    let mut bombs: Vec<(&str, Vec<u8>)> = [
        "png-bomb.png",
        "webp-bomb.webp",
        "bmp-bomb.bmp",
        "qoi-bomb.qoi",
        "tiff-bomb.tif",
    ]
    .map(|name| (name, photo(name)))
    .into();
    let mut gif = photo("gif-still.gif");
    gif[6..10].fill(0xff);
    bombs.push(("GIF screen", gif));
    for name in ["jpeg-420.jpg", "jpeg-progressive-420.jpg"] {
        let mut jpeg = photo(name);
        let frame = jpeg
            .windows(2)
            .position(|pair| matches!(pair, [0xff, 0xc0 | 0xc2]))
            .unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xfd, 0xe8, 0xfd, 0xe8]);
        bombs.push((name, jpeg));
    }
    for (name, bytes) in bombs {
        LARGEST.store(0, Ordering::SeqCst);
        let result = decode(&bytes, &Limits::default());
        let largest = LARGEST.load(Ordering::SeqCst);
        assert!(
            matches!(result, Err(DecodeError::TooLarge { .. })),
            "{name}: {result:?}"
        );
        assert!(largest < 1 << 20, "{name}: {largest} bytes at once");
    }

    // A frame far larger than the screen of its GIF.
    let mut gif = photo("gif-still.gif");
    let frame = gif
        .windows(5)
        .position(|bytes| bytes == [0x2c, 0, 0, 0, 0])
        .unwrap();
    gif[frame + 5..frame + 9].fill(0xff);
    LARGEST.store(0, Ordering::SeqCst);
    let result = decode(&gif, &Limits::default());
    assert!(result.is_err());
    assert!(LARGEST.load(Ordering::SeqCst) < 1 << 20, "GIF frame");
}
