"""What a result must say about the machine and the versions that it was measured with."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


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


def today() -> str:
    return datetime.date.today().isoformat()
