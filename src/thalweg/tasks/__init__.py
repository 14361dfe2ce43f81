"""Data -> `Task`: built-in sets, files, frames and torch data; splits, scaling, losses, metrics."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
