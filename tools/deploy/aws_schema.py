"""Writes tools/deploy/aws_schema.json: what the AWS provider knows of the resources that deploy/aws names.

    npm pack @cdktn/provider-aws@24.1.0
    python3 tools/deploy/aws_schema.py cdktn-provider-aws-24.1.0.tgz

Providers cannot be had from a package registry, but their arguments can: bindings for a programming language are
generated from them. Lists and sets look alike there, and what is optional may or may not be computed as well: here all
of it is. A release of the bindings is for one version of the provider, which deploy/aws/versions.tf names.
"""

import json
import re
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "@cdktn/provider-aws"
DOCUMENTED = re.compile(r"#(\w+) \w+#\w+\}")
VERSION = re.compile(r"provider version ([0-9.]+)")


def named():
    """Resources and data sources in deploy/aws."""
    found = set()
    for path in (ROOT / "deploy/aws").glob("*.tf"):
        for kind, name in re.findall(r'^(resource|data) "aws_(\w+)"', path.read_text(), re.MULTILINE):
            found.add((kind, name))
    return sorted(found)


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def snake(name):
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


class Bindings:
    def __init__(self, path):
        with tarfile.open(path) as archive:
            assembly = json.load(archive.extractfile("package/.jsii"))
        self.types = assembly["types"]
        self.version = VERSION.search(assembly["readme"]["markdown"])[1]

    def struct(self, fqn):
        """Properties of a structure, with those that it inherits from its own kind."""
        found = self.types.get(fqn, {})
        return found.get("properties", []) if found.get("kind") == "interface" else []

    def block(self, fqn):
        attributes, blocks = {}, {}
        for entry in self.struct(fqn):
            docs = entry.get("docs", {})
            text = docs.get("summary", "") + docs.get("remarks", "")
            documented = DOCUMENTED.search(text)
            if not documented:
                continue
            name = documented[1]
            if name.endswith("_wo"):
                attributes[name] = {"type": self.kind(entry["type"]), "mode": "write-only"}
            elif docs.get("summary", "").endswith(" block."):
                inner, many = self.inner(entry["type"])
                nesting = "single" if name == "timeouts" else "list"
                most = 0 if many or nesting == "single" else 1
                least = 0 if entry.get("optional") else 1
                blocks[name] = {"nesting": nesting, "min": least, "max": most, "block": self.block(inner)}
            else:
                attributes[name] = {
                    "type": self.kind(entry["type"]),
                    "mode": "optional" if entry.get("optional") else "required",
                }
        return {"attributes": attributes, "blocks": blocks}

    def inner(self, kind):
        if "fqn" in kind:
            return kind["fqn"], False
        if "collection" in kind:
            return self.inner(kind["collection"]["elementtype"])[0], True
        for other in kind["union"]["types"]:
            if other.get("fqn") != "cdktn.IResolvable":
                fqn, many = self.inner(other)
                return fqn, many
        raise ValueError(f"no structure in {kind}")

    def kind(self, kind):
        """The type as Terraform writes it in JSON."""
        if "primitive" in kind:
            return {"boolean": "bool", "any": "dynamic"}.get(kind["primitive"], kind["primitive"])
        if "collection" in kind:
            holder = {"array": "list", "map": "map"}[kind["collection"]["kind"]]
            return [holder, self.kind(kind["collection"]["elementtype"])]
        if "union" in kind:
            others = [k for k in kind["union"]["types"] if k.get("fqn") != "cdktn.IResolvable"]
            return self.kind(others[0]) if len(others) == 1 else "dynamic"
        if kind.get("fqn", "").endswith("StringMap"):
            return ["map", "string"]
        return "dynamic"

    def resource(self, kind, name):
        module = camel(name) if kind == "resource" else "DataAws" + camel(name)
        # An A is put after names that are another's: of resources that end in `configuration`, for one.
        wanted = {f"{module}config".lower(), f"{module}aconfig".lower()}
        found = [fqn for fqn in self.types if fqn.split(".")[-1].lower() in wanted]
        if len(found) != 1:
            raise SystemExit(f"{kind} aws_{name}: {len(found)} structures in the bindings")
        block = self.block(found[0])
        # What it tells when it is there.
        for entry in self.types[found[0][: -len("Config")]].get("properties", []):
            told = snake(entry["name"])
            known = told in block["attributes"] or told in block["blocks"] or entry.get("static")
            if not known and not told.endswith("_input"):
                block["attributes"][told] = {"type": self.kind(entry["type"]), "mode": "computed"}
        block["attributes"].setdefault("id", {"type": "string", "mode": "optional"})
        return block


def main():
    bindings = Bindings(sys.argv[1])
    schema = {"provider": "hashicorp/aws", "version": bindings.version, "resources": {}, "data": {}}
    [config] = [fqn for fqn in bindings.types if fqn.endswith(".AwsProviderConfig")]
    schema["configuration"] = bindings.block(config)
    for kind, name in named():
        schema["resources" if kind == "resource" else "data"][f"aws_{name}"] = bindings.resource(kind, name)
    # A line for each resource: changes can be read.
    text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
    text = re.sub(r'(?=("configuration"|"data"|"provider"|"resources"|"version"|"aws_[a-z0-9_]+"):)', "\n", text)
    Path(__file__).with_name("aws_schema.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
