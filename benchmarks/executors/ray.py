"""Trials as tasks of a Ray cluster, or of this machine's own Ray: Ray finds the machine, a slot there keeps the trial.

Every task runs in a slot (`benchmarks.executors.slot`) of the Ray worker that got it, so limits, crashes and outputs
are treated as on one machine. A node that is lost costs its running trials one attempt. The output folder must be on a
file system that all nodes share.
"""

import concurrent.futures
import os
import socket
from pathlib import Path
from typing import Any

from benchmarks.executors.outcome import Device, Outcome, Status, Work
from benchmarks.executors.slot import Slot
from fisher.common.errors import InputError, first_line, optional

ROOT = Path(__file__).resolve().parents[2]
_slots: dict[str | None, Slot] = {}  # of this Ray worker, by GPU


def run_here(task: Work, per_device: int, threads: int, timeout: float | None) -> Outcome:
    """One trial in this Ray worker's slot, whose process stays for the next one."""
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES") or None
    if gpu not in _slots:
        _slots[gpu] = Slot(Device("ray", 0, gpu, per_device, socket.gethostname()), threads, timeout)
    return _slots[gpu].run(task)


class RayExecutor:
    """Trials as Ray tasks: 1/K of a GPU each, or `threads` CPUs where the cluster has no GPU."""

    def __init__(
        self, address: str | None, *, workers: int | None, per_device: int, threads: int, timeout: float | None
    ) -> None:
        self.ray = optional("ray", "--executor ray", extra="ray")
        variables = {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
        try:
            self.ray.init(address, log_to_driver=False, runtime_env={"env_vars": variables}, logging_level="warning")
        except (ConnectionError, ValueError) as error:
            must = "--ray-address must be that of a running cluster"
            raise InputError(f"{must}, got {address!r}: {first_line(error)}") from None
        found = self.ray.cluster_resources()
        gpus, cpus = int(found.get("GPU", 0)), int(found.get("CPU", 1))
        self._check_threads(threads, "GPU" if gpus else "CPU")
        self.capacity = workers or (gpus * per_device if gpus else max(1, cpus // threads))
        share = 1 / per_device if gpus else 0
        options = {"num_cpus": threads, "num_gpus": share, "max_retries": 0, "scheduling_strategy": "SPREAD"}
        self._task = self.ray.remote(run_here).options(**options)
        self._more = (per_device, threads, timeout)

    def _check_threads(self, threads: int, needed: str) -> None:
        """Raises InputError where no node has that many CPUs next to what is needed: Ray would wait for ever."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        most = int(max((node.get("CPU", 0) for node in nodes if node.get(needed, 0) > 0), default=0))
        if threads > most:
            self.ray.shutdown()
            which = "the largest node" if needed == "CPU" else "the largest node with a GPU"
            raise InputError(f"--threads must be at most {most}, the CPUs of {which} of the cluster, got {threads}")

    def submit(self, task: Work) -> concurrent.futures.Future[Outcome]:
        """Run one trial wherever Ray finds room."""
        answer: concurrent.futures.Future[Outcome] = concurrent.futures.Future()

        def end(future: Any) -> None:
            try:
                answer.set_result(future.result())
            except Exception as error:  # whatever Ray says of a worker or node that is no more
                reason = f"Ray lost the trial ({type(error).__name__}): {first_line(error)}"
                answer.set_result(Outcome(Status.KILLED, reason))

        self._task.remote(task, *self._more).future().add_done_callback(end)
        return answer

    def close(self) -> None:
        """Leave the cluster; tasks of this run end with it."""
        self.ray.shutdown()
