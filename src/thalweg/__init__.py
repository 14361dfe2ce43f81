"""Thalweg: train hundreds of what-ifs of a model as one program, and prove which recipe to use.

import thalweg as tw

result = tw.tune("fashion-mnist")
print(result)
"""

import lazy_loader as _lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
