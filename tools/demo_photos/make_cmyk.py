"""Makes crates/pomona-demo/assets/troubles/cmyk.jpg, the demonstration photo with printing colours.

    python3 tools/demo_photos/make_cmyk.py      # needs Pillow with WebP; written with Pillow 13.0.0

Pillow writes CMYK JPEG files with inverted values and an Adobe marker, as Photoshop does.
"""

from pathlib import Path

from PIL import Image

assets = Path(__file__).resolve().parents[2] / "crates" / "pomona-demo" / "assets"
picture = Image.open(assets / "1f34e.webp").convert("RGBA").resize((160, 160), Image.Resampling.BICUBIC)
photo = Image.new("RGB", picture.size, "white")
photo.paste(picture, mask=picture)
photo.convert("CMYK").save(assets / "troubles" / "cmyk.jpg", quality=85)
