"""Sequences of different lengths in one tensor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...ops.creation import full
from ...ops.joining import cat, stack
from ...tensor import Tensor


def pad_sequence(
    sequences: Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences side by side, the shorter ones filled up; differentiable.

    Parameters
    ----------
    sequences : iterable of Tensor, (L_i, ...)
        Of one dtype, and of one shape but for the first dimension.
    batch_first : bool
        Give (N, L, ...), not (L, N, ...).
    padding_value : float
        What to fill with.
    padding_side : "right" or "left"
        Where.

    Raises
    ------
    RuntimeError
        If there are no sequences, or their other dimensions differ.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.utils.rnn.pad_sequence([ag.tensor([1, 2, 3]), ag.tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    given = list(sequences.unbind(0)) if isinstance(sequences, Tensor) else list(sequences)
    if not given:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    if padding_side not in ("right", "left"):
        raise RuntimeError(f"padding_side should be either 'left' or 'right', but got {padding_side!r}")
    rest = given[0].shape[1:]
    if any(t.dim() == 0 or t.shape[1:] != rest for t in given):
        shapes = [tuple(t.shape) for t in given]
        raise RuntimeError(f"pad_sequence: all but the first dimension must be the same, got shapes {shapes}")
    longest = max(t.shape[0] for t in given)
    padded = []
    for t in given:
        missing = full((longest - t.shape[0], *rest), padding_value, dtype=t.dtype)
        padded.append(cat([t, missing] if padding_side == "right" else [missing, t]))
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False
) -> list[Tensor]:
    """The sequences that `pad_sequence` put side by side (filled up on the right).

    Parameters
    ----------
    padded_sequences : Tensor, (L, N, ...) or with `batch_first` (N, L, ...)
    lengths : sequence of int
        The length of each.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.utils.rnn.unpad_sequence(ag.tensor([[1, 2, 3], [4, 0, 0]]), [3, 1], batch_first=True)
    [tensor([1, 2, 3]), tensor([4])]
    """
    rows = padded_sequences.unbind(0 if batch_first else 1)
    counts = lengths.tolist() if isinstance(lengths, Tensor) else lengths
    return [row[:count] for row, count in zip(rows, counts, strict=True)]
