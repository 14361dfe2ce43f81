"""How much memory members need, how much there is, and how many fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from thalweg.core import InputError
from thalweg.population._contract import Memory
from thalweg.population._planner import PROGRAMS, Plan
from thalweg.population._sizes import model_size
from thalweg.recipes import Recipe
from thalweg.tasks import Task

#: of what is free, members may take this share: results, reports and other programs need the rest
SHARE_OF_FREE = 0.8


def available_memory(device: str = "cpu") -> int:
    """Returns the bytes that this process may still take on a device.

    On a CPU that is what Linux calls available, or what the control group of the process leaves, whichever is less.
    """
    if device != "cpu":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    return min(_free_in_system(), *_free_in_groups())


def _free_in_system() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    raise AssertionError("Linux says how much memory is available")


def _free_in_groups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> list[int]:
    """Returns what each control group over this process leaves; version 2 and version 1."""
    found = []
    for line in own.read_text().splitlines() if own.exists() else ():
        _, controllers, place = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        base, limit, used = (
            (root, "memory.max", "memory.current")
            if controllers == ""
            else (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
        )
        folder = base / place.lstrip("/")
        # a container sees its own group as the root, whatever the path says
        for group in (folder, *folder.parents):
            if group.is_relative_to(base):
                found += _free_in_group(group / limit, group / used, group / "memory.stat")
    return found


def _free_in_group(limit: Path, used: Path, stat: Path) -> list[int]:
    try:
        most = limit.read_text().strip()
        if most == "max":
            return []
        # file pages that nobody holds are given back when memory is short
        cached = dict(line.split() for line in stat.read_text().splitlines()).get("inactive_file", "0")
        return [max(0, int(most) - int(used.read_text()) + int(cached))]
    except (OSError, ValueError):
        return []


def member_memory(task: Task, recipe: Recipe, plan: Plan) -> Memory:
    """Returns what members of a recipe take of the memory under their program."""
    program = PROGRAMS[plan.program_for(task, recipe)[0]]
    return program.memory(task, recipe, plan, model_size(task, recipe))


def needed_memory(task: Task, recipes: Sequence[Recipe], plan: Plan) -> int:
    """Returns the bytes that a population takes, one recipe a member, a checkpoint included."""
    total = 0
    programs: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        programs.setdefault(plan.program_for(task, recipe)[0], []).append(recipe)
    for name, members in programs.items():
        lanes = max(PROGRAMS[name].side_by_side(recipe, plan) for recipe in members)
        known = {r: PROGRAMS[name].memory(task, r, plan, model_size(task, r)) for r in set(members)}
        working = sorted((known[recipe].working for recipe in members), reverse=True)[:lanes]
        saving = sum(known[recipe].saving for recipe in members) if plan.device == "cpu" else 0
        total += max(memory.shared for memory in known.values())
        total += sum(known[recipe].member for recipe in members) + max(sum(working), saving)
    return total


def check_memory(task: Task, recipes: Sequence[Recipe], plan: Plan, *, remedy: str) -> None:
    """Checks that a population fits into the memory before any of it is made.

    Raises:
        InputError: with what it needs and what there is.
    """
    needed, free = needed_memory(task, recipes, plan), int(SHARE_OF_FREE * available_memory(plan.device))
    if needed > free:
        members = f"{len(recipes)} member{'s' if len(recipes) > 1 else ''}"
        raise InputError("memory", f"enough for {members} ({show_bytes(needed)})", f"{show_bytes(free)} free", remedy)


def show_bytes(num: float) -> str:
    """Returns an amount of memory as a person reads it.

    Example:
        >>> show_bytes(854208), show_bytes(3.2e9)
        ('854 kB', '3.2 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if num < 1000:
            return f"{num:.3g} {unit}"
        num /= 1000
    return f"{num:.3g} TB"


def most_in_memory(task: Task, recipes: Sequence[Recipe], plan: Plan) -> int:
    """Returns how many members fit into the memory where each is as large as the largest of some recipes."""
    free = SHARE_OF_FREE * available_memory(plan.device)
    memories = [member_memory(task, recipe, plan) for recipe in recipes]
    lanes = max(program.side_by_side(recipe, plan) for program in PROGRAMS.values() for recipe in recipes)
    rest = free - max(m.shared for m in memories) - lanes * max(m.working for m in memories)
    return max(0, int(rest // max(m.member + m.saving for m in memories)))
