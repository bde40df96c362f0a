"""Does anything below the program have other features in the tests?

A crate whose features differ between the README's two commands is compiled for both, and so is all that uses it: with a
crate below DataFusion that is minutes. Cargo unites features over all packages that it is asked for, so a feature that
only a test needs has to be switched on for the program as well, in crates/pomona-store/Cargo.toml.
"""

import subprocess
import sys


def features(*selection):
    """Every package in normal use with its features; a package may be there with several sets of them."""
    tree = ["cargo", "tree", "--locked", "--prefix", "none", "--format", "{p}|{f}"]
    text = subprocess.run([*tree, *selection], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in text.splitlines():
        # What was listed before is marked so.
        package, _, switched_on = line.removesuffix(" (*)").partition("|")
        if package:
            found.setdefault(package, set()).add(switched_on)
    return found


def main():
    program = features("--package", "pomona-cli", "--edges", "normal")
    tests = features("--workspace", "--edges", "normal,dev")
    if len(program) < 100:
        sys.exit(f"cargo tree lists {len(program)} packages: this check sees nothing")
    twice = sorted(name for name, of in program.items() if tests.get(name) != of)
    for name in twice:
        print(f"{name}\n  the program: {program[name]}\n  with tests:  {tests.get(name)}")
    if twice:
        sys.exit("these are compiled twice: switch the features on in crates/pomona-store/Cargo.toml")
    print(f"{len(program)} packages are the same for the program and its tests")


if __name__ == "__main__":
    main()
