"""Whether operations are recorded: per thread, as context managers that also serve as decorators."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _State(threading.local):
    enabled = True
    inference = False


class _Anomaly:
    enabled = False
    check_nan = True


state = _State()
"""This thread's modes; read it, and change it through the classes below."""
anomaly = _Anomaly()
"""Anomaly detection, which is on or off for all threads together (the backward pass may run in another one)."""


class _Mode:
    """Sets attributes of `state` (or another target) on entry and puts the old values back on exit, error or not."""

    def __init__(self, target: Any = state, /, **wanted: bool) -> None:
        self._target = target
        self._wanted = wanted
        self._saved: list[dict[str, bool]] = []

    def __enter__(self) -> None:
        self._saved.append({name: getattr(self._target, name) for name in self._wanted})
        for name, value in self._wanted.items():
            setattr(self._target, name, value)

    def __exit__(self, *_: object) -> None:
        for name, value in self._saved.pop().items():
            setattr(self._target, name, value)

    def __call__(self, function: F) -> F:
        if isgeneratorfunction(function):
            return self._around_generator(function)  # type: ignore[return-value]

        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with _Mode(self._target, **self._wanted):
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The mode holds while the generator runs, and not while its caller does."""

        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            generator = function(*args, **kwargs)
            resume, value = generator.send, None
            try:
                while True:
                    with _Mode(self._target, **self._wanted):
                        produced = resume(value)
                    try:
                        resume, value = generator.send, (yield produced)
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        resume, value = generator.throw, error
            except StopIteration as end:
                return end.value
            finally:
                with _Mode(self._target, **self._wanted):
                    generator.close()

        return wrapped


class _BareMode(_Mode):
    """A mode that decorates without parentheses too."""

    def __new__(cls, function: Any = None) -> Any:
        mode = super().__new__(cls)
        if function is None:
            return mode
        mode.__init__()  # type: ignore[misc]
        return mode(function)


class no_grad(_BareMode):
    """Inside, nothing is recorded: results have ``requires_grad=False``.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.ones(2, requires_grad=True)
    >>> with ag.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self) -> None:
        super().__init__(enabled=False)


class enable_grad(_BareMode):
    """Inside, operations are recorded again, also within `no_grad`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.ones(2, requires_grad=True)
    >>> with ag.no_grad(), ag.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """

    def __init__(self) -> None:
        super().__init__(enabled=True)


class set_grad_enabled(_Mode):
    """Record or not, by a flag; works as a plain call as well as a context manager.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.ones(2, requires_grad=True)
    >>> with ag.set_grad_enabled(False):
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(enabled=bool(mode))
        self._before = state.enabled
        state.enabled = bool(mode)

    def __enter__(self) -> None:
        state.enabled = self._before
        super().__enter__()

    def __call__(self, function: F) -> F:
        state.enabled = self._before
        return super().__call__(function)


class inference_mode(_Mode):
    """Like `no_grad`; moreover its results can never take part in a recorded computation.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> with ag.inference_mode():
    ...     y = ag.ones(2) * 2
    >>> y.is_inference()
    True
    """

    def __init__(self, mode: bool = True) -> None:
        if mode:
            super().__init__(enabled=False, inference=True)
        else:
            super().__init__(inference=False)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.is_grad_enabled()
    True
    """
    return state.enabled


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` is on in this thread.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.is_inference_mode_enabled()
    False
    """
    return state.inference


class detect_anomaly(_Mode):
    """Find the forward line whose derivative produced a NaN.

    Inside, in every thread, every recorded operation keeps the line that called it, and a backward pass stops with a
    `RuntimeError` at the first NaN gradient, naming the operation and that line. Slow: for debugging.

    Parameters
    ----------
    check_nan : bool
        Whether to stop at NaN gradients (else only the lines are kept).

    Examples
    --------
    >>> import autograd_lite as ag
    >>> x = ag.tensor([-1.0], requires_grad=True)
    >>> with ag.autograd.detect_anomaly():
    ...     y = ag.log(x).sum()
    ...     y.backward(ag.tensor(float("nan")))
    Traceback (most recent call last):
        ...
    RuntimeError: Function 'SumBackward0' returned nan values in its 0th output...
    """

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(anomaly, enabled=True, check_nan=check_nan)


class set_detect_anomaly(_Mode):
    """`detect_anomaly` by a flag; works as a plain call as well as a context manager.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> with ag.autograd.set_detect_anomaly(False):
    ...     pass
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        super().__init__(anomaly, enabled=mode, check_nan=check_nan)
        self._before = (anomaly.enabled, anomaly.check_nan)
        anomaly.enabled, anomaly.check_nan = mode, check_nan

    def __enter__(self) -> None:
        anomaly.enabled, anomaly.check_nan = self._before
        super().__enter__()
