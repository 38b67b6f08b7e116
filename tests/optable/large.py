"""Samples large enough that kernels share their work out among threads."""

from __future__ import annotations

from .opinfo import F, I, S

LARGE: dict[str, list[S]] = {
    "sum": [S(F(300_000)), S(F(300, 1000), 0), S(F(300, 1000), 1), S(F(40, 50, 60), 1)],
    "mean": [S(F(300, 1000), 0)],
    "prod": [S(F(300, 1000, lo=0.9, hi=1.1), 1)],
    "var": [S(F(300, 1000), 0), S(F(300, 1000), 1), S(F(300_000))],
    "logsumexp": [S(F(300, 1000), 1)],
    "softmax": [S(F(300, 1000), 1), S(F(300, 1000), 0)],
    "log_softmax": [S(F(300, 1000), 1)],
    "cumsum": [S(F(300, 1000), 1), S(F(300, 1000), 0)],
    "amax": [S(F(300, 1000), 1)],
    "norm": [S(F(300_000)), S(F(300, 1000), 2, 1)],
    "matmul": [S(F(300, 200), F(200, 250)), S(F(64, 1024), F(1024, 64)), S(F(8, 64, 64), F(8, 64, 64)), S(F(2000, 7), F(7, 2000))],
    "mv": [S(F(1000, 500), F(500))],
    "index_select": [S(F(2000, 100), 0, I(3000, hi=2000))],
    "gather": [S(F(300, 400), 1, I(300, 400, hi=400))],
    "scatter_add": [S(F(300, 400), 1, I(300, 400, hi=400), F(300, 400))],
    "index_add": [S(F(200, 300), 0, I(1000, hi=200), F(1000, 300))],
    "cat": [S([F(300, 500), F(200, 500)], 0)],
    "sort": [S(F(300, 500))],
    "nn.functional.linear": [S(F(256, 300), F(200, 300), F(200))],
    "nn.functional.conv2d": [S(F(8, 3, 32, 32), F(16, 3, 3, 3), F(16), padding=1), S(F(8, 16, 16, 16), F(32, 16, 3, 3), F(32), padding=1, stride=2)],
    "nn.functional.conv1d": [S(F(8, 16, 500), F(32, 16, 5), F(32))],
    "nn.functional.conv_transpose2d": [S(F(4, 16, 16, 16), F(16, 8, 3, 3), F(8), stride=2)],
    "nn.functional.max_pool2d": [S(F(8, 16, 32, 32), 2)],
    "nn.functional.avg_pool2d": [S(F(8, 16, 32, 32), 3, 2, 1)],
    "nn.functional.batch_norm": [S(F(64, 16, 16, 16), None, None, F(16), F(16), True)],
    "nn.functional.layer_norm": [S(F(600, 300), (300,), F(300), F(300))],
    "nn.functional.group_norm": [S(F(16, 32, 16, 16), 8, F(32), F(32))],
    "nn.functional.cross_entropy": [S(F(3000, 100), I(3000, hi=100))],
    "nn.functional.mse_loss": [S(F(300, 1000), F(300, 1000))],
    "nn.functional.binary_cross_entropy_with_logits": [S(F(300, 1000), F(300, 1000, lo=0.0, hi=1.0, grad=False))],
    "nn.functional.embedding": [S(I(5000, hi=300), F(300, 64))],
    "nn.functional.gelu": [S(F(300, 1000))],
    "nn.functional.prelu": [S(F(200, 3, 100), F(3))],
}  # fmt: skip
