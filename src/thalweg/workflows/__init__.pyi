from ._predict import Predictions as Predictions
from ._predict import predict as predict
from ._results import TrainResult as TrainResult
from ._results import TuneResult as TuneResult
from ._results import open_result as open_result
from ._train import train as train
from ._tune import resume as resume
from ._tune import tune as tune
