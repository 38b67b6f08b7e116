"""Containers: modules, and parameters, in sequences and mappings."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import Any, TypeVar

from ..tensor import Tensor
from .fusion import Run, fused, runs
from .module import Module
from .parameter import Parameter

S = TypeVar("S", bound="_ModuleSequence")


def _position(what: str, i: Any, length: int) -> int:
    i = index(i)
    if not -length <= i < length:
        raise IndexError(f"index {i} is out of range for a {what} of length {length}")
    return i % length


class _ModuleSequence(Module):
    """Child modules named 0, 1, 2, ...: what `Sequential` and `ModuleList` share."""

    def _replace(self, modules: Iterable[Module]) -> None:
        new = list(modules)
        for name in list(self._modules):
            self._drop(name)
        for i, module in enumerate(new):
            self.add_module(str(i), module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._modules.values()))  # type: ignore[arg-type]

    def _name(self, i: Any) -> str:
        return list(self._modules)[_position(type(self).__name__, i, len(self))]

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return self._slice(list(self._modules.items())[i])
        return self._modules[self._name(i)]

    def _slice(self, items: list[tuple[str, Any]]) -> Any:
        raise NotImplementedError

    def __setitem__(self, i: int, module: Module) -> None:
        setattr(self, self._name(i), module)

    def __delitem__(self, i: Any) -> None:
        names = list(self._modules)
        gone = set(names[i] if isinstance(i, slice) else [self._name(i)])
        self._replace([m for name, m in self._modules.items() if name not in gone])  # type: ignore[misc]

    def append(self: S, module: Module) -> S:
        """Add a module at the end; returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self: S, i: int, module: Module) -> S:
        """Add a module before position `i`; returns the container."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        modules = list(self)
        if not -len(modules) <= i <= len(modules):
            raise IndexError(f"Index out of range: {i}")
        modules.insert(i, module)
        self._replace(modules)
        return self

    def extend(self: S, modules: Iterable[Module]) -> S:
        """Add modules at the end; returns the container."""
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, i: int = -1) -> Module:
        """Take the module at position `i` out and return it."""
        module = self[i]
        del self[i]
        return module


class Sequential(_ModuleSequence):
    """Modules one after the other, each fed with the output of the one before.

    Layers with the activation that follows them are computed in one operation where that is possible (see
    `nn.fusion`); results are the same.

    Parameters
    ----------
    *args : Module
        The modules; or one `OrderedDict` from names to modules.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> net = ag.nn.Sequential(ag.nn.Linear(4, 8), ag.nn.ReLU(), ag.nn.Linear(8, 2))
    >>> net(ag.ones(5, 4)).shape
    autograd_lite.Size([5, 2])
    >>> net[:2]
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
    )
    """

    _divided: tuple[Any, list[Run]] = ((), [])
    """The modules as they were at the last call, and their runs."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def forward(self, input: Any) -> Any:
        """The output of the last module."""
        modules: Any = tuple(self._modules.values())
        if modules != self._divided[0]:
            self.__dict__["_divided"] = modules, runs(modules)
        for run, maker in self._divided[1]:
            whole = fused(run, maker)
            if whole is not None:
                input = whole(input)
            else:
                for module in run:
                    input = module(input)
        return input

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_divided"}

    def _slice(self, items: list[tuple[str, Any]]) -> Sequential:
        return type(self)(OrderedDict(items))

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            return NotImplemented
        return Sequential(*self, *other)


class ModuleList(_ModuleSequence):
    """A list of modules, whose parameters are found; it has no forward of its own.

    Parameters
    ----------
    modules : iterable of Module, optional

    Examples
    --------
    >>> import autograd_lite as ag
    >>> layers = ag.nn.ModuleList(ag.nn.Linear(3, 3) for _ in range(4))
    >>> len(layers), len(list(layers.parameters()))
    (4, 8)
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def _slice(self, items: list[tuple[str, Any]]) -> ModuleList:
        return type(self)(module for _, module in items)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> ModuleList:
        return self.extend(other)


class ModuleDict(Module):
    """A dictionary of modules, whose parameters are found; it has no forward of its own.

    Parameters
    ----------
    modules : mapping or iterable of pairs, optional
        From names to modules.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> heads = ag.nn.ModuleDict({"digit": ag.nn.Linear(8, 10), "letter": ag.nn.Linear(8, 26)})
    >>> heads["letter"](ag.ones(1, 8)).shape
    autograd_lite.Size([1, 26])
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        self.update(modules or {})

    def update(self, modules: Any) -> None:
        """Add modules from a mapping, or from pairs of name and module."""
        for name, module in modules.items() if hasattr(modules, "items") else modules:
            self[name] = module

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]  # type: ignore[return-value]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        if name not in self._modules:
            raise KeyError(name)
        self._drop(name)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._modules))

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def keys(self) -> Any:
        """The names."""
        return self._modules.keys()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def items(self) -> Any:
        """Pairs of name and module."""
        return self._modules.items()

    def pop(self, name: str) -> Module:
        """Take a module out and return it."""
        module = self[name]
        del self[name]
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for name in self:
            self._drop(name)


def _as_parameter(value: Any) -> Any:
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


class ParameterList(Module):
    """A list of parameters that a module finds; plain tensors become parameters.

    Parameters
    ----------
    values : iterable of Tensor, optional

    Examples
    --------
    >>> import autograd_lite as ag
    >>> weights = ag.nn.ParameterList([ag.zeros(2), ag.ones(2, 3)])
    >>> len(weights), weights[1].requires_grad
    (2, True)
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        self.extend(values or ())

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self._size))

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return ParameterList(self[j] for j in range(self._size)[i])
        return getattr(self, str(_position("ParameterList", i, self._size)))

    def __setitem__(self, i: int, value: Any) -> None:
        setattr(self, str(_position("ParameterList", i, self._size)), _as_parameter(value))

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end; returns the list."""
        setattr(self, str(self._size), _as_parameter(value))
        self._size += 1
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end; returns the list."""
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def extra_repr(self) -> str:
        return "\n".join(f"({i}): {_described(value)}" for i, value in enumerate(self))


class ParameterDict(Module):
    """A dictionary of parameters that a module finds; plain tensors become parameters.

    Parameters
    ----------
    parameters : mapping or iterable of pairs, optional
        From names to tensors.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> scales = ag.nn.ParameterDict({"left": ag.ones(2), "right": ag.ones(3)})
    >>> sorted(scales.keys())
    ['left', 'right']
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self.update(parameters or {})

    def update(self, parameters: Any) -> None:
        """Add parameters from a mapping, or from pairs of name and tensor."""
        for name, value in parameters.items() if hasattr(parameters, "items") else parameters:
            self[name] = value

    def __getitem__(self, name: str) -> Any:
        return self._parameters[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.register_parameter(name, _as_parameter(value))

    def __delitem__(self, name: str) -> None:
        if name not in self._parameters:
            raise KeyError(name)
        self._drop(name)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._parameters))

    def __contains__(self, name: str) -> bool:
        return name in self._parameters

    def keys(self) -> Any:
        """The names."""
        return self._parameters.keys()

    def values(self) -> Any:
        """The parameters."""
        return self._parameters.values()

    def items(self) -> Any:
        """Pairs of name and parameter."""
        return self._parameters.items()

    def extra_repr(self) -> str:
        return "\n".join(f"({name}): {_described(value)}" for name, value in self.items())


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    size = "x".join(map(str, value.shape))
    return f"{type(value).__name__} containing: [{value.dtype!r} of size {size}]"
