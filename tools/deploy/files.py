"""The container file and the compose file: are they well formed, and as closed as they are meant to be?"""

import importlib.util
import json
import re
from pathlib import Path

import jsonschema
import yaml

from common import DEPLOY, Wrong, called, container_file, demand, tool

VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def interpolated(text, variables):
    """As Compose does it: ${NAME}, ${NAME:-default}, ${NAME:?message}."""

    def value(match):
        name, how, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if how == "?":
            raise Wrong(f"compose.yaml: {name} is not set: {rest}")
        return rest if how == "-" else ""

    return VARIABLE.sub(value, text)


def compose(variables):
    """Services of the compose file, by name."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return yaml.safe_load(interpolated("\n".join(lines), variables))


def option(arguments, name):
    """The value of --name=VALUE."""
    found = [text.split("=", 1)[1] for text in arguments if text.startswith(f"--{name}=")]
    return found[0] if found else None


def check_container():
    called([tool("hadolint"), "--failure-threshold", "info", DEPLOY / "Containerfile"])
    stage = dict(container_file())
    user = stage.get("USER", "")
    demand(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), f"Containerfile: USER {user!r} is not a number other than 0")
    for instruction in ("HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT"):
        demand(instruction in stage, f"Containerfile: no {instruction}")
    demand("RUN" not in stage, "Containerfile: the last stage has no shell to RUN anything")


def compose_schema():
    # The package is a tool around schemas of others; it is installed for this one.
    place = Path(importlib.util.find_spec("check_jsonschema").origin).parent
    return json.loads((place / "builtin_schemas/vendor/compose-spec.json").read_text(encoding="utf-8"))


def check_compose():
    for given in ({"STORE_KEY": "given-key"}, {"STORE_SECRET": "given-secret"}):
        try:
            compose(given)
        except Wrong:
            continue
        raise Wrong(f"compose.yaml works with {', '.join(given)} alone: somebody's secret would be everybody's")
    described = compose({"STORE_KEY": "given-key", "STORE_SECRET": "given-secret"})
    schema = compose_schema()
    for error in jsonschema.validators.validator_for(schema)(schema).iter_errors(described):
        raise Wrong(f"compose.yaml: {error.json_path}: {error.message}")
    services = described["services"]
    certified = {text.split("=", 1)[1] for text in services["certificates"]["command"] if text.startswith("--host=")}
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            secret = any(word in variable for word in ("KEY", "SECRET", "PASSWORD", "TOKEN"))
            demand(not secret or value in ("given-key", "given-secret"), f"compose.yaml: {name}: {variable} is the same for everybody")

        def must(condition, text, name=name):
            demand(condition, f"compose.yaml: {name}: {text}")

        must(service.get("read_only"), "its root can be written to")
        must(service.get("cap_drop") == ["ALL"], "it keeps capabilities")
        must("no-new-privileges:true" in service.get("security_opt", []), "it may gain privileges")
        must(not service.get("privileged") and "cap_add" not in service, "it asks for privileges")
        for port in service.get("ports", []):
            must(port.startswith("127.0.0.1:"), f"{port} is open to other machines")
        ends = service.get("stop_grace_period", "10s")
        drain = option(service.get("command", []), "drain-secs")
        must(drain is None or int(ends.rstrip("s")) > int(drain), f"it is killed after {ends}, and drains for {drain} s")
        if service.get("networks"):
            must("healthcheck" in service or "build" in service, "nothing tells whether it is healthy")
        own = [entry["volume"]["subpath"] for entry in service.get("volumes", []) if isinstance(entry, dict)]
        must(set(own) <= certified, f"nobody makes a certificate for {own}")
        advertised = option(service.get("command", []), "advertise")
        must(advertised in (None, name), f"others know it as {name}, and it says {advertised}")
    demand(described["networks"]["cluster"]["internal"], "compose.yaml: the cluster's network leads outside")


def check():
    check_container()
    check_compose()
