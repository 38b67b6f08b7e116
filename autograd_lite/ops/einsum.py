"""Einstein summation: sums of products, named by letters.

The operands are taken from left to right, two at a time. Letters that nothing later needs are summed away at
once; of the others each is either in both operands and kept (batch), in both and summed (contracted), or in one
alone. So every step is a batch of matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..tensor import Tensor
from .matmul import matmul
from .primitive import expand_to
from .reduction import sum
from .shape import data_of, permute, reshape
from .views import diagonal

__all__ = ["einsum"]


def _fail(message: str) -> None:
    raise RuntimeError(f"einsum(): {message}")


def _letters(text: str, where: str) -> list[str]:
    """The labels of one operand: letters, and "..." for an ellipsis."""
    labels: list[str] = []
    text = text.replace(" ", "")
    i = 0
    while i < len(text):
        c = text[i]
        if c == ".":
            if text[i : i + 3] != "...":
                _fail(f"found '.' for {where} that is not part of any ellipsis")
            if "..." in labels:
                _fail(f"found '.' for {where} for which an ellipsis was already found")
            labels.append("...")
            i += 3
            continue
        if not (c.isascii() and c.isalpha()):
            _fail(f"invalid subscript {c!r} given in the equation string, subscripts must be in [a-zA-Z]")
        labels.append(c)
        i += 1
    return labels


def _from_sublists(args: Sequence[Any]) -> tuple[str, list[Tensor]]:
    """The other way to call it: operands and lists of numbers in turn, and the list of the output last."""

    def text(labels: Sequence[Any]) -> str:
        letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        for number in labels:
            if number is not Ellipsis and not 0 <= number < 52:
                raise ValueError(f"einsum(): subscript {number} in a list is not within the valid range [0, 52)")
        return "".join("..." if n is Ellipsis else letters[n] for n in labels)

    operands = list(args[: len(args) // 2 * 2 : 2])
    equation = ",".join(text(labels) for labels in args[1::2])
    return equation + (f"->{text(args[-1])}" if len(args) % 2 else ""), operands


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sums of products of the elements of tensors, by the Einstein convention.

    Parameters
    ----------
    equation : str
        The letters of each operand's dimensions, separated by commas, and after ``->`` those of the result.
        A letter that the result lacks is summed over; one that an operand has twice takes its diagonal;
        ``...`` stands for any further dimensions, which broadcast. Without ``->`` the result has the letters
        that occur once, sorted, after the dimensions of the ellipsis.
    *operands : Tensor
        The tensors, or one list of them.

    Raises
    ------
    RuntimeError
        If the equation is malformed or does not fit the shapes.

    Notes
    -----
    Gradient: that of the matrix products that it is made of.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> a = ag.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> ag.einsum("ij,jk->ik", a, a)
    tensor([[ 7., 10.],
            [15., 22.]])
    >>> ag.einsum("ii->", a)
    tensor(5.)
    """
    if isinstance(equation, Tensor):
        equation, given = _from_sublists((equation, *operands))
    else:
        given = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else list(operands)
    if not given:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    for x in given:
        data_of("einsum", x, "operands")
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(given):
        which = "more" if len(texts) < len(given) else "fewer"
        _fail(f"{which} operands were provided ({len(given)}) than specified in the equation {equation!r}")
    labels = [_letters(text, f"operand {i}") for i, text in enumerate(texts)]
    spread = _fill_ellipses(labels, given)
    output = _output(labels, arrow, right, spread)
    extents = _extents(labels, given)
    return _contract([_diagonals(x, names) for x, names in zip(given, labels, strict=True)], output, extents)


def _fill_ellipses(labels: list[list[str]], operands: list[Tensor]) -> list[str]:
    """Replace each "..." by names of its dimensions, counted from the last; return those of the widest."""
    widest = 0
    for i, (names, x) in enumerate(zip(labels, operands, strict=True)):
        beyond = x._data.ndim - len(names) + ("..." in names)
        if beyond < 0 or (beyond and "..." not in names):
            _fail(
                f"the number of subscripts in the equation ({len(names) - ('...' in names)}) does not match the "
                "number of "
                f"dimensions ({x._data.ndim}) for operand {i}{'' if '...' in names else ' and no ellipsis was given'}"
            )
        if "..." in names:
            at = names.index("...")
            names[at : at + 1] = [f".{k}" for k in range(beyond, 0, -1)]
            widest = max(widest, beyond)
    return [f".{k}" for k in range(widest, 0, -1)]


