#!/usr/bin/env bash
# Makes the picture of a report that the README shows, docs/images/report.png.
#
#   pomona demo                                               # prints where its report is
#   bash tools/demo_photos/report_picture.sh REPORT.html      # needs chromium, and python3 with Pillow
#
# Only a report of the demonstration photos belongs in the repository: they may be shown, other people's may not.
set -euo pipefail

report=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
picture=$here/../../docs/images/report.png
width=1200
height=1500
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A copy without the sections that a small picture has no room for. The report's own policy forbids changes to its
# style, so the copy does without it.
python3 - "$report" "$work/report.html" <<'PYTHON'
import re
import sys

html = open(sys.argv[1], encoding="utf-8").read()
html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
style = """<style>
  #status, #variance, #quality, #stages, #settings, .notes, nav, footer { display: none }
  #labels .labels li:nth-child(n + 9), #labels details { display: none }
  .pointer { display: inline !important } .touch { display: none !important }
  main { display: flex; flex-direction: column } #scatter { order: 1 } #labels { order: 2 }
</style>"""
open(sys.argv[2], "w", encoding="utf-8").write(html.replace("</head>", style + "</head>"))
PYTHON

chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --blink-settings=preferredColorScheme=1 \
  --window-size="$width,$height" --screenshot="$work/page.png" "file://$work/report.html" 2> /dev/null

mkdir -p "$(dirname "$picture")"
# The page ends before the window does: cut what is empty. 256 colours keep the file small.
python3 - "$work/page.png" "$picture" <<'PYTHON'
import sys

from PIL import Image, ImageChops

page = Image.open(sys.argv[1]).convert("RGB")
empty = Image.new("RGB", page.size, page.getpixel((0, page.height - 1)))
bottom = ImageChops.difference(page, empty).getbbox()[3]
page = page.crop((0, 0, page.width, min(page.height, bottom + 24)))
page.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=4, dither=Image.Dither.NONE).save(sys.argv[2], optimize=True)
PYTHON
echo "docs/images/report.png: $(stat -c %s "$picture") bytes"
