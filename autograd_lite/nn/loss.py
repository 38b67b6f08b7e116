"""Loss layers."""

from __future__ import annotations

from typing import Any

from ..ops.loss import chosen_reduction
from ..tensor import Tensor
from . import functional as F
from .module import Module


class _Loss(Module):
    reduction: str

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = chosen_reduction(reduction, size_average, reduce)


class MSELoss(_Loss):
    """``(input - target)^2``; see `nn.functional.mse_loss`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.MSELoss()(ag.tensor([1.0, 2.0]), ag.tensor([0.0, 4.0]))
    tensor(2.5000)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """``|input - target|``; see `nn.functional.l1_loss`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.L1Loss()(ag.tensor([1.0, 2.0]), ag.tensor([0.0, 4.0]))
    tensor(1.5000)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """The square below `beta`, the absolute value above; see `nn.functional.smooth_l1_loss`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.SmoothL1Loss()(ag.tensor([1.0, 2.0]), ag.tensor([0.5, 4.0]))
    tensor(0.8125)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Half the square below `delta`, straight above; see `nn.functional.huber_loss`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.HuberLoss(delta=0.5)(ag.tensor([1.0, 2.0]), ag.tensor([0.5, 4.0]))
    tensor(0.5000)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence; see `nn.functional.kl_div`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.KLDivLoss(reduction="batchmean")(ag.tensor([[0.25, 0.75]]).log(), ag.tensor([[0.5, 0.5]]))
    tensor(0.1438)
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        batch = reduction == "batchmean" and size_average is None and reduce is None
        super().__init__(size_average, reduce, "mean" if batch else reduction)
        self.reduction = reduction if batch else self.reduction
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class _WeightedLoss(_Loss):
    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class BCELoss(_WeightedLoss):
    """The cross-entropy of two classes, of probabilities; see `nn.functional.binary_cross_entropy`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.BCELoss()(ag.tensor([0.8, 0.1]), ag.tensor([1.0, 0.0]))
    tensor(0.1643)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """The cross-entropy of two classes, of scores; see `nn.functional.binary_cross_entropy_with_logits`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.BCEWithLogitsLoss()(ag.tensor([1000.0, 0.0]), ag.tensor([1.0, 1.0]))
    tensor(0.3466)
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class CrossEntropyLoss(_WeightedLoss):
    """The cross-entropy of softmax; see `nn.functional.cross_entropy`.

    Parameters
    ----------
    weight : Tensor, (C,), optional
        A factor for each class.
    ignore_index : int
        Targets of this number do not count.
    reduction : "mean", "sum" or "none"
    label_smoothing : float
        The share of the target that is spread evenly over all classes.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> scores = ag.tensor([[2.0, 0.0, 0.0], [0.0, 1000.0, 0.0]])
    >>> ag.nn.CrossEntropyLoss()(scores, ag.tensor([0, 1]))
    tensor(0.1198)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_WeightedLoss):
    """The negative log-likelihood, of log-probabilities; see `nn.functional.nll_loss`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.NLLLoss()(ag.tensor([[-0.5, -1.0]]), ag.tensor([1]))
    tensor(1.)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class PoissonNLLLoss(_Loss):
    """The negative log-likelihood of counts; see `nn.functional.poisson_nll_loss`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.PoissonNLLLoss()(ag.tensor([0.0, 1.0]), ag.tensor([1.0, 2.0]))
    tensor(0.8591)
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """The negative log-likelihood under normal distributions; see `nn.functional.gaussian_nll_loss`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.GaussianNLLLoss()(ag.tensor([1.0]), ag.tensor([2.0]), ag.tensor([1.0]))
    tensor(0.5000)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Any) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class _MarginLoss(_Loss):
    margin: float

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin


class MarginRankingLoss(_MarginLoss):
    """Of two inputs one should be larger by a margin; see `nn.functional.margin_ranking_loss`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.MarginRankingLoss()(ag.tensor([1.0, 3.0]), ag.tensor([2.0, 1.0]), ag.tensor([1, 1]))
    tensor(0.5000)
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_MarginLoss):
    """Two vectors should point the same way, or not; see `nn.functional.cosine_embedding_loss`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.CosineEmbeddingLoss()(ag.tensor([[3.0, 4.0]]), ag.tensor([[4.0, 3.0]]), ag.tensor([1]))
    tensor(0.0400)
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class HingeEmbeddingLoss(_MarginLoss):
    """A distance should be small, or above a margin; see `nn.functional.hinge_embedding_loss`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.HingeEmbeddingLoss()(ag.tensor([0.5, 0.25]), ag.tensor([1, -1]))
    tensor(0.6250)
    """

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """An anchor should be nearer to one vector than to another; see `nn.functional.triplet_margin_loss`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> a, b, c = ag.tensor([[0.0, 0.0]]), ag.tensor([[3.0, 4.0]]), ag.tensor([[0.0, 2.0]])
    >>> ag.nn.TripletMarginLoss()(a, b, c)
    tensor(4.0000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead")
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction
        )


class CosineSimilarity(Module):
    """The cosine of the angle between vectors; see `nn.functional.cosine_similarity`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.CosineSimilarity()(ag.tensor([[3.0, 4.0]]), ag.tensor([[4.0, 3.0]]))
    tensor([0.9600])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The distance of vectors; see `nn.functional.pairwise_distance`.

    Examples
    --------
    >>> import autograd_lite as ag
    >>> ag.nn.PairwiseDistance()(ag.tensor([[3.0, 0.0]]), ag.tensor([[0.0, 4.0]]))
    tensor([5.])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
