"""All checks of deploy/, in the tools' Python: see tools/check_deploy.py, which starts this."""

import os
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

import chart  # noqa: E402
import cloud  # noqa: E402
import files  # noqa: E402
from common import Wrong, demand  # noqa: E402
from processes import Process, Site, Store  # noqa: E402
from started import check_all  # noqa: E402


def main():
    program = Path(sys.argv[1])
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pomona-deploy-") as scratch:
        scratch = Path(scratch)
        try:
            demand(program.is_file(), f"{program} is not there: build it first")
            print("-- container file and compose file", flush=True)
            files.check()
            print("-- chart", flush=True)
            chart.check()
            print("-- Terraform", flush=True)
            scripts = cloud.check(scratch)
            site = Site(program, scratch, show=bool(os.environ.get("POMONA_SHOW")))
            root = site.folder("store")
            (root / "fruits").mkdir()
            store = Store(site, program.with_name("pomona-bucket"), root)
            served = check_all(site, store, scripts, cloud.SETTINGS)
            print("-- alerts and dashboard", flush=True)
            print(f"   {chart.check_metrics(served)} expressions ask for what is served")
        except Wrong as wrong:
            sys.exit(f"error: {wrong}")
        finally:
            Process.end_all()
    print(f"deployment files are good ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
