"""The mutants: what is broken, and the tests that should notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """`old` is replaced by `new` in `file` (which holds it `times` times)."""

    family: str
    kind: str
    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    times: int = 1


def gradient(*rows: str) -> tuple[str, ...]:
    return tuple(f"tests/test_ops_gradients.py::test_gradient[{row}]" for row in rows)


def second(*rows: str) -> tuple[str, ...]:
    return tuple(f"tests/test_ops_second_order.py::test_second_order[{row}]" for row in rows)


def value(*rows: str) -> tuple[str, ...]:
    return tuple(f"tests/test_ops_values.py::test_value[{row}]" for row in rows)


def policy(name: str) -> tuple[str, ...]:
    return (f"tests/test_numerics.py::test_policy[{name}-float64]",)


F = "nn.functional."
ENGINE, INPLACE = "tests/test_engine.py", "tests/test_inplace_views.py"

MUTANTS = [
    # elementwise
    Mutant("elementwise", "wrong sign", "cos' = +sin", "ops/pointwise.py", '"cos(x)", "-g * sin(x)"', '"cos(x)", "g * sin(x)"', gradient("cos")),
    Mutant("elementwise", "dropped factor", "tanh' = 1 - out", "ops/pointwise.py", '"g * (1 - out * out)"', '"g * (1 - out)"', gradient("tanh")),
    Mutant("elementwise", "dropped factor", "square' = x", "ops/pointwise.py", '"2 * g * x"', '"g * x"', gradient("square")),
    Mutant("elementwise", "wrong constant", "log2' with a constant off in the sixth digit", "ops/pointwise.py", "1 / (x * 0.6931471805599453)", "1 / (x * 0.693148)", gradient("log2")),
    Mutant("elementwise", "exchanged inputs", "mul gives each factor its own value", "ops/pointwise.py", '"x * y", "g * y", "g * x"', '"x * y", "g * x", "g * y"', gradient("mul")),
    Mutant("elementwise", "wrong sign", "sub gives +g to the subtrahend", "ops/pointwise.py", '"x - y", "g", "-g"', '"x - y", "g", "g"', gradient("sub")),
    Mutant("elementwise", "wrong kink", "maximum gives ties to both in full", "ops/pointwise.py", '"where(x < y, 0, where(x == y, 0.5 * g, g))"', '"where(x < y, 0, g)"', policy("maximum, minimum: ties")),
    Mutant("elementwise", "wrong kink", "abs'(0) = 1", "ops/pointwise.py", '"g * sign(x)"', '"where(x < 0, -g, g)"', policy("abs at 0")),
    Mutant("elementwise", "0 x inf", "sqrt sends NaN back from a branch not taken", "ops/pointwise.py", '"times(g, 0.5 / out)"', '"g * (0.5 / out)"', policy("where(x > 0, f(x), 0) with f singular")),
    Mutant("elementwise", "wrong value", "frac rounds down", "ops/pointwise.py", '"x - trunc(x)"', '"x - floor(x)"', value("frac")),
    Mutant("elementwise", "second order", "sqrt's formula differs from its kernel", "ops/pointwise.py", '"g * out * 0.6931471805599453"', '"g * out * 0.69"', second("exp2")),
    Mutant("elementwise", "wrong mask", "clamp passes gradients outside", "ops/arithmetic.py", '"where((x >= lo) & (x <= hi), g, 0)"', '"where(x >= lo, g, 0)"', gradient("clamp")),
    Mutant("elementwise", "dropped factor", "add forgets alpha", "ops/arithmetic.py", "pointwise.add(input, other if alpha == 1 else pointwise.mul(other, alpha))", "pointwise.add(input, other)", value("add")),
    # broadcasting and the engine
    Mutant("engine", "missing un-broadcast", "broadcast gradients keep the wide shape", "ops/elementwise.py", "result = sum_to(result, shape=self.shapes[target])", "pass", gradient("add", "mul")),
    Mutant("engine", "aliasing", "a gradient is added to in place although others hold it", "autograd/graph.py", "result is not gradient and result._base is None and not node.foreign)", "True)", (f"{ENGINE}::test_gradients_that_pass_unchanged_add_up", "tests/test_ops_memory.py::test_untouched[add]")),
    Mutant("engine", "aliasing", ".grad is the upstream gradient itself", "autograd/graph.py", "leaf._grad = gradient if may_own else gradient.clone()", "leaf._grad = gradient", (f"{ENGINE}::test_backward_of_a_leaf_itself", "tests/test_ops_memory.py::test_untouched[add]")),
    Mutant("engine", "lost accumulation", "a second gradient replaces the first", "autograd/graph.py", "                pending[target] = present + gradient\n", "                pending[target] = gradient\n", (f"{ENGINE}::test_gradients_that_pass_unchanged_add_up",)),
    Mutant("engine", "order", "nodes run in the order of recording", "autograd/graph.py", "heappush(heap, (-target.number, target))", "heappush(heap, (target.number, target))", (f"{ENGINE}::test_fan_out_and_shared_subexpressions", "tests/test_random_graphs.py")),
    Mutant("engine", "leak", "saved tensors are never freed", "autograd/graph.py", "            if not keep_graph:\n", "            if False:\n", (ENGINE, "tests/test_engine_memory.py")),
    Mutant("engine", "leaf hooks", "leaf hooks see nothing", "autograd/graph.py", "entry[1] = run_hooks(leaf._hooks, gradient)", "entry[1] = gradient", (f"{ENGINE}::test_leaf_hooks_run_once_on_the_whole_gradient",)),
    Mutant("engine", "grad mode", "backward leaves recording off after an exception", "autograd/graph.py", "    finally:\n        state.enabled = before\n", "    except ZeroDivisionError:\n        raise\n    else:\n        state.enabled = before\n", (f"{ENGINE}",)),
    # in-place and views
    Mutant("in place", "stale saved value", "in-place writes do not mark the storage", "ops/inplace.py", "    np.copyto(x._data, result._data)\n    x._bump()\n", "    np.copyto(x._data, result._data)\n", (f"{INPLACE}", f"{ENGINE}::test_saved_tensor_changed_in_place")),
    Mutant("in place", "stale saved value", "nodes do not look at versions", "ops/elementwise.py", "            if t._counter[1] > number:\n", "            if False:\n", (f"{INPLACE}", f"{ENGINE}::test_saved_tensor_changed_in_place")),
    Mutant("in place", "silent write", "leaves may be changed", "ops/inplace.py", "    if x._requires_grad and x._node is None and base is None:\n", "    if False:\n", (f"{ENGINE}::test_in_place_on_a_leaf",)),
    Mutant("in place", "lost gradient", "views do not rejoin their base", "ops/inplace.py", "        take_positions.record(view, (base,), {}, {\"positions\": positions})", "        pass", (f"{INPLACE}",)),
    Mutant("in place", "extra gradient", "overwritten elements keep their gradient", "ops/inplace.py", "@copy_slices.derivative(\"x\")\ndef _(g: Tensor, *, positions: np.ndarray) -> Tensor:\n    return zero_positions(g, positions=positions)", "@copy_slices.derivative(\"x\")\ndef _(g: Tensor, *, positions: np.ndarray) -> Tensor:\n    return g", (f"{INPLACE}",)),
    Mutant("in place", "silent write", "views made under no_grad may be changed", "ops/inplace.py", "    if x._no_grad_view and (recorded or (base is not None and base._requires_grad)):\n", "    if False:\n", (f"{INPLACE}::test_view_made_under_no_grad",)),
    # reductions
    Mutant("reductions", "dropped factor", "mean's gradient is not divided", "ops/reduction.py", "return spread(_quotient(g, constant(_count(x_shape, axes), g.dtype)._data), x_shape, axes)", "return spread(g, x_shape, axes)", gradient("mean")),
    Mutant("reductions", "second order", "mean's recorded gradient is not divided", "ops/reduction.py", "expand_to(keep(g / _count(x_shape, axes), x_shape, axes, keepdims), shape=x_shape)", "expand_to(keep(g, x_shape, axes, keepdims), shape=x_shape)", second("mean")),
    Mutant("reductions", "off by one", "var divides by n in the gradient", "ops/reduction.py", "free = _count(shape, axes) - correction", "free = _count(shape, axes)", gradient("var")),
    Mutant("reductions", "wrong kink", "std of a constant gives inf", "ops/reduction.py", "where(out == 0, 0, 0.5 * g / out)", "0.5 * g / out", policy("std of a constant")),
    Mutant("reductions", "division by zero", "prod's gradient divides by the element", "ops/reduction.py", "    product = others(moved).reshape(", "    product = (moved.prod(-1, keepdim=True) / moved).reshape(", policy("prod with one zero and with two")),
    Mutant("reductions", "wrong direction", "cumsum's gradient runs forward", "ops/scan.py", "return _cumsum(g, dim=dim, reverse=not reverse)", "return _cumsum(g, dim=dim, reverse=reverse)", gradient("cumsum")),
    Mutant("reductions", "dropped term", "softmax's gradient without the sum", "ops/softmax.py", "return weighted - out * sum(weighted, dim, True)", "return weighted", second("softmax")),
    Mutant("reductions", "wrong power", "p-norm's slope with p", "ops/norms.py", "pow(share, p - 1)", "pow(share, p)", gradient("norm")),
    Mutant("reductions", "thread-dependent", "sums are cut by the number of threads", "kernels/reduce.py", "    while n > 2 * SPAN:\n        chunks = -(-n // SPAN)\n", "    from .threading import get_num_threads\n    while n > 2 * SPAN and get_num_threads() > 1:\n        chunks = -(-n // SPAN)\n", ("tests/test_ops_bits.py::test_threads_do_not_change_bits[sum]",)),
    Mutant("reductions", "off by one", "blocks of a long sum lose their last element", "kernels/reduce.py", "            for i in range(block.size):\n                s = {{step_i}}", "            for i in range(block.size - (block.size == {BLOCK})):\n                s = {{step_i}}", (*policy("sum of many"),)),
    # float32
    Mutant("dtypes", "float64 leak", "mean counts in float64", "ops/reduction.py", "return spread(_quotient(g, constant(_count(x_shape, axes), g.dtype)._data), x_shape, axes)", "return spread(_quotient(g.astype(np.float64), constant(_count(x_shape, axes), np.dtype(np.float64))._data).astype(g.dtype), x_shape, axes)", ("tests/test_ops_float32.py::test_float32[mean]",)),
    Mutant("dtypes", "float64 leak", "log_softmax saves its output in float64", "ops/softmax.py", "    return kernels.log_softmax_backward(g, out, dim)", "    wide = out.astype(np.float64)\n    return kernels.log_softmax_backward(g, wide.astype(g.dtype), dim)", ("tests/test_ops_float32.py::test_float32[log_softmax]",)),
    Mutant("dtypes", "float64 leak", "softmax's gradient passes through float64 within one expression", "ops/softmax.py", "    return kernels.softmax_backward(g, out, dim)", "    return kernels.softmax_backward(g, (out * np.float64(1)).astype(g.dtype), dim)", ("tests/test_ops_float32.py::test_float32[softmax]",)),
    # shapes and indices
    Mutant("shapes", "transposed gradient", "permute's gradient is permuted the same way", "ops/shape.py", "dims=tuple(sorted(range(len(dims)), key=dims.__getitem__))", "dims=dims", gradient("permute")),
    Mutant("shapes", "wrong sign", "roll's gradient rolls on", "ops/rearrange.py", "tuple([-s for s in shifts])", "tuple([s for s in shifts])", gradient("roll")),
    Mutant("shapes", "off by one", "pad's gradient is cut one too early", "ops/rearrange.py", "(*[slice(b, b + n) for b, n in zip(before, x_shape, strict=True)], ...)", "(*[slice(max(b - 1, 0), max(b - 1, 0) + n) for b, n in zip(before, x_shape, strict=True)], ...)", gradient("nn.functional.pad")),
    Mutant("shapes", "dropped flip", "flip's gradient is not flipped", "ops/rearrange.py", "def _(g: Tensor, *, dims: Ints) -> Tensor:\n    return _flip(g, dims=dims)", "def _(g: Tensor, *, dims: Ints) -> Tensor:\n    return g", gradient("flip")),
    Mutant("indexing", "lost accumulation", "repeated indices count once", "ops/indexing.py", "    indexing.add_along(out, dim, index, np.ascontiguousarray(x))", "    np.moveaxis(out, dim, 0)[index.reshape(-1)] = np.moveaxis(x.reshape((*shape[:dim], -1, *shape[dim + 1 :])), dim, 0)", gradient("index_select")),
    Mutant("indexing", "wrong place", "gradients go to the first elements", "ops/indexing.py", "put_positions(g, positions=positions_of(x_shape)[index], shape=x_shape)", "put_positions(g, positions=np.arange(g._data.size).reshape(g._data.shape), shape=x_shape)", gradient("Tensor.__getitem__")),
    # products
    Mutant("products", "transposed gradient", "mm multiplies by b, not its transpose", "ops/matmul.py", "return products.gemm(g, b.T)", "return products.gemm(g, b.T[::-1])", gradient("mm", "matmul")),
    Mutant("products", "exchanged inputs", "mm's second gradient reversed", "ops/matmul.py", "return _mm(t(a), g)", "return _mm(t(a), g) * 1.0001", second("mm")),
    Mutant("products", "dropped batch", "bmm uses each batch's first matrix", "ops/matmul.py", "return products.gemm_batched(a.transpose(0, 2, 1), g)", "return products.gemm_batched(a[:1].repeat(len(a), 0).transpose(0, 2, 1), g)", gradient("bmm")),
    Mutant("products", "wrong axis", "linear's recorded bias gradient takes the first row only", "ops/linear.py", "_rows(g).sum(0) if needs[2] else None", "_rows(g)[0] if needs[2] else None", second(F + "linear")),
    Mutant("products", "wrong sign", "inverse's gradient without the minus", "ops/decomposition.py", "return -matmul(matmul(adjoint(out), g), adjoint(out))", "return matmul(matmul(adjoint(out), g), adjoint(out))", gradient("linalg.inv")),
    # nn
    Mutant("convolution", "off by one", "'same' padding puts the odd column on the wrong side", "ops/convolution.py", "input = pad(input, [n for t in reversed(total) for n in (0, t % 2)])", "input = pad(input, [n for t in reversed(total) for n in (t % 2, 0)])", value(F + "conv2d")),
    Mutant("convolution", "exchanged inputs", "the weight's gradient in second order by the wrong upstream", "ops/convolution.py", "_conv_weight(x, g, shape=weight._data.shape, **options) if needs[1] else None", "_conv_weight(x, g * 1.001, shape=weight._data.shape, **options) if needs[1] else None", second(F + "conv_transpose2d", F + "conv2d")),
    Mutant("convolution", "wrong axis", "the bias, alone, sums over the first image only", "ops/convolution.py", "dbias = reduce.sum(g, _over_channels(g.shape))", "dbias = reduce.sum(g[:1], _over_channels(g.shape))", ("tests/test_ops_gradients.py::test_each_input_alone[nn.functional.conv2d]",)),
    Mutant("convolution", "wrong padding", "the input's gradient takes the padding of the other axis", "ops/convolution.py", "dx = kernels.conv_input(g, contiguous(weight), x.shape, *options)", "dx = kernels.conv_input(g, contiguous(weight), x.shape, stride, padding[::-1], dilation, groups)", gradient(F + "conv2d")),
    Mutant("pooling", "dropped option", "average pooling's gradient counts the padding always", "ops/pooling.py", 'options={**options, "count_pad": count_pad, "divisor": divisor}', 'options={**options, "count_pad": True, "divisor": divisor}', gradient(F + "avg_pool2d")),
    Mutant("pooling", "wrong layer", "adaptive pooling's gradient is a plain mean", "ops/pooling.py", "return _adaptive_avg_pool_backward(g, shape=x_shape, size=size)", "return _adaptive_avg_pool_backward(g * 0.5, shape=x_shape, size=size)", gradient(F + "adaptive_avg_pool2d")),
    Mutant("normalisation", "dropped term", "the gradient through the variance is missing", "ops/normalization.py", "rest = gu - u * (gu * u).mean(dims, keepdim=True)", "rest = gu", second(F + "layer_norm")),
    Mutant("normalisation", "dropped eps", "eps is left out of the recorded root", "ops/normalization.py", "rstd = ((x * x).mean(dims, keepdim=True) + eps).rsqrt()", "rstd = (x * x).mean(dims, keepdim=True).rsqrt()", second(F + "batch_norm", F + "layer_norm")),
    Mutant("losses", "dropped factor", "mse' = x - y", "ops/loss.py", '"2 * (x - y)", "2 * (y - x)"', '"(x - y)", "2 * (y - x)"', gradient(F + "mse_loss")),
    Mutant("losses", "dropped weight", "class weights are left out of the recorded gradient", "ops/cross_entropy.py", "return shares if weight is None else shares * _over_classes(weight, x, dim)", "return shares", second(F + "cross_entropy")),
    Mutant("losses", "wrong mask", "ignored targets are smoothed", "ops/cross_entropy.py", "            uniform = uniform * counted.unsqueeze(dim)", "            pass", second(F + "cross_entropy")),
    Mutant("losses", "wrong sign", "class probabilities get the wrong sign", "ops/cross_entropy.py", "* (smoothing - 1)", "* (1 - smoothing)", gradient(F + "cross_entropy")),
    Mutant("embedding", "wrong place", "the second order takes rows without factors", "ops/embedding.py", "return _put_rows(g, index=index, factors=factors, rows=weight_shape[0])", "return _put_rows(g * 2, index=index, factors=factors, rows=weight_shape[0])", gradient(F + "embedding")),
    # random numbers, checkers
    Mutant("dropout", "other mask", "the gradient draws a new mask", "ops/dropout.py", "return _dropout(g, p=p, seed=seed, block=block)", "return _dropout(g, p=p, seed=seed + 1, block=block)", ("tests/test_ops_complete.py::test_random_operations_have_the_right_gradient",)),
    Mutant("gradcheck", "blind checker", "gradcheck accepts anything", "autograd/gradcheck.py", "if not abs(found - numerical) <= atol + rtol * abs(numerical):", "if False:", ("tests/test_gradcheck.py",)),
    Mutant("gradcheck", "blind checker", "gradcheck tries unit vectors only", "autograd/gradcheck.py", "[0.75 * v for v in _directions(", "[1.0 * v for v in _directions(", ("tests/test_gradcheck.py",)),
]  # fmt: skip
