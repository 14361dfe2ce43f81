"""What every result says about the machine and the versions that it was measured with, and how it is written."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from thalweg.core import write_text


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def hardware() -> dict[str, Any]:
    return {"cpu": processor(), "cores": len(os.sched_getaffinity(0)), "system": platform.system()}


def versions(*packages: str) -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in ("thalweg", *packages)}}


def matrix_rate() -> float:
    """Returns the float32 rate of large matrix products on all cores, flop/s: the median of 9."""
    import torch

    torch.set_num_threads(hardware()["cores"])
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    seconds = []
    for _ in range(11):
        started = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - started)
    return 2 * 2048**3 / statistics.median(seconds[2:])


def today() -> str:
    return datetime.date.today().isoformat()


def write_result(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(report, indent=1, allow_nan=False) + "\n")


def earlier_result(path: Path, config: dict[str, Any]) -> dict[str, Any] | None:
    """Returns what an earlier call wrote, or None; ends the program where it was another measurement."""
    if not path.exists():
        return None
    report = json.loads(path.read_text())
    changed = [key for key, value in json.loads(json.dumps(config)).items() if report["config"].get(key) != value]
    if changed:
        sys.exit(f"{path} was measured with another {', '.join(changed)}; move it away, or give another --out.")
    return report


def print_claims(claims: Mapping[str, bool]) -> bool:
    """Prints whether each claim holds, and returns whether all do."""
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'FAILS'}: {claim}")
    return all(claims.values())
