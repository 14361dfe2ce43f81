"""The doctor inside Lightning and inside the `Trainer` of transformers: real fits, with and without a fault."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from thalweg.core import InputError, RunError
from thalweg.doctor import LightningDoctor, TrainerDoctor, watch
from thalweg.doctor._finder import LoopDoctor

# what these packages warn of among themselves is not ours to mend
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def untouched() -> bool:
    return "seen" not in F.cross_entropy.__code__.co_name and nn.Module.__call__.__name__ == "_wrapped_call_impl"


# ---- Lightning


def lightning(name: str = "lightning.pytorch") -> Any:
    return pytest.importorskip(name)


def module(L: Any, kind: str, fault: str = "") -> Any:
    class Digits(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10))
            self.lower, self.upper = self.net[:2], self.net[2:]
            self.automatic_optimization = kind not in ("by hand", "two optimizers")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)

        def answers(self, x: torch.Tensor) -> torch.Tensor:
            if kind == "forward":
                return self(x)
            return self.upper(self.lower(x)) if kind == "two models" else self.net(x)

        def loss(self, batch: Any) -> torch.Tensor:
            output = self.answers(batch[0])
            return F.cross_entropy(output.softmax(1) if fault == "softmax" else output, batch[1])

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            if fault == "error" and self.global_step == 3:
                raise ZeroDivisionError
            loss = self.loss(batch)
            if kind == "by hand":
                optimizer = self.optimizers()
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
            return loss

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("loss", self.loss(batch))

        def configure_optimizers(self) -> Any:
            if kind == "two optimizers":
                return [torch.optim.SGD(part.parameters(), lr=0.1) for part in (self.lower, self.upper)]
            optimizer = torch.optim.Adam(self.net.parameters(), lr=0.01)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.9)]

    return Digits()


def fit(L: Any, folder: Path, kind: str = "part", fault: str = "", **settings: Any) -> LightningDoctor:
    x, y = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(x / 8 - 1, dtype=torch.float32), torch.tensor(y))
    train, held = torch.utils.data.Subset(data, range(1200)), torch.utils.data.Subset(data, range(1200, 1797))
    torch.manual_seed(0)
    doctor = LightningDoctor()
    trainer = L.Trainer(
        max_epochs=3,
        callbacks=[doctor],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **settings,
    )
    try:
        trainer.fit(module(L, kind, fault), DataLoader(train, 32, shuffle=True), DataLoader(held, 200))
    finally:
        assert untouched()
        assert LoopDoctor._at_work is None
    return doctor


@pytest.mark.parametrize(
    ("package", "kind"),
    [
        ("lightning.pytorch", "part"),
        ("lightning.pytorch", "forward"),
        ("lightning.pytorch", "by hand"),
        ("lightning.pytorch", "two models"),
        ("pytorch_lightning", "part"),
    ],
)
def test_a_softmax_in_a_training_step_is_named_and_its_remedy_proven(package, kind, tmp_path):
    doctor = fit(lightning(package), tmp_path, kind, "softmax")
    diagnosis = doctor.prove(seconds=60)  # enough for all steps on any machine
    assert diagnosis.findings[0].cause == "softmax_before_cross_entropy"
    assert diagnosis.findings[0].verdicts[0].proven
    assert "of your validation" in diagnosis.findings[0].verdicts[0].measure
    assert diagnosis.replayed == (114, 114)


@pytest.mark.parametrize(
    "settings", [{}, {"accumulate_grad_batches": 3, "gradient_clip_val": 0.5}, {"precision": "bf16-mixed"}]
)
def test_a_healthy_fit_is_left_in_peace_and_replayed_to_the_bit(settings, tmp_path):
    doctor = fit(lightning(), tmp_path, **settings)
    assert not doctor.diagnosis().findings
    run = doctor._watch()
    assert run._view is not None
    pairs = run._view.replay.recorded()
    assert len(pairs) == 114
    assert all(a == b for a, b in pairs)


def test_a_fit_that_cannot_be_watched_says_so(tmp_path):
    L = lightning()
    with pytest.raises(RunError, match="LightningDoctor watches loops of one optimizer, and this one has 2"):
        fit(L, tmp_path, "two optimizers")


def test_a_fit_that_fails_ends_the_watch(tmp_path):
    L = lightning()
    with pytest.raises(ZeroDivisionError):
        fit(L, tmp_path, fault="error")
    fit(L, tmp_path)  # and another may begin


# ---- transformers


def classifier() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        num_hidden_layers=2,
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=64,
        vocab_size=50,
        num_labels=3,
        max_position_embeddings=16,
    )
    return transformers.BertForSequenceClassification(config)


def language_model() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=2, n_embd=32, n_head=2, vocab_size=40, n_positions=16, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPT2LMHeadModel(config)


def sentences(num: int = 320) -> list[dict[str, Any]]:
    ids = torch.randint(3, 50, (num, 10), generator=torch.Generator().manual_seed(0))
    return [{"labels": int(row[0] % 3), "input_ids": row, "attention_mask": torch.ones(10).long()} for row in ids]


def sequences(num: int = 320) -> list[dict[str, Any]]:
    """Counts up from anywhere; the ends of some rows are no targets."""
    draw, found = torch.Generator().manual_seed(0), []
    for _ in range(num):
        start, end = (int(torch.randint(*range_, (1,), generator=draw)) for range_ in ((0, 39), (6, 13)))
        ids = (start + torch.arange(12)) % 39 + 1
        found.append({"input_ids": ids, "labels": ids.where(torch.arange(12) < end, -100)})
    return found


def train(model: nn.Module, rows: list[dict[str, Any]], folder: Path, **settings: Any) -> TrainerDoctor:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    extra = settings.pop("callbacks", [])
    doctor = TrainerDoctor()
    given = {"num_train_epochs": 4, "per_device_train_batch_size": 16, "eval_strategy": "epoch", "use_cpu": True}
    quiet = {"report_to": [], "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True}
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(str(folder), **given | quiet | settings),
        train_dataset=rows[:256],
        eval_dataset=rows[256:],
        callbacks=[doctor, *extra],
    )
    trainer.train()
    assert untouched()
    return doctor


def test_a_rate_that_is_a_hundred_times_too_high_is_named_and_its_remedy_proven(tmp_path):
    diagnosis = train(classifier(), sentences(), tmp_path, learning_rate=0.1).prove(seconds=60)
    assert diagnosis.findings[0].cause == "lr_too_high"
    assert "The learning rate, 0.1, is too high" in diagnosis.findings[0].says
    assert any(verdict.proven for verdict in diagnosis.findings[0].verdicts)
    assert diagnosis.replayed == (64, 64)


@pytest.mark.parametrize(
    ("make", "rows", "settings"),
    [
        (classifier, sentences, {}),
        (language_model, sequences, {}),
        (language_model, sequences, {"gradient_accumulation_steps": 3, "learning_rate": 3e-3}),
        (classifier, sentences, {"bf16": True}),
    ],
    ids=["classifier", "language model", "language model, three passes a step", "classifier, bf16"],
)
def test_a_healthy_training_is_left_in_peace_and_replayed_to_the_bit(make, rows, settings, tmp_path):
    run = train(make(), rows(), tmp_path, **{"learning_rate": 1e-3} | settings)._watch()
    diagnosis = run.diagnosis()
    assert not diagnosis.findings, str(diagnosis)
    assert diagnosis.refused is None
    assert run._view is not None
    pairs = run._view.replay.recorded()
    assert len(pairs) == 64
    assert all(a == b for a, b in pairs)


def test_a_training_that_fails_can_be_asked_about_and_another_may_begin(tmp_path):
    transformers = pytest.importorskip("transformers")

    class Fails(transformers.TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 5:
                raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            train(classifier(), sentences(), tmp_path, callbacks=[Fails()])
    failed = LoopDoctor._at_work
    assert failed is not None
    assert failed.diagnosis().num_steps == 5
    assert untouched()
    with watch(model := nn.Linear(2, 1), torch.optim.SGD(model.parameters(), lr=0.1)):
        pass


# ---- both


@pytest.mark.parametrize("doctor", [LightningDoctor, TrainerDoctor])
def test_a_callback_needs_its_package_and_a_training(doctor, monkeypatch):
    if all(importlib.util.find_spec(name) for name in ("lightning", "transformers")):
        with pytest.raises(RunError, match="No step was watched"):
            doctor().diagnosis()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        doctor()
    name, package, extra = doctor.__name__, doctor.needs[0][0], doctor.needs[1]
    assert str(caught.value) == (
        f"{name} must be left out without {package}, which is not installed. pip install 'thalweg[{extra}]'"
    )


def test_the_doctor_loads_no_framework():
    names = "{'lightning', 'pytorch_lightning', 'transformers'}"
    code = f"import sys, thalweg.doctor as d; d.watch; print({names} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def blocks(section: str) -> str:
    """Returns the Python of a section of the how-to."""
    text = (Path(__file__).parents[2] / "docs" / "how-to-diagnose.md").read_text()
    _, _, after = text.partition(f"## {section}\n")
    return after.partition("\n## ")[0].partition("```python\n")[2].partition("```")[0]


def test_the_documented_lines_for_lightning_run(tmp_path, monkeypatch, capsys):
    L = lightning()
    monkeypatch.chdir(tmp_path)
    x, y = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(x / 8 - 1, dtype=torch.float32), torch.tensor(y))
    loader, held = DataLoader(data, 64), DataLoader(Subset(data, range(400)), 64)
    exec(blocks("With Lightning"), {"module": module(L, "part"), "train_loader": loader, "valid_loader": held})
    assert "of the rows that you evaluate on were trained on" in " ".join(capsys.readouterr().out.split())


def test_the_documented_lines_for_transformers_run(tmp_path, monkeypatch, capsys):
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    args = transformers.TrainingArguments(num_train_epochs=2, learning_rate=0.1, use_cpu=True, report_to=[])
    rows = sentences()
    exec(
        blocks("With transformers"),
        {"model": classifier(), "args": args, "rows": rows[:256], "held_rows": rows[256:]},
    )
    assert "The learning rate, 0.1, is too high" in capsys.readouterr().out
