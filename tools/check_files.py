"""Checks what no compiler does: sizes of files, and links between pages.

    python3 tools/check_files.py
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What .gitignore leaves out.
SKIPPED = {".git", "target", "pomona-demo", "__pycache__"}
# Room for the network inside the program.
MAX_BYTES = 8_000_000
# A longer source file holds more than one thing.
MAX_RUST_LINES = 600

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def files(folder):
    for path in sorted(folder.iterdir()):
        if path.name in SKIPPED or path.is_symlink() or path.suffix == ".tmp":
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def anchor(heading):
    """The name that a heading has as the target of a link."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


def anchors(page):
    return {anchor(line.lstrip("#")) for line in without_code(page).splitlines() if line.startswith("#")}


def without_code(page):
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def broken_links(page):
    for target in LINK.findall(without_code(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, section = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        if not place.exists():
            yield f"{target} leads nowhere"
        elif section and place.suffix == ".md" and section not in anchors(place):
            yield f"{target}: no such heading"


def main():
    wrong = []
    for path in files(ROOT):
        name = path.relative_to(ROOT)
        size = path.stat().st_size
        if size > MAX_BYTES:
            wrong.append(f"{name}: {size} bytes, more than {MAX_BYTES}")
        if path.suffix == ".rs" and "tests" not in name.parts:
            lines = path.read_text(encoding="utf-8").count("\n")
            if lines > MAX_RUST_LINES:
                wrong.append(f"{name}: {lines} lines, more than {MAX_RUST_LINES}")
        if path.suffix == ".md":
            wrong.extend(f"{name}: {problem}" for problem in broken_links(path))
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
