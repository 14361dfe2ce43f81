from ._signals import LayerSignals as LayerSignals
from ._signals import layer_signals as layer_signals
from ._zigzag import path_ratio as path_ratio
