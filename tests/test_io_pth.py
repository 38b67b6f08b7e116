"""PyTorch's files, as it writes them, damaged ones, and pickles written by hand to do harm."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict
from pickle import UnpicklingError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd_lite.io import load
from autograd_lite.io.pth import STORAGES
from autograd_lite.tensor import Tensor
from tests.saving import DTYPES, Trap, same, through


def saved_by_torch(torch, obj, **options):
    file = io.BytesIO()
    torch.save(obj, file, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_files_from_pytorch(tmp_path, protocol):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Linear(4, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model[2](torch.randn(2, 4)).sum().backward()
    optimizer.step()
    base = torch.arange(24.0).reshape(2, 3, 4)
    given_ = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "views": [base, base.permute(2, 0, 1), base[1:, ::2], base[0, 0, 0], torch.zeros(0, 3)],
        "dtypes": [torch.tensor([1, 0, 1]).to(getattr(torch, d)) for d in DTYPES],
        "rest": (1, -5, 2**40, -(2**80), 0.25, "text", "é", None, True, False, [], {}, (), {3: (4,)}),
        "ordered": OrderedDict(a=1),
        "size": torch.Size([2, 3]),
        "long": list(range(2000)),
    }
    path = tmp_path / "x.pth"
    torch.save(given_, path, pickle_protocol=protocol)
    found = load(path)

    def compare(a, b):
        if isinstance(b, torch.Tensor):
            assert isinstance(a, Tensor)
            same(np.array(a._data), np.array(b.detach().numpy()))
        elif isinstance(b, dict):
            assert list(a) == list(b)
            for key in b:
                compare(a[key], b[key])
        elif isinstance(b, (list, tuple)):
            assert len(a) == len(b)
            for x, y in zip(a, b):
                compare(x, y)
        else:
            assert type(a) is type(b)
            assert a == b

    compare(found, given_)
    assert type(found["model"]) is OrderedDict
    assert type(found["rest"]) is tuple
    views = found["views"]
    assert np.shares_memory(views[0]._data, views[1]._data)
    views[0]._data[1, 0, 2] = -1
    assert views[2]._data[0, 0, 2] == -1
    again = through(found["model"])
    compare(again, given_["model"])


def test_half_precision_from_pytorch():
    torch = pytest.importorskip("torch")
    given_ = {"b": torch.randn(5, 3).bfloat16(), "h": torch.randn(7).half(), "t": torch.randn(4, 2).half().T}
    found = load(saved_by_torch(torch, given_))
    for key, value in given_.items():
        np.testing.assert_array_equal(found[key]._data, value.float().numpy())
        assert found[key]._data.dtype == np.float32


def test_whole_objects_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    for obj, name in [
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"a": Trap(tmp_path / "trap")}, "getattr|touch"),
        ({"a": {1, 2}}, "set|EMPTY_SET"),
        ({"a": Counter("aa")}, "collections.Counter"),
        ({"a": torch.float32}, "torch.float32"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "ComplexFloatStorage"),
        ({"a": np.float32(2)}, "numpy"),
    ]:
        with pytest.raises(UnpicklingError, match=name):
            load(saved_by_torch(torch, obj))
    assert not (tmp_path / "trap").exists()
    with pytest.raises(RuntimeError, match="before version 1.6"):
        load(saved_by_torch(torch, {"a": torch.ones(2)}, _use_new_zipfile_serialization=False))
    with pytest.raises(RuntimeError, match="before version 1.6"):
        load(io.BytesIO(pickle.dumps({"a": 1})))


def archive(program, entries=(("0", bytes(8)),), root="archive", compression=zipfile.ZIP_STORED, order=None):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        target.writestr(f"{root}/data.pkl", program)
        if order:
            target.writestr(f"{root}/byteorder", order)
        for key, content in entries:
            target.writestr(f"{root}/data/{key}", content)
    file.seek(0)
    return file


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value):
    return b"J" + struct.pack("<i", value)


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def storage(key="0", size=2, kind="FloatStorage"):
    return b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + number(size) + b"tQ"


def tuple_of(*numbers):
    return b"(" + b"".join(map(number, numbers)) + b"t"


def tensor(source=None, offset=0, shape=(2,), stride=(1,)):
    arguments = (source or storage()) + number(offset) + tuple_of(*shape) + tuple_of(*stride)
    return (
        name("torch._utils", "_rebuild_tensor_v2")
        + b"("
        + arguments
        + b"\x89"
        + name("collections", "OrderedDict")
        + b")RtR"
    )


def test_the_handwritten_pickles_are_right():
    numbers = np.float32([1, 2]).tobytes()
    found = load(archive(b"\x80\x02}" + text("a") + tensor() + b"s.", [("0", numbers)]))
    np.testing.assert_array_equal(found["a"]._data, np.float32([1, 2]))
    found = load(archive(tensor() + b".", [("0", np.array([1, 2], ">f4").tobytes())], order="big"))
    np.testing.assert_array_equal(found._data, np.float32([1, 2]))
    found = load(archive(tensor(storage(size=1), shape=(3, 0), stride=(5, 7)) + b".", [("0", bytes(4))]))
    assert found.shape == (3, 0)
    assert load(archive(b"].")) == []


DAG = b")" + b"2\x86" * 60  # (((), ()), ...): 2^60 items when walked through naively
HOSTILE = {
    "system": name("os", "system") + b"(" + text("touch trap") + b"tR.",
    "stack-global": b"\x80\x04" + text("builtins") + text("eval") + b"\x93(" + text("1") + b"tR.",
    "stack-global-number": text("torch") + number(1) + b"\x93.",
    "getattr": name("builtins", "getattr") + b".",
    "torch-load": name("torch", "load") + b"(" + text("x") + b"tR.",
    "dotted": name("torch._utils", "_rebuild_tensor_v2.__globals__") + b".",
    "inst": b"(" + text("x") + b"ios\nsystem\n.",
    "obj": b"(" + name("torch", "Size") + text("x") + b"o.",
    "newobj": name("torch", "Size") + b")\x81.",
    "newobj-ex": name("torch", "Size") + b")}\x92.",
    "extension": b"\x82\x01.",
    "persid": b"P0\n.",
    "buffer": b"\x97.",
    "set": b"\x8f.",
    "bytes": b"C\x01x.",
    "dup-pop": b"N02.",
    "call-number": number(1) + b")R.",
    "call-storage-class": name("torch", "FloatStorage") + b")R.",
    "call-no-tuple": name("collections", "OrderedDict") + b"]R.",
    "ordered-dict-items": name("collections", "OrderedDict") + b"(]tR.",
    "size-of-text": name("torch", "Size") + b"(" + text("ab") + b"tR.",
    "parameter-of-number": name("torch._utils", "_rebuild_parameter") + b"(" + number(1) + b"tR.",
    "parameter-of-nothing": name("torch._utils", "_rebuild_parameter") + b")R.",
    "build": b"}}b.",
    "name-as-value": name("torch", "FloatStorage") + b".",
    "name-in-list": b"]" + name("torch", "FloatStorage") + b"a.",
    "name-in-tuple": name("torch", "FloatStorage") + b"\x85.",
    "name-in-dict": b"}" + text("a") + name("torch", "FloatStorage") + b"s.",
    "storage-as-value": storage() + b".",
    "mark-as-value": b"(.",
    "mark-in-memo": b"(q\x00.",
    "mark-in-tuple": b"((\x85.",
    "empty": b"",
    "no-end": b"N",
    "two-values": b"NN.",
    "no-value": b".",
    "underflow": b"\x86.",
    "no-mark": b"t.",
    "memo": b"h\x07.",
    "append-to-dict": b"}Na.",
    "set-item-of-list": b"]NNs.",
    "odd-items": b"}(Nu.",
    "list-as-key": b"}]Ns.",
    "tuple-as-key": b"}" + DAG + b"Ns.",
    "tensor-as-key": b"}" + tensor() + b"Ns.",
    "unknown-opcode": b"\xff.",
    "truncated-text": b"X\xff\xff\xff\x7fabc",
    "negative-long": b"\x8b\xff\xff\xff\xff.",
    "storage-of-tensor": tensor(tensor()) + b".",
    "storage-key": b"(" + text("storage") + name("torch", "FloatStorage") + DAG + text("cpu") + number(2) + b"tQ.",
    "storage-kind": b"(" + DAG + name("torch", "FloatStorage") + text("0") + text("cpu") + number(2) + b"tQ.",
    "storage-tensor": b"(" + tensor() + name("torch", "FloatStorage") + text("0") + text("cpu") + number(2) + b"tQ.",
    "storage-function": b"(" + text("storage") + name("torch", "Size") + text("0") + text("cpu") + number(2) + b"tQ.",
    "storage-short": b"(" + text("storage") + name("torch", "FloatStorage") + b"tQ.",
    "storage-text": text("storage") + b"Q.",
    "storage-negative": tensor(storage(size=-1)) + b".",
    "storage-boolean": b"(" + text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + b"\x88tQ.",
    "offset": tensor(offset=1) + b".",
    "offset-negative": tensor(offset=-1) + b".",
    "shape": tensor(shape=(3,)) + b".",
    "shape-negative": tensor(shape=(-1,)) + b".",
    "stride": tensor(stride=(2,)) + b".",
    "stride-negative": tensor(offset=1, stride=(-1,)) + b".",
    "stride-zero": tensor(shape=(2, 1000), stride=(1, 0)) + b".",
    "stride-count": tensor(shape=(1, 1), stride=(1,)) + b".",
    "dims": tensor(shape=(1,) * 70, stride=(1,) * 70) + b".",
    "shape-dag": name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage() + number(0) + DAG + DAG + b"tR.",
    "huge-empty": tensor(shape=(0, 2**31 - 1, 2**31 - 1, 2**31 - 1), stride=(1, 1, 1, 1)) + b".",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UnpicklingError, RuntimeError)):
        load(archive(HOSTILE[case]))
    assert list(tmp_path.iterdir()) == []


ARCHIVES = {
    "missing": (archive(tensor() + b".", []), "data/0 is missing"),
    "short": (archive(tensor() + b".", [("0", bytes(7))]), "has 7 bytes, but 2 elements of FloatStorage"),
    "long": (archive(tensor() + b".", [("0", bytes(9))]), "has 9 bytes"),
    "compressed": (archive(tensor() + b".", compression=zipfile.ZIP_DEFLATED), "entries are compressed"),
    "bool": (
        archive(tensor(storage(kind="BoolStorage")) + b".", [("0", b"\x00\x07")]),
        "booleans other than 0 and 1",
    ),
    "two-ways": (
        archive(b"]" + tensor() + b"a" + tensor(storage(size=1), shape=(1,)) + b"a."),
        "referred to in two ways",
    ),
    "two-kinds": (
        archive(b"]" + tensor() + b"a" + tensor(storage(kind="IntStorage")) + b"a."),
        "referred to in two ways",
    ),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_bad_archives(case):
    file, message = ARCHIVES[case]
    file.seek(0)
    with pytest.raises((RuntimeError, UnpicklingError), match=message):
        load(file)


@pytest.mark.parametrize(
    ("program", "wanted"),
    [
        (b"(" + number(1) + number(2) + b"l.", [1, 2]),
        (b"(" + text("a") + number(1) + b"d.", {"a": 1}),
        (b"(l.", []),
        (b"(" + number(3) + b"t.", (3,)),
    ],
)
def test_opcodes_of_old_pickles(program, wanted):
    assert load(archive(program)) == wanted


def test_truncated_and_damaged_archives():
    raw = archive(b"}" + text("a") + tensor() + b"s.").getvalue()
    for cut in range(4, len(raw), 7):
        with pytest.raises(RuntimeError, match="corrupt"):
            load(io.BytesIO(raw[:cut]))
    start = raw.index(bytes(8))
    with pytest.raises(RuntimeError, match="CRC"):
        load(io.BytesIO(raw[:start] + b"\x01" + raw[start + 1 :]))


@given(st.data())
def test_damaged_pickles_raise_or_load(data):
    program = bytearray(b"\x80\x02}(" + text("a") + tensor() + text("b") + tuple_of(1, 2) + b"q\x01u.")
    for _ in range(25):
        damaged = bytearray(program)
        for _ in range(data.draw(st.integers(1, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(UnpicklingError, RuntimeError):
            load(archive(bytes(damaged)))


def test_every_storage_is_known():
    torch = pytest.importorskip("torch")
    assert all(hasattr(torch, kind) for kind in STORAGES)
