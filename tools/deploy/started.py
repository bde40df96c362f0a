"""Ends of the three ways to deploy, each from its files to a report: containers, pods, machines."""

import json
import os
import re
import shlex
import subprocess
import sys

from chart import NAMESPACE, cases, containers, notes, pod_of, rendered
from common import Wrong, called, demand
from files import compose, option
from processes import (
    FIGURES_PORT,
    RESULTS_PORT,
    SCHEDULER_PORT,
    Place,
    Process,
    all_took_work,
    build_image,
    fetched,
    free_port,
    known_as,
    metric_names,
    remove,
    same_results,
)

# A client does not listen.
NO_PORTS = {}


def ports():
    return {SCHEDULER_PORT: free_port(), RESULTS_PORT: free_port(), FIGURES_PORT: free_port()}


def shared(of_scheduler):
    """Ports of one who is no scheduler: of its own, but for the scheduler's."""
    return ports() | {SCHEDULER_PORT: of_scheduler[SCHEDULER_PORT]}


def settled(process, port, path="healthz"):
    return process.until(lambda: fetched(f"http://127.0.0.1:{port}/{path}"), f"no /{path}")


def figures(port):
    return metric_names(fetched(f"http://127.0.0.1:{port}/metrics"))


class Composed:
    """Services of the compose file."""

    def __init__(self, site, store):
        self.site = site
        self.variables = {
            "STORE_KEY": store.variables["AWS_ACCESS_KEY_ID"],
            "STORE_SECRET": store.variables["AWS_SECRET_ACCESS_KEY"],
            "EXECUTOR_WORKERS": "1",
        }
        self.described = compose(self.variables)
        self.services = self.described["services"]
        # The store is elsewhere here, and lies in another region.
        self.store = store.variables

    def place(self, name, of_ports):
        service = self.services[name]
        mounts = {}
        for volume in service.get("volumes", []):
            if isinstance(volume, str):
                source, target = volume.split(":")[:2]
                mounts[target] = self.site.folder("compose", source)
            else:
                source = self.site.folder("compose", volume["source"]) / volume["volume"]["subpath"]
                demand(source.is_dir(), f"compose.yaml: {name}: there is no {volume['volume']['subpath']} to mount")
                mounts[volume["target"]] = source
        for text in service.get("tmpfs", []):
            target = text.split(":")[0]
            mounts[target] = self.site.folder("compose", f"tmpfs-{name}", target.strip("/"))
        known = set()
        for other, told in self.services.items():
            if set(told.get("networks", [])) & set(service.get("networks", [])):
                known.add(other)
        return Place(mounts, of_ports, known)

    def own(self, name):
        variables = dict(self.services[name].get("environment", {}))
        for variable in ("AWS_ENDPOINT_URL", "AWS_REGION"):
            if variable in variables:
                variables[variable] = self.store[variable]
        return variables

    def run(self, name):
        return self.site.run(name, self.place(name, self.all_ports), self.services[name]["command"], self.own(name))

    def check(self, root):
        site, services = self.site, self.services
        self.all_ports = ports()
        self.run("certificates")
        # Compose starts it again with every `up`.
        self.run("certificates")
        place = self.place("scheduler", self.all_ports)
        scheduler = site.start("scheduler", place, services["scheduler"]["command"], self.own("scheduler"))
        settled(scheduler, self.all_ports[FIGURES_PORT])
        site.healthy("scheduler", place, self.own("scheduler"))
        client = site.folder("compose", "certificates") / "client"
        known_as("scheduler", self.all_ports[SCHEDULER_PORT], client)

        executors = {}
        for name in ("executor-1", "executor-2"):
            of_ports = shared(self.all_ports)
            place = self.place(name, of_ports)
            executors[name] = (site.start(name, place, services[name]["command"], self.own(name)), of_ports, place)
        for name, (process, of_ports, place) in executors.items():
            settled(process, of_ports[FIGURES_PORT], "readyz")
            site.healthy(name, place, self.own(name))
            known_as(name, of_ports[RESULTS_PORT], client)

        self.run("photos")
        self.run("run")
        done = all_took_work(site, self.place("run", self.all_ports), self.own("run"), 2)
        alone = site.folder("compose", "photos") / "demonstration/run"
        photos = same_results(alone, root / "fruits/demonstration")
        demand((root / "fruits/demonstration/report.html").is_file(), "there is no report")
        served = figures(self.all_ports[FIGURES_PORT]) | figures(executors["executor-1"][1][FIGURES_PORT])

        for name, (process, _, _) in executors.items():
            process.leaves(int(services[name]["stop_grace_period"].rstrip("s")))
            left = list(site.folder("compose", f"tmpfs-{name}", "tmp").glob("pomona-executor-*"))
            demand(not left, f"{name} left {left}")
        scheduler.leaves(int(services["scheduler"]["stop_grace_period"].rstrip("s")))
        demand(any(site.folder("compose", "history").iterdir()), "the scheduler wrote no history")
        print(f"   {photos} photos, {done} tasks on 2 executors, the same numbers as in one process")
        return served


