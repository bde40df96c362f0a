"""Makes the photos of this folder and what other programs say they contain.

    pip install pillow==11.3.0 numpy==2.4.6 opencv-python-headless==5.0.0.93 \
        tifffile==2026.3.3 imagecodecs==2026.3.6
    python make_references.py

Writes photos/* (small files of every kind), expected.bin (raw RGB bytes, one image after another) and
expected.tsv, one row a case:

    file, operation, status, width, height, orientation, tolerance, changed_per_mille, offset

operation is "decode", "resize W H KERNEL" or "prepare CHAIN"; status is ok or the error expected; an image may differ
by at most `tolerance` a value, in at most `changed_per_mille` of its values. Pixels come from Pillow, OpenCV, tifffile
or imagecodecs, never from Pomona. Pillow before 13: from 13 on it sometimes resizes vertically first, which moves some
values by one.
"""

import io
import os
import struct
import zlib

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))
PHOTOS = os.path.join(HERE, "photos")
W, H = 23, 17

rows, blob = [], bytearray()


def scene(width=W, height=H, seed=7):
    """A smooth gradient with a bright disc, sharp stripes and a little noise: uint8 RGB, HWC."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    image = np.stack(
        [255 * x / width, 255 * y / height, 255 * (1 - (x + y) / (width + height))], axis=-1
    )
    disc = (x - width * 0.6) ** 2 + (y - height * 0.4) ** 2 < (min(width, height) * 0.25) ** 2
    image[disc] = [250, 200, 20]
    image[(x.astype(int) % 7 == 3) & (y > height * 0.7)] = [10, 30, 60]
    image += np.random.default_rng(seed).normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


RGB = scene()
GREY = np.asarray(Image.fromarray(RGB).convert("L"))
ALPHA = np.clip(np.mgrid[0:H, 0:W][1] * 12 - 30, 0, 255).astype(np.uint8)
RGBA = np.dstack([RGB, ALPHA])
RGB16 = (RGB.astype(np.uint16) << 8) | np.random.default_rng(3).integers(0, 256, RGB.shape, np.uint16)


def write(name, data):
    with open(os.path.join(PHOTOS, name), "wb") as file:
        file.write(data)


def expect(name, pixels, orientation=1, tolerance=0, per_mille=0, operation="decode"):
    pixels = np.ascontiguousarray(pixels, np.uint8)
    height, width, channels = pixels.shape
    assert channels == 3
    pixels = pixels.tobytes()
    # The same picture is kept once.
    offset = blob.find(pixels)
    if offset < 0:
        offset = len(blob)
        blob.extend(pixels)
    rows.append([name, operation, "ok", width, height, orientation, tolerance, per_mille, offset])


def refuse(name, data, status):
    write(name, data)
    if name.startswith("jpeg-") and status == "corrupt":
        try:
            Image.open(io.BytesIO(data)).load()
        except (OSError, SyntaxError):
            pass
        else:
            raise AssertionError(f"Pillow reads {name}")
    rows.append([name, "decode", status, 0, 0, 0, 0, 0, 0])


def over_white(image):
    """A Pillow image on white, as RGB."""
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return np.asarray(white)


def pillow(name, data, **how):
    """Writes the file and expects what Pillow reads from it."""
    write(name, data)
    image = Image.open(io.BytesIO(data))
    image.seek(0)
    expect(name, over_white(image), **how)


def saved(image, kind, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# ---------------------------------------------------------------- JPEG
def jpeg():
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        tag = subsampling.replace(":", "")
        pillow(f"jpeg-{tag}.jpg", saved(RGB, "JPEG", quality=85, subsampling=subsampling))
        pillow(
            f"jpeg-progressive-{tag}.jpg",
            saved(RGB, "JPEG", quality=80, subsampling=subsampling, progressive=True),
        )
    for tag in ("440", "411"):
        pillow(f"jpeg-{tag}.jpg", imagecodecs.jpeg8_encode(RGB, level=85, subsampling=tag))
    pillow("jpeg-wide-420.jpg", saved(scene(70, 40), "JPEG", quality=60, subsampling="4:2:0"))
    pillow("jpeg-one-pixel.jpg", saved(RGB[:1, :1], "JPEG"))
    pillow("jpeg-grey.jpg", saved(GREY, "JPEG", quality=85))
    pillow("jpeg-grey-progressive.jpg", saved(GREY, "JPEG", quality=85, progressive=True))
    pillow("jpeg-restart.jpg", saved(RGB, "JPEG", quality=85, restart_marker_blocks=1))
    pillow("jpeg-rgb.jpg", saved(RGB, "JPEG", quality=85, keep_rgb=True))
    cmyk = Image.fromarray(RGB).convert("CMYK")
    k = np.full((H, W), 40, np.uint8)
    cmyk = Image.merge("CMYK", [*cmyk.split()[:3], Image.fromarray(k)])
    pillow("jpeg-cmyk.jpg", saved(cmyk, "JPEG", quality=90))
    inverted = 255 - np.asarray(cmyk)
    pillow(
        "jpeg-ycck.jpg",
        imagecodecs.jpeg8_encode(inverted, level=90, colorspace="CMYK", outcolorspace="YCCK"),
    )
    good = saved(RGB, "JPEG", quality=85)
    pillow("jpeg-trailing-bytes.jpg", good + b"\0\xff\xd9 more")
    # What Pillow refuses (LOAD_TRUNCATED_IMAGES is off), and what libjpeg only warns of.
    refuse("jpeg-no-end-marker.jpg", good[:-2], "corrupt")
    refuse("jpeg-half.jpg", good[: len(good) * 3 // 4], "corrupt")
    progressive = saved(RGB, "JPEG", quality=85, progressive=True)
    refuse("jpeg-half-progressive.jpg", progressive[: len(progressive) * 3 // 4], "corrupt")
    scan = good.index(b"\xff\xda") + 14
    middle = (scan + len(good)) // 2
    pillow("jpeg-end-marker-too-early.jpg", good[:middle] + b"\xff\xd9")
    pillow("jpeg-bits-flipped.jpg", good[:middle] + bytes([good[middle] ^ 0x55]) + good[middle + 1 :])
    pillow(
        "jpeg-missing-scans.jpg",
        progressive[: progressive.rindex(b"\xff\xda")] + b"\xff\xd9",
    )
    refuse("jpeg-12-bit.jpg", good.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "unsupported")
    refuse("jpeg-arithmetic.jpg", good.replace(b"\xff\xc0\0\x11", b"\xff\xc9\0\x11"), "unsupported")
    refuse(
        "jpeg-lossless.jpg",
        imagecodecs.jpeg8_encode(RGB, lossless=True, predictor=1),
        "unsupported",
    )
    frame = good.index(b"\xff\xc0")
    refuse("jpeg-no-width.jpg", good[: frame + 7] + b"\0\0" + good[frame + 9 :], "corrupt")


# ---------------------------------------------------------------- orientation
def exif_block(orientation, order="<"):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 1) + entry + b"\0\0\0\0"


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def orientations():
    small = scene(5, 3)
    for value in range(1, 9):
        block = exif_block(value, "<" if value % 2 else ">")
        for kind, suffix, options in (
            ("JPEG", "jpg", {"quality": 95, "subsampling": 0, "exif": b"Exif\0\0" + block}),
            ("PNG", "png", {"exif": block}),
            ("WEBP", "webp", {"lossless": True, "exif": block}),
            ("TIFF", "tif", {"tiffinfo": {274: value}}),
        ):
            data = saved(small, kind, **options)
            name = f"orientation-{value}.{suffix}"
            write(name, data)
            upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
            expect(name, over_white(upright), orientation=value)
    for name, block in {
        "garbage": bytes(range(256)),
        "empty": b"",
        "cut": exif_block(6)[:17],
        "offset": exif_block(6)[:4] + b"\xff\xff\xff\x7f" + exif_block(6)[8:],
        "nine": exif_block(9),
        "zero": exif_block(0),
        "count": exif_block(6)[:8] + b"\xff\xff" + b"\0" * 12,
    }.items():
        for kind, suffix, options in (
            ("JPEG", "jpg", {"subsampling": 0, "exif": b"Exif\0\0" + block}),
            ("PNG", "png", {"exif": block}),
            ("WEBP", "webp", {"lossless": True, "exif": block}),
        ):
            if not block and kind != "JPEG":
                continue
            data = saved(small, kind, **options)
            write(f"exif-{name}.{suffix}", data)
            expect(f"exif-{name}.{suffix}", over_white(Image.open(io.BytesIO(data))))


# ---------------------------------------------------------------- PNG
def png_file(width, height, depth, colour, lines, *chunks, interlace=0):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + b"".join(png_chunk(*chunk) for chunk in chunks)
        + png_chunk(b"IDAT", zlib.compress(lines))
        + png_chunk(b"IEND", b"")
    )


def png_lines(pixels):
    """Unfiltered lines of an array whose rows are whole bytes (16 bits big-endian)."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def adam7(pixels):
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    lines = b""
    for x, y, step_x, step_y in passes:
        part = pixels[y::step_y, x::step_x]
        if part.size:
            lines += png_lines(np.ascontiguousarray(part))
    return lines


