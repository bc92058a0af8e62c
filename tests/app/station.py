"""A hub with releases and a feed, the program `zonda-station` beside it, and questions to both."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ZONDA = os.environ.get("ZONDA_PROGRAM", "build/release/bin/zonda")
STATION = os.environ.get("ZONDA_STATION", "build/release/bin/zonda-station")
SCENE = os.environ.get("ZONDA_SCENE", "build/release/bin/edge_scene")
# Threads that spin while they wait take the processor from those that have work.
ENVIRONMENT = dict(os.environ, OMP_WAIT_POLICY="passive", OMP_NUM_THREADS="1")


def scene(folder, *words):
    """What `edge_scene` tells of the hub that it made in `folder`."""
    done = subprocess.run([SCENE, str(folder), *map(str, words)], capture_output=True, text=True, env=ENVIRONMENT,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def hub(verb, folder, *words):
    done = subprocess.run([ZONDA, "hub", verb, str(folder), *words, "--json"], capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def running(*words, **more):
    process = subprocess.Popen([str(word) for word in words], text=True, env=ENVIRONMENT, **more)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def hub_server(folder):
    with running(ZONDA, "hub", "serve", folder, "--port", "0", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as it:
        yield it.stdout.readline().strip()


def free_port():
    import socket
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Station:
    def __init__(self, folder, hub_folder, hub_url, more="", connections=32):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = self.folder.parent / (self.folder.name + ".yaml")
        self.config.write_text(f"""\
id: one
directory: {self.folder}
hub: {{url: "{hub_url}", root: {hub_folder}/public/metadata/root.json, poll_interval: 1s}}
place: {{latitude: 55, longitude: 0}}
model: {{threads: 1}}
serve: {{port: {self.port}, connections: {connections}}}
{more}""")

    @contextlib.contextmanager
    def run(self):
        with open(self.folder.parent / (self.folder.name + ".log"), "w") as log:
            with running(STATION, "run", "--config", self.config, stderr=log) as self.process:
                self.wait(lambda: self.ask("/healthz")[0] == 200, "a first forecast")
                yield self

    def ask(self, path):
        """(status, headers, text); status 0 where nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=60) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()
        except OSError:
            return 0, {}, ""

    def json(self, path):
        return json.loads(self.ask(path)[2])

    def status(self):
        """What it wrote last."""
        return json.loads((self.folder / "status.json").read_text())

    def metrics(self):
        """`name{labels}`: value"""
        lines = self.ask("/metrics")[2].splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}

    def serves(self, version):
        """Whether the forecast that is answered is one of this release."""
        status = self.status()
        return status.get("model", {}).get("version") == version and not status["update"]["on_trial"]

    def wait(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, "the station ended: " + self.log()[-2000:]
            assert time.monotonic() < end, f"no {what} after {seconds} s: " + self.log()[-2000:]
            time.sleep(0.05)

    def log(self):
        return (self.folder.parent / (self.folder.name + ".log")).read_text()

    def resident(self):
        """Bytes: (all, those of the model's own files)."""
        whole = files = 0
        of_model = False
        for line in pathlib.Path(f"/proc/{self.process.pid}/smaps").read_text().splitlines():
            if line.split(" ", 1)[0].endswith(":"):
                if line.startswith("Rss:"):
                    bytes_ = 1024 * int(line.split()[1])
                    whole += bytes_
                    files += bytes_ if of_model else 0
            else:
                of_model = str(self.folder) in line
        return whole, files


@contextlib.contextmanager
def station_and_hub(*words, more="", connections=32):
    """A station that serves release 1.0 of a generated scene."""
    with tempfile.TemporaryDirectory(prefix="zonda-station-") as folder:
        made = scene(pathlib.Path(folder) / "scene", *words)
        with hub_server(made["hub"]) as url:
            with Station(pathlib.Path(folder) / "station", made["hub"], url, more, connections).run() as station:
                yield station, made
