"""Saving and loading: round trips, other programs' files, and files that are wrong or hostile."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import zipfile
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autograd_lite import optim
from autograd_lite.io import load, save
from autograd_lite.nn.parameter import Parameter
from autograd_lite.tensor import Tensor
from tests.saving import DTYPES, Trap, same, through

FORMATS = ["safetensors", "npz"]
formats = pytest.mark.parametrize("suffix", FORMATS)


def tensors(seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(3, 4), (), (0,), (2, 0, 3), (5,), (1, 1, 1), (7,), (2, 3, 2)]
    return {
        f"layer.{i}/weight é": Tensor(np.asarray(rng.integers(0, 2, shape)).astype(dtype))
        for i, (shape, dtype) in enumerate(zip(shapes, DTYPES))
    }


@formats
def test_flat_round_trip(tmp_path, suffix):
    given_ = tensors()
    save(given_, tmp_path / f"x.{suffix}")
    found = load(str(tmp_path / f"x.{suffix}"))
    same(found, given_)
    for tensor in found.values():
        assert tensor._data.flags.carray
        assert not tensor.requires_grad


NESTED = {
    "model": OrderedDict([("w", Tensor(np.ones((2, 3), np.float32))), ("n", Tensor(np.array(3)))]),
    "optimizer": {"state": {0: {"step": Tensor(np.array(1, np.float32))}}, "betas": (0.9, 0.999)},
    "numbers": [1, -(2**127), 0.1, 1e308, float("nan"), float("inf"), -float("inf"), -0.0, True, None],
    "texts": ["", "é\n\ud800", b"", b"\x00\xff"],
    "keys": {1: "a", "1": "b", None: "c", (1, "x"): "d", 2.5: "e", False: "f"},
    "arrays": [np.arange(3, dtype=np.uint64), np.float16([1.5]), np.array(2, np.uint32)],
    "empty": [[], {}, (), OrderedDict()],
    "a": {"b": Tensor(np.zeros(1))},
    "a/b": Tensor(np.ones(1)),
    "__metadata__": Tensor(np.ones(2)),
    "autograd_lite.structure": Tensor(np.ones(3)),
}


@formats
def test_nested_round_trip(tmp_path, suffix):
    save(NESTED, tmp_path / f"x.{suffix}")
    same(load(tmp_path / f"x.{suffix}"), NESTED)


@pytest.mark.parametrize("value", [3, "text", None, [], {}, (1, [2]), Tensor(np.ones(2)), np.ones(2), {1: 2}])
def test_anything_may_be_the_root(value):
    same(through(value), value)


def test_reserved_names_alone():
    for name in ("__metadata__", "autograd_lite.structure"):
        same(through({name: Tensor(np.ones(2))}), {name: Tensor(np.ones(2))})


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.sampled_from(DTYPES).flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, min_side=0))).map(Tensor),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(values)
def test_any_state_round_trips(value):
    same(through(value), value)


def test_what_is_simplified():
    found = through(
        [
            Counter("aab"),
            defaultdict(int, {1: 2}),
            np.float32(0.5),
            np.int8(3),
            np.bool_(True),
            Parameter(Tensor(np.ones(1))),
        ]
    )
    same(found, [{"a": 2, "b": 1}, {1: 2}, 0.5, 3, True, Tensor(np.ones(1))])


def test_strided_arrays_are_saved_by_value():
    base = np.arange(12, dtype=np.float32).reshape(3, 4)
    given_ = {"t": Tensor(base.T), "s": Tensor(base[::2, 1::2]), "r": Tensor(base[::-1])}
    for found in (through(given_), through([given_])[0]):
        for key, tensor in given_.items():
            np.testing.assert_array_equal(found[key]._data, tensor._data)


@pytest.mark.parametrize(
    ("obj", "error", "message"),
    [
        ({"a": [1, {2, 3}]}, TypeError, r"obj\['a'\]\[1\] is of type set"),
        ({"a": print}, TypeError, r"obj\['a'\] is of type builtin_function_or_method"),
        ({"a": np.array(["x"])}, TypeError, r"obj\['a'\] is of type ndarray"),
        ({"a": np.array([1j])}, TypeError, "ndarray"),
        ({"a": {Tensor(np.ones(1)): 1}}, TypeError, r"obj\['a'\] has a key of type Tensor"),
        (object(), TypeError, "obj is of type object"),
    ],
)
@formats
def test_what_cannot_be_saved_leaves_no_file(tmp_path, obj, error, message, suffix):
    with pytest.raises(error, match=message):
        save(obj, tmp_path / f"x.{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_contains_itself():
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        save(loop, io.BytesIO())


# Replacing files


class Broken(Exception):
    pass


@formats
@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch, suffix, broken):
    path = tmp_path / f"x.{suffix}"
    save({"a": Tensor(np.ones(3))}, path)
    before = path.read_bytes()

    def fail(*args):
        raise Broken

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(Broken):
        save({"a": Tensor(np.zeros(30))}, path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_a_kill_leaves_a_whole_file(tmp_path):
    path = tmp_path / "x.safetensors"
    program = (
        "import sys, numpy as np; from autograd_lite.io import save; from autograd_lite.tensor import Tensor\n"
        "i = 0\n"
        "while True:\n"
        "    save({'i': i, 'a': [Tensor(np.full(200_000, float(i))) for _ in range(4)]}, sys.argv[1])\n"
        "    i += 1\n"
        "    if i == 2: print('ready', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == b"ready"
        process.send_signal(signal.SIGKILL)
    state = load(path)
    assert all((a._data == state["i"]).all() for a in state["a"])


def test_links_and_permissions_are_kept(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    save({}, target)
    target.chmod(0o640)
    link.symlink_to(target)
    save({"a": Tensor(np.ones(1))}, link)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert list(load(target)) == ["a"]


# A training state


def test_training_state_resumes_to_the_same_bits(tmp_path):
    def begin():
        rng = np.random.default_rng(0)
        params = [Tensor(rng.standard_normal(s).astype(np.float32)).requires_grad_() for s in [(3, 4), (4,), ()]]
        optimizer = optim.AdamW(params, lr=0.1, amsgrad=True)
        warmup = optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3)
        later = optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
        return params, optimizer, optim.lr_scheduler.SequentialLR(optimizer, [warmup, later], [3]), rng

    def train(params, optimizer, schedule, rng, steps):
        for _ in range(steps):
            for p in params:
                p.grad = Tensor(np.asarray(rng.standard_normal(p.shape)).astype(np.float32))
            optimizer.step()
            schedule.step()

    params, optimizer, schedule, rng = begin()
    train(params, optimizer, schedule, rng, 4)
    state = {
        "model": {str(i): p for i, p in enumerate(params)},
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "rng": rng.bit_generator.state,
        "position": (4, None),
    }
    for suffix in FORMATS:
        save(state, tmp_path / f"state.{suffix}")
    train(params, optimizer, schedule, rng, 5)
    for suffix in FORMATS:
        state = load(tmp_path / f"state.{suffix}")
        again, optimizer_2, schedule_2, rng_2 = begin()
        for i, p in enumerate(again):
            p.data = state["model"][str(i)]
        optimizer_2.load_state_dict(state["optimizer"])
        schedule_2.load_state_dict(state["schedule"])
        rng_2.bit_generator.state = state["rng"]
        train(again, optimizer_2, schedule_2, rng_2, 5)
        assert schedule_2.get_last_lr() == schedule.get_last_lr()
        for p, q in zip(params, again):
            same(p._data, q._data)


# safetensors


def safetensors_file(header, data=b"", size=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return io.BytesIO(struct.pack("<Q", len(text) if size is None else size) + text + data)


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_the_reference_implementation_reads_and_writes_the_same(tmp_path):
    reference = pytest.importorskip("safetensors.numpy")
    given_ = tensors()
    save(given_, tmp_path / "ours")
    found = reference.load_file(tmp_path / "ours")
    assert found.keys() == given_.keys()
    for key, tensor in given_.items():
        same(found[key], tensor._data)
    reference.save_file({k: t._data for k, t in given_.items()}, tmp_path / "theirs", metadata={"format": "np"})
    found = load(tmp_path / "theirs")
    assert found.keys() == given_.keys()
    for key, tensor in given_.items():
        same(found[key], tensor)
    save(NESTED, tmp_path / "nested")
    names = reference.load_file(tmp_path / "nested").keys()
    assert {"model/w", "optimizer/state/0/step", "a/b", "a/b#2", "__metadata__#2"} <= names


def test_data_are_aligned(tmp_path):
    save(
        {"a": Tensor(np.ones(3, np.int8)), "b": Tensor(np.ones(3)), "c": Tensor(np.ones(1, np.float32))}, tmp_path / "x"
    )
    raw = (tmp_path / "x").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    assert size % 8 == 0
    assert list(header) == ["a", "b", "c"]
    assert [header[k]["data_offsets"][0] for k in "abc"] == [28, 0, 24]


def test_half_precision_becomes_float32():
    numbers = np.array([1.5, -0.0, 65504, 6e-8, np.inf, np.nan], np.float16)
    halves = safetensors_file({"h": entry("F16", (6,), (0, 12))}, numbers.tobytes())
    np.testing.assert_array_equal(load(halves)["h"]._data, numbers.astype(np.float32))
    bits = np.array([0x3FC0, 0x8000, 0x7F80, 0x7FC0, 0x0001], "<u2")
    found = load(safetensors_file({"b": entry("BF16", (5,), (0, 10))}, bits.tobytes()))["b"]._data
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32([1.5, -0.0, np.inf, np.nan, 2.0**-133]))


def test_bfloat16_against_pytorch():
    torch = pytest.importorskip("torch")
    save_torch = pytest.importorskip("safetensors.torch", reason="compares with the safetensors library").save

    given_ = {"b": torch.randn(33).bfloat16(), "h": torch.randn(7).half()}
    found = load(io.BytesIO(save_torch(given_)))
    for key, value in given_.items():
        np.testing.assert_array_equal(found[key]._data, value.float().numpy())


@pytest.mark.parametrize("dtype", ["U16", "U32", "U64"])
def test_dtypes_that_tensors_do_not_have(dtype):
    width = int(dtype[1:]) // 8
    with pytest.raises(TypeError, match=f"'u': .* of type uint{width * 8}"):
        load(safetensors_file({"u": entry(dtype, (1,), (0, width))}, bytes(width)))


GOOD = entry()
BAD_SAFETENSORS = {
    "nothing": (io.BytesIO(b""), "it has 0 bytes"),
    "short": (io.BytesIO(b"\x08\0\0"), "it has 3 bytes"),
    "size": (safetensors_file({}, size=1 << 63), "header's size is given as"),
    "size-limit": (safetensors_file(b"{}" + b" " * 100, size=100_000_001), "header's size is given as"),
    "size-beyond": (safetensors_file({}, size=3), "header's size is given as 3 bytes, but 2 follow"),
    "text": (io.BytesIO(b"<html><head>" * 10), "header's size is given as"),
    "json": (safetensors_file(b"{'a': 1}"), "header is not JSON"),
    "utf8": (safetensors_file(b'{"\xff": 1}'), "header is not JSON"),
    "deep": (safetensors_file(b'{"a":' + b"[" * 200_000), "header is not JSON"),
    "list": (safetensors_file([1]), "not a JSON object"),
    "twice": (safetensors_file(b'{"a": 1, "a": 2}'), "a key occurs twice"),
    "metadata": (safetensors_file({"__metadata__": {"a": 1}}), "not an object of strings"),
    "metadata-list": (safetensors_file({"__metadata__": ["a"]}), "not an object of strings"),
    "entry": (safetensors_file({"a": 1}), "expected dtype, shape and data_offsets"),
    "missing": (safetensors_file({"a": {"dtype": "F32", "shape": [2]}}), "expected dtype, shape and data_offsets"),
    "extra": (safetensors_file({"a": {**GOOD, "x": 1}}, bytes(8)), "expected dtype, shape and data_offsets"),
    "dtype": (safetensors_file({"a": entry("F8_E4M3")}, bytes(8)), "dtype 'F8_E4M3' is not supported"),
    "dtype-list": (safetensors_file({"a": entry(["F32"])}, bytes(8)), "is not supported"),
    "negative": (safetensors_file({"a": entry(shape=(-2, -1))}, bytes(8)), "is not a shape"),
    "fraction": (safetensors_file({"a": entry(shape=(2.0,))}, bytes(8)), "is not a shape"),
    "boolean": (safetensors_file({"a": entry("U8", (True,), (0, 1))}, bytes(1)), "is not a shape"),
    "dims": (safetensors_file({"a": entry(shape=[1] * 99 + [2])}, bytes(8)), "is not a shape"),
    "overflow": (safetensors_file({"a": entry(shape=[1 << 32] * 2, offsets=(0, 0))}), "too large a shape"),
    "huge-zero": (safetensors_file({"a": entry(shape=[0, 1 << 61], offsets=(0, 0))}), "too large a shape"),
    "offsets": (safetensors_file({"a": entry(offsets=(8, 0))}, bytes(8)), "takes 8 bytes, but the offsets"),
    "offsets-list": (safetensors_file({"a": entry(offsets=(0, 8, 9))}, bytes(8)), "is not a pair of offsets"),
    "offsets-text": (safetensors_file({"a": entry(offsets=("0", "8"))}, bytes(8)), "is not a pair of offsets"),
    "shape": (safetensors_file({"a": entry(shape=(3,))}, bytes(8)), "takes 12 bytes, but the offsets"),
    "truncated": (safetensors_file({"a": GOOD}, bytes(7)), "the tensors take 8 bytes, but there are 7"),
    "longer": (safetensors_file({"a": GOOD}, bytes(9)), "the tensors take 8 bytes, but there are 9"),
    "overlap": (safetensors_file({"a": GOOD, "b": entry(offsets=(4, 12))}, bytes(12)), "where 8 is expected"),
    "same": (safetensors_file({"a": GOOD, "b": GOOD}, bytes(8)), "where 8 is expected"),
    "hole": (safetensors_file({"a": entry(offsets=(4, 12))}, bytes(12)), "where 0 is expected"),
    "bool": (safetensors_file({"a": entry("BOOL", (1,), (0, 1))}, b"\x02"), "booleans other than 0 and 1"),
}


@pytest.mark.parametrize("name", BAD_SAFETENSORS)
def test_bad_safetensors(name):
    file, message = BAD_SAFETENSORS[name]
    file.seek(0)
    with pytest.raises(RuntimeError, match=message):
        load(file)


STRUCTURES = {
    "json": ("{", "structure is corrupt"),
    "missing": ('{"tensor": "b"}', "there is no array 'b'"),
    "tag": ('{"eval": "1"}', "unknown entry 'eval'"),
    "number": ('{"tensor": 1}', "there is no array 1"),
    "two": ('{"tensor": "a", "array": "a"}', "object of one entry, found 2"),
    "pairs": ('{"dict": [["a"]]}', "entries of a dict must be pairs"),
    "key": ('{"dict": [[[], 1]]}', "not a key"),
    "key-tuple": ('{"dict": [[{"tuple": [[]]}, 1]]}', "not a key"),
    "float": ('{"float": "1"}', "unknown entry 'float'"),
    "bytes": ('{"bytes": "?"}', "structure is corrupt"),
    "deep": ("[" * 100_000, "structure"),
    "deep-2": ('{"tuple":[' * 3000 + "]}" * 3000, "nested too deeply"),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_bad_structures(name):
    text, message = STRUCTURES[name]
    header = {"__metadata__": {"autograd_lite.structure": text}, "a": GOOD}
    with pytest.raises(RuntimeError, match=message):
        load(safetensors_file(header, bytes(8)))


@given(st.data())
def test_damaged_files_raise_or_load(data):
    """Any byte changed, any length cut: a RuntimeError or TypeError, or a result; nothing else."""
    for suffix in FORMATS:
        file = io.BytesIO()
        if suffix == "npz":
            np.savez(file, a=np.ones((2, 3), np.float32), b=np.arange(4))
        else:
            save(NESTED, file)
        raw = bytearray(file.getvalue())
        for _ in range(10):
            damaged = raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else bytearray(raw)
            if damaged:
                damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(0, 255))
            with contextlib.suppress(RuntimeError, TypeError):
                load(io.BytesIO(bytes(damaged)))


# npz


def test_numpy_reads_and_writes_the_same(tmp_path):
    given_ = tensors()
    save(given_, tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz", allow_pickle=False) as found:
        assert list(found) == list(given_)
        for key, tensor in given_.items():
            same(found[key], tensor._data)
    arrays = {
        "c": np.arange(6.0).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "h": np.float16([1]),
    }
    arrays["big"] = np.arange(3, dtype=">f4")
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "theirs.npz", **arrays)
        found = load(tmp_path / "theirs.npz")
        assert list(found) == list(arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(found[key]._data, array)
        assert found["h"].dtype == found["big"].dtype == through(Tensor(np.ones(1, np.float32))).dtype


def zip_of(**entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "/"), content)
    file.seek(0)
    return file


def test_bad_npz(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([Trap(tmp_path / "trap")], object))
    with pytest.raises(RuntimeError, match="array of dtype object"):
        load(tmp_path / "x.npz")
    assert not (tmp_path / "trap").exists()

    whole = io.BytesIO()
    np.savez(whole, a=np.ones(1000), b=np.ones(3))
    raw = whole.getvalue()
    for cut in (3, 30, 500, len(raw) // 2, len(raw) - 1):
        with pytest.raises(RuntimeError, match="corrupt"):
            load(io.BytesIO(raw[:cut]))
    damaged = bytearray(raw)
    damaged[300] ^= 1
    with pytest.raises(RuntimeError, match="CRC"):
        load(io.BytesIO(bytes(damaged)))

    array = io.BytesIO()
    np.lib.format.write_array(array, np.ones(4))
    npy = array.getvalue()
    with pytest.raises(RuntimeError, match="array of shape"):
        load(zip_of(**{"a.npy": npy[:-1]}))
    with pytest.raises(RuntimeError, match="array of shape"):
        load(zip_of(**{"a.npy": npy + b"x"}))
    with pytest.raises(RuntimeError, match="array of shape"):
        load(zip_of(**{"a.npy": npy.replace(b"(4,), }           ", b"(4000000000000,), }")}))
    with pytest.raises(RuntimeError, match="not an npy file"):
        load(zip_of(readme=b"hello"))
    with pytest.raises(RuntimeError, match="npz"):
        load(zip_of(**{"a.npy": b"not an array"}))
    complexes = io.BytesIO()
    np.savez(complexes, a=np.ones(2, np.complex64))
    complexes.seek(0)
    with pytest.raises(RuntimeError, match="dtype complex64"):
        load(complexes)


def npy(array, version=(1, 0)):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def test_other_forms_of_npz():
    found = load(zip_of(**{"a.npy": npy(np.arange(3.0), (2, 0))}))
    np.testing.assert_array_equal(found["a"]._data, np.arange(3.0))
    with pytest.raises(RuntimeError, match=r"npy version \(3, 0\) is not supported"):
        load(zip_of(**{"a.npy": npy(np.ones(2), (3, 0))}))
    with pytest.raises(RuntimeError, match="booleans other than 0 and 1"):
        load(zip_of(**{"a.npy": npy(np.ones(1, bool))[:-1] + b"\x07"}))
    twice, packed = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.npy", npy(np.ones(2)))
        archive.writestr("a.npy", npy(np.ones(2)))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", npy(np.ones(2)))
    for file, words in ((twice, "occurs twice"), (packed, "compressed in an unusual way")):
        file.seek(0)
        with pytest.raises(RuntimeError, match=words):
            load(file)


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)
    with pytest.raises(FileNotFoundError):
        save({}, tmp_path / "nowhere" / "x")


def test_headers_beyond_the_limit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("autograd_lite.io.safetensors.HEADER_LIMIT", 100)
    with pytest.raises(ValueError, match="header would have [0-9]+ bytes; 100 are allowed"):
        save({"x" * 200: Tensor(np.ones(1))}, tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())