def _output(labels: list[list[str]], arrow: str, right: str, spread: list[str]) -> list[str]:
    every = [name for names in labels for name in names]
    if not arrow:
        return spread + sorted(name for name in set(every) if every.count(name) == 1 and name[0] != ".")
    output = _letters(right, "the output")
    for name in output:
        if name != "..." and output.count(name) > 1:
            _fail(f"output subscript {name} appears more than once in the output")
        if name != "..." and name not in every:
            _fail(f"output subscript {name} does not appear in the equation for any input operand")
    if "..." in output:
        at = output.index("...")
        output[at : at + 1] = spread
    return output


def _extents(labels: list[list[str]], operands: list[Tensor]) -> dict[str, int]:
    extents: dict[str, int] = {}
    for i, (names, x) in enumerate(zip(labels, operands, strict=True)):
        own: dict[str, int] = {}
        for name, n in zip(names, x._data.shape, strict=True):
            if own.setdefault(name, n) != n:
                _fail(f"subscript {name} is repeated for operand {i} but the sizes don't match, {n} != {own[name]}")
            seen = extents.setdefault(name, n)
            if seen != n and 1 not in (seen, n):
                _fail(
                    f"subscript {name} has size {n} for operand {i} which does not broadcast with previously seen "
                    f"size {seen}"
                )
            extents[name] = n if seen == 1 else seen
    return extents


def _diagonals(x: Tensor, names: list[str]) -> tuple[Tensor, list[str]]:
    """The operand with every label once."""
    names = list(names)
    for name in dict.fromkeys(names):
        while names.count(name) > 1:
            first = names.index(name)
            second = names.index(name, first + 1)
            x = diagonal(x, 0, first, second)
            del names[second], names[first]
            names.append(name)
    return x, names


def _contract(terms: list[tuple[Tensor, list[str]]], output: list[str], extents: dict[str, int]) -> Tensor:
    x, names = _summed(*terms[0], {*output, *(n for _, later in terms[1:] for n in later)})
    for i, (y, others) in enumerate(terms[1:], 2):
        needed = {*output, *(n for _, later in terms[i:] for n in later)}
        y, others = _summed(y, others, needed | set(names))
        x, names = _summed(x, names, needed | set(others))
        x, names = _pair(x, names, y, others, needed, extents)
    x = permute(x, [names.index(name) for name in output if name in names])
    return x


def _summed(x: Tensor, names: list[str], needed: set[str]) -> tuple[Tensor, list[str]]:
    """Sum over the labels that nothing else needs."""
    gone = [i for i, name in enumerate(names) if name not in needed]
    return (sum(x, gone), [name for name in names if name in needed]) if gone else (x, names)


def _pair(
    x: Tensor, names: list[str], y: Tensor, others: list[str], needed: set[str], extents: dict[str, int]
) -> tuple[Tensor, list[str]]:
    """The product of two operands, summed over their common labels that nothing later needs."""
    common = [name for name in names if name in others]
    batch = [name for name in common if name in needed]
    inner = [name for name in common if name not in needed]
    rows = [name for name in names if name not in common]
    columns = [name for name in others if name not in common]

    def size(group: list[str]) -> int:
        n = 1
        for name in group:
            n *= extents[name]
        return n

    def arranged(t: Tensor, have: list[str], order: list[str], shape: tuple[int, ...]) -> Tensor:
        full = tuple([extents[name] for name in order])
        t = permute(t, [have.index(name) for name in order])
        return reshape(t if t._data.shape == full else expand_to(t, shape=full), shape)

    for name in rows + columns:  # an extent of 1 in the only operands that have it
        owner, have = (x, names) if name in names else (y, others)
        extents[name] = owner._data.shape[have.index(name)]
    b, m, k, n = size(batch), size(rows), size(inner), size(columns)
    if not batch:
        left = arranged(x, names, rows + inner, (m, k))
        right = arranged(y, others, inner + columns, (k, n))
    else:
        left = arranged(x, names, batch + rows + inner, (b, m, k))
        right = arranged(y, others, batch + inner + columns, (b, k, n))
    if k == 1 or (m == 1 and n == 1 and not inner):
        product = left * right
    else:
        product = matmul(left, right)
    result = batch + rows + columns
    return reshape(product, [extents[name] for name in result]), result
