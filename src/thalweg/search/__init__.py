"""The questions that are answered by varying axes; each ends in measured effects with intervals."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
