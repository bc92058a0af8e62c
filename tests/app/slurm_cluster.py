"""`zonda submit`, `status` and `cancel` on a real Slurm cluster: two nodes of this machine, started by tests/jobs/slurmbox.sh and gone
afterwards. Any configuration of Slurm on this machine is left alone.

slurm_cluster.py [CLASS ...]; skipped (exit code 77) where no cluster can be started. Environment: ZONDA_PROGRAM.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from program import PROGRAM, SOURCE, zonda  # noqa: E402

BOX = str(SOURCE / "tests/jobs/slurmbox.sh")
STAGES = ["simulate", "ingest", "train", "forecast", "verify", "report"]
RUN_FILE = """\
simulate: {truncation: 21, levels: 5, days: 24, spinup_days: 5, variables: [z, t, u, v, sp, orog], pressure_levels: [850, 500]}
ingest:
  variables: [z, t, u, v, sp]
  levels: [850, 500]
  statics: [orog]
  statistics: {end: 2000-01-18}
train:
  network: {preset: tiny, width: 16, blocks: 2, heads: 1}
  between: [6h, 24h]
  steps: 300
  batch: 4
  learning_rate: 2.0e-3
  checkpoint: {every: 20}
  validation: {every: 100, samples: 2}
forecast: {start: 2000-01-19T12, end: 2000-01-21, every: 12h, lead: 48h, output_step: 12h}
verify: {regions: [global]}
report: {coastlines: false}
"""
SITE = """\
partition: main
time: 20min
array: 3
grace: 5min
environment: ["OMPI_MCA_btl=self,tcp", OMPI_MCA_btl_tcp_if_include=lo, OMPI_MCA_mpi_yield_when_idle=1,
              OMPI_MCA_hwloc_base_binding_policy=none, SOURCE_DATE_EPOCH=1500000000]
stages:
  train: {nodes: 2, ranks_per_node: 2}
"""
MORE_STEPS = "train.steps=1200"  # long enough to lose something half-way, again and again


def unavailable():
    if os.geteuid() != 0:
        return "slurmd needs root"
    for program in ("sbatch", "slurmctld", "slurmd", "munged"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: apt-get install slurm-wlm munge)"
    return ""


def free_ports(count):
    """The first of so many neighbours, below those that the system hands out by itself."""
    for first in range(17400 + os.getpid() % 1000 * 10, 30000, count):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + count):
                held.enter_context(contextlib.closing(socket.socket())).bind(("127.0.0.1", port))
            return first
    raise RuntimeError("no free ports")


def box_do(verb, *words):
    result = subprocess.run([BOX, verb, str(box), *words], capture_output=True, text=True, timeout=120, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"slurmbox.sh {verb}: {result.stderr}{result.stdout}")


def slurm(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


def shown(job):
    """What Slurm says of a job: {key: value}."""
    return dict(re.findall(r"(\S+?)=(\S*)", slurm("scontrol", "show", "job", str(job))))


def node_state(node):
    return slurm("sinfo", "--noheader", f"--nodes={node}", "--format=%T").strip()


def ranks_of(job):
    """{rank: process} of the job's running step."""
    ranks = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = dict(word.split("=", 1) for word in (path / "environ").read_text().split("\0") if "=" in word)
            mine = words.get("SLURM_CONF") == os.environ["SLURM_CONF"] and words.get("SLURM_JOB_ID") == str(job)
            if mine and (path / "comm").read_text() == "zonda\n":
                ranks[int(words.get("OMPI_COMM_WORLD_RANK", words["SLURM_PROCID"]))] = int(path.name)
    return ranks


def has_pending(process, signal_number):
    masks = re.findall(r"^(?:ShdPnd|SigPnd):\s*(\w+)$", pathlib.Path(f"/proc/{process}/status").read_text(), re.M)
    return any(int(mask, 16) >> (signal_number - 1) & 1 for mask in masks)


