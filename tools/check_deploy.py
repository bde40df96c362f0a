"""Checks everything under deploy/: that it is well formed, and that what it starts works.

    python3 tools/check_deploy.py target/debug/pomona

The program's own folder must hold `pomona-bucket` too, the S3 server of the tests, and the user's cache ONNX Runtime (it is
there after `pomona demo`). Tools are fetched once, pinned, into the user's cache. What is covered and what is not stands in
docs/deploy.md#how-this-is-checked.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

TOOLS = Path(__file__).parent / "deploy"


def tools_python():
    """A Python that has tools/deploy/requirements.txt, made if need be."""
    requirements = TOOLS / "requirements.txt"
    kind = requirements.read_bytes() + sys.version.encode()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pomona"
    place = cache / f"deploy-tools-{hashlib.sha256(kind).hexdigest()[:12]}"
    python = place / "bin/python"
    # Written last: what is without it was not finished.
    done = place / "done"
    if not done.exists():
        print(f"fetching tools into {place}", flush=True)
        venv.create(place, with_pip=True, clear=True)
        # Without what they depend on: it is in the list, as far as it is needed.
        pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, "--disable-pip-version-check", "--requirement", requirements], check=True)
        done.touch()
    return python


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    arguments = [TOOLS / "checks.py", Path(sys.argv[1]).resolve()]
    sys.exit(subprocess.run([tools_python(), *arguments]).returncode)


if __name__ == "__main__":
    main()
