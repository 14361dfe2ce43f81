"""What the documentation names exists, and generated pages are up to date."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])


@pytest.mark.parametrize("name", ["cli", "studies"])
def test_the_references_are_made_from_the_code(name):
    script = ROOT / f"docs/reference/make_{name}.py"
    spec = importlib.util.spec_from_file_location(f"make_{name}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = getattr(module, f"{name}_reference")()
    assert (ROOT / f"docs/reference/{name}.md").read_text() == made, f"run {script}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page):
    text = page.read_text()
    named = re.findall(r"`((?:src|docs|benchmarks|tests|examples)/[\w./-]+)`", text)
    named += [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [name for name in named if not (ROOT / name).exists() and not (page.parent / name).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_target_and_extra_that_a_page_names_exists(page):
    from thalweg.cli._main import _COMMANDS

    text = page.read_text()
    commands = set(re.findall(r"^(?:\$ )?thalweg ([a-z]+)\b", text, re.MULTILINE))
    commands |= set(re.findall(r"`thalweg ([a-z]+)\b", text))
    assert commands <= _COMMANDS.keys()
    targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets <= known
    extras = set(re.findall(r"thalweg\[([a-z-]+)\]", text))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extras <= project["optional-dependencies"].keys()


def test_every_recipe_field_that_how_to_choose_sets_is_one():
    from thalweg.recipes import field_docs

    text = (ROOT / "docs/how-to-choose.md").read_text()
    assert set(re.findall(r"--(?:set|vary) (\w+)=", text)) <= field_docs().keys()


def test_every_pinned_version_is_in_range():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            pins[name.lower().replace("_", "-")] = version
    for text in [*project["dependencies"], *chain(*project["optional-dependencies"].values())]:
        wanted = Requirement(text)
        assert wanted.name.lower() in pins, f"{wanted.name} is not pinned"
        assert wanted.specifier.contains(pins[wanted.name.lower()]), wanted.name