def digest(run, parts):
    """SHA-256 of each file; of a checkpoint, whose files are those of the ranks that wrote it, the hash of what it holds.
    Records of the wall clock differ between any two runs."""
    files = [path for part in parts for path in ([run / part] if (run / part).is_file() else sorted((run / part).rglob("*")))]
    found = {}
    for path in files:
        if not path.is_file() or path.name == "timing.jsonl" or "tfevents" in path.name:
            continue
        if path.parent.name.startswith("step-"):
            if path.name == "manifest.json":
                found[str(path.parent.relative_to(run))] = json.loads(path.read_text())["hash"]
            continue
        found[str(path.relative_to(run))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


class OnCluster(unittest.TestCase):
    """A run is a folder of its own with the run file in it."""

    settings = ()

    def tearDown(self):
        slurm("scancel", "--user=root")
        self.wait("the queue is empty", lambda: slurm("squeue", "--noheader") == "")

    def start_run(self, name, *, stages=(), run_file=RUN_FILE, site=SITE):
        self.folder = folder / f"{type(self).__name__}-{name}"
        self.folder.mkdir()
        self.run_directory = self.folder / "runs/case"
        (self.folder / "case.yaml").write_text(run_file)
        (self.folder / "site.yaml").write_text(site)
        for stage in stages:
            self.zonda("run", "case.yaml", *self.settings, "--stage", stage)

    def zonda(self, *words, code=0):
        result = zonda(*words, cwd=self.folder)
        self.assertEqual(result.returncode, code, f"{words}\n{result.stderr}{result.stdout}")
        return result

    def submit(self, *words, code=0):
        return self.zonda("submit", "case.yaml", *self.settings, "--site", "site.yaml", *words, code=code)

    def submitted(self):
        return {job["stage"]: job for job in json.loads(self.submit("--json").stdout)}

    def status(self):
        return {stage["stage"]: stage for stage in json.loads(self.zonda("status", "runs/case", "--json").stdout)["stages"]}

    def output(self, stage):
        return "\n".join(path.read_text() for path in sorted(self.run_directory.glob(f"jobs/{stage}-*.out")))

    def story(self):
        """For the message of a failed test."""
        outputs = [f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.run_directory.glob("jobs/*.out"))]
        log = (box / "slurmctld.log").read_text()[-3000:]
        return "\n".join([self.zonda("status", "runs/case").stdout, *outputs, f"== slurmctld.log\n{log}"])

    def wait(self, what, until, *, seconds=400):
        """Polls until `until()` holds; the time is for machines with much else to do."""
        end = time.monotonic() + seconds
        while not (found := until()):
            self.assertLess(time.monotonic(), end, f"in vain for {seconds} s: {what}\n{self.story()}")
            time.sleep(0.1)
        return found

    def wait_for_status(self, what, until, **options):
        def hold():
            status = self.status()
            broken = [stage for stage in status.values() if stage["state"] in ("failed", "cancelled", "lost")]
            self.assertEqual(broken, [], f"while waiting for: {what}\n{self.story()}")
            return status if until(status) else None

        return self.wait(what, hold, **options)

    def wait_until_done(self, **options):
        return self.wait_for_status("all stages are done", lambda status: all(s["state"] == "done" for s in status.values()), **options)

    def checkpoint(self):
        steps = [re.fullmatch(r"step-(\d+)", path.name) for path in self.run_directory.glob("checkpoints/step-*")]
        return max((int(step[1]) for step in steps if step), default=0)

    def run_alone(self):
        """The same run on this machine, without Slurm."""
        name = "alone-" + hashlib.sha256(repr(self.settings).encode()).hexdigest()[:8]
        alone = folder / name
        if not alone.exists():
            alone.mkdir()
            (alone / "case.yaml").write_text(RUN_FILE)
            result = zonda("run", "case.yaml", *self.settings, cwd=alone)
            self.assertEqual(result.returncode, 0, result.stderr)
        return alone / "runs/case"

    def expect_as_alone(self):
        parts = ("archive", "checkpoints", "forecast", "scores.json")
        alone = digest(self.run_alone(), parts)
        self.assertGreater(len(alone), 10)
        self.assertIn("checkpoints/model/manifest.json", alone)
        self.assertEqual(digest(self.run_directory, parts), alone)


