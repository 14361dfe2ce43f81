"""What a shell sees: speed and imports of the help, colours, JSON, completion."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

import pytest
from tests.cli.conftest import call, one_object, thalweg, write_table

HEAVY = ("torch", "numpy", "numba", "polars", "scipy", "sklearn")
RUN = ["--set", "epochs=2", "--set", "batch_size=16", "--threads", "1"]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def median_seconds(*command: str) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], capture_output=True, check=True, timeout=60)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


@pytest.mark.parametrize("command", [["-m", "thalweg", "--help"], ["-c", "import thalweg"]])
def test_help_and_import_are_quick(command):
    assert median_seconds(*command) < 0.25


@pytest.mark.parametrize(
    "arguments",
    [[command, "--help"] for command in ("tune", "train", "study", "landscape", "path", "plan")]
    + [["--help"], ["--version"], ["tuen"]],
)
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys\nfrom thalweg.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        f"print([n for n in {HEAVY!r} if n in sys.modules], file=sys.stderr)"
    )
    assert python(code).stderr.strip().splitlines()[-1] == "[]"


def test_import_loads_nothing_heavy():
    code = f"import sys, thalweg; dir(thalweg); print([n for n in {HEAVY!r} if n in sys.modules])"
    assert python(code).stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["tune", "train", "study", "landscape", "path", "plan", "predict", "show", "runs"])
def test_every_command_explains_every_option(command):
    done = thalweg(command, "--help")
    assert done.returncode == 0
    import importlib

    found = importlib.import_module(f"thalweg.cli._{command}").command
    for parameter in found.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name
            assert parameter.opts[0] in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell):
    done = thalweg(env={**os.environ, "_THALWEG_COMPLETE": f"{shell}_source"})
    assert done.returncode == 0, done.stderr
    assert "_THALWEG_COMPLETE" in done.stdout
    assert done.stderr == ""


def test_completion_knows_the_commands():
    words = {"COMP_WORDS": "thalweg tr", "COMP_CWORD": "1", "_THALWEG_COMPLETE": "bash_complete"}
    done = thalweg(env={**os.environ, **words})
    assert done.stdout.split() == ["plain,train"]


@pytest.fixture
def finished(tmp_path, monkeypatch, capsys):
    """A folder with a table and the run of a training on it."""
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "good.csv", {})
    code, out, err = call(capsys, "train", "good.csv", "--target", "y", "--seeds", "2", "--out", "run", "--json", *RUN)
    assert code == 0, err
    return tmp_path, out


def test_json_is_one_object_on_stdout_and_nothing_else(finished, capsys):
    _, out = finished
    result = one_object(out)
    assert result["complete"]
    code, out, err = call(capsys, "show", "run", "--json")
    assert (code, err) == (0, "")
    assert one_object(out) == {**result, "run": one_object(out)["run"]}
    code, out, err = call(capsys, "runs", ".", "--json")
    assert [row["state"] for row in json.loads(out)] == ["complete"]
    code, out, err = call(capsys, "predict", "run", "good.csv", "--json")
    assert code == 0
    assert len(one_object(out)["prediction"]) == 60


def test_output_that_is_no_terminal_holds_no_colour(finished):
    folder, _ = finished
    done = thalweg("train", "good.csv", "--target", "y", "--seeds", "2", *RUN, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_no_color_is_honoured_on_a_terminal(finished):
    """A real terminal (pty): the bar may move the cursor, but sets no colour."""
    pty = pytest.importorskip("pty")
    folder, _ = finished
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover
        os.chdir(folder)
        os.environ.update(NO_COLOR="1", TERM="xterm-256color")
        command = [sys.executable, "-m", "thalweg", "train", "good.csv", "--target", "y", "--seeds", "2", *RUN]
        os.execv(sys.executable, command)
    seen = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, seen.decode()
    import re

    colours = [
        m for m in re.findall(rb"\x1b\[([0-9;]*)m", seen) if re.search(rb"(^|;)(3[0-9]|4[0-9]|9[0-7]|10[0-7])", m)
    ]
    assert colours == []


def test_predict_says_what_does_not_fit(finished, capsys):
    folder, _ = finished
    (folder / "short.csv").write_text("a\n1\n")
    (folder / "long.csv").write_text("a,b,extra\n1,2,3\n")
    (folder / "text.csv").write_text("a,b\n1,oak\n")
    cases = {
        "short.csv": "missing: 'b'",
        "long.csv": "unknown: 'extra'. Remove them",
        "text.csv": "column 'b' must be made of numbers, got 'oak'",
        "none.csv": "a file or folder that is there",
    }
    for name, message in cases.items():
        code, out, err = call(capsys, "predict", "run", name)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err
    for target, message in {"a.xlsx": "a .csv or .parquet file", "no/such/a.csv": "cannot write no/such/a.csv"}.items():
        code, out, err = call(capsys, "predict", "run", "good.csv", "--out", target)
        assert (code, out) == (2, "")
        assert message in err.splitlines()[-1]
    model = folder / "run" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:50])
    code, out, err = call(capsys, "predict", "run", "good.csv")
    assert (code, err.count("\n")) == (2, 1)
    assert "model.safetensors is damaged" in err
    model.unlink()
    code, out, err = call(capsys, "predict", "run", "good.csv")
    assert "holds no model" in err


def test_predict_names_categories_that_training_did_not_see(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{k},{'oak' if k % 3 else 'elm'},{k % 2}\n" for k in range(60))
    (tmp_path / "trees.csv").write_text("age,kind,y\n" + rows)
    code, _, err = call(capsys, "train", "trees.csv", "--target", "y", "--seeds", "2", "--out", "run", *RUN)
    assert code == 0, err
    (tmp_path / "new.csv").write_text("age,kind\n3,oak\n4,ash\n")
    code, out, err = call(capsys, "predict", "run", "new.csv")
    assert code == 0
    assert len(out.splitlines()) == 3
    assert "ash" in err
    assert err.count("\n") == 1
