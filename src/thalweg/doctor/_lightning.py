"""The doctor as a callback of Lightning."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from thalweg.doctor._finder import LoopDoctor

if TYPE_CHECKING:
    from lightning.pytorch import Callback
else:
    try:
        if "pytorch_lightning" in sys.modules and "lightning" not in sys.modules:
            from pytorch_lightning import Callback
        else:
            from lightning.pytorch import Callback
    except ImportError:
        try:
            from pytorch_lightning import Callback
        except ImportError:
            Callback = object


class LightningDoctor(LoopDoctor, Callback):
    """Watches a fit of Lightning: `Trainer(callbacks=[doctor := LightningDoctor()])`.

    The model that is watched is the first that `training_step` calls: the LightningModule itself, or a part of it.
    After the fit, `diagnosis()` and `prove()` are those of `watch`.

    Args:
        memory: Bytes of batches that are kept, at most.

    Raises:
        InputError: where Lightning is not installed.
        RunError: when a fit begins that has several optimizers or devices.

    Example:
        >>> doctor = LightningDoctor()  # doctest: +SKIP
        >>> trainer = lightning.pytorch.Trainer(callbacks=[doctor])  # doctest: +SKIP
        >>> trainer.fit(module, loader)  # doctest: +SKIP
        >>> print(doctor.diagnosis())  # doctest: +SKIP
    """

    needs = (("lightning", "pytorch_lightning"), "lightning")

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begins."""
        self._begin(trainer.optimizers, trainer.world_size)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Ends."""
        self._end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Ends."""
        self._end()