class Charted:
    """Pods of the chart, with the values for EKS."""

    def __init__(self, site, store):
        self.site = site
        self.store = store
        self.arguments = [*cases()["eks"], "--set=executor.workers=1", "--set=demonstration.url=s3://fruits/chart"]
        self.documents = rendered(self.arguments)
        self.secrets = {}
        self.hosts = set()

    def document(self, kind, ending):
        [found] = [d for d in self.documents if d["kind"] == kind and d["metadata"]["name"].endswith(ending)]
        return found

    def make_certificates(self):
        """With the commands that people are told to give."""
        folder = self.site.folder("chart")
        for command in re.sub(r"\\\n\s*", " ", notes(self.arguments)).splitlines():
            words = shlex.split(command)
            if words[:2] == ["pomona", "cluster"]:
                # A person's machine: the folder is below the current one.
                here = Place({"/here": folder}, {}, [])
                self.site.run("certificates", here, [*words[1:3], f"/here/{words[3]}", *words[4:]], {})
            if words[:1] == ["kubectl"] and "secret" in words:
                source = words[-1].split("=", 1)[1]
                demand((folder / source).is_dir(), f"there is no {source} to make a secret of")
                self.secrets[words[words.index("generic") + 1]] = folder / source
        demand(len(self.secrets) == 3, f"people are told to make {len(self.secrets)} secrets")

    def place(self, pod, container, name, of_ports):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {}
        for mount in container["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "secret" in volume:
                mounts[mount["mountPath"]] = self.secrets[volume["secret"]["secretName"]]
            else:
                mounts[mount["mountPath"]] = self.site.folder("chart", name, mount["name"])
        return Place(mounts, of_ports, self.hosts)

    def started(self, container, name):
        """Arguments and variables, as Kubernetes expands them."""
        own = {}
        for variable in container.get("env", []):
            field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            demand(field in (None, "metadata.name"), f"nobody here knows {field}")
            own[variable["name"]] = name if field else variable["value"]

        def expanded(text):
            return re.sub(r"\$\((\w+)\)", lambda match: own[match[1]], text)

        arguments = [expanded(text) for text in container["args"]]
        own.update({name: value for name, value in self.store.variables.items() if name.startswith("AWS_")})
        return arguments, own

    def check(self, root):
        site = self.site
        self.make_certificates()
        self.hosts = {f"pomona-scheduler.{NAMESPACE}.svc"}
        of_ports = ports()
        client = self.secrets["pomona-client-tls"]

        pod = pod_of(self.document("Deployment", "-scheduler"))
        [container] = containers(pod)
        arguments, own = self.started(container, "pomona-scheduler-0")
        place = self.place(pod, container, "scheduler", of_ports)
        scheduler = site.start("pod-scheduler", place, arguments, own)
        probes = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
        for path in probes:
            settled(scheduler, of_ports[FIGURES_PORT], path.strip("/"))
        demand(self.wanted(of_ports) == 0, "executors are wanted for nothing")
        known_as(f"pomona-scheduler.{NAMESPACE}.svc", of_ports[SCHEDULER_PORT], client)

        # There is no executor yet: the work calls for one.
        pod_of_client = pod_of(self.document("Job", "-demonstration"))
        *first, last = containers(pod_of_client)
        for container in first:
            arguments, own = self.started(container, "demonstration-1")
            site.run(container["name"], self.place(pod_of_client, container, "client", of_ports), arguments, own)
        arguments, own = self.started(last, "demonstration-1")
        place = self.place(pod_of_client, last, "client", of_ports)
        client_process = site.start("demonstration", place, arguments, own)
        wanted = client_process.until(lambda: self.wanted(of_ports), "no executor is wanted for it")
        demand(wanted == 2, f"{wanted} executors of 2 tasks are wanted for 4 shards")

        stateful = self.document("StatefulSet", "-executor")
        pod = pod_of(stateful)
        [container] = containers(pod)
        name = f"{stateful['metadata']['name']}-0"
        arguments, executor_own = self.started(container, name)
        domain = f"{stateful['spec']['serviceName']}.{NAMESPACE}.svc.cluster.local"
        advertised = option(arguments, "advertise")
        demand(advertised == f"{name}.{domain}", f"{name} is {name}.{domain} to others, and says {advertised}")
        self.hosts.add(advertised)
        executor_ports = shared(of_ports)
        executor = site.start(name, self.place(pod, container, "executor", executor_ports), arguments, executor_own)
        probes = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
        for path in probes:
            settled(executor, executor_ports[FIGURES_PORT], path.strip("/"))
        known_as(advertised, executor_ports[RESULTS_PORT], client)

        code = client_process.child.wait(300)
        demand(code == 0, f"the demonstration ended with {code}:\n{client_process.said()}")
        done = all_took_work(site, self.place(pod_of_client, last, "client", of_ports), own, 1)
        demand((root / "fruits/chart/demonstration-1/run/report.html").is_file(), "there is no report")
        demand(self.wanted(of_ports) == 0, "executors are wanted for nothing")
        executor.leaves(pod["terminationGracePeriodSeconds"])
        scheduler.leaves(15)
        print(f"   paint, pack and run: {done} tasks on an executor that was called for them and came by its own name")

    def wanted(self, of_ports):
        """What KEDA reads, the way it reads it."""
        [trigger] = self.document("ScaledObject", "-executor")["spec"]["triggers"]
        url = trigger["metadata"]["url"]
        path = re.fullmatch(rf"http://pomona-scheduler\.{NAMESPACE}\.svc:{FIGURES_PORT}/(.+)", url)
        demand(path, f"{url} is not where the scheduler tells figures")
        told = json.loads(fetched(f"http://127.0.0.1:{of_ports[FIGURES_PORT]}/{path[1]}"))
        demand(trigger["metadata"]["valueLocation"] in told, f"KEDA finds no number of executors in {told}")
        return told[trigger["metadata"]["valueLocation"]]


# In place of the commands that reach others: what they are asked is written down.
STAND_INS = {
    "dnf": "true",
    "docker": """
printf '%s\\n' "$*" >> "$ROOT/docker.calls"
case "$*" in *"cluster certificates"*) exec "$RUN_DOCKER" "$@" ;; esac
""",
    "systemctl": """printf '%s\\n' "$*" >> "$ROOT/systemctl.calls" """,
    "chown": "true",
    "install": 'for last; do case "$last" in /*) mkdir -p "$last" ;; esac; done',
    "aws": """
printf '%s\\n' "$*" >> "$ROOT/aws.calls"
case "$*" in
  *put-parameter*) while [ "$1" != --value ]; do shift; done; printf '%s' "$2" > "$CLOUD/parameter" ;;
  *get-parameter*) cat "$CLOUD/parameter" ;;
  *"s3 cp"*) for last; do :; done; : > "$last" ;;
  *describe-auto-scaling-groups*) cat "$CLOUD/capacity" ;;
  *set-desired-capacity*) for last; do :; done; printf '%s' "$last" > "$CLOUD/capacity" ;;
esac
""",
    "curl": """
for last; do :; done
case "$*" in
  *instance-action*) [ -e "$CLOUD/notice" ] ;;
  *local-ipv4*) echo 10.80.16.7 ;;
  *latest/api/token*) echo token ;;
  *) exec "$PYTHON" -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())' "$last" ;;
esac
""",
    "jq": """for last; do :; done
exec "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "${last#.}" """,
}
# Folders of the machine that scripts write to.
OWN = re.compile(r"(?<![\w}])(/etc/|/usr/local/bin/|/var/lib/pomona|/var/tmp/|/run/)")


class Machine:
    """What a machine is when its script has run, in a folder instead of `/`."""

    def __init__(self, site, name, script, cloud, program):
        self.site, self.name = site, name
        self.root = site.folder("machines-run", name)
        self.cloud = cloud
        self.program = program
        stand_ins = site.folder("machines-run", "stand-ins")
        for command, text in STAND_INS.items():
            path = stand_ins / command
            path.write_text(f"#!/bin/sh\nset -e\n{text}\n", encoding="utf-8")
            path.chmod(0o755)
        for folder in ("etc/systemd/system", "usr/local/bin", "var/tmp", "run"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        runner = stand_ins / f"run-docker-{name}"
        runner.write_text(self.docker_runner(), encoding="utf-8")
        runner.chmod(0o755)
        self.variables = {
            "PATH": f"{stand_ins}:/usr/bin:/bin",
            "ROOT": str(self.root),
            "CLOUD": str(cloud),
            "RUN_DOCKER": str(runner),
            "PYTHON": sys.executable,
        }
        path = self.root / "user-data.sh"
        path.write_text(OWN.sub(rf"{self.root}\1", script), encoding="utf-8")
        called(["bash", path], env=self.variables, timeout=120)

    def docker_runner(self):
        """`docker run` of the program, as it is: mounted folders are links."""
        return f"""#!/bin/sh
set -e
while [ "$1" != localhost/pomona:latest ]; do shift; done
shift
exec {shlex.quote(str(self.program))} "$@"
"""

    def unit(self, name):
        """What a unit starts: mounts, variables, arguments."""
        text = (self.root / f"etc/systemd/system/{name}.service").read_text(encoding="utf-8")
        joined = re.sub(r"\\\n\s*", "", text)
        [command] = re.findall(r"^ExecStart=(.*)$", joined, re.MULTILINE)
        for path in re.findall(r"^EnvironmentFile=(.*)$", joined, re.MULTILINE):
            for line in open(path, encoding="utf-8"):
                key, value = line.strip().split("=", 1)
                command = command.replace(f"${{{key}}}", value)
        stop = int(re.search(r"^TimeoutStopSec=(\d+)$", joined, re.MULTILINE)[1])
        words = shlex.split(command)
        demand(words[:2] == ["/usr/bin/docker", "run"], f"{name} starts {words[0]}")
        at = words.index("localhost/pomona:latest")
        return words[2:at], words[at + 1 :], stop

    def start(self, name, of_ports, hosts):
        options, arguments, stop = self.unit(name)
        mounts, own = {}, {}
        for key, value in zip(options, options[1:]):
            if key == "--volume":
                source, target = value.split(":")[:2]
                demand(os.path.isdir(source), f"{name}: there is no {source} to mount")
                mounts[target] = source
            elif key == "--tmpfs":
                mounts[value] = self.site.folder("machines-run", f"tmpfs-{self.name}")
            elif key == "--env":
                variable, content = value.split("=", 1)
                own[variable] = content
        for needed in (["--read-only"], ["--cap-drop", "ALL"], ["--user", "65532:65532"]):
            demand(" ".join(needed) in " ".join(options), f"{name} is not started with {' '.join(needed)}")
        place = Place(mounts, of_ports, hosts)
        return self.site.start(name, place, arguments, own), stop, arguments

    def script(self, name, **more):
        return called(["bash", self.root / "usr/local/bin" / name], env=self.variables | more, timeout=60)


class Clouded:
    """The machines of deploy/aws."""

    def __init__(self, site, scripts, settings):
        self.site, self.scripts, self.settings = site, scripts, settings

    def check(self):
        site, settings = self.site, self.settings
        cloud = site.folder("cloud")
        (cloud / "capacity").write_text("0", encoding="utf-8")
        machine = Machine(site, "scheduler", self.scripts["scheduler"], cloud, site.program)
        authority = machine.root / "var/lib/pomona/certificates/ca-key.pem"
        demand(authority.is_file(), "the scheduler made no authority")
        hosts = {settings["scheduler_host"]}
        of_ports = ports()
        scheduler, stop, _ = machine.start("pomona-scheduler", of_ports, hosts)
        settled(scheduler, of_ports[FIGURES_PORT])

        other = Machine(site, "executor", self.scripts["executor"], cloud, site.program)
        handed = {path.name for path in (other.root / "var/lib/pomona/certificates").iterdir()}
        demand(handed == {"ca.pem", "cert.pem", "key.pem"}, f"an executor gets {handed}")
        advertised = f"ip-10-80-16-7.{settings['domain']}"
        hosts.add(advertised)
        executor_ports = shared(of_ports)
        executor, executor_stop, arguments = other.start("pomona-executor", executor_ports, hosts)
        demand(option(arguments, "advertise") == advertised, f"the executor says {option(arguments, 'advertise')}")
        demand(executor_stop > int(option(arguments, "drain-secs")), "systemd does not wait for the executor to drain")
        settled(executor, executor_ports[FIGURES_PORT], "readyz")
        client = machine.root / "var/lib/pomona/certificates/client"
        known_as(settings["scheduler_host"], of_ports[SCHEDULER_PORT], client)
        known_as(advertised, executor_ports[RESULTS_PORT], client)

        self.check_scale(machine, of_ports, cloud)
        self.check_notice(other, cloud)
        executor.leaves(executor_stop)
        scheduler.leaves(stop)
        print("   two machines boot, find each other, call executors, and drain on Amazon's notice")

    def check_scale(self, machine, of_ports, cloud):
        """Executors are called for work, up to the limit, and leave after a while without."""
        script = machine.root / "usr/local/bin/pomona-scale"
        text = script.read_text(encoding="utf-8")
        real = text.replace(f"127.0.0.1:{FIGURES_PORT}", f"127.0.0.1:{of_ports[FIGURES_PORT]}")
        demand(real != text, "pomona-scale asks no scheduler")
        (cloud / "capacity").write_text("3", encoding="utf-8")
        since = machine.root / "run/pomona-scale.since"

        def scaled(script_text):
            script.write_text(script_text, encoding="utf-8")
            machine.script("pomona-scale")
            return int((cloud / "capacity").read_text(encoding="utf-8"))

        # The scheduler, as it is: nothing to do.
        demand(scaled(real) == 3 and since.exists(), "executors leave at once")
        since.write_text("0", encoding="utf-8")
        demand(scaled(real) == 0, "executors do not leave")
        told = cloud / "scaling"
        much = text.replace(f"http://127.0.0.1:{FIGURES_PORT}/pomona/scaling", f"file://{told}")
        for wanted, expected in ((2, 2), (100, self.settings["max_executors"])):
            told.write_text(json.dumps({"wanted_executors": wanted}), encoding="utf-8")
            demand(scaled(much) == expected, f"{wanted} executors are wanted, and not {expected} called")

    def check_notice(self, machine, cloud):
        stops = "stop pomona-executor.service"
        calls = machine.root / "systemctl.calls"
        log = self.site.folder("logs") / "notice.log"
        script = machine.root / "usr/local/bin/pomona-notice"
        process = Process("pomona-notice", ["bash", str(script)], machine.variables, log)
        try:
            process.child.wait(2)
        except subprocess.TimeoutExpired:
            pass
        demand(stops not in calls.read_text(encoding="utf-8"), "an executor is stopped without a notice")
        (cloud / "notice").touch()
        try:
            process.child.wait(20)
        except subprocess.TimeoutExpired:
            raise Wrong("Amazon's notice is not heard") from None
        demand(stops in calls.read_text(encoding="utf-8"), "the executor is not told to drain")


def check_all(site, store, scripts, settings):
    """Gives the names of all metrics that are served."""
    print("-- image: what its build makes of the program", flush=True)
    build_image(site)
    print("-- containers: certificates, scheduler, two executors, a run", flush=True)
    served = Composed(site, store).check(store.root)
    print("-- pods: the commands of the notes, a scheduler, an executor, the demonstration", flush=True)
    Charted(site, store).check(store.root)
    print("-- machines: user data, units, scaling, a notice", flush=True)
    Clouded(site, scripts, settings).check()
    remove(site.scratch / "compose")
    return served