def png():
    pillow("png-rgb.png", saved(RGB, "PNG"))
    pillow("png-rgba.png", saved(RGBA, "PNG"))
    pillow("png-grey.png", saved(GREY, "PNG"))
    pillow("png-grey-alpha.png", saved(Image.fromarray(RGBA).convert("LA"), "PNG"))
    palette = Image.fromarray(RGB).quantize(40)
    pillow("png-palette.png", saved(palette, "PNG"))
    pillow("png-palette-transparent.png", saved(palette, "PNG", transparency=bytes(range(0, 200, 5))))
    for bits, colours in ((1, 2), (2, 4), (4, 16)):
        small = Image.fromarray(RGB).quantize(colours)
        pillow(f"png-palette-{bits}-bit.png", saved(small, "PNG", bits=bits))
    pillow("png-1-bit.png", saved(Image.fromarray(GREY).convert("1"), "PNG"))
    four = (GREY >> 4).astype(np.uint8)[:, : W - 1]
    packed = (four[:, 0::2] << 4) | four[:, 1::2]
    write("png-grey-4-bit.png", png_file(W - 1, H, 4, 0, png_lines(packed)))
    expect("png-grey-4-bit.png", np.repeat((four * 17)[..., None], 3, axis=2))
    pillow("png-interlaced.png", png_file(W, H, 8, 2, adam7(RGB), interlace=1))
    # 16 bits: the high byte of each value.
    big = RGB16.astype(">u2")
    write("png-rgb-16.png", png_file(W, H, 16, 2, png_lines(big)))
    pixels = np.asarray(Image.open(os.path.join(PHOTOS, "png-rgb-16.png")).convert("RGB"))
    assert np.array_equal(pixels, RGB16 >> 8)
    expect("png-rgb-16.png", pixels)
    grey = np.ascontiguousarray(big[..., 1])
    write("png-grey-16.png", png_file(W, H, 16, 0, png_lines(grey)))
    expect("png-grey-16.png", np.repeat((RGB16[..., 1:2] >> 8), 3, axis=2))
    rgba = np.dstack([RGB16, ALPHA.astype(np.uint16) * 257]).astype(">u2")
    pillow("png-rgba-16.png", png_file(W, H, 16, 6, png_lines(rgba)))
    grey_alpha = np.ascontiguousarray(rgba[..., [1, 3]])
    write("png-grey-alpha-16.png", png_file(W, H, 16, 4, png_lines(grey_alpha)))
    high = (grey_alpha.astype(np.uint16) >> 8).astype(np.uint8)
    bands = [Image.fromarray(np.ascontiguousarray(high[..., band])) for band in (0, 1)]
    expect("png-grey-alpha-16.png", over_white(Image.merge("LA", bands)))
    key = struct.pack(">HHH", *(int(value) for value in RGB[4, 4]))
    pillow("png-rgb-key.png", png_file(W, H, 8, 2, png_lines(RGB), (b"tRNS", key)))
    pillow("png-grey-key.png", png_file(W, H, 8, 0, png_lines(GREY), (b"tRNS", struct.pack(">H", GREY[4, 4]))))
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    pillow("png-animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100))
    good = saved(RGB, "PNG")
    refuse("png-cut.png", good[: len(good) // 2], "corrupt")
    at = good.index(b"IDAT") + 20
    refuse("png-checksum.png", good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :], "corrupt")
    refuse("png-bomb.png", png_file(60_000, 60_000, 8, 2, b"\0" * 1000), "too_large")
    refuse("png-text-bomb.png", png_file(4, 4, 8, 0, b"\0" * 5), "corrupt")


# ---------------------------------------------------------------- WebP, GIF, BMP, QOI
def others():
    pillow("webp-lossy.webp", saved(RGB, "WEBP", quality=80))
    pillow("webp-lossless.webp", saved(RGB, "WEBP", lossless=True))
    pillow("webp-alpha-lossy.webp", saved(RGBA, "WEBP", quality=80))
    pillow("webp-alpha-lossless.webp", saved(RGBA, "WEBP", lossless=True, exact=True))
    frames = [Image.fromarray(RGBA), Image.fromarray(255 - RGB).convert("RGBA")]
    pillow(
        "webp-animated.webp",
        saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True, background=(9, 9, 200, 255)),
    )
    still = saved(RGB, "WEBP", quality=80)
    refuse("webp-cut.webp", still[: len(still) // 2], "corrupt")
    # A small canvas around a bitstream that claims 16383 x 16383 pixels.
    huge = bytearray(still[12:])
    huge[8 + 6 : 8 + 10] = struct.pack("<HH", 0x3FFF, 0x3FFF)
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + (W - 1).to_bytes(3, "little") + (H - 1).to_bytes(3, "little")
    body = b"WEBP" + canvas + bytes(huge)
    refuse("webp-bomb.webp", b"RIFF" + struct.pack("<I", len(body)) + body, "too_large")

    palette = Image.fromarray(RGB).quantize(32)
    pillow("gif-still.gif", saved(palette, "GIF"))
    pillow("gif-transparent.gif", saved(palette, "GIF", transparency=int(np.asarray(palette)[5, 5])))
    pillow("gif-interlaced.gif", saved(palette, "GIF", interlace=True))
    pillow("gif-grey.gif", saved(GREY, "GIF"))
    frames = [palette, Image.fromarray(255 - RGB).quantize(32)]
    pillow("gif-animated.gif", saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100))
    # A frame smaller than the screen: what it leaves free is white.
    offset = bytearray(saved(palette, "GIF"))
    at = offset.index(b"\x2c\0\0\0\0" + struct.pack("<HH", W, H))
    offset[6:10] = struct.pack("<HH", W + 6, H + 5)
    offset[at + 1 : at + 5] = struct.pack("<HH", 4, 3)
    write("gif-offset.gif", bytes(offset))
    around = np.full((H + 5, W + 6, 3), 255, np.uint8)
    around[3 : 3 + H, 4 : 4 + W] = np.asarray(palette.convert("RGB"))
    expect("gif-offset.gif", around)
    still = saved(palette, "GIF")
    refuse("gif-cut.gif", still[: len(still) - 300], "corrupt")

    pillow("bmp-24.bmp", saved(RGB, "BMP"))
    pillow("bmp-palette.bmp", saved(palette, "BMP"))
    pillow("bmp-grey.bmp", saved(GREY, "BMP"))
    pillow("bmp-1-bit.bmp", saved(Image.fromarray(GREY).convert("1"), "BMP"))
    bmp = bytearray(saved(RGB, "BMP"))
    refuse("bmp-cut.bmp", bytes(bmp[: len(bmp) // 2]), "corrupt")
    bmp[18:26] = struct.pack("<ii", 2_000_000, 2_000_000)
    refuse("bmp-bomb.bmp", bytes(bmp), "too_large")

    write("qoi-rgb.qoi", imagecodecs.qoi_encode(RGB))
    expect("qoi-rgb.qoi", imagecodecs.qoi_decode(imagecodecs.qoi_encode(RGB)))
    pillow("qoi-rgba.qoi", imagecodecs.qoi_encode(RGBA))
    refuse("qoi-cut.qoi", imagecodecs.qoi_encode(RGB)[:200], "corrupt")
    refuse("qoi-bomb.qoi", b"qoif" + struct.pack(">II", 100_000, 100_000) + b"\3\0" + b"\0" * 40, "too_large")


# ---------------------------------------------------------------- TIFF
def tiff_bytes(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def tiff():
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits"):
        options = {} if compression == "raw" else {"compression": compression}
        pillow(f"tiff-rgb-{compression}.tif", saved(RGB, "TIFF", **options))
    pillow("tiff-rgb-jpeg.tif", saved(RGB, "TIFF", compression="jpeg"), tolerance=6, per_mille=1000)
    pillow("tiff-rgba.tif", saved(RGBA, "TIFF"))
    pillow("tiff-grey.tif", saved(GREY, "TIFF"))
    pillow("tiff-grey-alpha.tif", saved(Image.fromarray(RGBA).convert("LA"), "TIFF"))
    pillow("tiff-1-bit.tif", saved(Image.fromarray(GREY).convert("1"), "TIFF"))
    pillow("tiff-cmyk.tif", saved(Image.fromarray(RGB).convert("CMYK"), "TIFF"))
    pillow("tiff-palette.tif", saved(Image.fromarray(RGB).quantize(40), "TIFF"))
    pillow("tiff-palette-big-endian.tif", tiff_bytes(
        np.asarray(Image.fromarray(RGB).quantize(40)), photometric="palette", byteorder=">", tile=(16, 16),
        colormap=np.random.default_rng(5).integers(0, 256, (3, 256)).astype(np.uint16) * 257))
    pillow("tiff-pages.tif", saved(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(255 - RGB)]))
    pillow("tiff-white-is-zero.tif", tiff_bytes(GREY, photometric="miniswhite"))
    three = lambda grey: np.repeat(grey[..., None], 3, axis=2)
    for name, data, pixels in (
        ("rgb-16", tiff_bytes(RGB16, photometric="rgb"), RGB16 >> 8),
        ("rgb-16-big-endian", tiff_bytes(RGB16, photometric="rgb", byteorder=">"), RGB16 >> 8),
        ("grey-16", tiff_bytes(RGB16[..., 0]), three(RGB16[..., 0] >> 8)),
        ("planes", tiff_bytes(np.ascontiguousarray(np.moveaxis(RGB, -1, 0)), photometric="rgb", planarconfig="separate"), RGB),
        ("tiles", tiff_bytes(RGB, photometric="rgb", tile=(16, 16)), RGB),
        ("bigtiff", tiff_bytes(RGB, photometric="rgb", bigtiff=True), RGB),
        ("predictor", tiff_bytes(RGB, photometric="rgb", compression="zlib", predictor=True), RGB),
        ("grey-float", tiff_bytes((GREY / 255).astype(np.float32)), three(GREY)),
        ("rgb-float", tiff_bytes((RGB / 255 * 1.5 - 0.2).astype(np.float32), photometric="rgb"),
         np.clip(np.floor((RGB / 255 * 1.5 - 0.2).astype(np.float32) * np.float32(255) + np.float32(0.5)), 0, 255)),
    ):
        write(f"tiff-{name}.tif", data)
        expect(f"tiff-{name}.tif", pixels)
    good = saved(RGB, "TIFF")
    refuse("tiff-cut.tif", good[: len(good) // 2], "corrupt")
    big = bytearray(tiff_bytes(GREY, photometric="minisblack"))
    for tag in (256, 257):
        at = 8 + big[8:].index(struct.pack("<H", tag))
        big[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 500_000)
    refuse("tiff-bomb.tif", bytes(big), "too_large")


# ---------------------------------------------------------------- resize and preparation
def resizes():
    name = "png-resize-input.png"
    image = Image.fromarray(scene(33, 25, seed=11))
    write(name, saved(image, "PNG", optimize=True))
    kernels = {"nearest": 0, "bilinear": 2, "bicubic": 3, "lanczos3": 1}
    for kernel, number in kernels.items():
        for width, height in ((33, 14), (14, 25), (48, 20), (16, 16), (9, 36), (1, 1), (40, 40), (3, 2)):
            expect(name, np.asarray(image.resize((width, height), number)), operation=f"resize {width} {height} {kernel}")


def equalised(image, clip, tiles):
    ycrcb = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    ycrcb[..., 0] = cv2.createCLAHE(clip, (tiles, tiles)).apply(np.ascontiguousarray(ycrcb[..., 0]))
    return cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB)


def preparations():
    name = "png-resize-input.png"
    image = np.asarray(Image.open(os.path.join(PHOTOS, name)))
    pil = Image.fromarray(image)
    stretch = lambda dark, light: np.asarray(ImageOps.autocontrast(pil, cutoff=(dark, light), preserve_tone=True))
    for chain, pixels in {
        "grey": np.asarray(pil.convert("L").convert("RGB")),
        "gamma=0.8": np.round(255 * (image / 255) ** 0.8),
        "gamma=2.2": np.round(255 * (image / 255) ** 2.2),
        "levels=1:1": stretch(1, 1),
        "levels=10:2.5": stretch(10, 2.5),
        "clahe=2.0:8": equalised(image, 2.0, 8),
        "clahe=5.0:3": equalised(image, 5.0, 3),
        "median=3": cv2.medianBlur(image, 3),
        "median=5": cv2.medianBlur(image, 5),
        "median=11": cv2.medianBlur(image, 11),
        "nlm=10:3:7": cv2.fastNlMeansDenoising(image, None, 10, 3, 7),
        "nlm=25:5:9": cv2.fastNlMeansDenoising(image, None, 25, 5, 9),
        "grey,median=3": cv2.medianBlur(np.ascontiguousarray(np.asarray(pil.convert("L").convert("RGB"))), 3),
    }.items():
        expect(name, pixels, operation=f"prepare {chain}")
    for chain, d, colour, space in (("bilateral=5:25:2", 5, 25, 2), ("bilateral=9:60:3", 9, 60, 3)):
        # Sums of floats in another order.
        expect(name, cv2.bilateralFilter(image, d, colour, space), operation=f"prepare {chain}", tolerance=1, per_mille=1)


def main():
    os.makedirs(PHOTOS, exist_ok=True)
    for old in os.listdir(PHOTOS):
        os.remove(os.path.join(PHOTOS, old))
    for part in (jpeg, orientations, png, others, tiff, resizes, preparations):
        part()
    with open(os.path.join(HERE, "expected.bin"), "wb") as file:
        file.write(blob)
    with open(os.path.join(HERE, "expected.tsv"), "w") as file:
        for row in rows:
            print(*row, sep="\t", file=file)
    total = len(blob) + sum(os.path.getsize(os.path.join(PHOTOS, name)) for name in os.listdir(PHOTOS))
    print(f"{len(rows)} cases, {total} bytes")


main()
