"""Writes the tables of docs/settings.md from what `pomona COMMAND --help` says.

    python3 tools/settings_table.py PATH_OF_POMONA           rewrites the tables
    python3 tools/settings_table.py PATH_OF_POMONA --check   fails where they are out of date
"""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
BEGIN, END = "<!-- begin: written by tools/settings_table.py -->", "<!-- end -->"
# Shown once, for all commands.
GLOBAL = [
    "--quiet",
    "--json",
    "--settings",
    "--show-settings",
    "--allowed-region",
    "--encryption",
    "--kms-key",
    "--help",
    "--version",
]
COMMANDS = [
    "run",
    "extract",
    "fit",
    "reduce",
    "report",
    "status",
    "retry",
    "why",
    "forget",
    "clean",
    "pack",
    "sql",
    "demo",
    "backbones list",
    "backbones add",
    "backbones show",
    "cluster scheduler",
    "cluster executor",
    "cluster status",
    "cluster jobs",
    "cluster job",
    "cluster cancel",
    "cluster certificates",
    "completions",
]

OPTION = re.compile(r"^ {2,6}(?P<name>(?:-\w, )?--[\w-]+)(?: (?P<value><[^>]+>))?(?: {2,}(?P<text>\S.*))?$")
ARGUMENT = re.compile(r"^ {2}(?P<name>)(?P<value><[^>]+>)(?: {2,}(?P<text>\S.*))?$")


def help_of(pomona, command):
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DYLIB_PATH"}
    run = [pomona, *command.split(), "--help"]
    return subprocess.run(run, check=True, capture_output=True, text=True, env=environment).stdout


def entries(text):
    """The arguments and options of a help text: name, value name, description."""
    found, section = [], None
    for line in text.splitlines():
        if line and not line.startswith(" "):
            section = line.rstrip(":") if line.endswith(":") else None
            if section in ("Example", "Examples", "Commands"):
                section = None
            continue
        if section is None or not line.strip():
            continue
        start = (ARGUMENT if section == "Arguments" else OPTION).match(line)
        if start:
            found.append([start["name"], start["value"] or "", [start["text"] or ""]])
        else:
            found[-1][2].append(line.strip())
    return [(name, value, " ".join(filter(None, parts))) for name, value, parts in found]


def row(name, value, text):
    default = re.search(r"\s*\[default: ([^\]]*)\]", text)
    variable = re.search(r"\s*\[env: (\w+)=[^\]]*\]", text)
    choices = re.search(r"\s*\[possible values: ([^\]]*)\]", text)
    for match in filter(None, (default, variable, choices)):
        text = text.replace(match[0], "")
    text, _, listed = text.partition(" Possible values: ")
    kind = value.strip("<>")
    if listed:
        items = [item.split(":", 1) for item in listed.removeprefix("- ").split(" - ")]
        kind = ", ".join(f"`{word.strip()}`" for word, _ in items)
        text = text.strip().rstrip(".") + ": " + "; ".join(f"`{word.strip()}`: {meaning.strip()}" for word, meaning in items)
    elif choices:
        kind = ", ".join(f"`{word}`" for word in choices[1].split(", "))
    elif kind:
        kind = f"`{kind}`"
    else:
        kind = "flag"
    if variable:
        text += f". Also read from `{variable[1]}`."
    if default:
        shown = default[1].strip()
        # Words are explained, values are quoted.
        shown = shown if " " in shown else f"`{shown}`"
    else:
        shown = "required" if not name else ("off" if kind == "flag" else "–")
    text = text.strip()
    if not text.endswith((".", "…")):
        text += "."
    # What stands in angle brackets is not HTML.
    text = text.replace("<", "&lt;")
    cells = [f"`{name or value}`" if name else f"`{value}`", kind, shown, text]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def required(pomona, command):
    usage = re.search(r"^Usage: (.*)$", help_of(pomona, command), re.MULTILINE)[1]
    return set(re.findall(r"(?<!\[)(--[\w-]+) <", usage))


def table(rows):
    return "\n".join(["| option | value | default | meaning |", "|---|---|---|---|", *rows])


def tables(pomona):
    blocks = []
    everywhere = [entry for entry in entries(help_of(pomona, "run")) if entry[0] and entry[0].split()[-1] in GLOBAL]
    everywhere.sort(key=lambda entry: GLOBAL.index(entry[0].split()[-1]))
    # `--help` describes itself differently where there is more to show.
    blocks.append("## All commands\n\n" + table([row(name, value, text.split(" (see")[0]) for name, value, text in everywhere]))
    shared = {entry[:2] for entry in entries(help_of(pomona, "extract"))}
    for command in COMMANDS:
        must = required(pomona, command)
        rows = []
        for name, value, text in entries(help_of(pomona, command)):
            last = name.split()[-1] if name else ""
            if last in GLOBAL or (command == "run" and (name, value) in shared):
                continue
            line = row(name, value, text)
            if last in must:
                line = line.replace("| – |", "| required |", 1)
            rows.append(line)
        heading = f"## `pomona {command}`\n\n"
        if command == "run":
            heading += "All options of [`pomona extract`](#pomona-extract), and:\n\n"
        blocks.append(heading + (table(rows) if rows else "No options of its own."))
    return "\n\n".join(blocks)


def main():
    pomona, check = sys.argv[1], "--check" in sys.argv[2:]
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = f"{before}{BEGIN}\n\n{tables(pomona)}\n\n{END}{after}"
    if new == page:
        return
    if check:
        sys.exit(f"{PAGE.name} is out of date: run python3 tools/settings_table.py {pomona}")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
