"""What containers, pods and machines start, started here with their arguments and variables.

Three things are changed, and each change is printed with --show: paths become folders of a scratch folder, by what is
mounted there; addresses become ports of this machine; and other hosts' names become `localhost`, which every certificate is
for as well. Whether certificates are for the names that hosts have over there is asked by TLS.

What is mounted nowhere cannot be written to: it becomes a path below a file.
"""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

from common import ROOT, Wrong, called, container_environment, container_file, container_stages, demand

PATIENCE_SECS = 90
NOWHERE = "/dev/null"
SCHEDULER_PORT, RESULTS_PORT, FIGURES_PORT = 50050, 50051, 9100


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def fetched_engines():
    """Folders of ONNX Runtime where the program keeps them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pomona"
    found = list(cache.glob("onnxruntime-*"))
    demand(found, "ONNX Runtime is not in the cache: run `pomona demo` once")
    return found


class Place:
    """Where something runs: what is mounted there, and which of its ports are which of ours."""

    def __init__(self, mounts, ports, hosts):
        self.mounts = dict(mounts)
        self.ports = ports
        # Names that are this machine here.
        self.hosts = set(hosts)
        self.changed = []

    def path(self, path):
        for mounted in sorted(self.mounts, key=len, reverse=True):
            if path == mounted or path.startswith(mounted + "/"):
                return str(self.mounts[mounted]) + path[len(mounted) :]
        return NOWHERE + path

    def value(self, text):
        """A path, an address, a name, or something else."""
        if text.startswith("/"):
            return self.path(text)
        address = re.fullmatch(r"(df://)?([\w.-]+):(\d+)", text)
        if address and int(address[3]) in self.ports:
            scheme, host, port = address[1] or "", address[2], self.ports[int(address[3])]
            demand(host in self.hosts | {"0.0.0.0", "127.0.0.1"}, f"{text}: there is no host {host}")
            return f"{scheme}{'127.0.0.1' if host[0].isdigit() else 'localhost'}:{port}"
        return "localhost" if text in self.hosts else text

    def argument(self, text):
        name, equals, value = text.partition("=") if text.startswith("--") else ("", "", text)
        # Hosts that certificates are made for stay as they are, and so do commands that are called like a host.
        new = text if name == "--host" or text in self.hosts else name + equals + self.value(value)
        if new != text:
            self.changed.append(f"{text} → {new}")
        return new


class Process:
    """A process that is meant to go on."""

    running = []

    def __init__(self, what, command, environment, log):
        self.what = what
        self.log = log
        with log.open("wb") as out:
            self.child = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=log.parent
            )
        Process.running.append(self)

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, question, text):
        """Waits for an answer that is not nothing."""
        since = time.monotonic()
        while True:
            demand(self.child.poll() is None, f"{self.what} ended with {self.child.returncode}:\n{self.said()}")
            answer = question()
            if answer:
                return answer
            demand(time.monotonic() - since < PATIENCE_SECS, f"{self.what}: {text}:\n{self.said()}")
            time.sleep(0.2)

    def leaves(self, within_secs):
        """SIGTERM, as whoever runs containers sends it, and a good end."""
        self.child.send_signal(signal.SIGTERM)
        try:
            code = self.child.wait(within_secs)
        except subprocess.TimeoutExpired:
            raise Wrong(f"{self.what} is there {within_secs} s after SIGTERM:\n{self.said()}") from None
        demand(code == 0, f"{self.what} ended with {code} on SIGTERM:\n{self.said()}")

    @classmethod
    def end_all(cls):
        for process in cls.running:
            if process.child.poll() is None:
                process.child.kill()
                process.child.wait()


class Site:
    """A scratch folder with a program, the processes that were started there, and a store."""

    def __init__(self, program, scratch, show):
        self.program = program
        self.scratch = scratch
        self.show = show
        self.count = 0
        # What the image's last stage takes over from the one before it.
        self.image = scratch / "image"

    def folder(self, *names):
        place = self.scratch.joinpath(*names)
        place.mkdir(parents=True, exist_ok=True)
        return place

    def environment(self, place, own):
        """What the image says, then what the one who starts it says; nothing of this machine's."""
        variables = container_environment()
        library = self.image / variables.pop("POMONA_ORT_LIBRARY").lstrip("/")
        demand(library.is_file(), f"Containerfile: the image has no {library.relative_to(self.image)}")
        variables = {name: place.argument(value) for name, value in (variables | own).items()}
        return variables | {"POMONA_ORT_LIBRARY": str(library)}

    def prepare(self, what, place, arguments, own):
        place.changed.clear()
        environment = self.environment(place, own)
        command = [str(self.program), *(place.argument(text) for text in arguments)]
        self.count += 1
        log = self.folder("logs") / f"{self.count:02}-{what}.log"
        if self.show:
            print(f"   {what}: pomona {' '.join(arguments)}")
            for line in place.changed:
                print(f"      {line}")
        return command, environment, log

    def start(self, what, place, arguments, own):
        return Process(what, *self.prepare(what, place, arguments, own))

    def run(self, what, place, arguments, own):
        """A process that is meant to end well; what it printed."""
        command, environment, log = self.prepare(what, place, arguments, own)
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=log.parent, timeout=600
        )
        demand(done.returncode == 0, f"{what}: pomona {' '.join(arguments)}\nended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def healthy(self, what, place, own):
        """The image's own question after its health."""
        [check] = [rest for instruction, rest in container_file() if instruction == "HEALTHCHECK"]
        program, *arguments = json.loads(check.split("CMD", 1)[1])
        demand(program == "/usr/local/bin/pomona", f"HEALTHCHECK: {program} is not in the image")
        own = dict(own)
        if "POMONA_SCHEDULER" not in own:
            # What the program does by itself, with its port.
            own["POMONA_SCHEDULER"] = f"127.0.0.1:{SCHEDULER_PORT}"
        return self.run(f"{what}-health", place, arguments, own)


def build_image(site):
    """What the container file does with a program that is built: the engine is put beside it, and folders are made."""
    [steps] = [
        [rest for instruction, rest in stage if instruction == "RUN" and "--mount" not in rest and "demo" in rest]
        for stage in container_stages()[1:-1]
    ]
    demand(len(steps) == 1, "Containerfile: it is not one step any more that follows on the build")
    program = site.folder("image/usr/local/bin") / "pomona"
    program.symlink_to(site.program)
    cache = site.folder("image-cache")
    for folder in fetched_engines():
        (cache / folder.name).symlink_to(folder)
    script = steps[0]
    for theirs, ours in (("/tmp/demo", site.folder("image-demo")), ("/cache", cache), ("/image", site.image)):
        script = re.sub(rf"(?<![\w/]){theirs}\b", str(ours), script)
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(site.scratch), "POMONA_OFFLINE": "1"}
    called(["sh", "-c", f"set -e; cd {ROOT}; {script}"], env=variables)
    for instruction, rest in container_file():
        if instruction == "COPY":
            source = rest.split()[-2]
            demand((site.image / source.removeprefix("/image/")).is_dir(), f"Containerfile: the build makes no {source}")


