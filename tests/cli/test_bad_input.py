"""Bad input: one line on stderr that says what to do, exit code 2, and nothing written."""

from __future__ import annotations

import re

import pytest
from tests.cli.conftest import call, listing, thalweg

GOOD = "tune good.csv --target y --out new"
IRIS = "tune iris --out new"

CASES = [
    # ---- data
    ("tune", "DATA must be the name of a task or a file. Known names: .*iris"),
    ("tune missing.csv --target y", "missing.csv must be a file or folder that is there. Check the spelling"),
    ("tune no/missing.csv --target y", "no/missing.csv must be a file or folder that is there"),
    ("tune fashon-mnist", "got 'fashon-mnist'. Did you mean 'fashion-mnist'"),
    ("tune good.csv", "target must be the name of a column, got None. Columns: a, b, y"),
    ("tune good.csv --target A", "target must be a column of the data, got 'A'. Did you mean 'a'"),
    ("tune good.csv --target zz", "got 'zz'. Known: a, b, y"),
    ("tune one.csv --target y", "target 'y' must be a column of at least two values, got 1"),
    (
        "tune nan.csv --target y",
        r"free of missing values, but holds 1 in 'a' \(row 3, from 0\); 2 in 'b' \(rows 7, 8, from 0\). "
        "Choose --missing drop .* or --missing mean",
    ),
    ("tune nan_target.csv --target y", r"1 in 'y' \(row 5, from 0\). Choose --missing drop"),
    ("tune inf.csv --target y", r"free of infinite values, but holds 1 in 'a' \(row 3, from 0\). Remove or replace"),
    ("tune inf.csv --target y --missing drop", "free of infinite values"),
    ("tune inf_target.csv --target y", r"free of infinite values, but holds 1 in 'y' \(row 5"),
    ("tune names.csv --target y", "'a' holds 3000 distinct texts, such as 'person 0'. .* --exclude a"),
    ("tune good.csv --target y --exclude a,zz", "exclude must be a column of the data, got 'zz'"),
    ("tune empty.csv --target y", "empty.csv must be a file with rows; it is empty"),
    ("tune header.csv --target y", "it holds a header alone"),
    ("tune ragged.csv --target y", "line 3 has 2. Correct that line"),
    ("tune table.xlsx --target y", "table.xlsx must be of a known type .*, got '.xlsx'"),
    ("tune full --target y", "full must be a folder with images"),
    (f"{IRIS} --target petal", "target must be left out: iris already has its target"),
    (f"{IRIS} --missing median", "missing must be a known name, got 'median'. Did you mean 'mean'"),
    (f"{IRIS} --kind binry", "Did you mean 'binary'"),
    (f"{IRIS} --metric nope", "metric must be a known name, got 'nope'"),
    (f"{IRIS} --metric rmse", "metric must be one that fits a multiclass target .*, got 'rmse'"),
    (f"{IRIS} --loss nope", "loss must be a known name, got 'nope'"),
    (f"{IRIS} --loss bce", "loss must be one that fits a multiclass target .*, got 'bce'"),
    ("tune numbers.csv --target y --loss cross_entropy --out new", "loss must be one that fits a regression target"),
    # ---- the folder
    ("tune iris --out file", "--out must be a folder that is new or empty, got 'file'. Choose another one"),
    ("tune iris --out full", "--out must be a folder that is new or empty, got 'full'"),
    ("tune iris --out file/deep/er", "--out must be a folder that can be written .*file is a file"),
    ("train iris --out full", "--out must be a folder that is new or empty, got 'full'"),
    ("train iris --out file/deep", "--out must be a folder that can be written"),
    # ---- paths
    ("path", "DATA must be the name of a task or a file"),
    ("path iris --out full", "--out must be a folder that is new or empty, got 'full'"),
    ("path diabetes --alpha 2 --out new", "alpha must be a number at least 0 and at most 1, got 2.0"),
    ("path diabetes --alpha half --out new", "--alpha must be a number, or numbers joined by commas, got 'half'"),
    ("path diabetes --lambdas 0.1,1 --out new", "lambda_ must be from the largest to the smallest"),
    ("path diabetes --lambdas -3 --out new", "lambda_ must be above 0, got -3.0"),
    ("path diabetes --folds 1 --out new", "folds must be a whole number at least 2, got 1"),
    ("path diabetes --choose best --out new", "choose must be a known name, got 'best'. Known: 1se, min"),
    ("path diabetes --halves 3 --out new", "halves must be an even number: they are drawn in pairs, got 3"),
    ("path diabetes --unpenalised agee --out new", "unpenalised must be a column that is an input, got 'agee'"),
    ("path diabetes --unpenalised age --nonnegative --out new", "nonnegative must be left out beside unpenalised"),
    ("path diabetes --tol quick --out new", "--tol must be a number, or numbers joined by commas, got 'quick'"),
    ("path diabetes --group sexx --out new", "sexx"),
    ("path diabetes --threads 0 --out new", "--threads must be"),
    # ---- studies
    ("study", "NAME must be a known name, got ''. Known: activation, "),
    ("study lrr iris --out new", "NAME must be a known name, got 'lrr'. Did you mean 'lr'"),
    ("study lr", "DATA must be the name of a task or a file"),
    ("study lr iris --seeds 1 --out new", "seeds must be .*at least 2, got 1. An interval needs 2 seeds"),
    ("study lr iris --seed -1 --out new", "seed must be a whole number at least 0, got -1"),
    ("study lr iris --budget soon --out new", "--budget must be seconds, minutes, hours or steps, got 'soon'"),
    ("study lr iris --budget 3steps --out new", "--budget must be enough for one epoch of"),
    ("study label-smoothing numbers.csv --target y --out new", "study must be of a classification"),
    ("study head numbers.csv --target y --out new", "study must be of a task with classes that exclude each other"),
    ("study activation iris --model linear --out new", "model must be an mlp or a cnn"),
    ("study l1 iris --set optimizer=muon --out new", "optimizer must be one with a proximal step"),
    ("study --resume no_run", "no_run is not a run folder"),
    ("study lr --resume no_run", "NAME must be left out with --resume"),
    ("landscape", "DATA must be the name of a task or a file"),
    ("landscape iris --plane plan --out new", "--plane must be a known name, got 'plan'. Known: hessian, minima, path"),
    ("landscape iris --points 2 --out new", "--points must be .*at least 5.*, got 2"),
    ("landscape iris --span 0 --out new", "--span must be a number above 0, got 0.0"),
    ("landscape iris --rows 2 --out new", "--rows must be .*at least 8, got 2"),
    ("landscape iris --mesh a.stl --out new", r"--mesh must be a file that ends in .obj or .glb, got 'a.stl'"),
    ("landscape iris --mesh no/a.obj --out new", "--mesh must be in a folder that exists, got 'no/a.obj'"),
    ("landscape damaged --out new", "run.json .*damaged"),
    ("landscape of_train --model mlp:4", "--model must be left out for a run, which says how it was started"),
    ("landscape of_train --out new", "of_train holds no result yet"),
    # ---- axes
    (f"{IRIS} --vary learning_rate=0.1,0.2", "axis must be a recipe field, .* Did you mean 'lr'"),
    (f"{IRIS} --vary activaton=relu,tanh", "got 'activaton'. Did you mean 'activation'"),
    (f"{IRIS} --vary dropout=0,1.5", "dropout must be a number at least 0 and below 1, got 1.5"),
    (f"{IRIS} --vary lr=0..1", "lr must be a number above 0, got 0.0. A first try is 0.001"),
    (f"{IRIS} --vary lr=-1,0.1", "lr must be a number above 0, got -1.0"),
    (f"{IRIS} --vary lr=1..0.1", "axis lr, upper end must be a number above 1, got 0.1"),
    (f"{IRIS} --vary lr", "--vary must be written as field=values, got 'lr'. For example"),
    (f"{IRIS} --vary lr=", "--vary must be written as field=values"),
    (f"{IRIS} --vary lr=0.1..", "lr must be a number, got ''"),
    (f"{IRIS} --vary lr=0.1..1:1", "axis lr must be a range with 2 points or more, got '0.1..1:1'. Write"),
    (f"{IRIS} --vary activation=relu..tanh", "axis activation must be a list of values, not a range"),
    (f"{IRIS} --vary lr=0.1,0.1", "axis lr must be a list of different values"),
    (f"{IRIS} --vary lr=0.1,0.2 --vary lr=0.3,0.4", r"axes must be of different fields, got \['lr', 'lr'\]. Name all"),
    (f"{IRIS} --vary optimizer=sgd,adamv", "optimizer must be a known name, got 'adamv'. Did you mean 'adam'"),
    (f"{IRIS} --vary model=linear,mpl", "model must be linear, mlp, cnn or .*, got 'mpl'. Did you mean 'mlp'"),
    (f"{IRIS} --vary model=linear,cnn", "input_shape must be .channels, height, width."),
    (f"{IRIS} --vary widths=a,b", "widths must be whole numbers joined by x, as in 128x64, got 'a'"),
    (f"{IRIS} --vary batch_size=16,1000", "batch_size must be at most the 90 training rows, got 1000. Take a smaller"),
    (f"{IRIS} --vary warmup=0.1,1", "warmup must be a number at least 0 and below 1, got 1.0"),
    (f"{IRIS} --vary warmup=0.1,0.2", "axis warmup must be one that the schedule constant reads. It would change"),
    (f"{IRIS} --vary momentum=0,0.9", "axis momentum must be one that the optimizer adamw reads"),
    (f"{IRIS} --vary l1_ratio=0,1", "axis l1_ratio must be one that has a penalty to share: set alpha"),
    (f"{IRIS} --model linear --vary activation=relu,tanh", "axis activation must be one that the model linear has"),
    (f"{IRIS} --set lr=0.1 --vary lr=0.1,0.2", "axis lr must be left out where the field is set"),
    ("tune numbers.csv --target y --out new --vary label_smoothing=0,0.1", "label_smoothing must be 0 with the loss"),
    (f"{IRIS} --set alpha=0.1 --set l1_ratio=1 --vary optimizer=sgd,muon", "l1_ratio must be 0 with muon, .*, got 1.0"),
    (f"{IRIS} --set norm=batch --vary batch_size=1,16", "batch_size must be at least 2 with batch norm, got 1"),
    (f"{IRIS} --set activation=maxout --vary activation_parameter=1,2", "must be 2 pieces or more with maxout"),
    ("tune digits --out new --model cnn:4 --vary widths=4,4x4x4x4", "channels must be at most 3 long"),
    # ---- fields
    (f"{IRIS} --set lr=0", "lr must be a number above 0, got 0.0. A first try is 0.001"),
    (f"{IRIS} --set lr=-0.1", "lr must be a number above 0, got -0.1"),
    (f"{IRIS} --set lr=nan", "lr must be a number above 0, got nan"),
    (f"{IRIS} --set lr=fast", "lr must be a number, got 'fast'"),
    (f"{IRIS} --set lr", "--set must be written as field=value, got 'lr'. For example"),
    (f"{IRIS} --set lr=0.1 --set lr=0.2", "--set must be given once for each field, got 'lr=0.2'"),
    (f"{IRIS} --set step_size=1", "--set field must be a recipe field, got 'step_size'. Did you mean 'lr'"),
    (f"{IRIS} --set batch_size=1000", "batch_size must be at most the 90 training rows, got 1000"),
    (f"{IRIS} --set batch_size=1.5", "batch_size must be a whole number at least 1, got 1.5"),
    (f"{IRIS} --set batch_size=off", "batch_size must be a whole number or full, got 'off'"),
    (f"{IRIS} --set epochs=1e400", "epochs must be a whole number at least 1, got inf"),
    (f"{IRIS} --set epochs=" + "9" * 400, "epochs must be a whole number at least 1, got 9"),
    (f"{IRIS} --set warmup=1.5", "warmup must be a number at least 0 and below 1, got 1.5"),
    (f"{IRIS} --set init=keep", "init must be one that draws weights for mlp, got 'keep'"),
    (f"{IRIS} --set optimizer=muon --set alpha=1 --set l1_ratio=1", "l1_ratio must be 0 with muon"),
    ("train iris --out new --set batch_size=1000", "batch_size must be at most the 90 training rows, got 1000"),
    ("train numbers.csv --target y --out new --set label_smoothing=0.1", "label_smoothing must be 0 with the loss"),
    ("train iris --out new --set norm=batch --set batch_size=1", "batch_size must be at least 2 with batch norm"),
    # ---- amounts
    (f"{IRIS} --budget nonsense", "--budget must be seconds, minutes, hours or steps, got 'nonsense'. Write 60s"),
    (f"{IRIS} --budget 0s", "--budget must be above 0, got 0.0"),
    (f"{IRIS} --budget -5s", "--budget must be seconds, .*, got '-5s'"),
    (f"{IRIS} --budget 10steps", "--budget must be at least .* member-steps .*, got '10 member-steps'. Give more"),
    (f"{IRIS} --budget 0.0001s", "--budget must be at least .* seconds for .*, got '0.0001 seconds'. Give more"),
    (f"{IRIS} --seeds 1", "seeds must be a whole number at least 2, got 1. An interval needs 2 seeds"),
    (f"{IRIS} --seeds many", "'many' is not a valid integer"),
    (f"{IRIS} --seed -1", "seed must be a whole number at least 0, got -1"),
    (f"{IRIS} --threads 0", "--threads must be a whole number at least 1, got 0"),
    (f"{IRIS} --precision float16", "precision must be a known name, got 'float16'. Did you mean 'bfloat16'"),
    (f"{IRIS} --precision tf32", "precision must be one that the device has, got 'tf32'. tf32 is of CUDA devices: use"),
    (f"{IRIS} --device gpu", "device must be a known name, got 'gpu'. Did you mean 'cpu'"),
    ("plan", "DATA must be the name of a task or a file"),
    ("plan iris --seeds 1", "seeds must be a whole number at least 2, got 1"),
    ("plan iris --train --budget 5s", "--vary and --budget must be left out with --train: one recipe is trained"),
    ("plan iris --budget 10steps", "--budget must be at least .* member-steps"),
    ("plan iris --set widths=1000000x1000000", "memory must be enough for .* members? .*, got '.* free'. Take smaller"),
    ("train iris --out new --seeds 0", "seeds must be a whole number at least 1, got 0"),
    # ---- models
    (f"{IRIS} --model nonsense", "--model must be linear, .*, got 'nonsense'. Known"),
    (f"{IRIS} --model mlp:0", "--model must be mlp: and whole numbers above 0, as in mlp:128,64, got 'mlp:0'"),
    (f"{IRIS} --model mlp:abc", "--model must be mlp: and whole numbers above 0"),
    (f"{IRIS} --model cnn:a", "as in cnn:16,32, got 'cnn:a'"),
    (f"{IRIS} --model linear:3", "got 'linear:3'. Did you mean 'linear'"),
    (f"{IRIS} --model cnn", "A CNN takes images; use an MLP"),
    (f"{GOOD} --model no_such_package.module:f", "model must be importable, .* No module named 'no_such_package'"),
    (f"{GOOD} --model own_models:goood", "model must be a name in own_models, .* Did you mean 'good'"),
    (f"{GOOD} --model own_models:wrong", r"model with 1 outputs .* One row gave \(1, 2\); the task needs \(1, 1\)"),
    (f"{GOOD} --model own_models:raises", "model must be a factory that runs, .* It raised KeyError"),
    (f"{GOOD} --model own_models:empty", "model must be"),
    (f"{GOOD} --model own_models:OneRow", "model must be one that trains, .* raised RuntimeError on . rows: one row"),
    (f"{GOOD} --model own_models:", "--model must be"),
    (f"{GOOD} --model own_models:good --set dropout=0.1", "dropout must be 0 with the model own_models:good"),
    ("train good.csv --target y --out new --model own_models:OneRow", "model must be one that trains"),
    # ---- recipe files
    ("train iris --out new --recipe unknown.toml", "key in unknown.toml must be a recipe field, .* Did you mean 'lr'"),
    ("train iris --out new --recipe misspelt.toml", "got 'batch_sise'. Did you mean 'batch_size'"),
    ("train iris --out new --recipe text.toml", "lr must be a number above 0, got 'fast'"),
    ("train iris --out new --recipe number.toml", "model must be a name, got 3"),
    ("train iris --out new --recipe list.toml", "activation must be a name, got "),
    ("train iris --out new --recipe widths.toml", "widths must be a whole number at least 1, got 1.5"),
    ("train iris --out new --recipe broken.toml", "broken.toml must be valid TOML"),
    ("train iris --out new --recipe bare.toml", r"bare.toml must be a TOML file with a \[recipe\] table"),
    ("train iris --out new --recipe two.toml", r"with a \[recipe\] table alone, got \['lr'\]"),
    ("train iris --out new --recipe none.toml", r"a text file that can be read \(No such file .*, got 'none.toml'"),
    ("train iris --out new --recipe full", r"a text file that can be read \(Is a directory\), got 'full'"),
    ("train iris --out new --recipe text.toml --model mlp", "--model must be left out with --recipe"),
    # ---- resume
    ("tune --resume no_run", "no_run is not a run folder: it holds no run.json"),
    ("tune --resume nowhere", "nowhere is not a run folder"),
    ("tune --resume file", "file is not a run folder"),
    ("tune --resume damaged", "damaged/run.json is damaged .* Restore it from a copy, or run again"),
    ("tune --resume newer", "newer has format 99; this version reads up to 1. Upgrade thalweg"),
    ("tune --resume no_format", "run.json is damaged .no format number"),
    ("tune --resume no_kind", "run.json is damaged .it does not say what kind"),
    ("tune --resume half", "half/run.json is damaged"),
    ("tune --resume a_list", "a_list/run.json is damaged"),
    ("tune --resume of_train", "must be a tune run.*Use thalweg train --resume"),
    ("tune iris --resume half", "DATA must be left out with --resume: the run goes on as it was started"),
    ("tune --resume half --seeds 3", "--seeds must be left out with --resume"),
    # ---- the command line itself
    ("tune iris --nonsense", "No such option .* See thalweg tune --help"),
    ("tune iris --out", "requires an argument"),
    ("tune iris wine", "unexpected extra argument"),
    ("tuen iris", "there is no command 'tuen'. Did you mean 'tune'"),
    ("nonsense", "there is no command 'nonsense'. Known: doctor, gallery, landscape, path, plan, predict, runs, "),
    ("train iris --vary lr=1,2", "No such option"),
    # ---- doctor
    ("doctor", "Missing argument 'SCRIPT'"),
    ("doctor --nonsense trains.py", "No such option '--nonsense'"),
    ("doctor nowhere.py", "script must be a Python file that is there, got 'nowhere.py'"),
    ("doctor --rerun --seeds 0 nowhere.py", "seeds must be at least 2 with --rerun, got 0. Leave --rerun out"),
    ("doctor --seeds x nowhere.py", "'x' is not a valid integer"),
    ("doctor nothing.py", "nothing.py made no step of a torch optimizer"),
    ("doctor broken.py", "broken.py ended before its first step: ZeroDivisionError: division by zero"),
    ("doctor --seeds 1 trains.py", "seeds must be a whole number at least 2, got 1"),
    ("doctor --seconds 0 trains.py", "seconds must be a number above 0, got 0.0"),
    # ---- runs that are there
    ("predict no_run good.csv", "no_run is not a run folder"),
    ("predict half good.csv", "half holds no model: the run did not finish"),
    ("predict good.csv", "Missing argument 'DATA'"),
    ("predict half good.csv --json --out a.csv", "--json must be left out with --out"),
    ("show no_run", "no_run is not a run folder"),
    ("show nowhere", "nowhere is not a run folder"),
    ("show damaged", "damaged/run.json is damaged"),
    ("show newer", "newer has format 99"),
    ("show of_train", "of_train holds no result yet. Go on with: thalweg train --resume of_train"),
    ("show half", "half holds no result yet. Go on with: thalweg tune --resume half"),
    ("runs nowhere", "FOLDER must be an existing folder, got 'nowhere'. Runs are written to runs/ by default"),
    ("runs file", "FOLDER must be an existing folder, got 'file'"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "message"), CASES, ids=[command[:60] for command, _ in CASES])
