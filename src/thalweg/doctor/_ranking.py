"""Which finding is the cause, and which ones are what it brings about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thalweg.doctor._finding import Finding

#: a cause -> what it brings about, so that this is no fault of its own where the cause is found
_LEADS_TO: dict[str, tuple[str, ...]] = {
    "missing_train": ("vanishing_gradients", "exploding_signals", "lr_too_low", "lr_too_high"),
    "missing_zero_grad": ("lr_too_high", "dead_units", "momentum_too_high", "exploding_signals"),
    "summed_loss": ("lr_too_high", "dead_units"),
    "unscaled_inputs": ("lr_too_high", "lr_too_low", "dead_units", "initial_weights_too_large"),
    "off_centre_inputs": ("lr_too_high", "lr_too_low", "dead_units", "class_collapse", "off_centre_activations"),
    "off_centre_activations": ("lr_too_high", "lr_too_low", "dead_units", "class_collapse", "exploding_signals"),
    "broken_features": ("unscaled_inputs", "off_centre_inputs", "lr_too_high", "lr_too_low", "dead_units"),
    "batch_too_small": ("lr_too_high", "lr_too_low", "dead_units"),
    "batch_too_large": ("lr_too_low",),
    "pretrained_weights_forgotten": ("lr_too_high", "dead_units"),
    "accumulation_not_normalised": ("lr_too_high", "dead_units", "batch_too_small"),
    "shuffled_labels": ("overfitting", "class_collapse", "batch_too_large", "batch_too_small"),
    "label_noise": ("overfitting",),
    "dropout_too_strong": ("exploding_signals", "lr_too_high", "lr_too_low", "class_collapse"),
    "frozen_batch_norm_drifts": ("parameters_frozen",),
    "target_broadcast": ("lr_too_high", "lr_too_low", "batch_too_large", "dead_units", "pretrained_weights_forgotten"),
    "other_terms_too_strong": ("lr_too_low", "dead_units", "class_collapse"),
    "unscaled_target": ("lr_too_high", "lr_too_low", "dead_units"),
    "momentum_too_high": ("lr_too_high", "dead_units"),
    "initial_weights_too_large": (
        "lr_too_high",
        "lr_too_low",
        "vanishing_gradients",
        "dead_units",
        "exploding_signals",
    ),
    "exploding_signals": ("lr_too_high", "dead_units"),
    "zero_initialisation": (
        "lr_too_low",
        "vanishing_gradients",
        "dead_units",
        "parameters_without_gradient",
        "class_collapse",
        "batch_too_large",
    ),
    "vanishing_gradients": ("lr_too_low", "lr_too_high", "off_centre_activations"),
    "clipping_too_tight": ("lr_too_low", "lr_too_high"),
    "schedule_ends_early": ("lr_too_low",),
    "coupled_decay_with_adam": ("decay_too_strong", "lr_too_low"),
    "decay_too_strong": ("lr_too_low", "lr_too_high", "dead_units", "class_collapse"),
    "dead_units": ("lr_too_low", "lr_too_high", "vanishing_gradients", "class_collapse"),
    "not_finite_inputs": ("lr_too_high", "dead_units"),
    "likelihood_of_logits": ("lr_too_high",),
    "class_collapse": ("batch_too_large", "lr_too_low"),
    "sorted_batches": ("lr_too_high", "class_collapse"),
    "batch_norm_on_tiny_batches": ("lr_too_high",),
    "parameters_not_in_optimizer": ("lr_too_low",),
    "parameters_frozen": ("lr_too_low",),
    "lr_too_high": ("dead_units", "class_collapse"),
}
#: evidence that a cause needs to explain others, and what is left of theirs
_ENOUGH, _LEFT = 0.65, 0.6


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """Returns findings, the likeliest cause first: what another one brings about weighs less.

    Where two would explain each other, the one with the stronger evidence does.
    """
    by_weight = sorted(findings, key=lambda each: -each.weight)
    standing: list[Finding] = []
    for finding in by_weight:
        explained = any(
            finding.cause in _LEADS_TO.get(other.cause, ()) and other.weight >= _ENOUGH
            for other in by_weight
            if other is not finding
            and not (
                other.cause in _LEADS_TO.get(finding.cause, ())
                and (finding.weight, finding.cause) > (other.weight, other.cause)
            )
        )
        standing.append(replace(finding, weight=_LEFT * finding.weight) if explained else finding)
    return sorted(standing, key=lambda each: -each.weight)
