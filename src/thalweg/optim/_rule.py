"""What an update rule is: the contract that every optimizer keeps, and the elementwise kind of it.

A rule is written for one member and runs on stacked ones: hyper-parameters are numbers or (P, 1, ...)
tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Tree = dict[str, Any]  # parameter name -> tensor
Hyper = Mapping[str, Any]  # recipe field -> number or stacked tensor

#: every elementwise rule gives exactly this many coefficients a step (unused ones are 0)
NUM_COEFFICIENTS = 8


class Rule(Protocol):
    """How parameters change in one step.

    Attributes:
        name: The recipe's `optimizer`.
        hyper: The recipe fields that it reads, `lr` among them.
        needs: What `step` must be given: a subset of `grad`, `evaluate`, `metric`.
        doc: One line for the help.
        lr_range: Where a search looks for `lr` on standardised inputs.
        proximal: Whether a prox by `step_size` may follow the update, for an L1 penalty.
    """

    # properties, so that a frozen dataclass keeps the protocol
    @property
    def name(self) -> str: ...
    @property
    def hyper(self) -> tuple[str, ...]: ...
    @property
    def needs(self) -> frozenset[str]: ...
    @property
    def doc(self) -> str: ...
    @property
    def lr_range(self) -> tuple[float, float]: ...
    @property
    def proximal(self) -> bool: ...

    def init(self, params: Tree) -> dict[str, Any]:
        """Returns the state before the first step: slot -> tree, and `step` = 0."""
        ...

    def step(
        self,
        params: Tree,
        grads: Tree,
        state: dict[str, Any],
        hyper: Hyper,
        *,
        evaluate: Callable[[Tree], Any] | None = None,
        metric: Any = None,
    ) -> tuple[Tree, dict[str, Any]]:
        """Returns params and state after one step; the arguments are not changed."""
        ...

    def eval_params(self, params: Tree, state: dict[str, Any], hyper: Hyper) -> Tree:
        """Returns the parameters to predict with (they differ from `params` for averaging rules)."""
        ...


@dataclass(frozen=True, kw_only=True)
class ElementwiseRule:
    """A rule that treats every parameter coordinate alike, given a few coefficients a step.

    Args:
        name: The recipe's `optimizer`.
        doc: One line for the help, with the source.
        hyper: The recipe fields that it reads.
        slots: Names of the state tensors, each of the parameter's shape, zero at first.
        start: For a slot that starts otherwise than at 0: slot -> "params" (a copy of the parameters).
        coefficients: (hyper, t) -> at most 8 numbers; `t` is the step, from 1, a number or an array;
            evaluated in float64 with plain arithmetic, so that it serves numbers, arrays of steps and stacked
            tensors.
        update: (w, g, slots, c) -> (w, slots), pure and elementwise, in arithmetic and `core` elementwise
            functions alone; `c` is the tuple of 8 coefficients, `slots` a tuple.
        step_size: (slots, c) -> the diagonal metric of the step: what a constant gradient is multiplied by,
            from the new slots. A proximal penalty thresholds by it, and with this scale its fixed point is
            the optimum.
        average: (w, slots, c) -> the coordinate to predict with, or None where it is w.
        lr_range: Where a search looks for `lr`.
        proximal: Whether a prox by `step_size` may follow the update, for an L1 penalty.
    """

    name: str
    doc: str
    hyper: tuple[str, ...]
    coefficients: Callable[[Hyper, Any], tuple[Any, ...]]
    update: Callable[[Any, Any, tuple, tuple], tuple[Any, tuple]]
    step_size: Callable[[tuple, tuple], Any]
    lr_range: tuple[float, float]
    slots: tuple[str, ...] = ()
    start: Mapping[str, str] | None = None
    average: Callable[[Any, tuple, tuple], Any] | None = None
    needs: frozenset[str] = frozenset({"grad"})
    proximal: bool = True

    def padded_coefficients(self, hyper: Hyper, t: Any) -> tuple[Any, ...]:
        """Returns exactly `NUM_COEFFICIENTS` coefficients for step t."""
        found = self.coefficients(hyper, t)
        return found + (0.0,) * (NUM_COEFFICIENTS - len(found))

    def init(self, params: Tree) -> dict[str, Any]:
        """Returns the state before the first step: slot -> tree, and `step` = 0."""
        copied = self.start or {}
        state: dict[str, Any] = {
            slot: {k: w.clone() if slot in copied else w * 0 for k, w in params.items()} for slot in self.slots
        }
        state["step"] = 0
        return state

    def step(
        self,
        params: Tree,
        grads: Tree,
        state: dict[str, Any],
        hyper: Hyper,
        *,
        evaluate: Callable[[Tree], Any] | None = None,
        metric: Any = None,
    ) -> tuple[Tree, dict[str, Any]]:
        """Returns params and state after one step; the arguments are not changed."""
        t = state["step"] + 1
        c = self.padded_coefficients(hyper, t)
        new_params: Tree = {}
        new_state: dict[str, Any] = {slot: {} for slot in self.slots}
        for name, w in params.items():
            slots = tuple(state[slot][name] for slot in self.slots)
            new_params[name], slots = self.update(w, grads[name], slots, c)
            for slot, value in zip(self.slots, slots, strict=True):
                new_state[slot][name] = value
        new_state["step"] = t
        return new_params, new_state

    def step_sizes(self, params: Tree, state: dict[str, Any], hyper: Hyper) -> Tree:
        """Returns the diagonal metric of the step that led to `state`: what a proximal penalty thresholds by."""
        c = self.padded_coefficients(hyper, state["step"])
        return {name: self.step_size(tuple(state[slot][name] for slot in self.slots), c) for name in params}

    def eval_params(self, params: Tree, state: dict[str, Any], hyper: Hyper) -> Tree:
        """Returns the parameters to predict with (they differ from `params` for averaging rules)."""
        if self.average is None:
            return params
        c = self.padded_coefficients(hyper, max(state["step"], 1))
        return {name: self.average(w, tuple(state[slot][name] for slot in self.slots), c) for name, w in params.items()}


RULES: dict[str, Rule] = {}


def register_rule(rule: Rule) -> Rule:
    """Adds a rule under its name; the conformance suite then runs on it."""
    RULES[rule.name] = rule
    return rule
