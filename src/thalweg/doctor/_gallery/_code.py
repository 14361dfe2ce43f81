"""A loop of the gallery as a plain PyTorch script, and where the script of a fault differs from that without it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator

import torch.nn.functional as F  # noqa: N812
from torch import nn

from thalweg.doctor._gallery._faults import Adapted
from thalweg.doctor._gallery._healthy import COLUMNS, LETTERS, QUANTITIES, Attention, Places, Residual, token_loss
from thalweg.doctor._gallery._loop import Loop

#: epochs of which each one is printed; of longer loops it is every tenth
_PRINTED = 30
_TABLES = {name: name for name in ("digits", "wine", "breast_cancer", "diabetes")}
_TABLES |= {name: table for name, (table, _) in COLUMNS.items()}
_LOSSES = {
    F.cross_entropy: "F.cross_entropy",
    F.mse_loss: "F.mse_loss",
    F.nll_loss: "F.nll_loss",
    F.binary_cross_entropy: "F.binary_cross_entropy",
    F.binary_cross_entropy_with_logits: "F.binary_cross_entropy_with_logits",
    token_loss: "token_loss",
}
_SUMS = f'''
letters = "{LETTERS}"  # the first one fills up
draw = np.random.default_rng(SEED)
texts = []
for a, b in zip(draw.integers(0, 100, 640), draw.integers(0, 100, 640), strict=True):
    texts.append((f"#{{a}}+{{b}}=?A:", f"{{a + b}}."))
width = max(len(question) + len(answer) for question, answer in texts)
x, y = torch.zeros(len(texts), width, dtype=torch.long), torch.full((len(texts), width), -100)
for row, (question, answer) in enumerate(texts):
    text = torch.tensor([letters.index(c) for c in question + answer])
    x[row, : len(text)] = text
    y[row, len(question) - 1 : len(text) - 1] = text[len(question) :]  # the next character, of answers alone
'''
#: fault -> what it does to the rows, where the loop does it by no setting; CLASSES is the number of outputs
_ROWS = {
    "sigmoid_with_squared_error": "y, y_held = F.one_hot(y, CLASSES).float(), F.one_hot(y_held, CLASSES).float()",
    "squared_error_on_logits": "y, y_held = F.one_hot(y, CLASSES).float(), F.one_hot(y_held, CLASSES).float()",
    "sigmoid_before_logits_loss": "y, y_held = F.one_hot(y, CLASSES).float(), F.one_hot(y_held, CLASSES).float()",
    "binary_loss_on_softmax": "y, y_held = F.one_hot(y, CLASSES).float(), F.one_hot(y_held, CLASSES).float()",
    "labels_off_by_one": "y, y_held = y + 1, y_held + 1",
    "unscaled_target": "y, y_held = 77 * y + 152, 77 * y_held + 152",
    "target_broadcast": "y, y_held = y[:, 0], y_held[:, 0]",
    "off_centre_inputs": "x, x_held = x + 8, x_held + 8",
    "unscaled_inputs": "x, x_held = 100 * x + 50, 100 * x_held + 50",
    "sorted_batches": "order = y.argsort(stable=True)\nx, y = x[order], y[order]",
    "shuffled_labels": "y = y[torch.randperm(len(y), generator=generator)]",
    "label_noise": """
chosen = torch.rand(len(y), generator=generator) < 0.3
shift = torch.randint(1, CLASSES, (int(chosen.sum()),), generator=generator)
y[chosen] = (y[chosen] + shift) % CLASSES
""",
    "class_collapse": """
