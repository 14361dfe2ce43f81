"""Workers on a Ray cluster: one core (or GPU) each, replaced where one dies."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import logging
import os
import pickle
import re
import socket
import subprocess
import sys
import weakref
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from thalweg import __version__
from thalweg.core import InputError, RunError
from thalweg.population._contract import Program, Settings, Snapshot
from thalweg.recipes import Member
from thalweg.tasks import Task

#: a cluster has so many seconds to answer, and a worker to start
ANSWER_SECONDS, START_SECONDS = 30.0, 120.0
#: workers that may die in one call before the run ends: then it is the call that kills them
MOST_DEATHS = 3


#: (P,) steps done and (P,) where the loss stopped being finite, of a share
Counters = tuple[np.ndarray, np.ndarray]


class Worker:
    """What runs in the process of a worker: programs by key, each with its share of a cohort.

    Arguments and results travel as bytes: arrays that Ray hands out itself are read-only and keep its memory.
    """

    def __init__(self) -> None:
        self.programs: dict[int, Program] = {}
        self.tasks: weakref.WeakValueDictionary[int, Task] = weakref.WeakValueDictionary()

    def about(self) -> tuple[str, int]:
        """Returns (version of this package, process id)."""
        return __version__, os.getpid()

    def open(self, key: int, task_key: int, task: bytes, rest: bytes) -> bytes:
        """Makes the program of a share; returns parameters and cost of each member."""
        kind, members, settings, folder = pickle.loads(rest)
        if os.path.isdir(folder):
            os.chdir(folder)  # models by import path are looked for where the run is
        known = self.tasks.get(task_key)
        if known is None:
            self.tasks[task_key] = known = pickle.loads(task)
        program = kind(known, members, settings)
        self.programs[key] = program
        numbers = range(len(members))
        return pickle.dumps([(program.num_parameters(n), program.cost(n)) for n in numbers])

    def call(self, key: int, name: str, rest: bytes) -> bytes:
        """Calls one of the methods below for a program, with the counters that the other side keeps."""
        counters, arguments = pickle.loads(rest)
        program = self.programs[key]
        if counters is not None:
            program.step[:], program.diverged_at[:] = counters
        return pickle.dumps(getattr(self, f"_{name}")(program, *arguments), protocol=5)

    def close(self, key: int) -> None:
        """Lets a program go."""
        self.programs.pop(key, None)

    def _advance(self, program: Program, num_steps: np.ndarray, lr_scale: np.ndarray) -> Any:
        losses = program.advance(num_steps, lr_scale)
        return losses, program.step, program.diverged_at, program.notes

    def _outputs(self, program: Program, which: list[int], x: np.ndarray | str) -> list[np.ndarray]:
        rows = getattr(program.task, x).x if isinstance(x, str) else x
        return program.outputs(which, rows)

    def _snapshots(self, program: Program, which: list[int]) -> list[Snapshot]:
        return program.snapshots(which)

    def _eval_params(self, program: Program, index: int) -> dict[str, np.ndarray]:
        return program.eval_params(index)

    def _restore(self, program: Program, index: int, snapshot: Snapshot) -> None:
        program.restore(index, snapshot)

    def _release(self, program: Program, index: int) -> None:
        program.release(index)


class Pool:
    """The workers of one cluster.

    Args:
        address: `local` starts a cluster of this machine's cores; else HOST:PORT of one that runs.
        device: `cpu`: a worker for each core; `cuda`: one for each GPU.

    Raises:
        InputError: where Ray is not installed.
        RunError: where the cluster does not answer or has no room.
    """

    def __init__(self, address: str, device: str) -> None:
        self.ray = import_ray()
        self.address = address
        self._connect()
        unit = "GPU" if device == "cuda" else "CPU"
        free = int(self.ray.available_resources().get(unit, 0))
        if free < 1:
            raise RunError(f"the cluster {address} has no free {unit}. Wait for one, or leave --cluster out.")
        self._actor = self.ray.remote(num_cpus=1, num_gpus=int(device == "cuda"), max_restarts=0)(Worker)
        self.workers: list[Any] = [self._actor.remote() for _ in range(free)]
        #: how often each was replaced
        self.lives = [0] * free
        self._tasks: dict[int, tuple[weakref.ref[Task], int, Any]] = {}
        self._keys = itertools.count()
        for number in range(free):
            self._greet(number)

    def __len__(self) -> int:
        return len(self.workers)

    def _connect(self) -> None:
        if self.ray.is_initialized():
            return
        options: dict[str, Any] = {"include_dashboard": False, "num_cpus": len(os.sched_getaffinity(0))}
        if self.address != "local":
            self._knock()
            options = {}
        try:
            self.ray.init(self.address, log_to_driver=False, configure_logging=False, **options)
        except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
            with contextlib.suppress(Exception):
                self.ray.shutdown()
            raise self._silent(str(error)) from None

    def _knock(self) -> None:
        """Checks that a Ray cluster answers at the address, in a process that can be ended where it waits."""
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
            code = f"import ray; ray.init({self.address!r}, log_to_driver=False, configure_logging=False)"
            command = [sys.executable, "-c", code]
            done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            if b"InvalidAuthToken" in (error.stderr or b""):
                raise self._closed() from None
            raise self._silent(f"no Ray answered in {ANSWER_SECONDS:.0f} s") from None
        except OSError as error:
            raise self._silent(error.strerror or str(error)) from None
        if "InvalidAuthToken" in done.stderr:
            raise self._closed()
        if done.returncode:
            raise self._silent(_last_line(RuntimeError(done.stderr)))

    def _closed(self) -> RunError:
        return RunError(f"the cluster {self.address} asks for a token. Set RAY_AUTH_MODE=token, as for ray start.")

    def _silent(self, why: str) -> RunError:
        why = " ".join(why.split())
        return RunError(
            f"the cluster {self.address} does not answer ({why[:200]}). This machine must be a node of it: "
            f"ray start --address={self.address}"
        )

    def _greet(self, number: int) -> None:
        """Waits until a worker is there, and checks that it runs this version."""
        try:
            version, _ = self.ray.get(self.workers[number].about.remote(), timeout=START_SECONDS)
        except self.ray.exceptions.GetTimeoutError:
            raise RunError(
                f"the cluster {self.address} started no worker in {START_SECONDS:.0f} s. Look at: ray status"
            ) from None
        except self.ray.exceptions.RayError as error:
            raise RunError(
                f"a worker of the cluster {self.address} cannot start ({_last_line(error)}). "
                "Install thalweg and its data on every machine."
            ) from None
        if version != __version__:
            raise RunError(
                f"the cluster {self.address} has thalweg {version}, this is {__version__}. Install one of them."
            )

    # ---- programs ---------------------------------------------------------------------------------------------------

    def new_key(self) -> int:
        """Returns a number under which workers know a program."""
        return next(self._keys)

    def open(
        self, number: int, key: int, kind: type[Program], task: Task, members: Sequence[Member], settings: Settings
    ) -> Any:
        """Starts to make a program at a worker; `result` waits for it."""
        known = self._tasks.get(id(task))
        if known is None or known[0]() is not task:
            self._tasks = {k: entry for k, entry in self._tasks.items() if entry[0]() is not None}
            known = (weakref.ref(task), self.new_key(), self.ray.put(pickle.dumps(task, protocol=5)))
            self._tasks[id(task)] = known
        rest = pickle.dumps((kind, list(members), settings, os.getcwd()), protocol=5)
        return self.workers[number].open.remote(key, known[1], known[2], rest)

    def call(self, number: int, key: int, name: str, counters: Counters | None, *arguments: Any) -> Any:
        """Starts a call at a worker, where the members' counters are set first; `result` waits for it."""
        return self.workers[number].call.remote(key, name, pickle.dumps((counters, arguments), protocol=5))

    def result(self, reference: Any) -> Any:
        """Returns what a call gave.

        Raises:
            WorkerDiedError: where its worker died.
        """
        try:
            return pickle.loads(self.ray.get(reference))
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except (self.ray.exceptions.RayActorError, self.ray.exceptions.ObjectLostError) as error:
            raise WorkerDiedError(_last_line(error)) from None

    def close(self, key: int) -> None:
        """Lets a program go at all workers."""
        if not self.ray.is_initialized():
            return  # a call would start a cluster anew, and this one is made whenever a program is collected
        with contextlib.suppress(Exception):  # at the end of the process the cluster may be gone before
            for worker in self.workers:
                worker.close.remote(key)

    def replace(self, number: int, life: int) -> None:
        """Starts a new worker in the place of one that died, unless that was done since its `life`."""
        if self.lives[number] != life:
            return
        with contextlib.suppress(Exception):  # one that cannot be reached may still hold its core
            self.ray.kill(self.workers[number])
        self.workers[number] = self._actor.remote()
        self.lives[number] += 1
        self._greet(number)


class WorkerDiedError(Exception):
    """The process of a worker is gone."""


@cache
def open_pool(address: str, device: str) -> Pool:
    """Returns the workers of a cluster, the same for all programs of this process."""
    return Pool(address, device)


def check_address(address: str) -> None:
    """Checks what can be known of an address before anything is reached.

    Raises:
        InputError: where it is neither `local` nor HOST:PORT.
    """
    if address != "local" and not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):[0-9]{1,5}", address):
        raise InputError("cluster", "local or HOST:PORT", address, "ray start --head prints the address of a cluster.")


def import_ray() -> Any:
    """Returns the module, told to send nothing to anybody and to print nothing.

    Raises:
        InputError: where it is not installed.
    """
    # no telemetry; and what Ray says of workers that die would go to stdout, among the results
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.exceptions")
    except ImportError:
        raise InputError(
            "cluster", "left out without ray, which is not installed", remedy="pip install 'thalweg[cluster]'"
        ) from None
    logging.getLogger("ray").setLevel(logging.ERROR)
    return ray


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
