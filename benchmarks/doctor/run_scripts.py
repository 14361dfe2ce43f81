"""Does the doctor name what is wrong with scripts that were written apart from its rules?

python benchmarks/doctor/run_scripts.py                          # all of them
python benchmarks/doctor/run_scripts.py --only pictures --verbose --out ""
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.doctor.score import figures  # noqa: E402

SCRIPTS = HERE / "scripts"
GROUPS = ("pictures", "tables", "text", "mixed", "everyday", "courses", "daily", "varied", "field", "plain")
#: where scripts look for data: what is embedded in the package, and the folder that THALWEG_DATA names
_EMBEDDED, _DATA = "embedded/", "data/"


def chosen(only: list[str] | None) -> Iterator[dict[str, Any]]:
    """Yields the cases: group, file, fault ("" for none), also (causes that count too), harm and note."""
    for group in GROUPS:
        if not only or group in only:
            for case in json.loads((SCRIPTS / group / "index.json").read_text()):
                yield {"group": group, **case}


def needs_data(case: dict[str, Any]) -> bool:
    return f'"{_DATA}' in _text(case) or f"'{_DATA}" in _text(case)


def _text(case: dict[str, Any]) -> str:
    return (SCRIPTS / case["group"] / case["file"]).read_text()


def work(case: dict[str, Any]) -> dict[str, Any]:
    """Returns what the doctor says of a script, which runs as it is in a folder with its data."""
    import torch

    from thalweg.doctor import watch_script

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)  # the script before may have set another
    warnings.simplefilter("ignore")
    begun, before = time.perf_counter(), Path.cwd()
    with TemporaryDirectory() as place:
        os.symlink(ROOT / "src" / "thalweg" / "tasks" / "_data", Path(place) / _EMBEDDED.rstrip("/"))
        if "THALWEG_DATA" in os.environ:
            os.symlink(Path(os.environ["THALWEG_DATA"]).resolve(), Path(place) / _DATA.rstrip("/"))
        os.chdir(place)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                found = watch_script(SCRIPTS / case["group"] / case["file"]).diagnosis()
            told = {
                "findings": [(each.cause, round(each.weight, 3)) for each in found.findings],
                "refused": found.refused,
            }
        except Exception:
            told = {"error": traceback.format_exc(limit=-1).strip().splitlines()[-1].replace(f"{ROOT}/", "")}
        finally:
            os.chdir(before)
    return {**case, **told, "seconds": round(time.perf_counter() - begun, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=GROUPS)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", default=str(HERE.parent / "results" / "doctor_scripts.json"))
    parser.add_argument("--verbose", action="store_true", help="tell the scripts that went wrong")
    given = parser.parse_args()
    cases = list(chosen(given.only))
    if "THALWEG_DATA" not in os.environ:
        left = [case for case in cases if needs_data(case)]
        cases = [case for case in cases if case not in left]
        print(
            f"{len(left)} scripts are left out: they need THALWEG_DATA, the folder with text/, instruct/, regression/"
        )
    found: list[dict[str, Any]] = []
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        for each in pool.map(work, cases):
            found.append(each)
            if given.verbose and not _right(each):
                print(each["group"], each["file"], each["fault"] or "healthy", each.get("findings", each.get("error")))
    report = {group: figures(_scored(found, group)) for group in ("all", *GROUPS) if _scored(found, group)}
    print(json.dumps(report, indent=1))
    if given.out:
        from benchmarks.machine import hardware, today, versions, write_result

        about = {"date": today(), "hardware": hardware(), "versions": versions("torch", "numpy", "scikit-learn")}
        wrong = [each for each in found if not _right(each)]
        write_result(Path(given.out), {**about, "groups": report, "wrong": wrong})
    return 0


def _right(each: dict[str, Any]) -> bool:
    names = [name for name, _ in each.get("findings", [])]
    return names[:1] == [] if not each["fault"] else bool(names) and names[0] in (each["fault"], *each["also"])


def _scored(found: list[dict[str, Any]], group: str) -> list[dict[str, Any]]:
    """Returns cases as `figures` wants them: other causes that count go by the name of the fault."""
    own = [each for each in found if group in ("all", each["group"])]
    return [
        {
            **each,
            "data": each["group"],
            "model": each["file"],
            "findings": [(each["fault"] if n in each["also"] else n, w) for n, w in each.get("findings", [])],
        }
        for each in own
    ]


if __name__ == "__main__":
    sys.exit(main())
