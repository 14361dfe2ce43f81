"""What lies between the last weights of a model and its loss, read from the graph of the gradients."""

from __future__ import annotations

from typing import Any

import torch

from thalweg.doctor._record._recording import Head, LossCall

#: nodes of the graph -> the operation, where it is one that a head may have
_KNOWN = {
    "SoftmaxBackward0": "softmax",
    "LogSoftmaxBackward0": "log_softmax",
    "SigmoidBackward0": "sigmoid",
    "TanhBackward0": "tanh",
    "ReluBackward0": "relu",
}
_SHAPES = ("ViewBackward", "ReshapeAliasBackward", "UnsafeViewBackward", "SqueezeBackward", "UnsqueezeBackward")
#: nodes that pass on what they are given
_NOTHING = ("AliasBackward", "CloneBackward")
#: nodes that choose or order places, and what they keep of it
_PLACES = {
    "SliceBackward0": ("slice", ("dim", "start", "end", "step")),
    "SelectBackward0": ("select", ("dim", "index")),
    "TransposeBackward0": ("transpose", ("dim0", "dim1")),
    "PermuteBackward0": ("permute", ("dims",)),
}
#: operations of a head that choose, order or cast what is there
SHAPING = frozenset({"reshape", "cast", *(name for name, _ in _PLACES.values())})
_CAST = "ToCopyBackward"
#: operations with weights begin so
_WEIGHTED = (
    "Addmm",
    "Mm",
    "Bmm",
    "Baddbmm",
    "Convolution",
    "Linear",
    "NativeLayerNorm",
    "NativeBatchNorm",
    "Embedding",
)
_FAR = 12
#: nodes of losses -> their functions; and the options of these that the nodes keep
_LOSSES = {
    "NllLossBackward0": "nll_loss",
    "MseLossBackward0": "mse_loss",
    "L1LossBackward0": "l1_loss",
    "SmoothL1LossBackward0": "smooth_l1_loss",
    "HuberLossBackward0": "huber_loss",
    "BinaryCrossEntropyBackward0": "binary_cross_entropy",
    "BinaryCrossEntropyWithLogitsBackward0": "binary_cross_entropy_with_logits",
}
_ORDERING = SHAPING - {"reshape", "cast"}
_OPTIONS = ("weight", "pos_weight", "ignore_index", "beta", "delta")


def head_between(given: torch.Tensor, output: torch.Tensor) -> Head | None:
    """Returns the operations between a model's output and what its loss was given, the last first, with their numbers.

    A change of shape alone is named "reshape" (`output[:, 0]` of a single column is one), of the kind of number "cast".
    Places that are chosen or ordered are named as the functions that do it. None where something else lies between.

    Example:
        >>> output = torch.ones(2, 3, requires_grad=True) * 1.0
        >>> head_between(torch.softmax(output, 1), output)
        (('softmax', (1,)),)
        >>> head_between(output[:, :-1].transpose(0, 1), output)
        (('transpose', (0, 1)), ('slice', (1, 0, -1, 1)))
        >>> head_between(output + 1, output) is None
        True
    """
    return () if given is output else _between(given.grad_fn, output.grad_fn)


def _between(node: Any, end: Any) -> Head | None:
    found: list[tuple[str, tuple[int, ...]]] = []
    for _ in range(_FAR):
        if node is end:
            return tuple(found)
        if node is None:
            return None
        name = node.name()
        if name in _KNOWN:
            found.append((_KNOWN[name], (_dim(node),)))
        elif name.startswith(_SHAPES) or _is_only_one(node):
            if any(each in _ORDERING for each, _ in found):  # into which shape is known of the last one alone
                return None
            found.append(("reshape", ()))
        elif name.startswith(_CAST):
            found.append(("cast", ()))
        elif name in _PLACES:
            operation, kept = _PLACES[name]
            found.append((operation, _numbers([getattr(node, f"_saved_{key}") for key in kept])))
        elif not name.startswith(_NOTHING):
            return None
        node = _first(node)
    return None


