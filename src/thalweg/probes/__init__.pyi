from ._members import Stretch as Stretch
from ._members import counted_seconds as counted_seconds
from ._members import first_look as first_look
from ._members import watch_members as watch_members
from ._signals import BatchProbe as BatchProbe
from ._signals import LayerSignals as LayerSignals
from ._signals import layer_signals as layer_signals
from ._zigzag import path_ratio as path_ratio
