"""Cohorts on a real Ray cluster of two workers: the bits of one machine, also where workers are killed."""

# pyright: reportMissingImports=false, reportArgumentType=false, reportOptionalMemberAccess=false
from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.kill_and_resume import differences
from tests.population.conftest import BASE
from tests.population.test_conformance import assert_same_bits
from tests.population.test_population import MODELS

import thalweg as tw
from thalweg.core import InputError, RunError
from thalweg.population import PROGRAMS, Checkpointer, ClusterProgram, Control, Plan, Population, Settings
from thalweg.population._ray_pool import Pool, check_address, import_ray, open_pool
from thalweg.probes import Stretch, watch_members
from thalweg.recipes import Member
from thalweg.store import RunFolder

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills by process id"),
    pytest.mark.xdist_group("ray"),
]

#: a user's own module draws its own weights
OWN = tw.Recipe(model="own_models:good", init="keep", batch_size=12, epochs=2)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """A cluster of this machine with two cores, however many there are."""
    ray = import_ray()
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    found = open_pool("local", "cpu")
    assert len(found) == 2
    yield found
    ray.shutdown()
    open_pool.cache_clear()


def kill_worker(pool: Pool, number: int) -> None:
    _, process = pool.ray.get(pool.workers[number].about.remote())
    os.kill(process, signal.SIGKILL)


def members() -> list[Member]:
    return [Member(recipe=BASE.changed(lr=lr), seed=s) for lr in (0.01, 0.03, 0.1) for s in (0, 1)]


def test_members_that_are_watched_are_the_same_and_seen_alike(task, pool):
    found = []
    for plan, watched in ((Plan(), True), (Plan(cluster="local"), True), (Plan(cluster="local"), False)):
        watching = watch_members(task, [Stretch(BASE, 1, 0, 10**9)]) if watched else None
        population = Population(task, members(), plan, watching=watching)
        population.run()
        found.append(population)
    for n in range(len(members())):
        assert repr(found[0].probes(n)) == repr(found[1].probes(n))
        assert len(found[0].probes(n)) > 2
        for other in found[1:]:
            assert_same_bits(found[0].snapshot(n), other.snapshot(n))


@pytest.mark.parametrize("program", PROGRAMS)
def test_shares_give_the_bits_of_one_machine(pool, task, program):
    if PROGRAMS[program].refuses(task, BASE, Settings()) is not None:
        pytest.skip("it refuses the recipe")
    one = PROGRAMS[program](task, members(), Settings())
    many = ClusterProgram(PROGRAMS[program], task, members(), Settings(), "local")
    assert many.cores == 2
    assert many.side_by_side(BASE, Settings()) == 2 * one.side_by_side(BASE, Settings())
    assert many.structure(BASE) == one.structure(BASE)
    steps = np.array([7, 0, 3, 9, 1, 5])
    for turn in range(2):
        expected, found = one.advance(steps, np.ones(6)), many.advance(steps, np.ones(6))
        assert [a.tolist() for a in expected] == [b.tolist() for b in found]
        assert many.step.tolist() == one.step.tolist()
        if turn == 0:
            kill_worker(pool, 1)
    which = [5, 0, 3, 3]
    for x in (task.validation.x, task.test.x[:3].copy()):
        for a, b in zip(one.outputs(which, x), many.outputs(which, x), strict=True):
            assert a.tobytes() == b.tobytes()
    for index in range(6):
        assert_same_bits(one.snapshot(index), many.snapshot(index))
        assert many.num_parameters(index) == one.num_parameters(index)
        assert many.cost(index) == one.cost(index)
        for name, array in one.eval_params(index).items():
            assert many.eval_params(index)[name].tobytes() == array.tobytes()


def test_a_worker_that_dies_is_replaced_from_its_snapshots(pool, task):
    """Killed after snapshots, restores, releases, changes of the step size and a divergence."""
    wild = Member(recipe=BASE.changed(optimizer="sgd", lr=1e30, activation="identity"), seed=0)
    cohort = [*members(), wild]
    one = PROGRAMS["loop"](task, cohort, Settings())
    many = ClusterProgram(PROGRAMS["loop"], task, cohort, Settings(), "local")
    lives = list(pool.lives)
    for turn in range(4):
        for scale in (1.0, 1.0, 0.5):
            steps = np.array([3, 2, 0, 4, 1, 2, 9])
            if turn > 1:
                steps[[0, 4]] = 0
            expected, found = one.advance(steps, np.full(7, scale)), many.advance(steps, np.full(7, scale))
            assert [a.tolist() for a in expected] == [b.tolist() for b in found]
            assert many.diverged_at.tolist() == one.diverged_at.tolist()
        if turn == 1:
            kept = one.snapshot(2)
            assert_same_bits(kept, many.snapshot(2))
            for program in (one, many):
                program.restore(4, kept)
                program.step[4] = 9  # as the run loop does where a best state is restored
                program.release(0)
        kill_worker(pool, turn % 2)
    assert one.diverged_at[6] > 0
    for index in range(1, 7):
        assert_same_bits(one.snapshot(index), many.snapshot(index))
    assert sum(pool.lives) == sum(lives) + 4