class Chain(OnCluster):
    def test_a_run_goes_through_the_queue(self):
        self.start_run("whole")
        accepted = self.submit("--test-only").stdout
        self.assertEqual(re.findall(r"^(\w+) +accepted", accepted, re.M), STAGES)
        self.assertEqual(slurm("squeue", "--noheader"), "", "asking submits nothing")

        jobs = self.submitted()
        self.assertEqual(list(jobs), STAGES)
        self.assertEqual([job["ranks"] for job in jobs.values()], [1, 1, 4, 1, 1, 1])
        self.assertEqual([job["shares"] for job in jobs.values()], [1, 1, 1, 3, 1, 1])
        self.assertEqual(jobs["train"]["nodes"], 2)
        refused = self.submit(code=2)
        self.assertIn("jobs of this run are in the queue", refused.stderr)

        seen = {stage: [] for stage in STAGES}
        progress = set()

        def watched(status):
            self.assertEqual(list(status), STAGES)
            states = [stage["state"] for stage in status.values()]
            self.assertEqual(states, sorted(states, key=["done", "running", "waiting"].index), "a stage runs after those before it")
            self.assertLessEqual(states.count("running"), 1)
            for name, stage in status.items():
                if seen[name][-1:] != [stage["state"]]:
                    seen[name].append(stage["state"])
                self.assertEqual(stage["job"], jobs[name]["job"])
            if status["train"]["state"] == "running" and "of" in status["train"]:
                self.assertEqual(status["train"]["of"], 300)
                progress.add(status["train"]["step"])
            if status["simulate"]["state"] == "running":
                self.assertEqual(status["report"]["message"], "Dependency")
            return all(state == "done" for state in states)

        final = self.wait_for_status("all stages are done", watched)
        for stage in STAGES:
            order = [state for state in ("waiting", "running", "done") if state in seen[stage]]
            self.assertEqual(seen[stage], order, stage)
        self.assertEqual(seen["train"], ["waiting", "running", "done"])
        self.assertEqual(seen["report"][0], "waiting")
        self.assertTrue(progress)
        self.assertEqual((final["forecast"]["shares_done"], final["forecast"]["shares"]), (3, 3))
        self.assertIn("4 rank(s)", self.output("train"))
        self.expect_as_alone()
        self.assertTrue((self.run_directory / "index.html").exists())
        self.assertIn("every stage is done", self.submit().stderr)

    def test_cancelled_in_the_middle_and_submitted_again(self):
        self.settings = (MORE_STEPS,)
        self.start_run("cancelled", stages=("simulate", "ingest"))
        jobs = self.submitted()
        self.assertEqual(list(jobs), STAGES[2:])
        self.wait("training has a checkpoint", lambda: self.checkpoint() >= 20)
        self.assertEqual(self.status()["train"]["state"], "running")
        cancelled = json.loads(self.zonda("cancel", "runs/case", "--json").stdout)["cancelled"]
        self.assertEqual(cancelled, [job["job"] for job in jobs.values()])
        self.wait("the ranks are gone", lambda: not ranks_of(jobs["train"]["job"]))
        self.wait("the queue is empty", lambda: slurm("squeue", "--noheader") == "")
        status = self.status()
        self.assertEqual([status[stage]["state"] for stage in STAGES[:2]], ["done", "done"])
        self.assertEqual({status[stage]["state"] for stage in STAGES[2:]}, {"cancelled"}, status)
        self.assertIn("no job of this run", self.zonda("cancel", "runs/case").stdout)
        self.assertFalse((self.run_directory / "checkpoints/model").exists())

        self.assertEqual(list(self.submitted()), STAGES[2:])
        self.wait_until_done()
        self.assertIn("continuing from", self.output("train"))
        self.expect_as_alone()

    def test_a_stage_that_fails_ends_the_chain(self):
        self.start_run("broken", stages=("simulate", "ingest"))
        data = max((path for path in self.run_directory.glob("archive/**/*") if path.is_file()), key=lambda path: path.stat().st_size)
        data.write_bytes(data.read_bytes()[:1000])
        jobs = self.submitted()
        self.wait("the queue is empty", lambda: slurm("squeue", "--noheader") == "")
        status = self.status()
        self.assertEqual(status["train"]["state"], "failed", status)
        self.assertIn(data.name, status["train"]["message"])
        self.assertEqual(shown(jobs["train"]["job"])["ExitCode"], "3:0", "input data are bad")
        for stage in STAGES[3:]:
            self.assertEqual(status[stage]["state"], "cancelled", status)
            self.assertEqual(status[stage]["message"], "a stage before it did not end well")
        self.assertNotIn("restarts", status["train"])

    def test_a_launcher_that_mpi_does_not_know(self):
        self.start_run("worlds", stages=("simulate", "ingest"), site=SITE + "mpi: none\n")
        self.submit()
        self.wait("the queue is empty", lambda: slurm("squeue", "--noheader") == "")
        self.assertEqual(self.status()["train"]["state"], "failed")
        # Open MPI's own words, where it does not take each task for a world of its own.
        self.assertRegex(self.output("train"), 'direct launched using "srun"|srun started 4 tasks, but MPI sees one')
        self.assertEqual(self.status()["report"]["state"], "cancelled")

    def test_a_script_that_the_cluster_refuses(self):
        self.start_run("refused", site="partition: nowhere\n")
        for words in ((), ("--test-only",)):
            refused = self.submit(*words, code=1)
            self.assertIn("not accepted", refused.stderr)
            self.assertIn("partition", refused.stderr)
        self.assertEqual(slurm("squeue", "--noheader"), "", "what was accepted before is cancelled")


