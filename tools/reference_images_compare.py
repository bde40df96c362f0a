"""Whether Pomona and Pillow see the same pixels in every photo of a folder, to the bit.

    pip install "pillow<13"
    cargo build -p pomona-image --example pixel_checksums
    python tools/reference_images_compare.py target/debug/examples/pixel_checksums FOLDER [WIDTH HEIGHT]

With a size, photos are compared after a bicubic resize to it. Exit status 1 where any photo differs.
"""

import os
import subprocess
import sys
import zlib

from PIL import Image, ImageOps


def pillow(path, size):
    image = ImageOps.exif_transpose(Image.open(path))
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image.convert("RGB"), mask=image.getchannel("A"))
        image = white
    image = image.convert("RGB")
    if size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    return image


def main():
    program, folder, *size = sys.argv[1:]
    size = tuple(map(int, size))
    command = [program, folder, *map(str, size)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    different = 0
    for line in lines:
        name, *ours = line.split("\t")
        try:
            image = pillow(os.path.join(folder, name), size)
            theirs = [str(image.width), str(image.height), f"{zlib.crc32(image.tobytes()):08x}"]
        except Exception as error:
            theirs = [f"Pillow: {error}"]
        if ours != theirs and (len(ours) == 3 or len(theirs) == 3):
            different += 1
            print(name, *ours, "|", *theirs)
    print(f"{len(lines)} files, {different} differ")
    sys.exit(different > 0)


main()