class Store:
    """The S3 server of the tests, in the place of the one that is deployed."""

    def __init__(self, site, program, root):
        demand(program.is_file(), f"{program} is not there: `cargo build --package pomona-testbed` makes it")
        self.root = root
        log = site.folder("logs") / "00-store.log"
        self.process = Process("store", [str(program), str(root)], {"PATH": "/usr/bin:/bin"}, log)
        self.process.until(lambda: "AWS_SECRET_ACCESS_KEY" in self.process.said(), "it does not listen")
        self.variables = dict(re.findall(r"^export (\w+)=(.*)$", self.process.said(), re.MULTILINE))


def fetched(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return None


def metric_names(text):
    return {re.sub(r"_bucket$|_sum$|_count$", "", line.split("{")[0].split()[0]) for line in text.splitlines() if line and line[0] != "#"}


def known_as(name, port, identity):
    """Whether the one at that port has a certificate for its name, and talks to nobody who has none."""
    context = ssl.create_default_context(cafile=identity / "ca.pem")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for certified in (True, False):
        if certified:
            context.load_cert_chain(identity / "cert.pem", identity / "key.pem")
        else:
            context = ssl.create_default_context(cafile=identity / "ca.pem")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                with context.wrap_socket(plain, server_hostname=name) as secured:
                    secured.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    # Who is refused hears of it with the first answer.
                    answered = secured.recv(64).startswith(b"HTTP/1.1 200")
        except ssl.SSLCertVerificationError as error:
            raise Wrong(f"{name}: {error}") from error
        except (ssl.SSLError, ConnectionError):
            answered = False
        demand(answered == certified, f"{name}: {'a certificate is refused' if certified else 'strangers are served'}")


def same_results(one, other):
    """Whether two runs gave the same numbers, to the byte."""
    first, second = one / "results.csv", other / "results.csv"
    demand(first.is_file() and second.is_file(), f"no results in {one} or {other}")
    demand(first.read_bytes() == second.read_bytes(), f"{first} and {second} differ")
    return first.read_text(encoding="utf-8").count("\n") - 1


def all_took_work(site, place, own, executors):
    told = json.loads(site.run("status", place, ["cluster", "status", "--json"], own))
    done = [executor["tasks_done"] for executor in told["executors"]]
    demand(len(done) == executors and all(done), f"{executors} executors, and tasks done: {done}")
    return sum(done)


def remove(path):
    shutil.rmtree(path, ignore_errors=True)
