"""`Optimizer`: parameter groups, per-parameter state, and what all optimizers share."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from copy import deepcopy
from typing import Any, TypeAlias

import numpy as np

from ..autograd.grad_mode import enable_grad
from ..kernels import memory
from ..tensor import RemovableHandle, Tensor

Params: TypeAlias = "Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]"


class Optimizer:
    """Base class of all optimizers.

    A subclass of one's own implements `step`, or `_update` for one parameter group.

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to optimize. Dicts define parameter groups: the key ``params``, and options of their own.
    defaults : dict
        The options of groups that do not set them.

    Attributes
    ----------
    param_groups : list of dict
        Options may be changed here between steps.
    state : dict
        For each parameter a dict of its state.

    Raises
    ------
    TypeError
        If `params` is a single Tensor, or contains something else than Tensors.
    ValueError
        If there are no parameters, one is not a leaf, or one is in two groups.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> class SignDescent(ag.optim.Optimizer):
    ...     def __init__(self, params, lr):
    ...         super().__init__(params, {"lr": lr})
    ...
    ...     @ag.no_grad()
    ...     def step(self, closure=None):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p.sub_(group["lr"] * p.grad.sign())
    >>> w = ag.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = SignDescent([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    _buffers: tuple[str, ...] = ()
    """The names of those entries of a parameter's state that have its shape."""

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got a "
                f"{type(params).__name__}"
            )
        self.defaults = defaults
        self.__setstate__({"state": defaultdict(dict), "param_groups": []})
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state: defaultdict[Any, dict[str, Any]]
        self.param_groups: list[dict[str, Any]]
        self.__dict__.update(state)
        self._opt_called = False
        self._step_pre_hooks: list[Callable[..., Any]] = []
        self._step_post_hooks: list[Callable[..., Any]] = []
        self._scalars: dict[Hashable, tuple[tuple[float, ...], np.ndarray]] = {}

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; options that it does not set are the defaults.

        Raises
        ------
        TypeError, ValueError
            As for the constructor.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> head, body = (ag.nn.Parameter(ag.zeros(2)) for _ in range(2))
        >>> optimizer = ag.optim.SGD([head], lr=0.1)
        >>> optimizer.add_param_group({"params": body, "lr": 0.01})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors "
                "in sets will change between runs. Please use a list instead."
            )
        entries = [given] if isinstance(given, Tensor) else list(given)
        names = [entry[0] for entry in entries if isinstance(entry, tuple)]
        params = [entry[1] if isinstance(entry, tuple) else entry for entry in entries]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        firsts: dict[int, int] = {}
        for i, p in enumerate(params):
            firsts.setdefault(id(p), i)
        for group in self.param_groups:
            if bool(names) != ("param_names" in group):
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param group "
                    f"{'with names' if names else 'without names'} to the optimizer"
                )
            if not firsts.keys().isdisjoint(map(id, group["params"])):
                raise ValueError("some parameters appear in more than one parameter group")
        if len(firsts) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; each is kept, and updated, once",
                stacklevel=3,
            )
            params = [params[i] for i in firsts.values()]
            names = [names[i] for i in firsts.values()] if names else []
        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        self.param_groups.append(param_group)

    # Stepping

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters.

        Parameters
        ----------
        set_to_none : bool
            Set them to None (default), or else to zeros, in place. Parameters without a gradient are skipped
            by `step`; those with a zero gradient are updated (by momentum, weight decay, ...).

        Examples
        --------
        >>> import autograd_lite as ag
        >>> w = ag.tensor([1.0], requires_grad=True)
        >>> (3 * w).sum().backward()
        >>> ag.optim.SGD([w]).zero_grad()
        >>> w.grad is None
        True
        """
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    p._grad = p._grad.detach()
                    p._grad._data.fill(0)
                    p._grad._bump()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and its gradients anew; called with recording on.

        Returns
        -------
        The result of `closure`, if there is one.

        Raises
        ------
        TypeError, RuntimeError
            If a parameter is not float32 or float64, or its gradient or state does not fit it. Then no
            parameter of its group has been changed.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> w = ag.tensor([4.0], requires_grad=True)
        >>> optimizer = ag.optim.SGD([w], lr=0.25)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (w * w).sum()
        ...     loss.backward()
        ...     return loss
        >>> [optimizer.step(closure).item() for _ in range(3)]
        [16.0, 4.0, 1.0]
        """
        for hook in self._step_pre_hooks:
            replaced = hook(self, (closure,), {})
            if replaced is not None:
                (closure,), _ = replaced
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self._opt_called = True
        for index, group in enumerate(self.param_groups):
            self._update(index, group)
        for hook in self._step_post_hooks:
            hook(self, (closure,), {})
        return loss

    def _update(self, index: int, group: dict[str, Any]) -> None:
        """Update the parameters of one group."""
        raise NotImplementedError(f"{type(self).__name__} must implement step")

    def _hyperparameters(self, key: Hashable, values: tuple[float, ...]) -> np.ndarray:
        """`values` as the float64 array that kernels read; the same array at every step."""
        known = self._scalars.get(key)
        if known is None:
            array = np.array(values, np.float64)
        elif known[0] == values:
            return known[1]
        else:
            array = known[1]
            array[:] = values
        self._scalars[key] = (values, array)
        return array

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new (args, kwargs).

        Examples
        --------
        >>> import autograd_lite as ag
        >>> optimizer = ag.optim.SGD([ag.zeros(1, requires_grad=True)])
        >>> handle = optimizer.register_step_pre_hook(lambda *_: print("a step"))
        >>> optimizer.step()
        a step
        >>> handle.remove()
        """
        self._step_pre_hooks.append(hook)
        return RemovableHandle(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> optimizer = ag.optim.SGD([ag.zeros(1, requires_grad=True)])
        >>> handle = optimizer.register_step_post_hook(lambda *_: print("stepped"))
        >>> optimizer.step()
        stepped
        """
        self._step_post_hooks.append(hook)
        return RemovableHandle(self._step_post_hooks, hook)

    # Saving

    def state_dict(self) -> dict[str, Any]:
        """The state, in PyTorch's format: parameters are represented by their numbers.

        Returns
        -------
        dict
            ``state``: for each parameter number its state (the tensors themselves, not copies);
            ``param_groups``: the groups' options, ``params`` being lists of parameter numbers.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> w = ag.tensor([1.0], requires_grad=True)
        >>> optimizer = ag.optim.SGD([w], lr=0.1, momentum=0.9)
        >>> w.sum().backward()
        >>> optimizer.step()
        >>> optimizer.state_dict()["state"]
        {0: {'momentum_buffer': tensor([1.])}}
        """
        numbers: dict[int, int] = {}
        groups = []
        start = 0
        for group in self.param_groups:
            for i, p in enumerate(group["params"], start):
                numbers.setdefault(id(p), i)
            start += len(group["params"])
            groups.append(
                {key: value for key, value in group.items() if key != "params"}
                | {"params": [numbers[id(p)] for p in group["params"]]}
            )
        state = {numbers[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state and the options of `state_dict`, from here or from PyTorch.

        Tensors are copied, in the dtype of their parameter. Build schedulers before calling this: their
        construction sets learning rates.

        Raises
        ------
        KeyError
            If ``state`` or ``param_groups`` is missing.
        ValueError
            If the groups differ in number or size, or a state has another shape than its parameter. Then
            nothing has been changed.

        Examples
        --------
        >>> import autograd_lite as ag
        >>> w = ag.tensor([1.0], requires_grad=True)
        >>> saved = ag.optim.SGD([w], lr=0.5, momentum=0.9).state_dict()
        >>> optimizer = ag.optim.SGD([w])
        >>> optimizer.load_state_dict(saved)
        >>> optimizer.param_groups[0]["lr"]
        0.5
        """
        saved = deepcopy(state_dict["param_groups"])
        groups = self.param_groups
        if len(groups) != len(saved):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(saved)}, but the "
                f"optimizer has {len(groups)}"
            )
        params: dict[Any, Tensor] = {}
        for i, (group, new) in enumerate(zip(groups, saved, strict=True)):
            if len(group["params"]) != len(new["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's "
                    f"group: group {i} has {len(new['params'])} parameters, but the optimizer's has "
                    f"{len(group['params'])}"
                )
            params.update(zip(new["params"], group["params"], strict=True))
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
            for name, default in self.defaults.items():
                new.setdefault(name, default)
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in params:
                state[params[key]] = self._fitted(params[key], value, f"state of parameter {key}")
            else:
                state[key] = value
        self.state, self.param_groups = state, saved

    def _fitted(self, p: Tensor, value: Any, where: str, name: Any = None) -> Any:
        """A copy of `value`, a part of the state of `p`, in the dtype that the optimizer works with."""
        if name == "step" and isinstance(value, (int, float, Tensor)):
            return step_count(float(value))
        if isinstance(value, Tensor):
            if name in self._buffers and value._data.shape != p._data.shape:
                raise ValueError(
                    f"loaded state dict: {where}: {name!r} has shape {tuple(value.shape)}, but the parameter "
                    f"has shape {tuple(p.shape)}"
                )
            dtype = p._data.dtype if p._data.dtype.kind == "f" else value._data.dtype
            return Tensor(np.array(value._data, dtype, order="C"))
        if isinstance(value, dict):
            return {k: self._fitted(p, v, where, k) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._fitted(p, v, where) for v in value)
        return value


def zeros_like(p: Tensor) -> Tensor:
    """Zeros of the shape and dtype of `p`, C-contiguous."""
    return Tensor(memory.zeros(p._data.shape, p._data.dtype))


def step_count(value: float = 0.0) -> Tensor:
    """How many steps a parameter has taken, as PyTorch keeps it: a float32 tensor."""
    return Tensor(np.array(value, np.float32))


def check_options(
    optimizer: Optimizer, *, foreach: Any = None, fused: Any = None, differentiable: bool = False
) -> None:
    """PyTorch's choices between implementations: there is one here, always fused over all parameters."""
    if differentiable:
        raise NotImplementedError(
            f"{type(optimizer).__name__}: differentiable=True is not supported; write the update with tensor "
            "operations to differentiate through it"
        )
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_nonnegative(**values: Any) -> None:
    """Complain about the first value that is negative (or NaN), in PyTorch's words."""
    for name, value in values.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element")
        if not float(value) >= 0.0:
            label = {"lr": "learning rate", "eps": "epsilon value"}.get(name, f"{name} value")
            raise ValueError(f"Invalid {label}: {value}")
