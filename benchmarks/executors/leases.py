"""Leases: several launchers share one output folder and no trial is done twice.

A launcher that wants a trial makes the file `leases/<trial>.<n>` with O_EXCL, n one above the highest there is; one
launcher succeeds. The file holds the launcher's token and a number drawn for this one lease, which tells it from a
later one of the same name; the launcher's own file `leases/<token>.alive` changes every `BEAT` seconds. A lease whose
launcher is stale is superseded by making n + 1, so nothing is ever taken away and no lock needs to be broken. Stale is
a launcher of this machine whose process is gone, or one whose file has not changed for `STALE` seconds of the
observer's own monotonic clock; no two clocks are ever compared. A lease that names nobody, as while it is being
written, has the same time of its own. Whoever gets a lease looks at the trial's record before starting it, because
another launcher may just have written it.

Needed of a shared file system: exclusive creation is atomic, and a file closed on one machine is seen when another
opens it (NFS 3 and later, Lustre, BeeGFS, CephFS).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from fisher.common.errors import InputError

BEAT = 5.0
STALE = 60.0


@dataclass(frozen=True)
class Lease:
    """The right to do a trial: the n-th file of its name, and the mark in it, which no other lease has."""

    path: str
    mark: str

    @property
    def trial(self) -> str:
        """Name of the trial's record, without `.json`."""
        return os.path.basename(self.path).rpartition(".")[0]

    def held(self) -> bool:
        """Whether nobody has superseded it, as happens to a launcher that did not move for longer than STALE."""
        stem, _, number = self.path.rpartition(".")
        return _text(self.path) == self.mark and not os.path.exists(f"{stem}.{int(number) + 1}")


