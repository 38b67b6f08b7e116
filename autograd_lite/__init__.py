"""autograd_lite: reverse-mode automatic differentiation with PyTorch's names, over Numba kernels.

>>> import autograd_lite as ag
>>> x = ag.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x ** 2).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

import math

from . import autograd  # first: `tensor` builds on its engine

from .autograd import enable_grad, inference_mode, no_grad, set_grad_enabled
from .autograd.grad_mode import is_grad_enabled, is_inference_mode_enabled
from .dtypes import (
    bool_ as bool,
    dtype,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from .kernels.threading import get_num_threads, set_num_threads
from .ops import (
    activation as _activation,
    arithmetic as _arithmetic,
    comparison as _comparison,
    counting as _counting,
    creation as _creation,
    custom as _custom,
    distance as _distance,
    einsum as _einsum,
    extremes as _extremes,
    indexing as _indexing,
    joining as _joining,
    matmul as _matmul,
    norms as _norms,
    pointwise as _pointwise,
    queries as _queries,
    random as _random,
    rearrange as _rearrange,
    reduction as _reduction,
    scan as _scan,
    scatter as _scatter,
    shape as _shape,
    shrinkage as _shrinkage,
    softmax as _softmax,
    sorting as _sorting,
    statistics as _statistics,
    views as _views,
)
from .ops.creation import *
from .ops.custom import *
from .ops.distance import *
from .ops.statistics import *
from .ops.queries import *
from .ops.random import *
from .ops.pointwise import *
from .ops.arithmetic import *
from .ops.comparison import *
from .ops.activation import *
from .ops.shrinkage import *
from .ops.shape import *
from .ops.views import *
from .ops.joining import *
from .ops.rearrange import *
from .ops.indexing import *
from .ops.reduction import *
from .ops.scan import *
from .ops.sorting import *
from .ops.matmul import *
from .ops.einsum import *
from .ops.extremes import *
from .ops.norms import *
from .ops.counting import *
from .ops.scatter import *
from .ops.softmax import *
from .ops.linalg import LinAlgError, inverse, logdet
from .random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from .printing import set_printoptions
from .tensor import Size, Tensor, device
from . import accelerator
from . import backends
from . import cuda
from . import datasets
from . import io
from . import linalg
from . import nn
from . import optim
from . import utils
from .io import load, save

__version__ = "0.1.0"

# PyTorch's constants and short names of the dtypes
e, inf, nan, pi = math.e, math.inf, math.nan, math.pi
newaxis = None
float = float32
double = float64
long = int64
int = int32
short = int16

__all__ = [
    "Generator", "LinAlgError", "Size", "Tensor", "accelerator", "autograd", "backends", "bool", "cuda", "datasets",
    "default_generator", "device", "double", "dtype", "e", "enable_grad", "float", "float32", "float64",
    "get_default_dtype", "get_num_threads", "get_rng_state", "inf", "inference_mode", "initial_seed", "int", "int16",
    "int32", "int64", "int8", "inverse", "io", "is_grad_enabled", "is_inference_mode_enabled", "linalg", "load",
    "logdet", "long", "manual_seed", "nan", "newaxis", "nn", "no_grad", "optim", "pi", "save", "seed",
    "set_default_dtype", "set_grad_enabled", "set_num_threads", "set_printoptions", "set_rng_state", "short", "uint8",
    "utils",
]  # fmt: skip
__all__ += _activation.__all__
__all__ += _arithmetic.__all__
__all__ += _comparison.__all__
__all__ += _counting.__all__
__all__ += _creation.__all__
__all__ += _custom.__all__
__all__ += _distance.__all__
__all__ += _einsum.__all__
__all__ += _extremes.__all__
__all__ += _indexing.__all__
__all__ += _joining.__all__
__all__ += _matmul.__all__
__all__ += _norms.__all__
__all__ += _pointwise.__all__
__all__ += _queries.__all__
__all__ += _random.__all__
__all__ += _rearrange.__all__
__all__ += _reduction.__all__
__all__ += _scan.__all__
__all__ += _scatter.__all__
__all__ += _shape.__all__
__all__ += _shrinkage.__all__
__all__ += _softmax.__all__
__all__ += _sorting.__all__
__all__ += _statistics.__all__
__all__ += _views.__all__
