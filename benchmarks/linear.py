"""How fast are penalised paths and their cross-validation, beside all peers, at a duality gap that is the same for all?

    python benchmarks/linear.py                              # everything; merges results/linear.json
    python benchmarks/linear.py --only a path --only c cv    # these parts
    python benchmarks/linear.py --scale 0.1 --out ""         # small problems, to see whether all works

Every contender has a process of its own, in which it fits as often as it is asked to; times are taken inside. Ends with
1 where a claim does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from linear_cases import CASES, NUM_FOLDS, NUM_LAMBDAS, gaps, make, save
from linear_contenders import CONTENDERS, Contender
from linear_process import NoAnswerError, Process
from machine import earlier_result, hardware, print_claims, today, versions, write_result

GOAL = 1e-6
#: (case, question) -> how many times as long the best peer is to take
LEAST = {
    ("a", "path"): 4.0,
    ("b", "path"): 5.0,
    ("c", "path"): 3.0,
    ("d", "path"): 2.0,
    ("a", "cv"): 15.0,
    ("b", "cv"): 2.0,
    ("c", "cv"): 2.0,
    ("d", "cv"): 4.0,
}
#: real data, most of it in the folder that THALWEG_DATA names, and classes
_OTHERS = ("meats", "hitters", "diabetes", "text", "khan", "breast-cancer", "text-classes", "sparse-logistic")
PARTS = [*LEAST, *((case, "path") for case in _OTHERS)]
#: a peer that takes this many times as long as the fastest is timed once, and does not cross-validate
HOPELESS = 10.0
#: seconds that a fit may take in any case
_PATIENCE = 20.0
#: seconds of rest before a fit: threads of the one before wait for more work for up to 0.2 s, and keep the cores busy
_REST = 0.4


class Part:
    """One question about one problem: its contenders in their processes, and what was found."""

    def __init__(self, case: str, question: str, given: argparse.Namespace, known: dict[str, Any]) -> None:
        self.case, self.question, self.given = case, question, given
        self.problem = make(case, given.scale)
        self.known = known  # what earlier calls found about the paths of the case
        self._folder = tempfile.TemporaryDirectory(prefix="linear-")
        save(self.problem, Path(self._folder.name))
        self.processes: dict[str, Process] = {}
        self.found: dict[str, dict[str, Any]] = {}
        self._errors: dict[str, np.ndarray] = {}

    def contenders(self) -> dict[str, Contender]:
        """Those that can answer; "ours" is first."""
        wanted = self.given.contenders
        return {
            name: each
            for name, each in CONTENDERS.items()
            if each.suits(self.problem)
            and each.answers(self.question)
            and (wanted is None or any(part in name for part in wanted))
        }

    def run(self, earlier: dict[str, Any]) -> dict[str, Any]:
        """Returns what goes into the results, with what an earlier call found of contenders that are not asked now."""
        try:
            for name, contender in self.contenders().items():
                self.found[name] = self._first(name, contender)
                print(f"  {name}: {_line(self.found[name])}", flush=True)
            self._measure()
        finally:
            for process in self.processes.values():
                process.end()
            self._folder.cleanup()
        self.found = {**earlier, **self.found}
        return self._report()

    def _first(self, name: str, contender: Contender) -> dict[str, Any]:
        """Starts a contender, and finds its setting."""
        if self.question == "cv" and (reason := self._hopeless(contender.like or name)):
            return {"package": contender.package, "error": reason}
        process = Process(name, contender.package, Path(self._folder.name), self.given)
        if process.failure:
            return {"package": contender.package, "error": process.failure}
        self.processes[name] = process
        found = {"package": contender.package, **process.started, "scan": []}
        try:
            (self._scan if self.question == "path" else self._try)(name, contender, found)
        except NoAnswerError as error:
            found["error"] = str(error)
        return found

    def _hopeless(self, like: str) -> str | None:
        earlier = self.known.get(like)
        if earlier is None or "tol" not in earlier:
            return f"no path of {like} has been measured on this problem"
        fastest = min(statistics.median(each["seconds"]) for each in self.known.values() if each.get("counts"))
        factor = statistics.median(earlier["seconds"]) / fastest
        return f"its path takes {factor:.1f} times as long as the fastest" if factor > HOPELESS else None

    def _scan(self, name: str, contender: Contender, found: dict[str, Any]) -> None:
        """Finds the loosest tolerance under which the gap of the path is small enough, or the smallest gap."""
        with contextlib.suppress(NoAnswerError):
            found["default"] = self._path(name, None)
        earlier = self.known.get(name, {})
        same = earlier.get("version") == found["version"] and "tol" in earlier
        try:
            for tol in [earlier["tol"]] if same else contender.tolerances:
                found["scan"].append(self._path(name, tol))
                if found["scan"][-1]["gap"] <= GOAL:
                    break
        except NoAnswerError as error:
            found["stopped"] = str(error)
        tried = found["scan"] or [found[key] for key in ("default",) if key in found]
        if not tried:
            raise NoAnswerError(found["stopped"])
        enough = [each for each in tried if each["gap"] <= GOAL]
        best = min(enough, key=lambda e: e["seconds"]) if enough else min(tried, key=lambda e: e["gap"])
        found.update(tol=best["tol"], gap=best["gap"], seconds=[best["seconds"]])

    def _try(self, name: str, contender: Contender, found: dict[str, Any]) -> None:
        """Cross-validates once at the setting of the path."""
        earlier = self.known[contender.like or name]
        limit = min(10 * self.given.limit, max(_PATIENCE, HOPELESS * self._fastest()))
        seconds, (error,) = self.processes[name].ask("cv", earlier["tol"], limit, [(NUM_LAMBDAS,)])
        found.update(tol=earlier["tol"], gap=earlier["gap"], seconds=[seconds])
        self._errors[name] = error
        if "ours" in self._errors and contender.comparable:
            off = abs(error - self._errors["ours"]).max() / self._errors["ours"].max()
            found["distance_of_errors"] = float(off)

    def _path(self, name: str, tol: float | None) -> dict[str, Any]:
        """Returns the time and the largest gap of one fit."""
        time.sleep(_REST)
        p, num = self.problem.x.shape[1], NUM_LAMBDAS
        classes = [int(self.problem.y.max()) + 1] if self.problem.kind == "multinomial" else []
        limit = min(self.given.limit, max(_PATIENCE, HOPELESS * self._fastest()))
        shapes = [(num, *classes, p), (num, *classes)]
        seconds, (coef, intercept) = self._alive(name).ask("path", tol, limit, shapes)
        return {
            "tol": tol,
            "seconds": seconds,
            "gap": float(gaps(self.problem, coef, intercept).max()),
            "most_nonzero": int((coef.reshape(num, -1) != 0).sum(1).max()),
        }

    def _measure(self) -> None:
        """Takes times of all who are not hopeless, in turn; every second round goes the other way."""
        good = {name: each for name, each in self.found.items() if "seconds" in each}
        if not good:
            return
        fastest = self._fastest()
        times: dict[str, list[float]] = {
            name: [] for name, each in good.items() if each["seconds"][0] <= HOPELESS * fastest
        }
        for k in range(self.given.repeats):
            for name in list(times) if k % 2 == 0 else list(reversed(times)):
                if k < _rounds(good[name]["seconds"][0]):
                    times[name].append(self._again(name))
        for name, seconds in times.items():
            self.found[name]["seconds"] = seconds

    def _again(self, name: str) -> float:
        """Returns the seconds of one more fit."""
        time.sleep(_REST)
        return self._alive(name).ask(self.question, self.found[name]["tol"], 10 * self.given.limit, None)[0]

    def _alive(self, name: str) -> Process:
        """Returns the process of a contender, a new one where the last fit took too long."""
        if not self.processes[name].alive:
            package = CONTENDERS[name].package
            self.processes[name] = Process(name, package, Path(self._folder.name), self.given)
        return self.processes[name]

    def _fastest(self) -> float:
        """Returns the fewest seconds of those so far whose gap is small enough."""
        return min((each["seconds"][0] for each in self._timed() if self._precise(each)), default=math.inf)

    def _precise(self, each: dict[str, Any]) -> bool:
        """Whether a gap is at most ten times ours, or ten times what was asked for."""
        ours = self.found.get("ours", {}).get("gap", GOAL)
        return each["gap"] <= 10 * max(ours, GOAL) or all(e["gap"] > 10 * GOAL for e in self._timed())

    def _timed(self) -> list[dict[str, Any]]:
        return [each for each in self.found.values() if "seconds" in each]

    def _report(self) -> dict[str, Any]:
        for each in self._timed():
            each["counts"] = self._precise(each)
            each["seconds"] = [round(s, 5) for s in each["seconds"]]
        x = self.problem.x
        report: dict[str, Any] = {
            "date": today(),
            "problem": {**CASES[self.case][1], "scale": self.given.scale, "kind": self.problem.kind, "shape": x.shape},
            "lambda_max": float(self.problem.lambdas[0]),
            "contenders": self.found,
        }
        peers = {n: each for n, each in self.found.items() if each.get("counts") and each["package"] != "thalweg"}
        if peers:
            report["best_peer"] = min(peers, key=lambda n: statistics.median(peers[n]["seconds"]))
            ours = self.found.get("ours", {})
            if "seconds" in ours:
                best = statistics.median(peers[report["best_peer"]]["seconds"])
                report["ratio"] = best / statistics.median(ours["seconds"])
        if (fast := self._fast_ratio()) is not None:
            report["fast_ratio"] = fast
        return report

    def _fast_ratio(self) -> float | None:
        """Returns how many times as long a peer takes at its own default, at least: as our fast mode, or as ours.

        Ours where the gap of the default is below that of the fast mode.
        """
        ours, fast = self.found.get("ours", {}), self.found.get("ours, fast", {})
        if "seconds" not in ours or "seconds" not in fast:
            return None
        defaults = [each["default"] for each in self._timed() if each["package"] != "thalweg" and "default" in each]
        own = {True: statistics.median(fast["seconds"]), False: statistics.median(ours["seconds"])}
        ratios = [each["seconds"] / own[each["gap"] >= fast["gap"]] for each in defaults if each["gap"] >= ours["gap"]]
        return min(ratios, default=None)


def _rounds(seconds: float) -> int:
    """Returns how often a fit of so many seconds is timed: short ones vary more."""
    return 15 if seconds < 1 else 5 if seconds < 5 else 3


def _line(each: dict[str, Any]) -> str:
    if "error" in each:
        return each["error"]
    seconds = " ".join(f"{s:.3g}" for s in each["seconds"])
    words = [f"{seconds} s, tol {each['tol']}, gap {each['gap']:.1e}"]
    if "default" in each:
        words.append(f"default {each['default']['seconds']:.3g} s, gap {each['default']['gap']:.1e}")
        words.append(f"nonzero {each['default']['most_nonzero']}")
    if "distance_of_errors" in each:
        words.append(f"errors differ by {each['distance_of_errors']:.1e}")
    if "stopped" in each:
        words.append(each["stopped"])
    return "; ".join(words)


def _claims(parts: dict[str, Any]) -> dict[str, bool]:
    wanted = {f"{case} {question}": least for (case, question), least in LEAST.items()}
    claims = {
        f"{part}: the best peer takes at least {wanted[part]:g}x as long": found.get("ratio", 0.0) >= wanted[part]
        for part, found in parts.items()
        if part in wanted
    }
    return claims | {
        f"{part}: no peer is faster at its own default gap": found["fast_ratio"] >= 1
        for part, found in parts.items()
        if "fast_ratio" in found
    }


def _known(parts: dict[str, Any], *, case: str, scale: float) -> dict[str, Any]:
    """Returns what was found about the paths of a case, if the case was the same."""
    earlier = parts.get(f"{case} path")
    if earlier is None:
        return {}
    same = all(earlier["problem"].get(key) == value for key, value in {**CASES[case][1], "scale": scale}.items())
    return earlier["contenders"] if same else {}


def main() -> int:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description="Time penalised paths against their peers.")
    parser.add_argument("--only", nargs=2, action="append", metavar=("CASE", "QUESTION"))
    parser.add_argument("--contenders", nargs="+", help="parts of names; others stay as an earlier call found them")
    parser.add_argument("--scale", type=float, default=1.0, help="of rows and columns; nothing but 1 is written")
    parser.add_argument("--repeats", type=int, default=15, help="at most")
    parser.add_argument("--limit", type=float, default=150.0, help="seconds of one fit of a path; cv: 10 times this")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--adelie", default=str(here.parent / ".venv-adelie/bin/python"), help="Python that has adelie")
    parser.add_argument("--out", default=str(here / "results" / "linear.json"))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that the contenders end too
    asked = [tuple(each) for each in given.only] if given.only else PARTS
    unknown = [f"{case} {question}" for case, question in asked if (case, question) not in PARTS]
    if unknown:
        parser.error(f"--only must be one of {', '.join(' '.join(part) for part in PARTS)}, got {unknown[0]}")
    out = Path(given.out) if given.out and given.scale == 1 else None
    config = {"threads": given.threads, "goal_gap": GOAL, "lambdas": NUM_LAMBDAS, "folds": NUM_FOLDS}
    earlier = earlier_result(out, config) if out else None
    parts: dict[str, Any] = earlier["parts"] if earlier else {}
    for case, question in [part for part in PARTS if part in asked]:
        print(f"{case} {question}")
        earlier = parts.get(f"{case} {question}", {}).get("contenders", {}) if given.contenders else {}
        try:
            found = Part(case, question, given, _known(parts, case=case, scale=given.scale)).run(earlier)
        except FileNotFoundError as error:
            print(f"  left out: {error}")
            continue
        parts[f"{case} {question}"] = found
        for name, each in found["contenders"].items():
            print(f"    {name}: {_line(each)}")
        best = (
            f"{found['best_peer']}; it takes {found['ratio']:.2f}x as long" if "ratio" in found else "none came so far"
        )
        print(f"  best peer: {best}")
        if out:
            report = {
                "date": today(),
                "hardware": hardware(),
                "versions": versions("numpy", "scipy", "numba", "scikit-learn"),
                "config": config,
                "parts": parts,
                "claims": _claims(parts),
            }
            write_result(out, report)
    return 0 if print_claims(_claims(parts)) else 1


if __name__ == "__main__":
    sys.exit(main())