class Leases:
    """The leases of one launcher in one output folder; a context manager that beats while it is open."""

    def __init__(self, output: Path, *, beat: float = BEAT, stale: float = STALE) -> None:
        self.folder, self.beat, self.stale = output / "leases", beat, stale
        self.token = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.mine: set[Lease] = set()
        self.seen: dict[str, tuple[bytes, float]] = {}  # by token, or by the name of a lease without one
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Leases:
        self._open()
        self._thread.start()
        self.sweep()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        for lease in list(self.mine):
            self.release(lease)
        self._remove_stale()
        self.sweep()
        with contextlib.suppress(OSError):  # all trials are done; what stays here does no harm
            self._alive(self.token).unlink()
        with contextlib.suppress(OSError):  # not empty: others are at work
            self.folder.rmdir()

    def claim(self, trial: str) -> Lease | None:
        """The lease of a trial, None while a launcher that is alive has it. The caller then looks at its record."""
        held = self._generations(trial)
        if held and self._is_taken(trial, held[-1]):
            return None
        path = self.folder / f"{trial}.{held[-1] + 1 if held else 0}"
        lease = Lease(str(path), f"{self.token} {secrets.token_hex(4)}")
        try:
            file = os.open(lease.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return None
        except FileNotFoundError:  # the last of the others has just removed the folder
            self._open()
            return self.claim(trial)
        except OSError as error:
            raise self._refusal(error) from None
        try:
            with os.fdopen(file, "wb") as stream:
                stream.write(lease.mark.encode())
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(lease.path)
            raise self._refusal(error) from None
        self.mine.add(lease)
        return lease

    def release(self, lease: Lease) -> None:
        """Give a trial back, done or not; older files go first, so that the highest number never sinks.

        A superseded lease is left to the launcher that has the trial now.
        """
        self.mine.discard(lease)
        if not lease.held():
            return
        last = int(lease.path.rpartition(".")[2])
        for number in self._generations(lease.trial):
            if number <= last:
                with contextlib.suppress(OSError):
                    os.unlink(self.folder / f"{lease.trial}.{number}")

    def sweep(self) -> None:
        """Remove the heartbeats of stale launchers that hold no lease any more."""
        names = _names(self.folder)
        holders = {self._owner(*_split(name)) for name in names if not name.endswith(".alive")}
        for name in names:
            token = name.removesuffix(".alive")
            if token != name and token not in holders and not self._is_alive(token):
                with contextlib.suppress(OSError):
                    (self.folder / name).unlink()

    def _remove_stale(self) -> None:
        """Remove leases of stale launchers on trials that nobody came back for: each is superseded and given back."""
        for trial in {_split(name)[0] for name in _names(self.folder) if _split(name)[1].isdecimal()}:
            with contextlib.suppress(InputError):
                if lease := self.claim(trial):
                    self.release(lease)

    def _open(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._refusal(error) from None
        self._write_pulse(0)

    def _refusal(self, error: OSError) -> InputError:
        problem = error.strerror or str(error)
        return InputError(f"{self.folder} must be writable, got: {problem}; free some room and run the command again")

    def _generations(self, trial: str) -> list[int]:
        numbers = [name[len(trial) + 1 :] for name in _names(self.folder) if name.startswith(f"{trial}.")]
        return sorted(int(number) for number in numbers if number.isdecimal())

    def _owner(self, trial: str, number: int | str) -> str:
        """Token of the launcher that made a lease; empty while it is being written."""
        return _text(self.folder / f"{trial}.{number}").partition(" ")[0]

    def _is_taken(self, trial: str, number: int) -> bool:
        """Whether a lease still counts: its launcher is alive, or it names none and is not older than STALE."""
        token, path = self._owner(trial, number), self.folder / f"{trial}.{number}"
        if token == self.token:  # one that was given back may lie there where it could not be removed
            return any(lease.path == str(path) for lease in self.mine)
        if token:
            return self._is_alive(token)
        try:
            found = path.stat()
        except FileNotFoundError:  # given back since it was listed; the next look finds the trial free
            return True
        except OSError:
            return self._is_new(path.name, b"")
        return self._is_new(path.name, str(found.st_mtime_ns).encode())

    def _is_alive(self, token: str) -> bool:
        if token == self.token:
            return True
        try:
            pulse = self._alive(token).read_bytes()[:1000] if _is_file_name(token) else b""
        except OSError:
            pulse = b""
        return not _is_gone(pulse) and self._is_new(token, pulse)

    def _is_new(self, name: str, pulse: bytes) -> bool:
        """Whether a heartbeat has been the same for less than STALE seconds, as far as this launcher has seen."""
        now = time.monotonic()
        before = self.seen.get(name)
        if before is None or before[0] != pulse:
            self.seen[name] = pulse, now
            return True
        return now - before[1] < self.stale

    def _alive(self, token: str) -> Path:
        return self.folder / f"{token}.alive"

    def _write_pulse(self, beats: int) -> None:
        """Change the heartbeat; of one length, so that a full disk does not stop it."""
        text = json.dumps({"beats": f"{beats:012d}", "process": _process(os.getpid())}).encode()
        with contextlib.suppress(OSError):
            file = os.open(self._alive(self.token), os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                os.write(file, text)
            finally:
                os.close(file)

    def _beat(self) -> None:
        beats = 1
        while not self._stop.wait(self.beat):
            self._write_pulse(beats)
            beats += 1


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _text(path: str | Path) -> str:
    """The beginning of a lease; empty where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(200).decode(errors="replace")
    except OSError:
        return ""


def _split(name: str) -> tuple[str, str]:
    trial, _, number = name.rpartition(".")
    return trial, number


def _is_file_name(token: str) -> bool:
    return bool(token) and token.isprintable() and os.path.basename(token) == token


def _process(pid: int) -> list[str] | None:
    """What tells a process from all others of this machine since it started, None where it is gone or unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ended = state in ("Z", "X")  # and not yet asked for by its parent
        return None if ended else [boot, os.readlink("/proc/self/ns/pid"), str(pid), numbers[18]]
    except (OSError, ValueError, IndexError):
        return None


def _is_gone(pulse: bytes) -> bool:
    """Whether a heartbeat belongs to a process of this machine that is no more; False where that cannot be known."""
    try:
        boot, namespace, pid, started = json.loads(pulse)["process"]
        here = _process(os.getpid())
        if here is None or [boot, namespace] != here[:2]:
            return False
        return _process(int(pid)) != [boot, namespace, pid, started]
    except (ValueError, TypeError, KeyError):
        return False
