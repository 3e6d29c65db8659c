"""Pickles are data or they are refused."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import pickletools
from pathlib import Path

import pytest
from captrawl.errors import InputError
from captrawl.swat.pickles import load_pickle


class Hostile:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_comes_as_it_is(tmp_path: Path, protocol: int) -> None:
    value = {
        "0": [("part3", 7, "a café 😀", "http://x/1", None, 0), ("part3", 2**70, None, "", "NSFW")],
        "1": {4: "text", 5: [True, False, 1.5, -3, []]},
        2: (),
    }
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    assert load_pickle(path) == value
    again = load_pickle(path)["1"][5]
    assert [type(entry) for entry in again] == [bool, bool, float, int, list]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_program_is_refused_and_never_run(tmp_path: Path, protocol: int) -> None:
    path, witness = tmp_path / "x.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps({"0": [("part0", 1, Hostile(witness))]}, protocol))
    with pytest.raises(InputError, match=r"x\.pkl names (posix|nt|os)\.system: not plain data but a program"):
        load_pickle(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (collections.defaultdict(list), "collections.defaultdict"),
        (collections.OrderedDict(a=1), "collections.OrderedDict"),
        (Path("x"), r"pathlib"),
        (print, "print"),
        ({"0": {1, 2}}, "holds set|builtins.set|__builtin__.set"),
        ([b"bytes"], "holds bytes|_codecs.encode"),
        ({"0": [(1, bytearray(b"x"))]}, "bytearray"),
        (3j, "complex"),
    ],
)
def test_anything_but_plain_data_is_refused(tmp_path: Path, value: object, named: str) -> None:
    for protocol in (2, 4, 5):
        path = tmp_path / "x.pkl"
        path.write_bytes(pickle.dumps(value, protocol))
        with pytest.raises(InputError, match=named):
            load_pickle(path)


def test_references_to_something_outside_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x04\x8c\x04evilQ.")  # BINPERSID
    with pytest.raises(InputError, match="refers to something outside"):
        load_pickle(path)


def test_damaged_pickles_are_errors_that_name_the_file(tmp_path: Path) -> None:
    whole = pickle.dumps({"0": [("part0", n, f"caption {n}") for n in range(20)]})
    path = tmp_path / "x.pkl"
    for cut in [0, 1, 2, *range(3, len(whole) - 1, 7)]:
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"x\.pkl is cut off, or no pickle"):
            load_pickle(path)
    for at in range(0, len(whole), 3):  # any byte changed: data or an InputError, never anything else
        changed = bytearray(whole)
        changed[at] ^= 0x2D
        path.write_bytes(changed)
        with contextlib.suppress(InputError):
            load_pickle(path)


def test_shared_and_cyclic_containers_end(tmp_path: Path) -> None:
    level: list = ["x"]
    for _ in range(60):  # 2**60 paths, 61 containers
        level = [level, level]
    loop: list = []
    loop.append(loop)
    for value in (level, loop):
        path = tmp_path / "x.pkl"
        path.write_bytes(pickle.dumps(value))
        assert isinstance(load_pickle(path), list)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pkl can't be read"):
        load_pickle(tmp_path / "gone.pkl")


def test_every_global_opcode_is_covered() -> None:
    """GLOBAL, STACK_GLOBAL, INST and EXT* all end in find_class; a new protocol would need a look."""
    assert pickle.HIGHEST_PROTOCOL == 5
    naming = {
        op.name for op in pickletools.opcodes if "GLOBAL" in op.name or op.name.startswith(("INST", "EXT"))
    }
    assert naming == {"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"}
