"""Activations that are called as functions are seen, judged and exchanged as those that are modules."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.overrides import _get_current_function_mode_stack

from thalweg.doctor import watch
from thalweg.doctor._causes._signal import _exchanged
from thalweg.doctor._diagnosis import Watch
from thalweg.doctor._finder import Finder
from thalweg.doctor._record._activations import KINDS, ActivationCalls

WAYS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], Callable[[], nn.Module]]] = {
    "relu": (F.relu, nn.ReLU),
    "tanh": (torch.tanh, nn.Tanh),
    "sigmoid": (torch.Tensor.sigmoid, nn.Sigmoid),
}


@pytest.fixture(autouse=True)
def _alike():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
    assert not _get_current_function_mode_stack()


class Functional(nn.Module):
    def __init__(self, depth: int, activation: Callable[[torch.Tensor], torch.Tensor], *, squashed: bool = False):
        super().__init__()
        sizes = [8] + [32] * depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.head, self.activation = nn.Linear(32, 1 if squashed else 3), activation
        self.squashed = squashed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = self.activation(layer(x))
        return torch.sigmoid(self.head(x)) if self.squashed else self.head(x)


def as_modules(model: Functional, activation: Callable[[], nn.Module]) -> nn.Sequential:
    parts = [part for layer in model.layers for part in (copy.deepcopy(layer), activation())]
    return nn.Sequential(*parts, copy.deepcopy(model.head))


def data(rows: int = 320) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(rows, 8, generator=torch.Generator().manual_seed(1))
    return x, x[:, :3].argmax(1)


def batches(steps: int):
    x, y = data()
    for k in range(steps):
        rows = torch.arange(32 * (k % 10), 32 * (k % 10) + 32)
        yield x[rows], y[rows]


def trained(model: nn.Module, *, lr: float = 0.01, steps: int = 80, loss=F.cross_entropy) -> Watch:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    with watch(model, optimizer, share=None) as run:
        for x, y in batches(steps):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    return run


def pair(name: str, depth: int, start: Callable[[nn.Linear], object]) -> tuple[Functional, nn.Sequential]:
    model = Functional(depth, WAYS[name][0])
    for part in model.modules():
        if isinstance(part, nn.Linear):
            start(part)
    return model, as_modules(model, WAYS[name][1])


def killed(layer: nn.Linear) -> None:
    if layer.out_features > 3:
        nn.init.constant_(layer.bias, -6.0)


STARTS = {
    "dead_units": ("relu", 2, killed),
    "initial_weights_too_large": ("tanh", 2, lambda layer: nn.init.normal_(layer.weight, std=2.0)),
    "vanishing_gradients": ("sigmoid", 6, lambda layer: nn.init.xavier_uniform_(layer.weight)),
}


@pytest.mark.parametrize("cause", STARTS)
def test_functions_and_modules_give_the_same_findings(cause):
    found = [[each.cause for each in trained(model).diagnosis().findings] for model in pair(*STARTS[cause])]
    assert found[0][0] == cause
    assert found[0] == found[1]


@pytest.mark.parametrize("cause", ["dead_units", "vanishing_gradients"])
def test_a_remedy_is_proven_with_functions(cause):
    model, _ = pair(*STARTS[cause])
    finding = trained(model, lr=0.003, steps=160).prove(seconds=20).findings[0]
    assert finding.cause == cause
    assert finding.proof is not None
    assert all(each.remedy.after for each in finding.verdicts)


@pytest.mark.parametrize("name", WAYS)
def test_a_healthy_loop_of_functions_is_left_in_peace(name):
    model = Functional(2, WAYS[name][0])
    assert not trained(model).diagnosis().findings


@pytest.mark.parametrize("name", WAYS)
def test_statistics_of_functions_are_those_of_modules(name):
    called, made = (trained(model, steps=9).recording.probes for model in pair(name, 2, lambda layer: None))
    names = {f"layers.{k}": str(2 * k) for k in range(2)} | {"head": "4"}
    names |= {f"{name} after layers.{k}": str(2 * k + 1) for k in range(2)}
    assert len(called) == 5
    for one, other in zip(called, made, strict=True):
        renamed = [replace(each, name=names[each.name], follows=names.get(each.follows or "")) for each in one.layers]
        assert renamed == list(other.layers)
        assert all(each.slope is not None for each in renamed[1::2])


def test_only_rare_steps_are_looked_at(monkeypatch):
    entered: list[int] = []
    enter = ActivationCalls.enter
    monkeypatch.setattr(ActivationCalls, "enter", lambda self: entered.append(1) or enter(self))
    run = trained(Functional(2, F.relu), steps=40)
    assert len(entered) == len(run.recording.probes) == 7


@pytest.mark.parametrize(
    "activate",
    [lambda x: F.relu(x, inplace=True), torch.relu_, lambda x: x.relu_(), nn.ReLU(inplace=True)],
    ids=["inplace", "function", "method", "module"],
)
def test_what_writes_over_its_input_is_measured_before(activate):
    plain, written = Functional(2, F.relu), Functional(2, activate)
    written.load_state_dict(plain.state_dict(), strict=False)
    one, other = trained(plain), trained(written)
    assert [float(a) for a in one.recording.losses] == [float(b) for b in other.recording.losses]
    for a, b in zip(one.recording.probes, other.recording.probes, strict=True):
        assert [(x.slope, x.still, x.gradient) for x in a.layers] == [(x.slope, x.still, x.gradient) for x in b.layers]
    assert "no_activation" not in [each.cause for each in other.diagnosis().findings]


def test_a_layer_that_is_written_over_is_not_followed_by_the_next():
    class Clamped(Functional):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = layer(x).clamp_(min=0)
            return self.head(x)

    assert "no_activation" not in [each.cause for each in trained(Clamped(2, F.relu)).diagnosis().findings]


def test_names_are_the_same_in_every_pass():
    class Twice(Functional):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = F.relu(self.layers[0](x))
            h = F.relu(h + self.layers[1](h))
            return self.head(F.relu(F.relu(h).neg() + 1) * torch.sigmoid(h.mean(1))[:, None])

    run = trained(Twice(2, F.relu), steps=9)
    names = [[each.name for each in probe.layers if each.kind == "ReLU"] for probe in run.recording.probes]
    last = "relu after layers.1"
    assert names == [["relu after layers.0", last, f"{last} (2)", f"{last} (3)"]] * 5
    assert [each.follows for each in run.recording.probes[0].layers if each.kind == "ReLU"] == [
        "layers.0",
        None,
        last,
        None,
    ]


def test_every_function_is_known_by_its_module():
    x, seen = torch.randn(4, 3), set()

    def noted(kind, function, given, args, kwargs):
        seen.add(kind)
        return function(*args, **kwargs)

    with ActivationCalls(noted):
        for kind in {*KINDS.values()} - {"ReLU6"}:
            getattr(nn, kind)()(x)
            assert kind in seen
        F.relu6(x)  # its module calls another function
    assert seen == set(KINDS.values())


class Failing(Functional):
    fails = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = super().forward(x)
        if self.fails:
            raise KeyboardInterrupt if self.fails == "interrupt" else ValueError
        return out


@pytest.mark.parametrize("fails", [True, "interrupt"])
def test_it_is_left_where_a_pass_fails(fails):
    model = Failing(2, F.relu)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = data(32)
    with watch(model, optimizer) as run:
        model.fails = fails
        with pytest.raises(KeyboardInterrupt if fails == "interrupt" else ValueError):
            model(x)
        assert bool(_get_current_function_mode_stack()) == (fails == "interrupt")
        model.fails = False
        F.cross_entropy(model(x), y).backward()
        assert not _get_current_function_mode_stack()
        optimizer.step()
    assert [each.kind for each in run.recording.probes[0].layers] == ["Linear", "ReLU"] * 2 + ["Linear"]
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def joint_of(lr: float = 0.01, steps: int = 60, bias: float = 0.0) -> Watch:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 32)
            nn.init.constant_(self.fc.bias, bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.relu(self.fc(x))

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.out = nn.Linear(32, 32), nn.Linear(32, 3)

        def forward(self, h: torch.Tensor) -> torch.Tensor:
            return self.out(torch.relu(self.fc(h.tanh())))

    encoder, head = Encoder(), Head()
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=lr)
    with Finder([optimizer], share=None) as finder:
        for x, y in batches(steps):
            optimizer.zero_grad()
            F.cross_entropy(head(encoder(x)), y).backward()
            optimizer.step()
    assert finder.watch is not None
    for part in (encoder, head):
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
    return finder.watch


def test_models_that_are_called_one_after_another_are_seen_whole():
    run = joint_of(steps=9)
    relu, tanh = "relu after encoder.fc", "tanh after encoder.fc"
    expected = [
        ("encoder.fc", None),
        (relu, "encoder.fc"),
        (tanh, relu),
        ("head.fc", tanh),
        ("relu after head.fc", "head.fc"),
        ("head.out", "relu after head.fc"),
    ]
    for probe in run.recording.probes:
        assert [(each.name, each.follows) for each in probe.layers] == expected


def test_their_activations_are_exchanged():
    run = joint_of(bias=-6.0, steps=120)
    finding = run.prove(seconds=15).findings[0]
    assert finding.cause == "dead_units"
    assert finding.proof is not None
    view = run.view()
    model, _ = view.replay.copies(run.recording.states[0])
    x, _ = data(32)
    _exchanged({"ReLU": lambda x: F.leaky_relu(x, 0.1)})(model, view.training[0])
    parts = dict(model.named_modules())
    hidden = torch.tanh(F.leaky_relu(parts["encoder.fc"](x), 0.1))
    answers = parts["head.out"](F.leaky_relu(parts["head.fc"](hidden), 0.1))
    assert torch.equal(copy.deepcopy(model)(x), answers)
    assert type(model).__name__ == "Joint"


@pytest.mark.parametrize("activate", [F.relu, nn.ReLU(), torch.relu_], ids=["function", "module", "in place"])
def test_an_exchange_is_that_of_the_functions_and_holds_for_copies_and_vmap(activate):
    model = Functional(2, activate)
    leaky = Functional(2, lambda x: F.leaky_relu(x, 0.1))
    leaky.load_state_dict(model.state_dict(), strict=False)
    x, y = data(32)
    _exchanged({"ReLU": lambda x: F.leaky_relu(x, 0.1)})(model, None)  # type: ignore[arg-type]
    for each in (model, copy.deepcopy(model)):
        each.zero_grad()
        leaky.zero_grad()
        F.cross_entropy(each(x), y).backward()
        F.cross_entropy(leaky(x), y).backward()
        for a, b in zip(each.parameters(), leaky.parameters(), strict=True):
            assert torch.equal(a.grad, b.grad)  # type: ignore[arg-type]
    stacked = {name: torch.stack([p, p]) for name, p in model.named_parameters()}
    answers = torch.vmap(lambda params: torch.func.functional_call(model, params, (x,)))(stacked)
    assert torch.allclose(answers[1], leaky(x), atol=1e-6)
    assert isinstance(model, Functional)


def test_a_sigmoid_before_the_loss_stays_where_hidden_ones_are_exchanged():
    model = Functional(6, torch.sigmoid, squashed=True)
    for part in model.layers.parameters():
        if part.ndim > 1:
            nn.init.xavier_uniform_(part)

    def loss(output, y):
        return F.binary_cross_entropy(output[:, 0], (y > 0).float())

    diagnosis = trained(model, lr=0.003, steps=160, loss=loss).prove(seconds=20)
    finding = next(each for each in diagnosis.findings if each.cause == "vanishing_gradients")
    assert finding.proof is not None
    assert not [note for note in diagnosis.notes if "could not be tried" in note]


def test_a_mean_over_places_is_no_vanishing():
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lower, self.middle = nn.Linear(1, 16), nn.Linear(16, 16)
            self.upper, self.head = nn.Linear(16, 16), nn.Linear(16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.repeat(1, 25)[:, :, None]
            h = F.relu(self.middle(F.relu(self.lower(x)))).mean(1)
            return self.head(F.relu(self.upper(h)))

    run = trained(Pooled(), steps=3)
    lower, head = (run.recording.probes[0].layers[k].gradient for k in (0, -1))
    assert lower is not None
    assert head is not None
    assert lower > 2e-3 * head
    assert "vanishing_gradients" not in [each.cause for each in run.diagnosis().findings]


def test_a_model_that_computes_its_loss_notes_it_once():
    class Own(Functional):
        def forward(self, x: torch.Tensor, labels: torch.Tensor):  # type: ignore[override]
            logits = super().forward(x)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    model = Own(2, F.relu)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as run:
        for x, y in batches(12):
            optimizer.zero_grad()
            model(x, labels=y)["loss"].backward()
            optimizer.step()
    view = run.view()
    assert view.call is not None
    assert view.call.unit == pytest.approx(1.0)
    assert all(a == b for a, b in view.replay.recorded())