def test_bad_input_is_one_line_and_writes_nothing(place, capsys, command, message):
    before = listing(place)
    code, out, err = call(capsys, *command.split())
    assert code == 2
    assert out == ""
    assert err.startswith("thalweg: ")
    assert err.count("\n") == 1, err
    assert re.search(message, err), err
    assert len(err) < 700
    assert listing(place) == before


@pytest.mark.parametrize(
    "command",
    [
        "tune missing.csv --target y",
        "tune good.csv --target y --out new --vary batch_size=4,1000",
        "tune good.csv --target y --out new --model own_models:raises",
        "tune --resume damaged",
    ],
)
def test_a_process_says_it_in_one_line_too(place, command):
    before = listing(place)
    done = thalweg(*command.split(), cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"thalweg: [^\n]+\n", done.stderr), done.stderr
    assert listing(place) == before


def test_debug_shows_the_trace(place):
    done = thalweg("--debug", "tune", "missing.csv", cwd=place)
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "missing.csv must be" in done.stderr


@pytest.mark.parametrize("missing", ["drop", "mean"])
def test_missing_values_are_handled_as_chosen(place, missing):
    import thalweg as tw

    task = tw.load_task("nan.csv", target="y", missing=missing)
    rows = len(task.train) + len(task.validation) + len(task.test)
    assert rows == (57 if missing == "drop" else 60)
    assert any("missing" in note.lower() for note in task.notes)


def test_runs_lists_damaged_folders_beside_the_others(place, capsys):
    code, out, err = call(capsys, "runs", ".")
    assert (code, err) == (0, "")
    for name in ("damaged", "newer", "no_kind", "half"):
        assert any(line.startswith(name) for line in out.splitlines()), name
    (place / "half" / "result.json").write_text("{}")
    (place / "half" / "summary.txt").write_text("")
    code, out, err = call(capsys, "runs", ".")
    assert (code, err) == (0, "")
    assert "result.json is damaged" in out