def test_snapshots_against_death_are_taken_and_shorten_the_replay(pool, task):
    many = ClusterProgram(PROGRAMS["kernel"], task, members(), Settings(), "local")
    many._wait = 0.0
    many.advance(np.full(6, 4), np.ones(6))
    assert all(not trace.runs and trace.base is not None for trace in many._traces)
    assert many._wait >= 1
    many.advance(np.full(6, 2), np.ones(6))
    many.advance(np.full(6, 3), np.ones(6))
    assert [trace.runs for trace in many._traces] == [[(5, 1.0)]] * 6
    assert [trace.base.step for trace in many._traces] == [4] * 6


def test_two_cohorts_share_the_workers_and_both_are_rebuilt(pool, task):
    first = Population(task, members(), Plan(cluster="local"))
    second = Population(task, members()[::-1], Plan(cluster="local"))
    first.run(epochs=1)
    second.run(epochs=1)
    kill_worker(pool, 0)
    kill_worker(pool, 1)
    second.run()
    first.run()
    for number in range(6):
        assert_same_bits(first.snapshot(number), second.snapshot(5 - number))


def test_a_checkpoint_goes_from_one_machine_to_many_and_back(pool, task, tmp_path):
    recipe = BASE.changed(epochs=30, lr=0.05, widths=(32,), patience=4, optimizer="schedule_free_adamw")
    cohort = [Member(recipe=recipe, seed=s) for s in (3, 4, 5)]
    straight = Population(task, cohort, Plan())
    straight.run()
    folder = RunFolder.create(tmp_path / "run", "tune", {})
    for turn, epochs in enumerate((3, 7, 12, None)):
        population = Population(task, cohort, Plan(cluster=None if turn % 2 else "local"))
        saver = Checkpointer(population, folder, "a")
        population.run(epochs=epochs)
        saver.save()
    for number in range(3):
        assert population.stopped_at(number) == straight.stopped_at(number)
        assert_same_bits(population.snapshot(number), straight.snapshot(number))
    assert population.history == straight.history


def test_a_search_gives_the_same_bytes_with_workers_killed(pool, tmp_path):
    asked = {
        "recipe": tw.Recipe(widths=(8,), epochs=9, batch_size=16),
        "vary": ["lr=0.001..0.1:12", "optimizer=sgd,adamw"],
        "seeds": 3,
    }
    tw.tune("iris", **asked, out=tmp_path / "one", plan=Plan())
    segments = 0

    def on_segment() -> None:
        nonlocal segments
        segments += 1
        if segments in (2, 3):
            kill_worker(pool, segments % 2)

    lives = sum(pool.lives)
    many = tw.tune(
        "iris", **asked, out=tmp_path / "many", plan=Plan(cluster="local"), control=Control(on_segment=on_segment)
    )
    assert sum(pool.lives) == lives + 2
    assert differences("tune", tmp_path / "one", tmp_path / "many") == []
    assert "Ray cluster local" in str(many)
    (tmp_path / "many" / "checkpoint" / "choice-1.safetensors").unlink()
    tw.resume(tmp_path / "many", cluster="off")
    assert differences("tune", tmp_path / "one", tmp_path / "many") == []


