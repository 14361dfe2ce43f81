"""Does every study end within a minute on embedded data, with its defaults?

    python benchmarks/study_times.py                  # a quarter of an hour; goes on where it stopped
    python benchmarks/study_times.py --only l1,head

From the command to its end, in a process of its own. Ends with 1 where one takes longer.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import earlier_result, hardware, today, versions, write_result

from thalweg.studies import STUDIES

DATA, MOST_SECONDS = "fashion-mnist", 60.0


def seconds_of(name: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "thalweg", "study", name, DATA, "--out", f"{folder}/run"]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description="Time every study with its defaults.")
    parser.add_argument("--only", default=",".join(STUDIES), help="names of studies")
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "study_times.json"))
    given = parser.parse_args()
    config = {"data": DATA, "cpu": hardware()["cpu"]}
    report = earlier_result(Path(given.out), config) or {
        "date": today(),
        "hardware": hardware(),
        "versions": versions("torch", "numba", "numpy"),
        "config": config,
        "seconds": {},
    }
    for name in given.only.split(","):
        if name in report["seconds"]:
            continue
        report["seconds"][name] = round(seconds_of(name), 1)
        print(f"{name}: {report['seconds'][name]} s", flush=True)
        write_result(Path(given.out), report)
    slow = {name: took for name, took in report["seconds"].items() if took > MOST_SECONDS}
    print(f"FAILS: {slow}" if slow else f"holds: at most {MOST_SECONDS:g} s")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
