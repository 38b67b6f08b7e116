"""`Tensor`: an array, its gradient, and the node that made it.

This class holds state and answers questions about it. Everything that computes (arithmetic, reductions,
indexing, ...) lives in `ops` and is attached to the class there by the decorator `method`.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import dtypes
from .autograd.grad_mode import state
from .autograd.graph import Node, clock, edge, run_backward
from .device import CPU, device
from .printing import format_tensor

F = TypeVar("F", bound=Callable[..., Any])
ndarray = np.ndarray


class Size(tuple[int, ...]):
    """The shape of a tensor: a tuple of ints that can also count the elements.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.zeros(2, 3).shape
    autograd_lite.Size([2, 3])
    >>> ag.zeros(2, 3).shape.numel()
    6
    """

    __slots__ = ()

    def numel(self) -> int:
        return math.prod(self)

    def __repr__(self) -> str:
        return f"autograd_lite.Size([{', '.join(map(str, self))}])"


class RemovableHandle:
    """What registering a hook returns; `remove` takes the hook off again. Also a context manager."""

    def __init__(self, hooks: Any, hook: Any) -> None:
        self._hooks: Any = hooks
        self._hook = hook

    def remove(self) -> None:
        if self._hooks is not None and self._hook in self._hooks:
            self._hooks.remove(self._hook)
        self._hooks = None

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def _array_of(data: Any) -> np.ndarray:
    """What `Tensor` wraps where it is not given a plain array."""
    if isinstance(data, (np.ndarray, np.generic)):
        return np.asanyarray(data)
    if isinstance(data, Tensor):
        return data._data
    if isinstance(data, (list, tuple)):
        return np.array(data, dtypes.get_default_dtype().dtype)
    raise TypeError(f"Tensor() expects an array or a list, got {type(data).__name__}; see ag.tensor and ag.empty")


class Tensor:
    """An n-dimensional array that can record what is computed from it.

    Make tensors with `ag.tensor`, `ag.zeros`, `ag.randn`, ...; this constructor wraps a NumPy array as it
    is, without a copy and without checks. A list of numbers becomes a tensor of the default dtype.

    Attributes
    ----------
    grad : Tensor or None
        The gradient, accumulated by `backward`; None until the first pass.
    requires_grad : bool
        Whether operations on this tensor are recorded.
    is_leaf : bool
        True unless the tensor is the result of a recorded operation.
    grad_fn : Node or None
        The node that made it.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    # Defaults on the class keep the constructor, which every operation pays for, at two assignments.
    _node: Node | None = None
    _requires_grad = False
    _grad: Tensor | None = None
    _hooks: list[Callable[..., Any]] | None = None
    _post_hooks: list[Callable[..., Any]] | None = None
    _inference = False
    # Views: the tensor that owns the storage, and how often its history had been rewritten by in-place
    # operations when this view's own node was made. A view that is behind takes a new node from its base.
    _base: Tensor | None = None
    _stamp = 0
    _rebased = 0
    _no_grad_view = False

    __array_priority__ = 1000

    def __init__(self, data: Any) -> None:
        if type(data) is not ndarray:
            data = _array_of(data)
        self._data: np.ndarray = data
        self._counter = [0, 0]  # in-place changes, time of the last; one list per storage, shared by its views

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...

    # What it is

    @property
    def shape(self) -> Size:
        return Size(self._data.shape)

    @property
    def dtype(self) -> dtypes.dtype:
        return dtypes.from_numpy_dtype(self._data.dtype)

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def device(self) -> device:
        return CPU

    @property
    def itemsize(self) -> int:
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        return self._data.nbytes

    is_cuda = False
    is_sparse = False

    def dim(self) -> int:
        return self._data.ndim

    ndimension = dim

    def numel(self) -> int:
        return self._data.size

    nelement = numel

    def element_size(self) -> int:
        return self._data.itemsize

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the extent of one dimension."""
        return self.shape if dim is None else self._data.shape[self._dim(dim)]

    def stride(self, dim: int | None = None) -> Any:
        """Elements (not bytes) from one index to the next, for each dimension or for one."""
        strides = tuple(s // self._data.itemsize for s in self._data.strides)
        return strides if dim is None else strides[self._dim(dim)]

    def storage_offset(self) -> int:
        """Elements from the start of the storage to this tensor's first element."""
        base = self._base
        if base is None:
            return 0
        return (self.data_ptr() - base.data_ptr()) // self._data.itemsize

    def data_ptr(self) -> int:
        return self._data.__array_interface__["data"][0]

    def is_contiguous(self) -> bool:
        return self._data.flags.c_contiguous

    def is_floating_point(self) -> bool:
        return self._data.dtype.kind == "f"

    def is_complex(self) -> bool:
        return False

    def is_inference(self) -> bool:
        return self._inference

    def is_shared(self) -> bool:
        return False

    def _dim(self, dim: int) -> int:
        ndim = self._data.ndim
        span = max(ndim, 1)
        if not -span <= dim < span:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], but got {dim})"
            )
        return dim % span

    # Gradients

    @property
    def grad(self) -> Tensor | None:
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"assigned grad expected to be a Tensor or None but got {type(value).__name__}")
            if value._data.shape != self._data.shape or value._data.dtype != self._data.dtype:
                raise RuntimeError(
                    f"assigned grad has shape {tuple(value.shape)} and dtype {value.dtype}; the tensor has "
                    f"shape {tuple(self.shape)} and dtype {self.dtype}"
                )
            if value is self:
                raise RuntimeError("can't assign Tensor as its own grad")
        self._grad = value

    @property
    def requires_grad(self) -> bool:
        self._refresh()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Start (or, for a leaf, stop) recording operations on this tensor, in place.

        Raises
        ------
        RuntimeError
            If the dtype is not floating point, or if a non-leaf should stop.
        """
        if requires_grad and self._data.dtype.kind != "f":
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, this one has {self.dtype}"
            )
        if not self.is_leaf:
            if not requires_grad:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed "
                    "variable in a subgraph that doesn't require differentiation use "
                    "var_no_grad = var.detach()."
                )
            return self
        if requires_grad and self._inference and not state.inference:
            raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode")
        self._requires_grad = bool(requires_grad)
        return self

    @property
    def is_leaf(self) -> bool:
        self._refresh()
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        self._refresh()
        node = self._node
        return node.inputs[0] if node is not None and node.slot is not None else node

    @property
    def retains_grad(self) -> bool:
        watch = None if self._node is None else self._node.watch
        return watch is not None and watch.retained is not None and watch.retained() is self

    def retain_grad(self) -> None:
        """Fill ``.grad`` in the backward pass although this tensor is not a leaf."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self._node is not None:
            self._node.watched().retained = weakref.ref(self)

    @property
    def _version(self) -> int:
        return self._counter[0]

    def _bump(self) -> None:
        """Note that the storage was changed in place; every in-place operation must call it."""
        counter = self._counter
        counter[0] += 1
        counter[1] = clock()

    _rejoin: Callable[[Tensor], None]  # set by `ops.inplace`

    def _refresh(self) -> None:
        """Bring the node of a view up to date with in-place changes made through its base or siblings."""
        base = self._base
        if base is not None and base._rebased != self._stamp:
            self._rejoin(base)

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Sequence[Tensor] | Tensor | None = None,
    ) -> None:
        """Add the gradient of this tensor to the ``.grad`` of the leaves that it was computed from.

        Parameters
        ----------
        gradient : Tensor, optional
            The gradient of the final result with respect to this tensor, of the same shape; may be left
            out for a tensor of one element (then it is 1).
        retain_graph : bool, optional
            Keep the saved tensors, so that `backward` can be called again. Default: `create_graph`.
        create_graph : bool
            Record the backward pass too, for derivatives of higher order.
        inputs : sequence of Tensor, optional
            Accumulate into these leaves only.

        Raises
        ------
        RuntimeError
            If nothing was recorded, if `gradient` is missing or has the wrong shape, if the saved tensors
            are gone (second call without ``retain_graph=True``), or if one of them was changed in place.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> x = ag.tensor(3.0, requires_grad=True)
        >>> (x ** 2).backward()
        >>> x.grad
        tensor(6.)
        """
        root = (root_target(self), seed(self, gradient))
        wanted = None
        if inputs is not None:
            wanted = [leaf_target(t) for t in ([inputs] if isinstance(inputs, Tensor) else inputs)]
            if not wanted:
                raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        keep = create_graph if retain_graph is None else retain_graph
        run_backward([root], keep_graph=keep, create_graph=create_graph, inputs=wanted)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook` with the gradient of this tensor in every backward pass; it may return another.

        Raises
        ------
        RuntimeError
            If the tensor does not require a gradient.
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self._node is not None:
            hooks = self._node.watched().hooks
        else:
            if self._hooks is None:
                self._hooks = []
            hooks = self._hooks
        hooks.append(hook)
        return RemovableHandle(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `hook` with this leaf each time its ``.grad`` has been updated."""
        if not self.is_leaf:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        if self._post_hooks is None:
            self._post_hooks = []
        self._post_hooks.append(hook)
        return RemovableHandle(self._post_hooks, hook)

    def detach(self) -> Tensor:
        """The same data, outside the graph. Shares storage: in-place changes are seen by both."""
        result = Tensor(self._data)
        result._counter = self._counter
        return result

    def detach_(self) -> Tensor:
        """Take this tensor out of the graph, in place; it becomes a leaf."""
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead")
        self._node, self._requires_grad = None, False
        return self

    @property
    def data(self) -> Tensor:
        return Tensor(self._data)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be a Tensor, got {type(value).__name__}")
        self._data = value._data

    # To Python and NumPy

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The array itself: shares memory with the tensor.

        Raises
        ------
        RuntimeError
            If the tensor requires a gradient (use ``t.detach().numpy()``, or ``force=True``).
        """
        if self.requires_grad and not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
            )
        return self._data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Any:
        """What NumPy's own functions give for tensors: tensors too, where there is such a dtype."""
        return Tensor(array) if array.dtype in dtypes.SUPPORTED else array

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return self._data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._data.__dlpack_device__()

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self._data.size != 1:
            raise RuntimeError(
                f"a Tensor with {self._data.size} elements cannot be converted to Scalar"
            )
        return self._data.item()

    def tolist(self) -> Any:
        return self._data.tolist()

    def cpu(self) -> Tensor:
        return self

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._data.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self._data.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __bool__(self) -> bool:
        if self._data.size != 1:
            state_of = "no values" if self._data.size == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {state_of} is ambiguous")
        return bool(self._data.item())

    def _number(self) -> Any:
        if self._data.size != 1:
            raise ValueError(
                f"only one element tensors can be converted to Python scalars, this one has shape {self._data.shape}"
            )
        return self._data.item()

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def __index__(self) -> int:
        if self._data.size != 1 or self._data.dtype.kind == "f":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self._data.item())

    def __reversed__(self) -> Tensor:
        return self.flip(0) if self._data.ndim else self

    def __contains__(self, element: Any) -> bool:
        return bool((self == element).any())

    __hash__ = object.__hash__

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return format_tensor(self)

    def __format__(self, spec: str) -> str:
        if spec and self._data.ndim == 0:
            return format(self.item(), spec)
        return object.__format__(self, spec) if spec else str(self)

    # Copies

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol "
                "at the moment; use t.detach().clone() for a computed one"
            )
        result = type(self).__new__(type(self))
        Tensor.__init__(result, self._data.copy())
        result._requires_grad = self._requires_grad
        memo[id(self)] = result
        if self._grad is not None:
            result._grad = Tensor(self._grad._data.copy())
        return result

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (_rebuild, (type(self), np.asarray(self._data, order="C"), self.requires_grad))


def _rebuild(kind: type[Tensor], data: np.ndarray, requires_grad: bool) -> Tensor:
    result = kind.__new__(kind)
    Tensor.__init__(result, data)
    result._requires_grad = requires_grad
    return result


def method(function: F, *, name: str | None = None) -> F:
    """Attach an operation to `Tensor` as a method; returns it unchanged."""
    setattr(Tensor, name or function.__name__, function)
    return function


def root_target(tensor: Tensor) -> Any:
    """Where a backward pass from `tensor` starts."""
    if not tensor.requires_grad:
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    return edge(tensor)


def leaf_target(tensor: Tensor) -> Any:
    if not tensor.requires_grad:
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    return edge(tensor)


def seed(tensor: Tensor, gradient: Tensor | None) -> Tensor:
    """The gradient that a backward pass from `tensor` starts with, checked."""
    data = tensor._data
    if gradient is None:
        if data.size != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for scalar outputs, this one has shape {data.shape}; "
                "pass `gradient`, a tensor of that shape"
            )
        one = np.empty(data.shape, data.dtype)
        one.fill(1)
        return Tensor(one)
    if not isinstance(gradient, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(gradient).__name__}")
    if gradient._data.shape != data.shape:
        raise RuntimeError(
            f"Mismatch in shape: gradient has a shape of {gradient._data.shape} and the output has a shape of "
            f"{data.shape}"
        )
    if gradient._data.dtype != data.dtype:
        return gradient.to(tensor.dtype)
    return gradient
