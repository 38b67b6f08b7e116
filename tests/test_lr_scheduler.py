"""The schedules: against PyTorch, against their closed forms, saved and resumed, and wrong arguments."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from autograd_lite import optim
from autograd_lite.optim import lr_scheduler as ours
from autograd_lite.tensor import Tensor

EPOCHS = 50
RATES = [0.5, 0.05]


def build(module=None, make=None, name="SGD", **options):
    """An optimizer with two groups, here or (given its modules) in PyTorch."""
    if module is None:
        module, make = optim, lambda: Tensor(np.zeros(2)).requires_grad_()
    groups = [{"params": [make()], "lr": lr} for lr in RATES]
    options = {"momentum": 0.9} if name == "SGD" and not options else options
    return getattr(module, name)(groups, **options)


class Inverse:
    """A callable with attributes, which a state keeps."""

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, epoch):
        return 1 / (1 + self.scale * epoch)


def sequential(s, o):
    parts = [s.ConstantLR(o, 0.1, 3), s.CosineAnnealingLR(o, 7), s.ExponentialLR(o, 0.9)]
    return s.SequentialLR(o, parts, milestones=[4, 20])


SCHEDULES = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda epoch: 0.95**epoch),
    "LambdaLR-list": lambda s, o: s.LambdaLR(o, [Inverse(0.5), lambda epoch: epoch / 10]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda epoch: 0.9 if epoch % 2 else 1.05),
    "StepLR": lambda s, o: s.StepLR(o, 7, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [3, 10, 10, 30], 0.5),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.25, 9),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.1, 0.8, 13),
    "LinearLR-defaults": lambda s, o: s.LinearLR(o),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.93),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 30, 2.5),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 11, 0.01),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5, 2, 0.001),
    "CosineAnnealingWarmRestarts-equal": lambda s, o: s.CosineAnnealingWarmRestarts(o, 6),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, [1.0, 0.1], total_steps=EPOCHS),
    "OneCycleLR-linear": lambda s, o: s.OneCycleLR(
        o, 1.0, epochs=5, steps_per_epoch=10, anneal_strategy="linear", pct_start=0.4, div_factor=5.0
    ),
    "OneCycleLR-three": lambda s, o: s.OneCycleLR(o, 1.0, total_steps=EPOCHS, three_phase=True),
    "OneCycleLR-fixed": lambda s, o: s.OneCycleLR(o, 1.0, total_steps=60, cycle_momentum=False),
    "SequentialLR": sequential,
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 5), s.ExponentialLR(o, 0.9)]),
}
schedules = pytest.mark.parametrize("name", SCHEDULES)
PLATEAUS = {
    "min-rel": {"factor": 0.5, "patience": 2},
    "min-abs": {"factor": 0.3, "patience": 1, "threshold": 0.1, "threshold_mode": "abs", "cooldown": 3},
    "max-rel": {"mode": "max", "patience": 0, "min_lr": [0.01, 0.001]},
    "max-abs": {"mode": "max", "patience": 1, "threshold": 0.2, "threshold_mode": "abs", "eps": 1e-3},
}


def compare_groups(a, b):
    for mine, other in zip(a.param_groups, b.param_groups, strict=True):
        assert mine.keys() - {"foreach"} == other.keys() - {"foreach"}
        for key in mine.keys() - {"params", "foreach", "fused"}:
            np.testing.assert_allclose(mine[key], other[key], rtol=1e-12, atol=1e-15, err_msg=key)


def in_pytorch(torch, **options):
    return build(torch.optim, lambda: torch.nn.Parameter(torch.zeros(2)), **options)


@schedules
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_pytorch(name, optimizer):
    torch = pytest.importorskip("torch")
    a, b = build(name=optimizer), in_pytorch(torch, name=optimizer)
    mine, other = SCHEDULES[name](ours, a), SCHEDULES[name](torch.optim.lr_scheduler, b)
    for epoch in range(EPOCHS):
        compare_groups(a, b)
        assert mine.get_last_lr() == [group["lr"] for group in a.param_groups]
        if epoch == 25 and "OneCycle" not in name:  # schedules go on from a rate that was changed by hand
            for group in [*a.param_groups, *b.param_groups]:
                group["lr"] *= 2
        a.step()
        b.step()
        mine.step()
        other.step()
    states = mine.state_dict(), other.state_dict()
    assert states[0].keys() - states[1].keys() == set()
    assert states[1].keys() - states[0].keys() <= {"_get_lr_called_within_step"}


@pytest.mark.parametrize("name", PLATEAUS)
def test_plateau(name):
    torch = pytest.importorskip("torch")
    a, b = build(), in_pytorch(torch)
    mine = ours.ReduceLROnPlateau(a, **PLATEAUS[name])
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(b, **PLATEAUS[name])
    rng = np.random.default_rng(0)
    for epoch in range(EPOCHS):
        metric = 1 / (1 + epoch) + 0.1 * rng.standard_normal()
        mine.step(Tensor(np.array(metric)))
        other.step(metric)
        compare_groups(a, b)
    skipped = {"_is_initial", "_get_lr_called_within_step"}
    assert mine.state_dict().keys() - skipped == other.state_dict().keys() - skipped
    assert mine.num_bad_epochs == other.num_bad_epochs
    assert mine.in_cooldown == other.in_cooldown


@schedules
def test_saved_and_resumed(name):
    optimizer = build()
    schedule = SCHEDULES[name](ours, optimizer)
    for _ in range(12):
        optimizer.step()
        schedule.step()
    saved = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    resumed_optimizer = build()
    resumed = SCHEDULES[name](ours, resumed_optimizer)
    resumed_optimizer.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    assert resumed.get_last_lr() == schedule.get_last_lr()
    for _ in range(20):
        for o, s in ((optimizer, schedule), (resumed_optimizer, resumed)):
            o.step()
            s.step()
        assert resumed.get_last_lr() == schedule.get_last_lr()
        compare_groups(optimizer, resumed_optimizer)


@pytest.mark.parametrize("name", ["StepLR", "LinearLR", "CosineAnnealingLR", "ExponentialLR", "PolynomialLR"])
def test_last_epoch_resumes_too(name):
    torch = pytest.importorskip("torch")
    build_one = {
        "StepLR": lambda s, o, last: s.StepLR(o, 7, 0.5, last),
        "LinearLR": lambda s, o, last: s.LinearLR(o, 0.1, 0.8, 13, last),
        "CosineAnnealingLR": lambda s, o, last: s.CosineAnnealingLR(o, 11, 0.01, last),
        "ExponentialLR": lambda s, o, last: s.ExponentialLR(o, 0.9, last),
        "PolynomialLR": lambda s, o, last: s.PolynomialLR(o, 30, 2.0, last),
    }[name]
    a, b = build(), in_pytorch(torch)
    for o in (a, b):
        for group in o.param_groups:
            group["initial_lr"] = 2 * group["lr"]
    mine, other = build_one(ours, a, 8), build_one(torch.optim.lr_scheduler, b, 8)
    for _ in range(5):
        compare_groups(a, b)
        a.step()
        b.step()
        mine.step()
        other.step()


CLOSED_FORMS = {
    "LambdaLR": lambda lr, t: lr * 0.95**t,
    "StepLR": lambda lr, t: lr * 0.5 ** (t // 7),
    "MultiStepLR": lambda lr, t: lr * 0.5 ** ((t >= 3) + 2 * (t >= 10) + (t >= 30)),
    "ConstantLR": lambda lr, t: lr * (0.25 if t < 9 else 1),
    "LinearLR": lambda lr, t: lr * (0.1 + 0.7 * min(t, 13) / 13),
    "ExponentialLR": lambda lr, t: lr * 0.93**t,
    "PolynomialLR": lambda lr, t: lr * (1 - min(t, 30) / 30) ** 2.5,
    "CosineAnnealingLR": lambda lr, t: 0.01 + (lr - 0.01) * (1 + math.cos(math.pi * t / 11)) / 2,
    "CosineAnnealingWarmRestarts-equal": lambda lr, t: lr * (1 + math.cos(math.pi * (t % 6) / 6)) / 2,
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_form(name):
    optimizer = build()
    schedule = SCHEDULES[name](ours, optimizer)
    optimizer.step()
    for epoch in range(EPOCHS):
        want = [CLOSED_FORMS[name](lr, epoch) for lr in RATES]
        np.testing.assert_allclose(schedule.get_last_lr(), want, rtol=1e-9, atol=1e-12)
        schedule.step()
    for epoch in (31, 2, 10):
        schedule.step(epoch)
        want = [CLOSED_FORMS[name](lr, epoch) for lr in RATES]
        np.testing.assert_allclose(schedule.get_last_lr(), want, rtol=1e-9, atol=1e-12)


def cosine(begin, end, share):
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2


def cycle(low, high, t, ends, anneal=cosine):
    """Smith & Topin (2018), "Super-convergence": up, down, and (as in fast.ai) far down, or both in one."""
    floor = low / 1e4
    phases = [(low, high), (high, floor)] if len(ends) == 2 else [(low, high), (high, low), (low, floor)]
    start = 0.0
    for (begin, end), stop in zip(phases, ends, strict=True):
        if t <= stop:
            return anneal(begin, end, (t - start) / (stop - start))
        start = stop
    raise AssertionError


def straight(begin, end, share):
    return begin + (end - begin) * share


def restarts(lr, t):
    """Loshchilov & Hutter (2017), "SGDR", equation 5, with periods of 5, 10, 20, ... epochs."""
    period = 5
    while t >= period:
        t, period = t - period, 2 * period
    return cosine(lr, 0.001, t / period)


def in_sequence(lr, t):
    if t < 4:
        return lr * (0.1 if t < 3 else 1)
    return cosine(lr, 0, (t - 4) / 7) if t < 20 else lr * 0.9 ** (t - 20)


BY_HAND = {
    "LambdaLR-list": lambda lr, t: lr / (1 + 0.5 * t) if lr == RATES[0] else lr * t / 10,
    "MultiplicativeLR": lambda lr, t: lr * 0.9 ** ((t + 1) // 2) * 1.05 ** (t // 2),
    "LinearLR-defaults": lambda lr, t: lr * (1 / 3 + 2 / 3 * min(t, 5) / 5),
    "CosineAnnealingWarmRestarts": restarts,
    "OneCycleLR": lambda lr, t: cycle(2 * lr / 25, 2 * lr, t, [14, 49]),
    "OneCycleLR-linear": lambda lr, t: cycle(0.2, 1.0, t, [19, 49], straight),
    "OneCycleLR-three": lambda lr, t: cycle(0.04, 1.0, t, [14, 28, 49]),
    "OneCycleLR-fixed": lambda lr, t: cycle(0.04, 1.0, t, [17, 59]),
    "SequentialLR": in_sequence,
    "ChainedScheduler": lambda lr, t: lr * (0.1 if t < 5 else 1) * 0.9**t,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_rates_by_hand(name):
    """Schedules that only go forward, for 50 epochs."""
    optimizer = build()
    schedule = SCHEDULES[name](ours, optimizer)
    for t in range(EPOCHS):
        want = [BY_HAND[name](lr, t) for lr in RATES]
        np.testing.assert_allclose(schedule.get_last_lr(), want, rtol=1e-9, atol=1e-15, err_msg=f"epoch {t}")
        if name == "OneCycleLR":  # the momentum goes the other way
            momentum = cosine(0.95, 0.85, t / 14) if t <= 14 else cosine(0.85, 0.95, (t - 14) / 35)
            assert optimizer.param_groups[0]["momentum"] == pytest.approx(momentum)
        optimizer.step()
        schedule.step()


def test_every_schedule_has_rates_by_hand():
    assert set(SCHEDULES) == set(CLOSED_FORMS) | set(BY_HAND)


@pytest.mark.parametrize("name", PLATEAUS)
def test_plateau_by_hand(name):
    """A rate falls after more than `patience` epochs without an improvement, then rests for `cooldown` epochs."""
    o = {"mode": "min", "factor": 0.1, "patience": 10, "threshold": 1e-4, "threshold_mode": "rel", "cooldown": 0}
    o |= {"min_lr": [0.0, 0.0], "eps": 1e-8} | PLATEAUS[name]
    optimizer = build()
    schedule = ours.ReduceLROnPlateau(optimizer, **PLATEAUS[name])
    sign = 1 if o["mode"] == "min" else -1
    rates, best, bad, rest = list(RATES), math.inf * sign, 0, 0
    rng = np.random.default_rng(1)
    for epoch in range(EPOCHS):
        metric = 1 / (1 + epoch) + 0.1 * rng.standard_normal()
        margin = sign * o["threshold"]
        if sign * metric < sign * (best * (1 - margin) if o["threshold_mode"] == "rel" else best - margin):
            best, bad = metric, 0
        else:
            bad += 1
        if rest > 0:
            rest, bad = rest - 1, 0
        if bad > o["patience"]:
            lower = [max(r * o["factor"], least) for r, least in zip(rates, o["min_lr"], strict=True)]
            rates = [new if old - new > o["eps"] else old for old, new in zip(rates, lower, strict=True)]
            rest, bad = o["cooldown"], 0
        schedule.step(metric)
        np.testing.assert_allclose(schedule.get_last_lr(), rates, rtol=1e-12, err_msg=f"epoch {epoch}")
    assert rates != RATES


def test_warm_restarts_at_fractions_of_epochs():
    torch = pytest.importorskip("torch")
    a, b = build(), in_pytorch(torch)
    mine = ours.CosineAnnealingWarmRestarts(a, 3, 2)
    other = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(b, 3, 2)
    for i in range(80):
        mine.step(i / 4)
        other.step(i / 4)
        compare_groups(a, b)
    with pytest.raises(ValueError, match="Expected non-negative epoch, but got -1"):
        mine.step(-1)


def test_warm_restart_exactly_at_a_power():
    """Where a logarithm would round to the wrong period."""
    optimizer = build()
    schedule = ours.CosineAnnealingWarmRestarts(optimizer, 1, 3)
    for n in range(12):
        schedule.step((3**n - 1) // 2)
        assert (schedule.T_cur, schedule.T_i) == (0, 3**n)
        assert schedule.get_last_lr() == RATES


def test_tensor_rates_are_changed_in_place():
    rate = Tensor(np.array(1.0))
    optimizer = optim.SGD([Tensor(np.zeros(2)).requires_grad_()], lr=rate)
    schedule = ours.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == 0.5
    assert schedule.get_last_lr() == [0.5]
    assert schedule.base_lrs == [1.0]


def test_wrong_order_of_steps_is_noticed():
    schedule = ours.StepLR(build(), 1)
    with pytest.warns(UserWarning, match=r"`lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        schedule.step()


def test_one_cycle_ends():
    optimizer = build()
    schedule = ours.OneCycleLR(optimizer, 1.0, total_steps=3)
    optimizer.step()
    for _ in range(3):
        schedule.step()
    with pytest.raises(ValueError, match="Tried to step 4 times. The specified number of total steps is 3"):
        schedule.step()


def test_plateau_with_a_new_group():
    extra = {"params": [Tensor(np.zeros(1)).requires_grad_()], "lr": 1.0}
    optimizer = build()
    schedule = ours.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    strict = ours.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.0, 0.0])
    optimizer.add_param_group(extra)
    for _ in range(2):
        schedule.step(1.0)
    assert schedule.get_last_lr() == [0.25, 0.025, 0.5]
    strict.step(1.0)
    with pytest.raises(RuntimeError, match=r"param groups in the `optimizer` \(3\) differs"):
        strict.step(1.0)


def warmup(o):
    return ours.SequentialLR(o, [ours.LinearLR(o, 0.2, total_iters=3), ours.StepLR(o, 4, 0.5)], milestones=[3])


def chained(o):
    return ours.ChainedScheduler([ours.ConstantLR(o, 0.1, 5), ours.ExponentialLR(o, 0.9)])


def trace(schedule, epochs):
    rates = []
    for _ in range(epochs):
        rates.append(schedule.get_last_lr())
        schedule.optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("part", [warmup, chained])
def test_combined_schedules_inside_of_sequences(part):
    """As a part they do what they do alone, first or later."""
    alone = trace(part(build()), 10)
    o = build()
    first = ours.SequentialLR(o, [part(o), ours.ExponentialLR(o, 0.8)], milestones=[10])
    rates = trace(first, 13)
    np.testing.assert_allclose(rates[:10], alone)
    np.testing.assert_allclose(rates[10:], np.outer(0.8 ** np.arange(3), RATES))
    o = build()
    later = ours.SequentialLR(o, [ours.ExponentialLR(o, 0.8), part(o)], milestones=[3])
    rates = trace(later, 13)
    np.testing.assert_allclose(rates[:3], np.outer(0.8 ** np.arange(3), RATES))
    np.testing.assert_allclose(rates[3:], alone)


O = build()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ours.StepLR(3, 1), TypeError, "int is not an Optimizer"),
        (lambda: ours.LambdaLR(None, abs), TypeError, "NoneType is not an Optimizer"),
        (lambda: ours.StepLR(build(), 1, last_epoch=3), KeyError, "initial_lr"),
        (lambda: ours.LambdaLR(O, [abs]), ValueError, "Expected 2 lr_lambdas, but got 1"),
        (lambda: ours.LambdaLR(O, 3), TypeError, "lr_lambda should be a function, but got int"),
        (lambda: ours.ConstantLR(O, 1.5), ValueError, "between 0 and 1"),
        (lambda: ours.LinearLR(O, 0), ValueError, "Starting multiplicative factor"),
        (lambda: ours.LinearLR(O, 1, -1), ValueError, "Ending multiplicative factor"),
        (lambda: ours.CosineAnnealingWarmRestarts(O, 0), ValueError, "positive integer T_0, but got 0"),
        (lambda: ours.CosineAnnealingWarmRestarts(O, 5, 0), ValueError, "integer T_mult >= 1, but got 0"),
        (lambda: ours.CosineAnnealingWarmRestarts(O, 5, 1, "0"), ValueError, "float or int eta_min"),
        (lambda: ours.OneCycleLR(3, 1.0, 5), TypeError, "int is not an Optimizer"),
        (lambda: ours.OneCycleLR(O, 1.0), ValueError, "either total_steps OR"),
        (lambda: ours.OneCycleLR(O, 1.0, -3), ValueError, "positive integer total_steps, but got -3"),
        (lambda: ours.OneCycleLR(O, 1.0, None, 3, 0), ValueError, "steps_per_epoch, but got 0"),
        (lambda: ours.OneCycleLR(O, 1.0, 5, pct_start=2.0), ValueError, "between 0 and 1 pct_start"),
        (lambda: ours.OneCycleLR(O, 1.0, 5, anneal_strategy="x"), ValueError, "one of 'cos' or 'linear'"),
        (lambda: ours.OneCycleLR(O, [1.0], 5), ValueError, "max_lr has 1 values, param_groups has 2"),
        (
            lambda: ours.OneCycleLR(build(name="Adagrad"), 1.0, 5),
            ValueError,
            "must support momentum or beta1",
        ),
        (lambda: ours.ReduceLROnPlateau(O, factor=1.0), ValueError, "Factor should be < 1.0"),
        (lambda: ours.ReduceLROnPlateau(3), TypeError, "int is not an Optimizer"),
        (lambda: ours.ReduceLROnPlateau(O, "x"), ValueError, "mode x is unknown!"),
        (lambda: ours.ReduceLROnPlateau(O, threshold_mode="x"), ValueError, "threshold mode x is unknown!"),
        (lambda: ours.ReduceLROnPlateau(O, min_lr=[0.1]), ValueError, "expected 2 min_lrs, got 1"),
        (lambda: ours.SequentialLR(O, [], []), ValueError, "at least one scheduler"),
        (lambda: ours.SequentialLR(O, [3], []), TypeError, "should have `optimizer` as its attribute"),
        (lambda: ours.SequentialLR(O, [ours.StepLR(O, 1)], [3]), ValueError, "one more than the number of"),
        (lambda: ours.SequentialLR(O, [ours.StepLR(build(), 1)], []), ValueError, "same optimizer"),
        (lambda: ours.SequentialLR(O, [ours.ReduceLROnPlateau(O)], []), ValueError, "does not support"),
        (lambda: ours.ChainedScheduler([]), ValueError, "at least one scheduler"),
        (
            lambda: ours.ChainedScheduler([ours.StepLR(O, 1), ours.StepLR(build(), 1)]),
            ValueError,
            "same optimizer",
        ),
        (lambda: ours.LRScheduler(O), NotImplementedError, "must implement get_lr"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_state_of_another_length_is_refused():
    optimizer = build()
    one = ours.ChainedScheduler([ours.StepLR(optimizer, 1)])
    two = ours.ChainedScheduler([ours.StepLR(optimizer, 1), ours.StepLR(optimizer, 2)])
    with pytest.raises(ValueError, match="has 2 schedulers, but this ChainedScheduler has 1"):
        one.load_state_dict(two.state_dict())


@pytest.mark.parametrize("kind", [ours.ChainedScheduler, ours.SequentialLR])
def test_combined_schedules_take_no_epoch(kind):
    optimizer = build()
    parts = [ours.StepLR(optimizer, 1), ours.StepLR(optimizer, 2)]
    schedule = kind(parts) if kind is ours.ChainedScheduler else kind(optimizer, parts, [3])
    before = schedule.get_last_lr()
    with pytest.raises(TypeError, match="step takes no epoch"):
        schedule.step(3)
    assert schedule.get_last_lr() == before
