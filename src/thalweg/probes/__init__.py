"""Statistics of a network on a batch: what its signals and gradients are like, layer by layer."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
