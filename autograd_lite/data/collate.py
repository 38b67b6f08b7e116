"""From a list of samples to a batch."""

from __future__ import annotations

import collections.abc
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from ..dtypes import from_numpy_dtype, promote
from ..kernels import memory
from ..ops.joining import stack
from ..tensor import Tensor


def _stack(samples: list[np.ndarray]) -> Tensor:
    first = samples[0]
    for i, sample in enumerate(samples):
        if sample.shape != first.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first.shape)} at entry 0 and "
                f"{list(sample.shape)} at entry {i}"
            )
    for sample in samples:
        from_numpy_dtype(sample.dtype)  # TypeError for what tensors cannot hold
    dtype = reduce(promote, (sample.dtype for sample in samples))
    out = memory.empty((len(samples), *first.shape), dtype)
    if first.ndim == 0:
        out[...] = samples
    else:
        for i, sample in enumerate(samples):
            out[i] = sample
    return Tensor(out)


def default_collate(batch: Sequence[Any]) -> Any:
    """Put samples together along a new first dimension.

    Tensors and NumPy arrays are stacked; numbers become a tensor (float64, int64 or bool); strings and bytes
    stay as they are; dicts, tuples and lists are collated item by item.

    Parameters
    ----------
    batch : list
        Samples of the same structure; tensors among them of the same shape.

    Raises
    ------
    TypeError
        If a sample holds something else.
    RuntimeError
        If shapes or lengths differ.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.utils.data.default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    >>> ag.utils.data.default_collate([{"x": ag.zeros(2)}, {"x": ag.ones(2)}])["x"]
    tensor([[0., 0.],
            [1., 1.]])
    """
    sample = batch[0]
    if isinstance(sample, Tensor):
        if any(t.requires_grad for t in batch):
            return stack(list(batch))
        return _stack([t._data for t in batch])
    if isinstance(sample, (np.ndarray, np.generic)):
        arrays = [np.asarray(a) for a in batch]
        return _stack(arrays)
    if isinstance(sample, bool):
        return Tensor(np.array(batch, np.bool_))
    if isinstance(sample, int):
        return Tensor(np.array(batch, np.int64))
    if isinstance(sample, float):
        return Tensor(np.array(batch, np.float64))
    if isinstance(sample, (str, bytes)):
        return batch
    if isinstance(sample, collections.abc.Mapping):
        collated = {key: default_collate([d[key] for d in batch]) for key in sample}
        return _rebuild(sample, collated)
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return type(sample)(*(default_collate(column) for column in zip(*batch, strict=True)))
    if isinstance(sample, collections.abc.Sequence):
        if any(len(s) != len(sample) for s in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return columns if isinstance(sample, tuple) else _rebuild(sample, columns)
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{type(sample).__name__}"
    )


def default_convert(data: Any) -> Any:
    """Turn the NumPy arrays in a sample into tensors and leave everything else; for ``batch_size=None``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> import numpy as np
    >>> ag.utils.data.default_convert([np.array([1, 2]), "name"])
    [tensor([1, 2]), 'name']
    """
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind in "biuf":
        return Tensor(np.asarray(data))
    if isinstance(data, collections.abc.Mapping):
        return _rebuild(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(item) for item in data))
    if isinstance(data, tuple):
        return [default_convert(item) for item in data]
    if isinstance(data, collections.abc.Sequence) and not isinstance(data, (str, bytes)):
        return _rebuild(data, [default_convert(item) for item in data])
    return data


def _rebuild(like: Any, content: Any) -> Any:
    """`content` as the type of `like`, or as it is where that type's constructor will not take it."""
    try:
        return type(like)(content)
    except TypeError:
        return content
