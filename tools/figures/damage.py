"""Writes damaged image files: bit flips, truncations, garbage, bombs and wrong names; the same ones each time.

    python damage.py FOLDER COUNT
"""

import io
import json
import pathlib
import random
import struct
import sys
import zlib

from PIL import Image

folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(20261121)


def picture(side):
    image = Image.new("RGB", (side, side), "white")
    for y in range(side):
        for x in range(side):
            image.putpixel((x, y), ((x * 7) % 256, (y * 5) % 256, (x * y) % 256))
    return image


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


image = picture(64)
GOOD = {
    "jpg": encoded(image, "JPEG"),
    "jpeg": encoded(image, "JPEG", progressive=True),
    "png": encoded(image, "PNG"),
    "gif": encoded(image.convert("P"), "GIF"),
    "webp": encoded(image, "WEBP", lossless=True),
    "bmp": encoded(image, "BMP"),
    "tif": encoded(image, "TIFF", compression="tiff_lzw"),
}
KINDS = list(GOOD)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bomb(side):
    """A small file that claims side × side pixels, and holds some of them."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(min(64 * (3 * side + 1), 8_000_000)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg_bomb():
    """A JPEG whose header claims 65,535 × 65,535 pixels."""
    data = bytearray(GOOD["jpg"])
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    return bytes(data)


BOMBS = [png_bomb(side) for side in (20_000, 60_000, 2**31 - 1)]


def flipped(data):
    data = bytearray(data)
    for _ in range(chance.choice([1, 2, 8, 64])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


for number in range(count):
    kind = chance.choice(KINDS)
    way = number % 10
    if way < 4:
        data = flipped(GOOD[kind])
    elif way < 7:
        data = GOOD[kind][: chance.randrange(len(GOOD[kind]))]
    elif way == 7:
        data = chance.randbytes(chance.randrange(4096))
        if number % 20 == 7:
            # Garbage behind an honest beginning.
            data = GOOD[kind][:32] + data
    elif way == 8:
        data = chance.choice(BOMBS) if number % 20 == 8 else jpeg_bomb()
    else:
        data = GOOD[chance.choice(KINDS)]
        kind = chance.choice(KINDS)
    place = folder / f"{way}" / f"{number:05}.{kind}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
print(json.dumps({"files": count}))
