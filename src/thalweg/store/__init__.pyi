from ._folder import FORMAT as FORMAT
from ._folder import RunFolder as RunFolder
from ._folder import check_new as check_new
from ._folder import find_runs as find_runs
from ._folder import new_run_path as new_run_path
from ._weights import load_arrays as load_arrays
from ._weights import save_arrays as save_arrays
