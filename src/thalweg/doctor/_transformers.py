"""The doctor as a callback of the `Trainer` of transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.doctor._finder import LoopDoctor

if TYPE_CHECKING:
    from transformers import TrainerCallback
else:
    try:
        from transformers import TrainerCallback
    except ImportError:
        TrainerCallback = object


class TrainerDoctor(LoopDoctor, TrainerCallback):
    """Watches a training of transformers: `Trainer(..., callbacks=[doctor := TrainerDoctor()])`.

    After `trainer.train()`, `diagnosis()` and `prove()` are those of `watch`. `Trainer` does not tell its callbacks of
    an error: where training ended with one, the watch ends when the diagnosis is asked for, or another one begins.

    Args:
        memory: Bytes of batches that are kept, at most.

    Raises:
        InputError: where transformers is not installed.
        RunError: when training begins with several devices, or no optimizer of torch.

    Example:
        >>> doctor = TrainerDoctor()  # doctest: +SKIP
        >>> trainer = transformers.Trainer(model, train_dataset=rows, callbacks=[doctor])  # doctest: +SKIP
        >>> trainer.train()  # doctest: +SKIP
        >>> print(doctor.diagnosis())  # doctest: +SKIP
    """

    needs = (("transformers",), "lm")

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begins."""
        optimizer = kwargs.get("optimizer")
        optimizer = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
        self._begin([optimizer], max(args.world_size, args.n_gpu))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends."""
        self._end()
