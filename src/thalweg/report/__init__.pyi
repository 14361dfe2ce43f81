from ._script import training_script as training_script
from ._text import train_text as train_text
from ._text import tune_text as tune_text
