from ._cross_validation import CrossValidation as CrossValidation
from ._cross_validation import Curve as Curve
from ._cross_validation import cross_validate as cross_validate
from ._path import Path as Path
from ._path import fit_path as fit_path
