"""The executors beyond one machine, each with its real engine: two gloo processes, a Ray cluster, a SLURM daemon."""

import contextlib
import importlib.util
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.executors import data_parallel, slurm
from benchmarks.executors.leases import Lease, Leases
from benchmarks.executors.outcome import Work
from benchmarks.executors.ray import RayExecutor
from benchmarks.executors.scheduler import Job
from benchmarks.run import main
from benchmarks.trial.config import TrialConfig
from benchmarks.trial.inputs import Resources
from leaderboard.records.identity import record_id
from leaderboard.records.store import read_records, write_record
from tests.benchmarks.executors import launcher

ROOT = Path(__file__).parents[3]
TINY = ("--tasks", "pocket-rte", "--fractions", "0.02", "--offline", "--set", "epochs=1")
LAUNCH = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
LAUNCH |= {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "x"}
STRATEGIES = ("none", "mixout(w_pre, 0.7)", "wdecay(w_pre, 0.01)")


@pytest.mark.long
def test_two_processes_train_a_trial_as_one_does(
    tmp_path: Path, records_in: Callable[..., dict[str, dict[str, Any]]]
) -> None:
    """Masks agree (the loop compares the weights after every epoch) and scores are those of the whole batch."""
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    launch += ["--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no"]  # 0: any free port
    request = ["-m", "benchmarks.run", *TINY, "--strategies", *STRATEGIES, "--restarts", "1", "--output"]
    found, here = [], os.environ | {"PYTHONPATH": str(ROOT)}
    for words, output in (([], tmp_path / "alone"), (launch, tmp_path / "pair")):
        command = [sys.executable, *words, *request, str(output)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=here)
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(records_in(output))
    alone, pair = found
    assert alone.keys() == pair.keys() and len(pair) == len(STRATEGIES)
    for name, record in pair.items():
        one, two = alone[name]["result"], record["result"]
        assert record["environment"]["processes"] == 2
        assert (one["score"], one["predictions"], one["hashes"]) == (two["score"], two["predictions"], two["hashes"])
        assert two["train_loss"] == pytest.approx(one["train_loss"], abs=1e-4)
        assert two["deviation"] == pytest.approx(one["deviation"], rel=1e-4)
    assert not (tmp_path / "pair" / "leases").exists()


