"""Elementwise operations from formulas of the user."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from ..kernels import special
from ..tensor import Tensor
from .elementwise import FUNCTIONS, ElementwisePrimitive, _names, common

__all__ = ["elementwise"]

_PARTS = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Call, ast.UnaryOp, ast.USub, ast.UAdd, ast.BinOp, ast.Add,
    ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.BitAnd, ast.BitOr, ast.Compare, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq,
    ast.NotEq,
)  # fmt: skip
"""What a formula may be made of."""


def _known() -> dict[str, int]:
    """How many arguments the functions take that both readers of a formula know: the compiler of kernels, and the
    recorded backward pass."""
    names = ["abs", *(name for name in FUNCTIONS if hasattr(special, name) and not name.startswith("_"))]
    return {name: FUNCTIONS[name].__code__.co_argcount for name in sorted(names)}


class _Powers(ast.NodeTransformer):
    """Writes ``a ** b`` as ``pow(a, b)``, which is a vectorised kernel."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Pow):
            return node
        return ast.copy_location(ast.Call(ast.Name("pow", ast.Load()), [node.left, node.right], []), node)


def _is_condition(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr)):
        return _is_condition(node.left) and _is_condition(node.right)
    return isinstance(node, ast.Compare)


def _complaint(node: ast.AST, operands: tuple[str, ...], called: set[int]) -> str | None:
    """What is wrong with one part of a formula."""
    known = _known()
    if not isinstance(node, _PARTS) or (isinstance(node, ast.Constant) and type(node.value) not in (int, float)):
        return (
            "is not allowed: a formula is made of operands, numbers, + - * / **, comparisons joined by & and |, and "
            "functions (where(condition, a, b) for a choice)"
        )
    if isinstance(node, ast.Name) and node.id not in (known if id(node) in called else operands):
        return f"is not known: operands are {', '.join(operands)}; functions are {', '.join(known)}"
    if isinstance(node, ast.Compare) and len(node.ops) > 1:
        return "compares twice: write (a < b) & (b < c)"
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr)) and not _is_condition(node):
        return "joins what is no comparison: each side of & and | is one, in parentheses"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
        wanted = known[node.func.id]
        if node.keywords or len(node.args) != wanted:
            return f"does not fit: {node.func.id} takes {wanted} argument{'s' * (wanted > 1)}"
    return None


def _checked(name: str, text: str, operands: tuple[str, ...]) -> str:
    """The formula `text`, which may name `operands` and functions."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{name}: {text!r} is not a formula: {error.msg}") from None
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        complaint = _complaint(node, operands, called)
        if complaint is not None:
            part = ast.unparse(node) or type(node).__name__
            raise ValueError(f"{name}: {part!r} in {text!r} {complaint}")
    return ast.unparse(ast.fix_missing_locations(_Powers().visit(tree)))


def elementwise(formula: str, derivatives: Mapping[str, str], name: str = "elementwise") -> Callable[..., Tensor]:
    """Make an elementwise operation from a formula and those of its derivatives.

    Each formula becomes one compiled, vectorised and threaded loop for either dtype. The derivatives are also
    read as operations on tensors when a backward pass is recorded, so the operation can be differentiated
    any number of times. They are taken at their word: `autograd.gradcheck` tells whether they are right.

    Parameters
    ----------
    formula : str
        The value, in terms of the operands: ``+ - * / **``, comparisons, ``& |`` between these, numbers,
        ``where(condition, a, b)``, and functions such as ``exp``, ``log1p``, ``tanh``, ``maximum``, ``abs``.
    derivatives : dict of str to str
        For each operand, in the order in which the operation takes them: the gradient that flows to it, in
        terms of the operands, of ``g`` (the gradient of the output) and of ``out`` (the output); ``"0"``
        where it vanishes. ``times(g, d)`` is ``g * d``, but 0 wherever `g` is, even if `d` is infinite.
    name : str
        The operation's name, in messages and in ``grad_fn``.

    Returns
    -------
    function
        It takes as many tensors (or numbers, but one tensor at least) as there are operands. They broadcast
        together and are promoted to one floating-point dtype, that of the result.

    Raises
    ------
    ValueError
        If a formula is none, or names something unknown; or if an operand's name is taken.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> swish = ag.elementwise(
    ...     "x / (1 + exp(-b * x))",
    ...     {
    ...         "x": "g * sigmoid(b * x) * (1 + b * x * (1 - sigmoid(b * x)))",
    ...         "b": "g * x * out * (1 - sigmoid(b * x))",
    ...     },
    ...     name="swish",
    ... )
    >>> x = ag.tensor([-1.0, 0.0, 2.0], dtype=ag.float64, requires_grad=True)
    >>> swish(x, 1.5).sum()
    tensor(1.7227, dtype=autograd_lite.float64, grad_fn=<SumBackward0>)
    >>> ag.autograd.gradcheck(swish, (x, 1.5)), ag.autograd.gradgradcheck(swish, (x, 1.5))
    (True, True)
    """
    operands = tuple(derivatives)
    if not name.isidentifier():
        raise ValueError(f"elementwise: name must be an identifier, got {name!r}")
    if not operands:
        raise ValueError(f"{name}: derivatives must name the operands, got none")
    for operand in operands:
        if not operand.isidentifier() or operand in ("g", "out") or operand in _known():
            raise ValueError(f"{name}: {operand!r} cannot be the name of an operand")
        if derivatives[operand].strip() != "0" and "g" not in _names(derivatives[operand]):
            raise ValueError(
                f"{name}: the derivative for {operand!r} must be in terms of g, the gradient of the output (or '0'), "
                f"got {derivatives[operand]!r}"
            )
    made = ElementwisePrimitive(
        name,
        operands,
        _checked(name, formula, operands),
        {operand: _checked(name, text, (*operands, "g", "out")) for operand, text in derivatives.items()},
    )

    def operation(*inputs: Any) -> Tensor:
        if len(inputs) != len(operands) or not any(isinstance(value, Tensor) for value in inputs):
            raise TypeError(
                f"{name}() takes {len(operands)} tensors or numbers ({', '.join(operands)}), one tensor at least; got "
                f"{', '.join(type(value).__name__ for value in inputs) or 'nothing'}"
            )
        return made(*common(name, *inputs, floating=True))

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"``{formula}``, elementwise, of {', '.join(operands)}."
    return operation
