"""Studies: each asks one question about how we optimise, and answers it by an experiment."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
