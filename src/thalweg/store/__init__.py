"""Run folders: one result of any kind, its events, history, checkpoints and files. No pickle anywhere."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