def loss_in_graph(loss: torch.Tensor, output: torch.Tensor) -> tuple[LossCall, torch.Tensor] | None:
    """Returns the loss function at the end of a graph, and its target; None where none is known.

    It serves where a loss was called by a name of its own, so that its call was not seen.

    Example:
        >>> output, y = torch.ones(2, 3, requires_grad=True) * 1.0, torch.tensor([0, 2])
        >>> call, target = loss_in_graph(torch.nn.functional.cross_entropy(output, y), output)
        >>> call.name, target.tolist()
        ('cross_entropy', [0, 2])
    """
    node = loss.grad_fn
    name = None if node is None else _LOSSES.get(node.name())
    if node is None or name is None:
        return None
    before, saved = _first(node), _saved(node)
    if name == "nll_loss" and before is not None and before.name() == "LogSoftmaxBackward0":
        name, before = "cross_entropy", _first(before)
    options: dict[str, Any] = {"reduction": ("none", "mean", "sum")[saved.pop("reduction", 1)]}
    target = saved.pop("target")
    if _signed(saved.get("ignore_index", -100)) == -100:
        saved.pop("ignore_index", None)
    options |= {key: value for key, value in saved.items() if key in _OPTIONS and value is not None}
    head = _between(before, output.grad_fn)
    call = LossCall(
        name=name,
        options=options,
        head=head,
        inner=last_operations(output),
        shape=tuple(output.shape),
        dtype=loss.dtype,
    )
    return call, target


def mean_over(loss: torch.Tensor) -> tuple[int, ...]:
    """Returns the shape of the numbers that a loss is the mean or sum of; () where it is none.

    Example:
        >>> output, y = torch.ones(3, 1, requires_grad=True), torch.ones(3)
        >>> mean_over(((output - y) ** 2).mean())
        (3, 3)
    """
    node: Any = loss.grad_fn
    for _ in range(_FAR):
        if node is None:
            break
        if node.name().startswith(("MeanBackward", "SumBackward")):
            return tuple(node._saved_self_sym_sizes)
        node = _first(node)
    return ()


def _saved(node: Any) -> dict[str, Any]:
    """Returns what a node keeps for its gradient, by name."""
    return {key.removeprefix("_saved_"): getattr(node, key) for key in dir(node) if key.startswith("_saved_")}


def last_operations(output: torch.Tensor) -> tuple[str, ...]:
    """Returns the operations at the end of a model, the last first, before the first that has weights.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Softmax(dim=1))
        >>> last_operations(model(torch.ones(1, 3)))
        ('softmax',)
    """
    found: list[str] = []
    node = output.grad_fn
    for _ in range(_FAR):
        if node is None or node.name().startswith(_WEIGHTED):
            break
        name = node.name()
        if not name.startswith((*_SHAPES, *_NOTHING, _CAST)) and name not in _PLACES and not _is_only_one(node):
            found.append(_KNOWN.get(name, name.removesuffix("Backward0").lower()))
        node = _first(node)
    return tuple(found)


def apply_head(output: torch.Tensor, call: LossCall, *, shaping: bool = False) -> torch.Tensor:
    """Returns a model's output as the loss was given it: after the operations between them.

    Args:
        output: Of the model. call: of the loss; a head that is not known changes nothing.
        shaping: Whether only those are applied that change no number.
    """
    for name, numbers in reversed(call.head or ()):
        if shaping and name not in SHAPING:
            continue
        if name == "reshape":
            output = output.reshape(-1, *call.shape[1:]) if len(call.shape) > 1 else output.reshape(-1)
        elif name == "cast":
            output = output.to(call.dtype)
        elif name == "slice":
            dim, *ends = numbers
            output = output[(*[slice(None)] * dim, slice(*ends))]
        elif name == "permute":
            output = output.permute(numbers)
        elif name in ("transpose", "select"):
            output = getattr(output, name)(*numbers)
        else:
            output = getattr(torch, name)(output, **({"dim": numbers[0]} if "softmax" in name else {}))
    return output


def _is_only_one(node: Any) -> bool:
    """Whether a node takes the one column that there is, as `output[:, 0]` does."""
    return node.name() == "SelectBackward0" and node._saved_self_sym_sizes[_signed(node._saved_dim)] == 1


def _dim(node: Any) -> int:
    return _signed(getattr(node, "_saved_dim", 0))


def _numbers(values: list[Any]) -> tuple[int, ...]:
    """Returns what a node keeps as numbers, one by one."""
    flat = [each for value in values for each in (value if isinstance(value, tuple) else (value,))]
    return tuple(_signed(each) for each in flat)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value  # negative numbers come as unsigned ones


def _first(node: Any) -> Any:
    return next((before for before, _ in node.next_functions if before is not None), None)
