"""Pickles are data or they are refused."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import pickletools
import time
from pathlib import Path

import pytest
from captrawl.core.errors import InputError
from captrawl.swat.pickles import load_pickle, short, shown_row


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
        "3": {("red star", 3, 7, "a red star"), ("red star", 3, 8, None)},  # SWAT's matches are sets
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
        ({"0": frozenset({1, 2})}, "contains a frozenset|builtins.frozenset|__builtin__.frozenset"),
        (set, "names builtins.set|names __builtin__.set"),
        ([set], "names builtins.set|names __builtin__.set"),
        ({("a", ("b", "c"))}, "contains a set of more than scalars and flat tuples"),
        ({("a", 1): 2}, "has keys that aren't texts or numbers"),
        ({"0": {(b"x", 1)}}, "contains bytes|_codecs.encode"),
        ([b"bytes"], "contains bytes|_codecs.encode"),
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


def nested_tuples() -> tuple:
    """61 tuples whose hash would take 2**60 steps."""
    made: tuple = ("x",)
    for _ in range(60):
        made = (made, made)
    return made


HOSTILE = {  # classic ones by hand; every one would run, open, reach or take something if it were obeyed
    "os.system": b"cos\nsystem\n(S'touch RAN'\ntR.",
    "builtins.eval": b"\x80\x04cbuiltins\neval\n(\x8c\x0fopen('RAN', 'w')tR.",
    "builtins.exec by INST": b'(S\'open("RAN", "w")\'\nibuiltins\nexec\n.',
    "builtins.__import__": b"\x80\x02c__builtin__\n__import__\n(X\x02\x00\x00\x00ostR.",
    "builtins.getattr by OBJ": b"(cbuiltins\ngetattr\nI1\nS'real'\no.",
    "functools.partial": b"\x80\x04cfunctools\npartial\n(cos\nsystem\n\x8c\x09touch RANtR.",
    "copyreg._reconstructor": b"\x80\x02ccopy_reg\n_reconstructor\n(cbuiltins\nset\ncbuiltins\nset\nNtR.",
    "copyreg.add_extension": b"ccopyreg\nadd_extension\n(S'os'\nS'system'\nI7\ntR.",
    "an extension code": b"\x80\x02\x82\x07(tR.",
    "operator.attrgetter by NEWOBJ": b"\x80\x02coperator\nattrgetter\nX\x07\x00\x00\x00__doc__\x85\x81.",
    "types.FunctionType by STACK_GLOBAL": b"\x80\x04\x8c\x05types\x8c\x0cFunctionType\x93)R.",
    "a name behind a dot": b"\x80\x04\x8c\x08builtins\x8c\x0fset.__init__.x\x93)R.",
    "names from the memo": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93\x8c\x09touch RAN\x85R.",
    "a pickle in a pickle": b"\x80\x04cpickle\nloads\n(C\x10cos\nsystem\n(S'X'\ntR.tR.",
    "set's state": b"\x80\x04cbuiltins\nset\n}\x8c\x07__new__K\x01sb.",
    "set's slots": b"\x80\x04cbuiltins\nset\nN}\x8c\x07__new__K\x01s\x86b.",
    "set of a text that isn't there": b"\x80\x04cbuiltins\nset\n(K\x07tR.",
    "a buffer of protocol 5": b"\x80\x05\x97.",
    "a bytearray of protocol 5": b"\x80\x05\x96\x02\x00\x00\x00\x00\x00\x00\x00hi.",
    "4 EiB of text": b"\x80\x04\x8d\x00\x00\x00\x00\x00\x00\x00\x40x.",
    "4 EiB of bytes": b"\x80\x04\x8e\x00\x00\x00\x00\x00\x00\x00\x40x.",
    "a number of 2 GiB": b"\x80\x02\x8b\xff\xff\xff\x7fx.",
    "a memo place of 4 Gi": b"\x80\x02]r\xff\xff\xff\xff.",
    "a memo place of 256 Mi": b"\x80\x02]r\x00\x00\x00\x10.",
    "a key that is never hashed": pickle.dumps(["k", nested_tuples(), "v"])
    .replace(b"]\x94", b"}\x94")
    .replace(b"e.", b"u."),
    "a member that is never hashed": pickle.dumps([nested_tuples()])
    .replace(b"]\x94", b"\x8f\x94(")
    .replace(b"a.", b"\x90."),
    "a number of a million digits": b"I" + b"9" * 1_000_000 + b"\n.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear line that names the file, nothing run, in little memory and time."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "birds_mined_captions-LAION400M.pkl"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(InputError) as refused:
        load_pickle(path)
    assert str(refused.value).startswith(f"{path} ")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < len(str(path)) + 200
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


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


def test_shared_and_cyclic_containers_end_at_once(tmp_path: Path) -> None:
    level: list = ["x"]
    flat = ("x",)
    for _ in range(60):  # 2**60 paths, 61 containers
        level, flat = [level, level], (flat, flat)
    loop: list = []
    loop.append(loop)
    wide: object = "x"
    for _ in range(5):  # 20,000**5 elements in 5 lists
        wide = [wide] * 20_000
    path = tmp_path / "x.pkl"
    for value in (level, flat, loop, {"0": wide}):
        path.write_bytes(pickle.dumps(value))
        started = time.monotonic()
        with pytest.raises(InputError, match="nests or repeats its containers without end"):
            load_pickle(path)
        assert time.monotonic() - started < 10


def test_an_error_about_shared_tuples_is_short_and_quick(tmp_path: Path) -> None:
    flat: tuple = ("x",)
    for _ in range(60):
        flat = (flat, flat)
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(flat, protocol=4)[:-1] + b"\x8c\x06system\x93.")  # names it and "system"
    with pytest.raises(InputError, match=r"names a tuple of 2\.system") as raised:
        load_pickle(path)
    assert len(str(raised.value)) < len(str(path)) + 200


@pytest.mark.parametrize("digits", [30, 5000])
def test_a_number_of_any_size_is_shown_in_a_line(digits: int) -> None:
    assert short(-(10**digits)).startswith("a number of")
    assert len(shown_row((10**digits, "x" * 9999, [1] * 9999, ((), ())))) <= 122


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
