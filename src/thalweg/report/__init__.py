"""Results as text, one HTML file, figures and a stand-alone script."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
