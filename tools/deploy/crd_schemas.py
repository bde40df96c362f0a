"""Writes tools/deploy/crd_schemas.json: what KEDA, cert-manager and the Prometheus operator take.

    pip install cloudcoil.models.keda==2.16.1.0 cloudcoil.models.cert-manager==1.17.1.0 \\
        cloudcoil.models.prometheus-operator==0.80.1.0
    python3 tools/deploy/crd_schemas.py

Their own definitions cannot be had from a package registry, but models generated from them can. Those take what they do
not know; the schemas written here refuse it, as Kubernetes does with `--validate=strict`.
"""

import importlib
import json
from pathlib import Path

KINDS = {
    "cloudcoil.models.keda.v1alpha1": ["ScaledObject", "TriggerAuthentication"],
    "cloudcoil.models.cert_manager.v1": ["Certificate", "Issuer"],
    "cloudcoil.models.prometheus_operator.v1": ["PodMonitor", "PrometheusRule"],
}
TOLD = {"title", "description", "default", "examples"}


def strict(schema):
    """Without words, and closed where properties are named."""
    if isinstance(schema, list):
        return [strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    out = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            out[key] = {name: strict(inner) for name, inner in value.items()}
        elif key not in TOLD:
            out[key] = strict(value)
    if out.get("type") == "object" and out.get("properties"):
        out["additionalProperties"] = False
    return out


def main():
    schemas = {}
    for module, names in KINDS.items():
        for name in names:
            schema = strict(getattr(importlib.import_module(module), name).model_json_schema(by_alias=True))
            # Of Kubernetes' own, and checked as such elsewhere.
            schema["properties"]["metadata"] = {"type": "object"}
            schemas[name] = schema
    text = "{\n" + ",\n".join(f'"{name}":{json.dumps(s, sort_keys=True, separators=(",", ":"))}' for name, s in schemas.items())
    Path(__file__).with_name("crd_schemas.json").write_text(text + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