def test_own_models_run_on_workers_and_their_errors_come_back(pool, task, tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    one = Population(task, [Member(recipe=OWN.changed(model="own_models:dropped"), seed=0)], Plan())
    many = Population(task, one.members, Plan(cluster="local"))
    one.run()
    many.run()
    assert_same_bits(one.snapshot(0), many.snapshot(0))
    with pytest.raises(InputError, match="model must be a name in own_models, got 'own_models:none'") as caught:
        Population(task, [Member(recipe=OWN.changed(model="own_models:none"), seed=0)], Plan(cluster="local"))
    assert caught.value.field == "model"


def test_a_call_that_kills_every_worker_ends_the_run(pool, task, tmp_path, monkeypatch):
    (tmp_path / "deadly_models.py").write_text(
        "import os, torch\n"
        "class Deadly(torch.nn.Linear):\n"
        "    def __init__(self, input_shape, output_size):\n"
        "        super().__init__(input_shape[0], output_size)\n"
        "    def forward(self, x):\n"
        "        if self.training and len(x) > 1:\n"
        "            os.kill(os.getpid(), 9)\n"
        "        return super().forward(x)\n"
    )
    monkeypatch.chdir(tmp_path)
    population = Population(
        task, [Member(recipe=OWN.changed(model="deadly_models:Deadly"), seed=0)], Plan(cluster="local")
    )
    with pytest.raises(RunError, match="3 workers of the cluster died in the same step"):
        population.run()


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["auto", "ray://host:10001", "host", "host:", ":6379", "host:port", "a b:1", ""])
def test_what_is_no_address(address):
    with pytest.raises(InputError, match=r"^cluster must be local or HOST:PORT"):
        Plan(cluster=address)


def test_addresses():
    for address in ("local", "192.168.0.1:6379", "head.example.org:6379", "[::1]:6379"):
        check_address(address)
        assert Plan(cluster=address).cluster == address
    with pytest.raises(InputError, match="threads must be 1 with a cluster"):
        Plan(cluster="local", threads=2)


def test_an_address_that_does_not_answer_is_one_line_in_time():
    with socket.socket() as bound:  # taken, and nobody listens
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        started = time.monotonic()
        done = command("train", "iris", "--cluster", address)
    assert time.monotonic() - started < 60
    assert_one_line(done, f"the cluster {address} does not answer (Connection refused)")


def assert_one_line(done: subprocess.CompletedProcess[str], text: str) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert text in done.stderr


@pytest.mark.slow
def test_something_else_that_listens_there_is_one_line_in_time():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        started = time.monotonic()
        done = command("train", "iris", "--cluster", address)
    assert time.monotonic() - started < 90
    assert_one_line(done, f"the cluster {address} does not answer (no Ray answered in 30 s)")


def test_without_ray_the_line_says_what_to_install(tmp_path):
    (tmp_path / "ray.py").write_text("raise ImportError('no ray')\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = command("train", "iris", "--cluster", "local", env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 2
    assert done.stderr == (
        "thalweg: cluster must be left out without ray, which is not installed. pip install 'thalweg[cluster]'\n"
    )


def test_threads_are_left_out_with_a_cluster():
    done = command("tune", "iris", "--cluster", "local", "--threads", "2")
    assert done.returncode == 2
    assert "--threads must be left out with --cluster" in done.stderr


def command(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "thalweg", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, **options)


def test_errors_travel_between_processes():
    error = InputError("lr", "above 0", -0.1, "Try 0.001.")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.field, again.rule, again.remedy) == (str(error), "lr", "above 0", "Try 0.001.")
    assert isinstance(again, InputError)


# ---- a cluster that somebody else started ---------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@pytest.fixture(scope="module")
def head() -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a cluster of two cores, and the environment that holds its token."""
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    address = f"127.0.0.1:{free_port()}"
    program = str(Path(sys.executable).with_name("ray"))
    options = ["--num-cpus=2", "--include-dashboard=false", "--block", f"--port={address.rpartition(':')[2]}"]
    with subprocess.Popen(
        [program, "start", "--head", *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert any("Ray runtime started" in line for line in process.stdout)
            yield address, environment
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=60)


@pytest.mark.slow
def test_a_cluster_by_its_address_and_nothing_but_the_result_on_stdout(head, tmp_path):
    address, environment = head
    asked = ["train", "iris", "--set", "epochs=20", "--seeds", "3", "--json", "--out"]
    many = command(*asked, "many", "--cluster", address, cwd=tmp_path, env=environment)
    assert many.returncode == 0, many.stderr
    assert many.stdout.count("\n") == 1
    assert "ray" not in many.stderr.lower()
    one = command(*asked, "one", "--threads", "1", cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    assert differences("train", tmp_path / "one", tmp_path / "many") == []


@pytest.mark.slow
def test_a_cluster_that_asks_for_a_token_is_one_line(head):
    address, environment = head
    without = {name: value for name, value in environment.items() if not name.startswith("RAY_AUTH")}
    done = command("train", "iris", "--cluster", address, env=without)
    assert_one_line(done, f"the cluster {address} asks for a token. Set RAY_AUTH_MODE=token")
