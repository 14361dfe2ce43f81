"""The landscape of a run and of a model: every plane, the files, and bad input."""

# options as tables, operators of several kinds
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
from __future__ import annotations

import numpy as np
import pytest

from thalweg.core import InputError, RunError
from thalweg.population import Plan
from thalweg.recipes import Recipe
from thalweg.studies import PLANES, LandscapeOptions
from thalweg.workflows import landscape, resume, train

TINY = Recipe(widths=(6,), epochs=4, batch_size=16)
FEW = {"points": 5, "modes": 3}


@pytest.mark.parametrize("plane", PLANES)
def test_every_plane_has_a_surface(plane, tmp_path):
    options = LandscapeOptions(plane=plane, **FEW)
    found = landscape("iris", TINY, options=options, out=tmp_path / "run", plan=Plan(threads=1))
    arrays = dict(np.load(tmp_path / "run" / "arrays.npz"))
    for name in ("training loss", "validation loss", "training accuracy", "validation accuracy"):
        assert arrays[name].shape == (5, 5)
        assert np.isfinite(arrays[name]).all()
    largest = found.answer.data["curvature"]["largest"]
    assert largest == sorted(largest, reverse=True)
    assert {chart.name for chart in found.answer.charts} >= {"surface", "map", "lines", "density"}
    assert len(found.answer.data["lines"]) == len(found.answer.data["aligned"]) == 3


def test_the_middle_of_a_random_plane_is_the_network():
    found = landscape("iris", TINY, options=LandscapeOptions(**FEW), seeds=2, plan=Plan(threads=1))
    line = found.answer.data["lines"][0]
    assert found.answer.arrays["training loss"][2, 2] == pytest.approx(line["loss"][0], rel=1e-5)


def test_a_run_gives_the_landscape_of_its_own_members(tmp_path):
    trained = train("iris", TINY, seeds=3, seed=7, out=tmp_path / "trained", source={"source": "iris"})
    found = landscape(tmp_path / "trained", options=LandscapeOptions(**FEW))
    assert found.seeds == trained.seeds
    assert found.recipe == TINY
    with pytest.raises(InputError, match="left out for a run"):
        landscape(tmp_path / "trained", TINY)
    with pytest.raises(InputError, match="at most 3"):
        landscape(tmp_path / "trained", seeds=4)


def test_a_linear_model_is_certainly_convex():
    found = landscape("iris", "linear", options=LandscapeOptions(**FEW), seeds=2, plan=Plan(threads=1))
    assert found.answer.data["convex"]["certain"]
    assert found.answer.data["curvature"]["largest"][0] > 0


def test_a_penalty_is_part_of_a_surface_of_its_own():
    recipe = TINY.changed(alpha=0.1, l1_ratio=0.5)
    arrays = landscape("iris", recipe, options=LandscapeOptions(**FEW), seeds=2, plan=Plan(threads=1)).answer.arrays
    assert (arrays["training loss with penalty"] > arrays["training loss"]).all()


@pytest.mark.parametrize("ending", ["obj", "glb"])
def test_meshes_are_read_back(ending, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    path = tmp_path / f"surface.{ending}"
    landscape("iris", TINY, options=LandscapeOptions(**FEW), seeds=2, mesh=path, plan=Plan(threads=1))
    mesh = trimesh.load(path, force="mesh")
    assert mesh.faces.shape == (32, 3)
    assert mesh.bounds[1] == pytest.approx([1, 1, 0.5], abs=1e-6)


def test_an_interrupted_landscape_goes_on(tmp_path):
    whole = landscape("iris", TINY, options=LandscapeOptions(**FEW), out=tmp_path / "run", plan=Plan(threads=1))
    (tmp_path / "run" / "result.json").unlink()
    again = resume(tmp_path / "run", task="iris")
    assert again.answer.data == whole.answer.data


def test_bad_input(tmp_path):
    for options, match in (({"plane": "plane"}, "plane must be"), ({"points": 4}, "points"), ({"span": 0.0}, "span")):
        with pytest.raises(InputError, match=match):
            LandscapeOptions(**options)
    with pytest.raises(InputError, match=r"ends in \.obj or \.glb"):
        landscape("iris", TINY, mesh=tmp_path / "surface.stl")
    with pytest.raises(InputError, match="at least 3 for the plane of minima"):
        landscape("iris", TINY, options=LandscapeOptions(plane="minima", **FEW), seeds=2)
    (tmp_path / "empty").mkdir()
    with pytest.raises((InputError, RunError)):
        landscape(tmp_path / "empty")