class Losses(OnCluster):
    """Training loses ranks, nodes and its time again and again; its weights are those of the run that lost nothing."""

    settings = (MORE_STEPS,)

    def begin(self, name, **options):
        self.start_run(name, stages=("simulate", "ingest"), **options)
        self.job = self.submitted()["train"]["job"]
        self.restarts = 0

    def wait_for_work(self):
        before = self.checkpoint()
        self.wait("training goes on", lambda: self.checkpoint() > before and len(ranks_of(self.job)) == 4)
        status = self.status()["train"]
        self.assertEqual((status["state"], status.get("restarts", 0)), ("running", self.restarts), self.story())

    def hold_at_work(self):
        """One rank is stopped in the middle, so that what comes surely meets the training at work; returns its process."""
        self.wait_for_work()
        rank = ranks_of(self.job)[3]
        os.kill(rank, signal.SIGSTOP)
        return rank

    def wait_for_queue(self):
        self.restarts += 1
        status = self.wait_for_status("training waits in the queue", lambda status: status["train"]["state"] == "waiting")
        self.assertEqual(status["train"]["restarts"], self.restarts)
        self.assertEqual(status["forecast"]["state"], "waiting")
        self.assertFalse((self.run_directory / "checkpoints/model").exists())
        self.assertEqual(ranks_of(self.job), {}, "no rank is left over")

    def finish(self):
        self.assertEqual(self.wait_until_done()["train"]["restarts"], self.restarts)
        self.assertEqual(self.output("train").count("continuing from"), self.restarts)
        self.expect_as_alone()

    def lose_node(self, node):
        self.hold_at_work()
        box_do("kill-node", node)
        self.wait(f"Slurm notices that {node} is gone", lambda: node_state(node).startswith("down"))
        self.wait_for_queue()
        box_do("start-node", node)
        self.wait(f"{node} is back", lambda: not node_state(node).startswith("down"))

    def lose_rank(self, rank):
        self.hold_at_work()
        os.kill(ranks_of(self.job)[rank], signal.SIGKILL)
        self.wait_for_queue()

    def run_out_of_time(self):
        """The limit comes down upon the job."""
        rank = self.hold_at_work()
        hours, minutes, _ = (int(part) for part in shown(self.job)["RunTime"].split(":"))
        slurm("scontrol", "update", f"JobId={self.job}", f"TimeLimit={60 * hours + minutes + 5}")
        self.wait("Slurm warns the ranks", lambda: has_pending(rank, signal.SIGUSR1))
        os.kill(rank, signal.SIGCONT)
        self.wait_for_queue()
        self.assertIn("training stopped by signal 10", self.output("train"))
        slurm("scontrol", "update", f"JobId={self.job}", "TimeLimit=20")

    def test_ranks_and_nodes(self):
        self.begin("killed")
        self.lose_rank(1)
        self.lose_node("n2")
        self.lose_node("n1")  # where the job's script runs
        self.run_out_of_time()
        self.finish()

    def test_a_node_that_is_back_before_slurm_misses_it(self):
        """Slurm then lets the job be; the ranks' own watchdogs end it."""
        self.begin("blink", site=SITE.replace("SOURCE_DATE", "ZONDA_COLLECTIVE_TIMEOUT=40, SOURCE_DATE"))
        self.hold_at_work()
        box_do("kill-node", "n2")
        box_do("start-node", "n2")
        self.wait_for_queue()
        self.finish()


class OtherSites(Losses):
    """The same where slurm.conf has RequeueExit=75, and where srun does not speak PMIx."""

    test_ranks_and_nodes = test_a_node_that_is_back_before_slurm_misses_it = None

    def lose_a_rank_and_time(self):
        self.lose_rank(2)
        self.run_out_of_time()
        self.finish()

    def test_requeue_by_exit_code(self):
        self.begin("exit", site=SITE + "requeue_exit: true\n")
        self.assertNotIn("scontrol", (self.run_directory / "jobs/train.sh").read_text())
        self.lose_a_rank_and_time()

    def test_mpirun(self):
        as_root = "OMPI_ALLOW_RUN_AS_ROOT=1, OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1, SOURCE_DATE"
        self.begin("mpirun", site=SITE.replace("SOURCE_DATE", as_root) + "launcher: mpirun\n")
        self.lose_a_rank_and_time()


def main():
    global folder, box
    if reason := unavailable():
        print(f"skipped: {reason}")
        return 77
    os.environ.update(OMP_NUM_THREADS="1", SLURMBOX_PORT=str(free_ports(3)), SLURMBOX_OWNER=str(os.getpid()), ZONDA_PROGRAM=os.path.abspath(PROGRAM))
    if sys.argv[1:] == ["OtherSites"]:
        os.environ["SLURMBOX_REQUEUE_EXIT"] = "75"
    with tempfile.TemporaryDirectory(prefix="zonda-slurm-") as name:
        folder = pathlib.Path(name)
        box = folder / "box"
        os.environ["SLURM_CONF"] = str(box / "slurm.conf")
        try:
            try:
                box_do("up")
            except RuntimeError as error:
                print(f"skipped: no cluster could be started: {error}")
                return 77
            return 0 if unittest.main(verbosity=2, exit=False).result.wasSuccessful() else 1
        finally:
            box_do("down")


if __name__ == "__main__":
    sys.exit(main())
