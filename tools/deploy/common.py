"""What all checks use."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"


class Wrong(Exception):
    """Something that a person has to set right."""


def demand(condition, text):
    if not condition:
        raise Wrong(text)


def called(command, **options):
    """Runs a tool; what it printed. Its failure is ours, with all that it said."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, **options
    )
    if done.returncode:
        raise Wrong(f"{' '.join(str(part) for part in command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def tool(name):
    """A program of the tools' environment."""
    return Path(sys.executable).parent / name


def container_stages():
    """Instructions of each stage: (instruction, rest)."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Containerfile").read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    stages = [[]]
    for line in lines:
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            stages.append([])
        stages[-1].append((instruction, rest.strip()))
    return stages


def container_file():
    """Instructions of the last stage."""
    return container_stages()[-1]


def container_environment():
    variables = {}
    for instruction, rest in container_file():
        if instruction == "ENV":
            variables.update(pair.split("=", 1) for pair in rest.split())
    return variables


@contextlib.contextmanager
def step(name):
    """Says what is checked, and how it went."""
    print(f"-- {name}", flush=True)
    yield
