"""Errors, files, the registry of renderers and the random streams."""

# wrong values are given on purpose
# pyright: reportArgumentType=false, reportOptionalCall=false, reportOptionalMemberAccess=false
from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.core import (
    GAMMA,
    InputError,
    Purpose,
    RunError,
    check_choice,
    check_number,
    derive_key,
    describe_os_error,
    draw_bits,
    draw_permutation,
    draw_uniform,
    epoch_order,
    nearest,
    register_renderer,
    render,
    write_atomically,
    write_text,
)

# ---- errors ---------------------------------------------------------------------------------------------------------


def test_an_error_reads_as_field_rule_value_remedy():
    error = InputError("lr", "above 0", -0.1, "Try lr=0.001.")
    assert str(error) == "lr must be above 0, got -0.1. Try lr=0.001."
    assert isinstance(error, ValueError)
    assert str(InputError("lr", "given")) == "lr must be given."
    assert str(InputError("lr", "given", None)) == "lr must be given, got None."
    assert len(str(InputError("x", "short", "a\nb" * 500))) < 160
    assert "\n" not in str(InputError("x", "an array", np.zeros((5, 5))))


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("adamv", "Did you mean 'adamw'?"), ("ADAMW", "Did you mean 'adamw'?"), ("zzz", "Known: adamw, sgd.")],
)
def test_nearest(name, remedy):
    assert nearest(name, ["sgd", "adamw"]) == remedy
    with pytest.raises(InputError) as caught:
        check_choice("optimizer", name, ["sgd", "adamw"])
    assert str(caught.value) == f"optimizer must be a known name, got {name!r}. {remedy}"
    assert check_choice("optimizer", "sgd", ["sgd"]) == "sgd"


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "rule"),
    [
        ({"above": 0}, [1e-300, 1], [0, -1], "a number above 0"),
        ({"least": 0, "below": 1}, [0, 0.5], [1, -1e-9], "a number at least 0 and below 1"),
        ({"most": 2}, [2, -5], [2.1], "a number at most 2"),
        ({"least": 1, "integer": True}, [1, 2.0, np.int64(4)], [0, 1.5], "a whole number at least 1"),
    ],
)
def test_numbers(bounds, good, bad, rule):
    for value in good:
        check_number("n", value, **bounds)
    for value in [*bad, math.nan, math.inf, "1", None, True, np.True_, 1j, 10**400, -(10**400)]:
        with pytest.raises(InputError, match=f"^n must be {rule}, got"):
            check_number("n", value, **bounds)


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_file_holds_the_old_text_or_the_new(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    write_text(path, "new é")
    assert path.read_text(encoding="utf-8") == "new é"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def rust_like(path: Path) -> None:
    path.write_bytes(b"half")
    raise Exception(f"Error while serializing: I/O error: No space left on device (os error {errno.ENOSPC})")


def full(path: Path) -> None:
    path.write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("write", [full, rust_like])
def test_a_full_disk_is_one_line_and_the_old_file_stays(tmp_path, write):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(
        RunError, match=r"^cannot write .*a.txt: the disk is full. Free some space and resume the run.$"
    ):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ZeroDivisionError])
def test_whatever_stops_a_writer_leaves_no_half_file(tmp_path, stop):
    def write(path: Path) -> None:
        path.write_bytes(b"half")
        raise stop

    with pytest.raises(stop):
        write_atomically(tmp_path / "a.txt", write)
    assert list(tmp_path.iterdir()) == []


def test_the_file_system_says_no(tmp_path):
    with pytest.raises(RunError, match=r"cannot write .*No such file or directory"):
        write_text(tmp_path / "none" / "a.txt", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match=r"cannot write .*folder"):
        write_text(tmp_path / "folder", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full. Free some space"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EROFS, "the file system is read-only. Make it writable, or choose another folder"),
        (errno.EACCES, "there is no permission to write"),
        (errno.EFBIG, "the file may not grow any larger"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_causes_have_words(number, words):
    said = str(describe_os_error(OSError(number, os.strerror(number)), "a/b"))
    assert said.startswith(f"cannot write a/b: {words}")


# ---- registry -------------------------------------------------------------------------------------------------------


class Result:
    kind = "a kind of test"


def test_renderers_are_found_by_kind_and_form():
    with pytest.raises(LookupError, match="no renderer draws a kind of test as text"):
        render(Result(), "text")
    register_renderer("a kind of test", "text", "json:dumps")
    with pytest.raises(TypeError):  # it was found and called
        render(Result(), "text")
    with pytest.raises(LookupError, match="as html"):
        render(Result(), "html")


# ---- streams --------------------------------------------------------------------------------------------------------

#: the first outputs of SplitMix64 for the seed 1234567 (Rosetta Code, Pseudo-random numbers/Splitmix64)
SPLITMIX = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]


def test_splitmix64_gives_the_published_numbers():
    assert draw_bits(1234567, 5).tolist() == SPLITMIX
    assert draw_bits(1234567, 3).tolist() == SPLITMIX[:3]
    # random access: the stream of a key further on is the rest of the stream
    assert draw_bits((1234567 + 2 * GAMMA) % 2**64, 3).tolist() == SPLITMIX[2:]


def test_a_key_is_the_mix_of_its_words():
    assert derive_key(1234567) == SPLITMIX[0]
    assert derive_key(0, Purpose.ORDER) != derive_key(0, Purpose.INIT)
    assert len({derive_key(s, p, k) for s in range(10) for p in Purpose for k in range(10)}) == 10 * len(Purpose) * 10
    assert len({p.value for p in Purpose}) == len(Purpose)
    assert derive_key(-1) != derive_key(1)
    assert 0 <= derive_key(-(10**30), 10**30) < 2**64


@given(st.integers(0, 2**64 - 1), st.integers(0, 300))
def test_a_permutation_holds_every_row_once(key, num):
    assert sorted(draw_permutation(key, num).tolist()) == list(range(num))


@given(st.integers(0, 2**64 - 1))
def test_uniform_draws_are_exact_in_float32(key):
    draws = draw_uniform(key, 500)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert (draws.astype(np.float32).astype(np.float64) == draws).all()
    assert (draws[:100] == draw_uniform(key, 100)).all()


def test_uniform_draws_are_uniform():
    counts, _ = np.histogram(draw_uniform(derive_key(5), 100_000), bins=20, range=(0, 1))
    assert np.square(counts - 5000).sum() / 5000 < 43.8  # chi-square, 19 degrees of freedom, 0.1 percent


def test_an_epoch_order_depends_on_seed_and_epoch_alone():
    assert (epoch_order(3, 7, 50) == epoch_order(3, 7, 50)).all()
    assert not (epoch_order(3, 7, 50) == epoch_order(3, 8, 50)).all()
    assert not (epoch_order(3, 7, 50) == epoch_order(4, 7, 50)).all()
    first = [int(epoch_order(0, epoch, 10)[0]) for epoch in range(2000)]
    assert np.bincount(first, minlength=10).min() > 140  # every row leads about as often
