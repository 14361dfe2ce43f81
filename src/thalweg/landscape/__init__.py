"""What the loss looks like around and between trained networks: planes, lines, critical points, convexity."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
