"""Does the doctor name the fault, is its remedy proven, and does it leave healthy loops in peace?

python benchmarks/doctor/run.py                         # all cases, going on where it was stopped
python benchmarks/doctor/run.py --share 0.05 --out ""   # a twentieth of them
python benchmarks/doctor/run.py --split tuned --only lr_too_high --out "" --verbose
python benchmarks/doctor/run.py --tools all             # with the rivals that are installed: make bench-doctor
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from benchmarks.doctor.cases import Case, cases  # noqa: E402
from benchmarks.doctor.rivals import TOOLS, installed  # noqa: E402
from benchmarks.doctor.score import claims, named, summary, table  # noqa: E402


def work(case: Case, tool: str, seconds: float) -> dict[str, Any]:
    """Returns what a tool said of a case."""
    import torch

    torch.set_num_threads(1)
    begun = time.perf_counter()
    try:
        found = TOOLS[tool](case, seconds)
    except Exception:
        found = {"error": traceback.format_exc(limit=-3)}
    return {**case.to_json(), "tool": tool, **found, "seconds": round(time.perf_counter() - begun, 3)}


def chosen(given: argparse.Namespace) -> Iterator[Case]:
    for case in cases():
        place = int(hashlib.sha256(case.name.encode()).hexdigest()[:8], 16) / 16**8
        if place < given.share and given.split in ("all", case.split) and (not given.only or case.fault in given.only):
            yield case


def _known(lines: Path) -> Iterator[dict[str, Any]]:
    """Yields what was found before, of the cases that there are now."""
    now = set(cases())
    for line in lines.read_text().splitlines():
        each = json.loads(line)
        if _case(each) in now:
            yield each


def _case(each: dict[str, Any]) -> Case:
    return Case(**{key: each[key] for key in ("fault", "data", "model", "seed")})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", nargs="+", default=["thalweg"], choices=[*TOOLS, "all"], help="thalweg and rivals")
    parser.add_argument("--only", nargs="*", help="faults; 'healthy' for those without")
    parser.add_argument("--split", default="all", choices=["all", "tuned", "other", "apart"])
    parser.add_argument("--share", type=float, default=1.0, help="of the cases, the same ones every time")
    parser.add_argument("--proof", type=float, default=8.0, help="seconds for the forks of a case; 0 for no proof")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", default=str(HERE.parent / "results" / "doctor.json"))
    parser.add_argument("--lines", default=str(HERE.parent / "results" / "doctor_cases.jsonl"), help="a line a case")
    parser.add_argument("--verbose", action="store_true", help="tell the cases that went wrong")
    given = parser.parse_args()
    if given.only:
        given.only = ["" if name == "healthy" else name for name in given.only]
    tools = [tool for tool in TOOLS if tool in given.tools or "all" in given.tools]
    for tool in [tool for tool in tools if not installed(tool)]:
        print(f"{tool} is left out: it is not installed (make bench-doctor installs the rivals)", flush=True)
        tools.remove(tool)
    lines = Path(given.lines) if given.out else None
    known = list(_known(lines)) if lines and lines.exists() else []
    done = {(each["tool"], _case(each)) for each in known}
    todo = [(case, tool) for case in chosen(given) for tool in tools if (tool, case) not in done]
    print(f"{len(todo)} to run, {len(done)} known", flush=True)
    found = list(known)
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        for number, each in enumerate(
            pool.map(work, *zip(*todo, strict=True), [given.proof] * len(todo)) if todo else []
        ):
            found.append(each)
            if lines:
                with lines.open("a") as file:
                    file.write(json.dumps(each) + "\n")
            if given.verbose:
                _tell(each)
            if number % 50 == 49:
                print(f"{number + 1} of {len(todo)}", flush=True)
    report = summary(found)
    print(json.dumps(report["tools"], indent=1))
    print("\n".join(table(report)))
    shown = claims(report, whole=given.share == 1)
    failed = [text for text, holds in shown.items() if not holds]
    for text, holds in shown.items():
        print(f"{'holds' if holds else 'FAILS'}: {text}")
    if given.out:
        from benchmarks.machine import hardware, today, versions, write_result

        rivals = [tool for tool in tools if tool != "thalweg"]
        about = {
            "date": today(),
            "hardware": hardware(),
            "versions": versions("torch", "numpy", "scikit-learn", *rivals),
        }
        write_result(Path(given.out), {**about, **report, "claims": shown})
    return 1 if failed else 0


def _tell(each: dict[str, Any]) -> None:
    about = each["tool"], each["fault"] or "healthy", each["data"], each["model"], each["seed"]
    found = each.get("findings", [])
    right = bool(found) and each["fault"] in named(found[0]) if each["fault"] else not found
    if "error" in each:
        print(*about, each["error"], flush=True)
    elif not right:
        print(*about, found, each.get("said", ""), flush=True)


if __name__ == "__main__":
    sys.exit(main())
