"""`Module`: what owns parameters and knows how to compute with them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from .. import dtypes
from ..tensor import RemovableHandle, Tensor
from ..tensor import device as check_device
from .hooks import Hook, Hooks
from .parameter import Parameter
from .state import IncompatibleKeys, load

M = TypeVar("M", bound="Module")


class Module:
    """The base class of all layers and networks.

    Subclasses call ``super().__init__()``, assign parameters, buffers and child modules to attributes, and
    define ``forward``. Calling the module runs ``forward``, with hooks if there are any.

    Attributes
    ----------
    training : bool
        Whether the module is in training mode (see `train`); dropout and batch norm look at it.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> class Shifted(ag.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.linear = ag.nn.Linear(3, 2)
    ...         self.shift = ag.nn.Parameter(ag.zeros(2))
    ...     def forward(self, x):
    ...         return self.linear(x) + self.shift
    >>> net = Shifted()
    >>> net(ag.ones(5, 3)).shape
    autograd_lite.Size([5, 2])
    >>> [name for name, _ in net.named_parameters()]
    ['shift', 'linear.weight', 'linear.bias']
    >>> net
    Shifted(
      (linear): Linear(in_features=3, out_features=2, bias=True)
    )
    """

    # Every parameter, buffer and child stands in its register below and, under the same name, among the plain
    # attributes, where Python finds it fastest. `_keep` and `_drop` are the only places that change the two.
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent: set[str]
    _hooks: Hooks | None = None
    training: bool

    def __init__(self) -> None:
        self.__dict__.update(training=True, _parameters={}, _buffers={}, _modules={}, _non_persistent=set())

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it.

        Raises
        ------
        NotImplementedError
            If it does not.
        """
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return self._hooks.call(self, args, kwargs)

    # Registers

    def _register(self, register: str, kind: str) -> dict[str, Any]:
        found = self.__dict__.get(register)
        if found is None:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        return found

    def _drop(self, name: str) -> bool:
        """Forget the parameter, buffer or child `name`; tell whether there was one."""
        for register in ("_parameters", "_buffers", "_modules"):
            entries = self.__dict__.get(register, {})
            if name in entries:
                del entries[name]
                self._non_persistent.discard(name)
                self.__dict__.pop(name, None)
                return True
        return False

    def _keep(self, register: str, name: str, value: Any) -> None:
        entries = self.__dict__[register]
        if name not in entries:
            self._drop(name)
        entries[name] = self.__dict__[name] = value

    def _check_name(self, kind: str, name: Any, entries: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name!r}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in entries:
            raise KeyError(f"attribute {name!r} already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, to be reached as attribute `name`; None reserves the name.

        Raises
        ------
        KeyError
            If the name is taken, empty, or has a dot in it.
        TypeError
            If `param` is not a `Parameter`.
        ValueError
            If `param` is not a leaf.
        """
        entries = self._register("_parameters", "parameter")
        self._check_name("parameter", name, entries)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign {type(param).__name__!r} object to parameter {name!r} (nn.Parameter or None "
                    "required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter {name!r}. Model parameters must be created "
                    f"explicitly. To express {name!r} as a function of another Tensor, compute the value in the "
                    "forward() method."
                )
        self._keep("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the module's state but not trained, such as a running mean.

        Parameters
        ----------
        name : str
            The attribute by which it is reached.
        tensor : Tensor or None
            None reserves the name.
        persistent : bool
            Whether it belongs to the `state_dict`.

        Raises
        ------
        KeyError
            If the name is taken, empty, or has a dot in it.
        TypeError
            If `tensor` is not a tensor.
        """
        entries = self._register("_buffers", "buffer")
        self._check_name("buffer", name, entries)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign {type(tensor).__name__!r} object to buffer {name!r} (Tensor or None required)"
            )
        self._keep("_buffers", name, tensor)
        if persistent:
            self._non_persistent.discard(name)
        else:
            self._non_persistent.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module, to be reached as attribute `name`.

        Raises
        ------
        KeyError
            If the name is taken, empty, or has a dot in it.
        TypeError
            If `module` is not a `Module`.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        entries = self._register("_modules", "module")
        self._check_name("module", name, entries)
        self._keep("_modules", name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """Another name of `add_module`."""
        self.add_module(name, module)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            entries = self._register("_parameters", "parameters")
            if name not in entries:
                self.__dict__.pop(name, None)
                self._drop(name)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._register("_modules", "module")
            self.__dict__.pop(name, None)
            self._keep("_modules", name, value)
        else:
            self._set_other(name, value)

    def _set_other(self, name: str, value: Any) -> None:
        state = self.__dict__
        kind = "parameter (nn.Parameter" if name in state.get("_parameters", ()) else None
        kind = "child module (nn.Module" if name in state.get("_modules", ()) else kind
        kind = "buffer (Tensor" if name in state.get("_buffers", ()) else kind
        if kind is None:
            object.__setattr__(self, name, value)
            return
        what, expected = kind.split(" (")
        if value is not None and not (what == "buffer" and isinstance(value, Tensor)):
            raise TypeError(
                f"cannot assign {type(value).__name__!r} object as {what} {name!r} ({expected} or None expected)"
            )
        register = {"parameter": "_parameters", "child module": "_modules", "buffer": "_buffers"}[what]
        state[register][name] = state[name] = value

    def __delattr__(self, name: str) -> None:
        if not self._drop(name):
            object.__delattr__(self, name)

    # Walking the tree

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module (named `prefix`) and everything below it, with dotted names, each module once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, below, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and everything below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, with their names, each once."""
        memo = set()
        for name, module in self._modules.items():
            if module is not None and module not in memo:
                memo.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below, each once."""
        return (module for _, module in self.named_children())

    def _named(self, register: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        memo: set[int] = set()
        tree = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in tree:
            for name, value in getattr(module, register).items():
                if value is None or id(value) in memo:
                    continue
                if remove_duplicate:
                    memo.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names, each once.

        Parameters
        ----------
        prefix : str
            Put before every name.
        recurse : bool
            Include the parameters of the modules below.
        remove_duplicate : bool
            List a shared parameter only once.
        """
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once; what an optimizer is given.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> sum(p.numel() for p in ag.nn.Linear(3, 2).parameters())
        8
        """
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted names, each once; see `named_parameters`."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module with the dotted name `target` (the empty name is this module).

        Raises
        ------
        AttributeError
            If there is none.
        """
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def _get(self, target: str, register: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        if name not in getattr(module, register):
            raise AttributeError(f"`{name}` is not {kind}")
        return getattr(module, name)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with the dotted name `target`; AttributeError if there is none."""
        return self._get(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with the dotted name `target`; AttributeError if there is none."""
        return self._get(target, "_buffers", "a buffer")

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """Call `fn` on every module below, then on this one, and return it; often to initialise.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> def init(module):
        ...     if isinstance(module, ag.nn.Linear):
        ...         ag.nn.init.ones_(module.weight)
        >>> ag.nn.Sequential(ag.nn.Linear(2, 1, bias=False)).apply(init)(ag.ones(2))
        tensor([2.], grad_fn=<LinearBackward0>)
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # Modes and gradients

    def train(self: M, mode: bool = True) -> M:
        """Put this module and everything below it into training mode, or out of it; returns it.

        Raises
        ------
        ValueError
            If `mode` is not a bool.
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Put this module and everything below it into evaluation mode; returns it."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Set ``requires_grad`` of all parameters (to freeze a network, or thaw it); returns the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters, to None or to zeros."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad = Tensor(np.zeros_like(parameter.grad._data))

    # Conversion

    def _apply(self: M, fn: Callable[[Tensor], Tensor]) -> M:
        """Replace the value of every parameter (and its gradient's) and every buffer by `fn` of it."""
        for parameter in self.parameters():
            gradient = parameter.grad
            parameter.grad = None
            parameter.data = fn(parameter.data)
            if gradient is not None:
                parameter.grad = fn(gradient.detach())
        done: dict[int, Tensor] = {}
        for module in self.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    if id(buffer) not in done:
                        done[id(buffer)] = fn(buffer)
                    module._keep("_buffers", name, done[id(buffer)])
        return self

    def to(self: M, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False) -> M:
        """Convert the floating-point parameters and buffers to a dtype (and device: the CPU); returns the module.

        Accepts a dtype, a device, or a tensor whose dtype is wanted, as PyTorch does.

        Raises
        ------
        TypeError
            If the dtype is not a floating-point one.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> ag.nn.Linear(2, 1).to("cpu", ag.float64).weight.dtype
        autograd_lite.float64
        """
        devices = [device]
        for given in args:
            if isinstance(given, Tensor):
                dtype = given.dtype
            elif isinstance(given, dtypes.dtype) or given is float:
                dtype = given
            elif not isinstance(given, bool):
                devices.append(given)
        for given in devices:
            if given is not None:
                check_device(given)
        if dtype is None:
            return self
        wanted = dtypes.as_dtype(dtype)
        if not wanted.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={wanted!r}")
        return self._apply(lambda t: t.to(wanted) if t.is_floating_point() else t)

    def type(self: M, dst_type: Any) -> M:
        """Convert all parameters and buffers to a dtype; returns the module."""
        return self._apply(lambda t: t.to(dtypes.as_dtype(dst_type)))

    def float(self: M) -> M:
        """Convert the floating-point parameters and buffers to float32; returns the module."""
        return self.to(dtypes.float32)

    def double(self: M) -> M:
        """Convert the floating-point parameters and buffers to float64; returns the module."""
        return self.to(dtypes.float64)

    def cpu(self: M) -> M:
        """The module itself: everything lives on the CPU."""
        return self

    # State

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """The parameters and persistent buffers by their dotted names.

        Parameters
        ----------
        destination : dict, optional
            Add to this mapping instead of a new one.
        prefix : str
            Put before every name.
        keep_vars : bool
            Give the parameters themselves; else detached tensors that share their memory.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> list(ag.nn.Sequential(ag.nn.Linear(2, 1)).state_dict())
        ['0.weight', '0.bias']
        """
        state = OrderedDict() if destination is None else destination
        for name, value in self._state(prefix):
            state[name] = value if keep_vars else value.detach()
        return state

    def _state(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self._parameters.items():
            if parameter is not None:
                yield prefix + name, parameter
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent:
                yield prefix + name, buffer
        for name, module in self._modules.items():
            if module is not None:
                yield from module._state(f"{prefix}{name}.")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values into the parameters and buffers, by their dotted names.

        Parameters
        ----------
        state_dict : mapping
            From names to tensors or arrays, as from `state_dict`.
        strict : bool
            Whether the names must be exactly those of this module.
        assign : bool
            Take over the given tensors' memory and dtype instead of copying values.

        Returns
        -------
        IncompatibleKeys
            The names that were missing and those that were not expected.

        Raises
        ------
        RuntimeError
            If shapes differ, or with `strict` names; nothing has been changed then.
        TypeError
            If `state_dict` is not a mapping.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> a, b = ag.nn.Linear(2, 1), ag.nn.Linear(2, 1)
        >>> b.load_state_dict(a.state_dict())
        <All keys matched successfully>
        """
        return load(self, state_dict, dict(self._state("")), strict, assign)

    # Hooks

    def _add_hook(self, kind: str, hook: Hook, prepend: bool, with_kwargs: bool = False) -> RemovableHandle:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks.add(kind, hook, prepend, with_kwargs)

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before every forward; what it returns replaces the arguments.

        With `with_kwargs` it is ``hook(module, args, kwargs)``, and returns None or ``(args, kwargs)``.
        """
        return self._add_hook("forward_pre", hook, prepend, with_kwargs)

    def register_forward_hook(self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after every forward; what it returns replaces the output.

        With `with_kwargs` it is ``hook(module, args, kwargs, output)``.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> layer = ag.nn.Linear(3, 2)
        >>> handle = layer.register_forward_hook(lambda module, args, output: print(output.shape))
        >>> y = layer(ag.ones(4, 3))
        autograd_lite.Size([4, 2])
        >>> handle.remove()
        """
        return self._add_hook("forward", hook, prepend, with_kwargs)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the inputs are known.

        `grad_input` and `grad_output` are tuples, with None where no gradient is needed; the hook may return
        another `grad_input`.
        """
        return self._add_hook("backward", hook, prepend)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` when the gradients of the outputs are known; it may replace them."""
        return self._add_hook("backward_pre", hook, prepend)

    # Text

    def extra_repr(self) -> str:
        """What `repr` shows of this module's own settings; for subclasses to define."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + repr(m).replace("\n", "\n  ") for name, m in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join([*lines, *children]) + "\n)"

    def __dir__(self) -> list[str]:
        return sorted(name for name in {*dir(type(self)), *self.__dict__} if not name[:1].isdigit())