y, y_held = (y == 0).long(), (y_held == 0).long()
kept = torch.cat([(y == 0).nonzero()[:, 0], y.nonzero()[: max(2, len(y) // 50), 0]]).sort().values
x, y = x[kept], y[kept]
kept = torch.cat([(y_held == 0).nonzero()[:, 0], y_held.nonzero()[: max(2, len(y_held) // 50), 0]]).sort().values
x_held, y_held = x_held[kept], y_held[kept]
""",
    "rows_in_both_splits": """
half = len(x_held) // 2
x, y = torch.cat([x, x_held[:half]]), torch.cat([y, y_held[:half]])
""",
    "leaking_feature": """
largest = y.float().abs().max()
x[:, 0], x_held[:, 0] = y.flatten() / largest, y_held.flatten() / largest
""",
    "broken_features": """
for part in (x, x_held):
    part[torch.rand(len(part), generator=generator) < 0.1, part.shape[1] // 2] = -999.0
""",
    "not_finite_inputs": 'x[len(x) // 2, 0] = float("nan")',
    "preprocessing_differs": "x_held = 3 * x_held + 1",
    "overfitting": "x, y = x[:40], y[:40]",
    "batch_norm_on_tiny_batches": "x, y = x[:ROWS], y[:ROWS]",
    "frozen_batch_norm_drifts": "x, x_held = x + 0.5, x_held + 0.5",
    "prompt_not_masked": """
y[:, :-1] = torch.where(x[:, 1:] == 0, -100, x[:, 1:])
y_held[:, :-1] = torch.where(x_held[:, 1:] == 0, -100, x_held[:, 1:])
""",
    "first_answer_token_lost": """
for part in (y, y_held):
    part[torch.arange(len(part)), (part != -100).int().argmax(1)] = -100
""",
}
_EACH = "for p in model.parameters():\n    "
_MATRIX = f"{_EACH}if p.ndim > 1:\n        "
_DEEP = f'{_MATRIX}nn.init.kaiming_uniform_(p, nonlinearity="relu")'
#: fault -> how weights are drawn
_START = {
    "zero_initialisation": f"{_EACH}nn.init.zeros_(p)",
    "initial_weights_too_large": f"{_MATRIX}nn.init.normal_(p, std=2.0)",
    "vanishing_gradients": f"{_MATRIX}nn.init.xavier_uniform_(p)",
    "dead_units": """
for layer in model[:-1]:
    if isinstance(layer, nn.Linear | nn.Conv2d):
        nn.init.constant_(layer.bias, -6.0)
""",
    "off_centre_activations": """
for part in model.modules():
    if isinstance(part, nn.Sequential):
        for layer, above in zip(part, part[1:]):
            if isinstance(layer, nn.Linear) and isinstance(above, nn.ReLU | nn.GELU):
                nn.init.constant_(layer.bias, 8.0)
""",
    "exploding_signals": """
for layer in model:
    if isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=6.0 / layer.in_features**0.5)
""",
}


def code_of(loop: Loop, fault: str, data: str, model: str, seed: int, *, weights: str) -> str:
    """Returns a loop as a script that trains as the loop does; it does not tell the fault by name.

    Args:
        loop: Not yet run. fault: that was planted; "" for none.
        data: Of the loop. model: of the loop. seed: of the loop.
        weights: Name of the file beside the script that the weights of a trained loop are read from.
    """
    shown = {type(each) for each in loop.model.modules()} & {Adapted, Attention, Places, Residual}
    parts = ["\n".join(_imports(loop, data, fault)), "", f"torch.manual_seed({seed})"]
    pieces = [inspect.getsource(each).rstrip() for each in sorted(shown, key=lambda kind: kind.__name__)]
    pieces += [inspect.getsource(token_loss).rstrip()] if loop.criterion is token_loss else []
    parts += [f"\n\n{piece}" for piece in pieces] + (["\n"] if pieces else [""])
    parts += ["\n".join(_rows(loop, fault, data, seed)), ""]
    parts += ["\n".join(_network(loop, fault, model, weights)), ""]
    parts += ["\n".join(_training(loop, fault))]
    return "\n".join(parts) + "\n"


def difference(before: str, after: str) -> list[str]:
    """Returns the lines in which two scripts differ, each behind "- " or "+ ", with a line around them."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm="")
    told = [line for line in list(lines)[2:] if line[1:].strip()]
    return ["..." if line.startswith("@@") else f"{line[0]} {line[1:]}" for line in told][1:]


def _imports(loop: Loop, data: str, fault: str) -> Iterator[str]:
    if loop.pretrain:
        yield "from pathlib import Path\n"
    yield "import numpy as np"
    yield "import torch"
    if loop.criterion in _LOSSES or fault == "summed_loss" or "F." in _ROWS.get(fault, ""):
        yield "import torch.nn.functional as F"
    if loop.pretrain:
        yield "from safetensors.torch import load_file"
    if data in _TABLES:
        yield f"from sklearn.datasets import load_{_TABLES[data]}"
    yield "from torch import nn"
    if data == "fashion":
        yield "\nfrom thalweg.tasks import load_task"


def _rows(loop: Loop, fault: str, data: str, seed: int) -> Iterator[str]:
    yield "# rows; a quarter of them is kept for validation"
    if data == "sums":
        yield _SUMS.strip().replace("SEED", str(seed))
    else:
        if data == "fashion":
            yield 'task = load_task("fashion-mnist").train'
            yield "x, y = task.x[:1200].reshape(-1, 784), task.y[:1200]"
        else:
            yield f"x, y = load_{_TABLES[data]}(return_X_y=True)"
            if data in COLUMNS:
                column = COLUMNS[data][1]
                yield f"x, y = np.delete(x, {column}, axis=1), x[:, {column}]  # {data} from the other columns"
            yield "x = x.astype(np.float32)"
        alone = data in ("digits", "fashion")
        yield "x = (x - x.mean()) / x.std()" if alone else "x = (x - x.mean(0)) / x.std(0)"
        if data in QUANTITIES:
            yield "y = ((y - y.mean()) / y.std()).astype(np.float32)[:, None]"
        yield f"order = np.random.default_rng({seed}).permutation(len(x))"
        yield "x, y = torch.from_numpy(x[order]), torch.from_numpy(y[order])"
    yield "held = len(x) // 4"
    yield "x, y, x_held, y_held = x[held:], y[held:], x[:held], y[:held]"
    yield f"generator = torch.Generator().manual_seed({seed})"
    if loop.pretrain:
        yield "x, y = x[len(x) // 2 :], y[len(y) // 2 :]  # the network was trained on the other half"
    if fault in _ROWS:
        text = _ROWS[fault].strip().replace("CLASSES", str(loop.num_classes))
        yield text.replace("ROWS", str(len(loop.x)))


def _network(loop: Loop, fault: str, model: str, weights: str) -> Iterator[str]:
    yield "model = nn.Sequential("
    for layer in loop.model:
        yield f"    {_layer(layer)},"
    yield ")"
    if model == "deep" and fault != "vanishing_gradients":
        yield _DEEP
    if fault in _START:
        yield _START[fault].strip()
    if loop.pretrain:
        yield f'model.load_state_dict(load_file(Path(__file__).with_name("{weights}")))'
    for name in loop.frozen:
        yield f"model[{name}].requires_grad_(False)"
    yield f"optimizer = {_optimizer(loop, fault)}"
    if loop.schedule is not None:
        yield f"steps = {loop.epochs} * -(-len(x) // {loop.batch_size})"
        yield (
            "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(1e-3, 1 - 10 * (step / steps)))"
        )


def _layer(layer: nn.Module) -> str:
    """Returns a layer as code."""
    inside = None
    if isinstance(layer, Adapted):
        inside = [_layer(layer.base)]
    elif isinstance(layer, Residual):
        inside = [_layer(each) for each in layer.layers]
    elif isinstance(layer, Attention):
        inside = [str(layer.out.in_features), str(layer.heads), f"causal={layer.causal}"]
    elif isinstance(layer, Places):
        inside = [str(size) for size in layer.places.shape]
    if inside is not None:
        return f"{type(layer).__name__}({', '.join(inside)})"
    given: list[object] = []
    match layer:
        case nn.Linear():
            given = [layer.in_features, layer.out_features]
        case nn.Conv2d():
            given = [layer.in_channels, layer.out_channels, layer.kernel_size[0], f"padding={layer.padding[0]}"]
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            given = [layer.num_features]
        case nn.LayerNorm():
            given = [layer.normalized_shape[0]]
        case nn.Embedding():
            given = [layer.num_embeddings, layer.embedding_dim]
        case nn.MaxPool2d():
            given = [layer.kernel_size]
        case nn.Dropout():
            given = [layer.p]
        case nn.Unflatten():
            given = [layer.dim, tuple(layer.unflattened_size)]
        case nn.Softmax():
            given = [f"dim={layer.dim}"]
        case _:
            assert not list(layer.parameters()), type(layer)
    return f"nn.{type(layer).__name__}({', '.join(map(str, given))})"


def _optimizer(loop: Loop, fault: str) -> str:
    made = loop.optimizer(loop.model)
    kind = type(made)
    known = {name: each.default for name, each in inspect.signature(kind).parameters.items()}
    given = {name: value for name, value in made.param_groups[0].items() if name in known and name != "params"}
    settings = [f"{name}={value}" for name, value in given.items() if name == "lr" or value != known[name]]
    params = {
        "parameters_not_in_optimizer": "model[-1].parameters()",
        "parameters_without_gradient": "[p for p in model.parameters() if p.requires_grad]",
    }.get(fault, "model.parameters()")
    return f"torch.optim.{kind.__name__}({', '.join([params, *settings])})"


def _training(loop: Loop, fault: str) -> Iterator[str]:
    if fault == "summed_loss":
        loss, last = ("F.cross_entropy" if loop.has_classes else "F.mse_loss"), ', reduction="sum"'
    else:
        loss, last = _LOSSES[loop.criterion], ""
    many = loop.passes > 1
    order = "torch.randperm(len(x), generator=generator)" if loop.shuffle else "torch.arange(len(x))"
    batches = f"{order}.split({loop.batch_size})"
    yield f"for epoch in range({loop.epochs}):"
    yield from ["    model.train()"] if loop.trains else []
    yield f"    for number, rows in enumerate({batches}):" if many else f"    for rows in {batches}:"
    if loop.zero:
        yield from [f"        if number % {loop.passes} == 0:"] if many else []
        yield f"        {'    ' if many else ''}optimizer.zero_grad()"
    yield f"        loss = {loss}(model(x[rows]), y[rows]{last})"
    if loop.penalty:
        yield f"        loss = loss + {loop.penalty} * sum(p.square().sum() for p in model.parameters())"
    yield f"        (loss / {loop.passes}).backward()" if many and loop.averaged else "        loss.backward()"
    yield from [f"        if (number + 1) % {loop.passes} == 0:"] if many else []
    inner = "            " if many else "        "
    if loop.clip is not None:
        yield f"{inner}nn.utils.clip_grad_norm_(model.parameters(), {loop.clip})"
    yield f"{inner}optimizer.step()"
    if loop.schedule is not None:
        yield f"{inner}scheduler.step()"
    if loop.evaluates:
        yield "    model.eval()"
    yield "    with torch.no_grad():"
    yield "        output = model(x_held)"
    yield f"        held_loss = {loss}(output, y_held{last})"
    told = "training loss {loss:.4g}, validation loss {held_loss:.4g}"
    one_hot = loop.y.is_floating_point() and loop.y.numel() > len(loop.y)
    if loop.has_classes or one_hot:
        yield f"        accuracy = (output.argmax(1) == y_held{'.argmax(1)' if one_hot else ''}).float().mean()"
        told += ", accuracy {accuracy:.1%}"
    if loop.epochs > _PRINTED:
        yield "    if epoch % 10 == 9:"
    indent = " " * (8 if loop.epochs > _PRINTED else 4)
    yield f'{indent}print(f"epoch {{epoch + 1}}: {told}")'