@pytest.mark.parametrize(
    ("flags", "got"),
    [
        (["--executor", "ray"], "--executor, got --executor ray"),
        (
            ["--checkpoint-every", "50"],
            "--checkpoint-every, got 50; trials of several processes have no checkpoints",
        ),
    ],
)
def test_one_trial_over_several_processes_has_no_further_executor_and_no_checkpoints(
    flags: list[str], got: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    for name, value in LAUNCH.items():
        monkeypatch.setenv(name, value)
    said = refused(main, *TINY, "--strategies", "none", *flags, "--output", tmp_path / "out")
    assert said == f"error: accelerate launch must come without {got}\n" and not (tmp_path / "out").exists()


def supersede(lease: Lease) -> None:
    """As a launcher does that takes the lease's own for stale."""
    Path(lease.path).with_suffix(".1").write_text("another-launcher 0")


@pytest.fixture
def team(tmp_path: Path) -> Any:
    """One process of a launch, connected to no other; `told` is what it says to them."""
    made: Any = object.__new__(data_parallel.Team)
    made.records, made.timeout, made.state = tmp_path / "records", 1.0, SimpleNamespace(process_index=1)
    made.resources, made.told = SimpleNamespace(threads=1), []
    made.tell = made.told.append
    return made


@pytest.mark.parametrize(
    ("result", "superseded", "status"),
    [(launcher.RESULT, False, "ok"), (None, False, "timeout"), (None, True, None)],
    ids=["a result", "none yet", "superseded"],
)
def test_a_process_that_ends_its_launch_writes_over_no_result_and_for_no_other_launcher(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    team: Any,
    result: dict[str, Any] | None,
    superseded: bool,
    status: str,
) -> None:
    """The second process outlives the limit; the first one may have written, or have been asleep too long."""
    config, codes = launcher.config(0), []
    monkeypatch.setattr(os, "_exit", codes.append)
    with Leases(tmp_path) as leases:
        lease = leases.claim(record_id(config))
        if result is not None:
            write_record(team.records, {"config": config, "result": result, "environment": {}})
        if superseded:
            supersede(lease)
        team._overdue(config, lease)
    assert codes == [1], "a process that may be stuck does not stay"
    assert [record["result"]["status"] for record in read_records([tmp_path])[0]] == [status][: status is not None]


@pytest.mark.parametrize("superseded", [False, True])
def test_who_leads_writes_under_its_lease_alone(tmp_path: Path, team: Any, superseded: bool) -> None:
    def execute(config: dict[str, Any], lease: Lease) -> dict[str, Any]:
        if superseded:
            supersede(lease)
        return {"config": config, "result": launcher.RESULT, "environment": {}}

    team.execute, config = execute, launcher.config(0)
    with Leases(tmp_path) as leases:
        resources: Any = SimpleNamespace(checkpoints=None)
        work = Work(config, resources, str(team.records), 1, leases.claim(record_id(config)))
        outcome = team.submit(work).result()
        team.close()
    assert outcome.elsewhere == superseded
    assert len(list(team.records.glob("*.json"))) == (not superseded)
    (shown, lease), end = team.told
    assert shown == config and lease.trial == record_id(config) and end is None


def test_a_launch_that_breaks_off_in_a_trial_tells_the_others_nothing(tmp_path: Path, team: Any) -> None:
    """They are in the middle of that trial and would take it for a part of it; the launcher ends them."""

    def execute(config: dict[str, Any], lease: Lease) -> dict[str, Any]:
        raise KeyboardInterrupt

    team.execute = execute
    with pytest.raises(KeyboardInterrupt):
        launcher.launch(tmp_path, range(1), team)
    assert len(team.told) == 1


# --- Ray


WAITS = """
import os, pathlib, time
from dataclasses import dataclass
from regularizers import Regularizer, register

@register("waits")
@dataclass
class Waits(Regularizer):
    def attach(self, context):
        name = ".".join([os.environ["NODE"], str(os.getpid()), str(time.monotonic_ns())])
        pathlib.Path("{folder}", "begun", name).touch()
        while not pathlib.Path("{folder}", "go").exists():
            time.sleep(0.05)
        pathlib.Path("{folder}", "trained", name).touch()
        return super().attach(context)
"""


@pytest.fixture
def ray_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """A head without CPUs and two nodes of one CPU each on this machine; what runs on them finds its node's name."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray: pip install 'regbench[ray]'")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_worker_niceness", "0")  # at Ray's 15 other work on the machine starves the trials
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = {name: cluster.add_node(num_cpus=1, env_vars={"NODE": name}) for name in ("kept", "lost")}
    try:
        yield cluster.address, lambda name: cluster.remove_node(nodes[name], allow_graceful=False)
    finally:
        cluster.shutdown()


@pytest.mark.long
def test_a_lost_ray_node_costs_its_trial_one_attempt(
    tmp_path: Path,
    ray_cluster: tuple[str, Any],
    start_run: Callable[..., subprocess.Popen[str]],
    records_in: Callable[..., dict[str, dict[str, Any]]],
    await_that: Callable[..., None],
    ended: Callable[[int], bool],
) -> None:
    """Trials begin and wait; the node that holds one of them is killed; then all may go on."""
    address, lose_node = ray_cluster
    for name in ("begun", "trained"):
        (tmp_path / name).mkdir()
    (tmp_path / "waits.py").write_text(WAITS.format(folder=tmp_path))
    request = [*TINY, "--plugin", tmp_path / "waits.py", "--strategies", "waits", "--restarts", "3"]
    request += ["--output", tmp_path / "out", "--executor", "ray", "--ray-address", address]
    process = start_run(*request, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    await_that(lambda: process.poll() is not None or len(list((tmp_path / "begun").iterdir())) >= 2)
    begun = dict(path.name.split(".")[:2] for path in (tmp_path / "begun").iterdir())
    assert set(begun) == {"kept", "lost"}, process.communicate()
    lose_node("lost")
    await_that(lambda: ended(int(begun["lost"])))
    (tmp_path / "go").touch()
    said, error = process.communicate(timeout=3600)
    assert process.returncode == 0, error[-3000:]
    assert said.count("will be tried again") == 1 and "Ray lost the trial" in said
    environments = [record["environment"] for record in records_in(tmp_path / "out").values()]
    assert {each["executor"] for each in environments} == {"ray"}
    assert sorted(each["attempt"] for each in environments) == [1, 1, 2]
    assert len(list((tmp_path / "begun").iterdir())) == 4, "three trials, one of them begun twice"
    assert [path.name.split(".")[0] for path in (tmp_path / "trained").iterdir()] == ["kept"] * 3
    print("Ray: 3 trials on two nodes, one node killed while it ran one: 1 tried again, 0 lost, 0 trained twice")


@pytest.mark.parametrize(
    ("package", "flags", "message"),
    [
        ("ray", ["--executor", "ray"], r"pip install 'regbench\[ray\]'"),
        ("submitit", ["--executor", "slurm"], r"--executor slurm needs submitit, .*: pip install 'regbench\[slurm\]'"),
    ],
)
def test_an_engine_that_is_not_installed_is_asked_for(
    package: str, flags: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Any
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert re.search(message, refused(main, *TINY, "--strategies", "none", *flags, "--output", tmp_path / "out"))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([{"CPU": 2.0}, {"CPU": 2.0}, {}], "--threads must be at most 2, the CPUs of the largest node of the cluster"),
        (
            [{"CPU": 8.0}, {"CPU": 2.0, "GPU": 1.0}],
            "--threads must be at most 2, the CPUs of the largest node with a GPU of the cluster",
        ),
        ([{"CPU": 2.0}, {"CPU": 4.0}], ""),
        ([{"CPU": 2.0}, {"CPU": 4.0, "GPU": 2.0}], ""),
    ],
)
def test_ray_refuses_more_threads_than_any_node_has(
    nodes: list[dict[str, float]], message: str, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    """Ray itself would wait for ever for such a node; one that is gone does not count."""
    gone, ended = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}, list[bool]()
    total = {key: sum(node.get(key, 0) for node in nodes) for key in ("CPU", "GPU")}
    ray: Any = SimpleNamespace(
        init=lambda address, **options: None,
        cluster_resources=lambda: {key: value for key, value in total.items() if value},
        nodes=lambda: [gone, *({"Alive": True, "Resources": node} for node in nodes)],
        remote=lambda function: SimpleNamespace(options=lambda **options: None),
        shutdown=lambda: ended.append(True),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    limits: dict[str, Any] = {"workers": None, "per_device": 1, "threads": 4, "timeout": None}
    if message:
        assert refusal(RayExecutor, None, **limits) == f"{message}, got 4" and ended == [True]
    else:
        assert RayExecutor(None, **limits).capacity == (2 if total["GPU"] else 1)


# --- SLURM


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["partition"], "--slurm must be given key=value, got 'partition'"),
        (["a b=1"], "--slurm must be given key=value, got 'a b=1'"),
        (["trials=0"], "--slurm trials must be a whole number of at least 1, got 0"),
        (["trials=x"], "--slurm trials must be a whole number of at least 1, got 'x'"),
    ],
)
def test_wrong_slurm_options_are_one_sentence(texts: list[str], message: str, refusal: Callable[..., str]) -> None:
    assert refusal(slurm.read_options, texts, 1) == message


@pytest.fixture
def squeue(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, str]]:
    """What `squeue` answers (exit code, output, errors), the last again and again; at first it knows no job."""
    answers = [(1, "", "slurm_load_jobs error: Invalid job id specified")]

    def run(command: list[str], **how: Any) -> Any:
        code, out, err = answers.pop(0) if len(answers) > 1 else answers[0]
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    monkeypatch.setattr(slurm.subprocess, "run", run)
    monkeypatch.setattr(slurm, "LOOK_EVERY", 0.0)
    return answers


def test_a_job_is_over_when_the_queue_says_so_or_twice_does_not_know_it(squeue: list[tuple[int, str, str]]) -> None:
    queue = slurm.Queue(["7_0", "7_1", "7_2"])
    looks = ["7_0 RUNNING\n7_1 COMPLETED\n7_2 PREEMPTED\n", "7_0 RUNNING\n", "7_2 PENDING\n", "7_0 RUNNING\n", ""]
    squeue[:] = [(0, text, "") for text in looks]
    found = [set(queue.over()) for _ in looks]
    assert found == [{"7_1"}, {"7_1"}, {"7_1"}, {"7_1"}, {"7_1", "7_2"}]


def test_a_queue_that_does_not_answer_is_said_once_and_not_waited_for_for_ever(
    squeue: list[tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queue = slurm.Queue(["7_0"])
    squeue[:] = [(1, "", "Unable to contact slurm controller"), (0, "neither id nor state", "")]
    assert [queue.over() for _ in range(3)] == [set(), set(), set()]
    said = capsys.readouterr().err
    assert said == "warning: squeue gives no answer and is asked again: Unable to contact slurm controller\n"
    monkeypatch.setattr(slurm, "PATIENCE", 0.0)
    assert queue.over() == {"7_0"}


def test_slurm_options_are_submitits_parameters() -> None:
    size, options = slurm.read_options(["partition=gpu", "time=60", "trials=5"], 4)
    assert size == 5 and options == {"cpus_per_task": 4, "partition": "gpu", "time": 60}


@pytest.mark.parametrize(
    ("srun", "option", "message"),
    [
        (
            2,
            "partitions=gpu",
            "--slurm must be given parameters of submitit's SlurmExecutor: Unavailable parameter(s): ['",
        ),
        (2, "setup=ls", "--slurm must be given parameters of submitit's SlurmExecutor: can only concatenate list"),
        (-1, "partition=gpu", "--executor slurm must be started where SLURM's commands are: Could not detect"),
    ],
)
def test_what_slurm_does_not_have_is_refused_before_anything_is_written(
    srun: int,
    option: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Callable[..., str],
) -> None:
    submitit = pytest.importorskip("submitit", reason="needs submitit: pip install 'regbench[slurm]'")
    monkeypatch.setattr(submitit.SlurmExecutor, "affinity", classmethod(lambda cls: srun))
    request = ["--strategies", "guided_dropout(0, 0.1)", "--executor", "slurm", "--slurm", option]
    assert refused(main, *TINY, *request, "--output", tmp_path / "out").startswith(f"error: {message}")
    assert not (tmp_path / "out").exists(), "no folder, no Fisher scores"


CONFIGS = {record_id(config): config for config in map(launcher.config, range(3))}


class Array:
    """What stands for submitit's executor: it takes jobs that leave records of some trials, or refuses them."""

    def __init__(self, folder: Path, done: Sequence[str], refusal: str) -> None:
        self.folder, self.done, self.refusal, self.given = folder, done, refusal, list[Any]()

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        yield
        if self.refusal:
            raise RuntimeError(self.refusal)

    def submit(self, one: Any) -> Any:
        self.given.append(one)
        for name in one.configs.keys() & self.done:
            record = {"config": CONFIGS[name], "result": launcher.RESULT, "environment": {}}
            write_record(self.folder / "records", record)
        return SimpleNamespace(job_id=len(self.given))


def submitted(
    folder: Path, before: dict[str, str], *, done: Sequence[str] = (), refusal: str = ""
) -> tuple[list[Any], list[Any]]:
    """What SLURM gets for three trials, two a job, and how they end."""
    array, job = Array(folder, done, refusal), Job(None, folder, 0, {})
    more: dict[str, Any] = {"engine": array, "size": 2, "how": {"per_device": 1, "threads": 1, "timeout": None}}
    ended = slurm.submit_trials(CONFIGS, job, before=before, **more)
    return array.given, [(outcome.status, outcome.reason) for _, outcome in ended]


@pytest.mark.usefixtures("squeue")
def test_a_job_that_ends_without_a_record_kills_its_trials(tmp_path: Path) -> None:
    """As one that SLURM cancels before its node has started it; the second of three trials was done all the same."""
    _, ended = submitted(tmp_path, {}, done=[*CONFIGS][1:2])
    assert ended == [
        ("ok", None),
        ("killed", "SLURM job 1 ended without a record"),
        ("killed", "SLURM job 2 ended without a record"),
    ]


@pytest.mark.usefixtures("squeue")
def test_a_slurm_job_carries_the_checksums_of_its_own_records_alone(tmp_path: Path) -> None:
    first, second, third = CONFIGS
    own = {first: "00" * 32, third: "11" * 32}
    alone, _ = submitted(tmp_path, own)
    assert [(list(batch.configs), batch.before) for batch in alone] == [
        ([first, second], {first: "00" * 32}),
        ([third], {third: "11" * 32}),
    ]
    among, _ = submitted(tmp_path, own | {f"trial {number}": "22" * 32 for number in range(1000)})
    assert [len(pickle.dumps(batch)) for batch in among] == [len(pickle.dumps(batch)) for batch in alone]


def test_an_array_that_slurm_refuses_is_one_sentence(tmp_path: Path, refusal: Callable[..., str]) -> None:
    first = "sbatch: error: invalid partition specified: gpus"
    said = refusal(submitted, tmp_path, {}, refusal=f"{first}\nsbatch: error: Batch job submission failed")
    assert said == f"--slurm must name what this SLURM has, it refused the jobs: {first}"


CONF = """ClusterName=test
SlurmctldHost={host}
SlurmUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=1000000
MinJobAge=600
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
NodeName={host} CPUs=1 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=high Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


def sinfo() -> str:
    try:
        return subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, timeout=60).stdout
    except subprocess.TimeoutExpired:
        return ""


@pytest.fixture
def slurm_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """slurmctld and slurmd of one core on this machine, with two partitions of which one preempts the other."""
    if not shutil.which("slurmctld") or not shutil.which("slurmd") or os.geteuid() != 0:
        pytest.skip("needs root and Debian's packages slurmctld, slurmd and slurm-client")
    if importlib.util.find_spec("submitit") is None:
        pytest.skip("needs submitit: pip install 'regbench[slurm]'")
    folder = tmp_path / "cluster"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as two:
        ports = one.getsockname()[1], two.getsockname()[1]
    host = socket.gethostname().split(".")[0]
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, ports=ports))
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    daemons = [subprocess.Popen([name, "-D"], stderr=subprocess.DEVNULL) for name in ("slurmctld", "slurmd")]
    try:
        until = time.monotonic() + 300
        while "idle" not in sinfo():
            if time.monotonic() > until:
                said = "".join((folder / f"{n}.log").read_text()[-500:] for n in ("slurmctld", "slurmd"))
                pytest.skip(f"SLURM did not start here: {said}")
            time.sleep(0.5)
        yield
    finally:
        subprocess.run(["scancel", "--full", "--signal=KILL", "--user=root"], check=False, timeout=60)
        until = time.monotonic() + 30
        while time.monotonic() < until and subprocess.run(["squeue", "-h"], capture_output=True, timeout=60).stdout:
            time.sleep(0.5)
        for daemon in reversed(daemons):  # slurmd waits for the steps of its jobs, and some never end
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(timeout=20)
            daemon.kill()
            daemon.wait()


HANGS = """
import time
from dataclasses import dataclass
from pathlib import Path

from regularizers import Regularizer, register


@register("hangs_once")
@dataclass
class HangsOnce(Regularizer):
    def draw(self, context):
        mark = Path(__file__).with_name("hangs")
        if context.training.step == 5 and not mark.exists():  # of 9; passes are compared at 0, 4 and 8
            mark.touch()
            time.sleep(3600)
"""


@pytest.mark.long
@pytest.mark.usefixtures("slurm_here")
def test_a_preempted_slurm_job_is_requeued_and_goes_on(
    tmp_path: Path,
    start_run: Callable[..., subprocess.Popen[str]],
    records_in: Callable[..., dict[str, dict[str, Any]]],
    await_that: Callable[..., None],
) -> None:
    """Preempted where a trial hangs once, at step 5; the requeued job goes on from its checkpoint of step 4."""
    (tmp_path / "hangs_once.py").write_text(HANGS)
    request = [*TINY[:-1], "epochs=3", "--strategies", "none", "hangs_once", "wdecay(w_pre, 0.01)", "--restarts", "4"]
    request += ["--plugin", tmp_path / "hangs_once.py", "--checkpoint-every", "2", "--output", tmp_path / "out"]
    more = ["--executor", "slurm", "--slurm", "partition=low", "time=30", "trials=12"]
    process = start_run(*request, *more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    await_that(lambda: process.poll() is not None or (tmp_path / "hangs").exists())
    kept = {path: path.read_bytes() for path in (tmp_path / "out").glob("records/*.json")}
    subprocess.run(["sbatch", "-p", "high", "-o", "/dev/null", "--wrap", "sleep 5"], check=True, capture_output=True)
    said, _ = process.communicate(timeout=3600)
    assert process.returncode == 0, said[-3000:]
    environments = [record["environment"] for record in records_in(tmp_path / "out").values()]
    assert len(environments) == 12 and {each["executor"] for each in environments} == {"slurm"}
    assert [4] in [each.get("resumed") for each in environments], "and whichever was cut off at the same time"
    assert all(path.read_bytes() == content for path, content in kept.items()), "what was done is not done again"
    assert not list((tmp_path / "out").rglob("*.safetensors")), "nothing is left of the checkpoints"
    assert "Restarts=1" in subprocess.run(["scontrol", "show", "job"], capture_output=True, text=True).stdout
    print(f"SLURM: 12 trials in one job, preempted after {len(kept)}, requeued once; 0 lost, 0 done twice")


def test_a_requeued_batch_tries_errors_again_and_leaves_results_alone(
    tmp_path: Path,
    make_configs: Callable[..., list[TrialConfig]],
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A preemption ends the workers first, so that their trials have an error's record when the batch comes again."""
    configs = {config.id: config.to_json() for config in make_configs("none", restarts=3)}
    names = list(configs)
    killed = {"status": "killed", "reason": "preempted", "score": None, "failed": None}
    for config, result in ((configs[names[0]], launcher.RESULT), (configs[names[1]], killed)):
        write_record(tmp_path / "records", {"config": config, "result": result, "environment": {}})
    executor = launcher.Instant(1, 0.0)
    monkeypatch.setattr(slurm, "find_devices", lambda *given, **more: [])
    monkeypatch.setattr(slurm, "LocalExecutor", lambda *given, **more: executor)
    batch = slurm.Batch(configs, {}, Job(resources, tmp_path, 0, {}), 1, 1, None)
    assert batch() == 2 and sorted(executor.done) == sorted(names[1:])
    assert {record["result"]["status"] for record in read_records([tmp_path])[0]} == {"ok"}
