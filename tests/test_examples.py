"""The examples: their methods on small cases, and each script from end to end on a tiny data set."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import autograd_lite as ag

for name in ("matplotlib", "scipy", "skimage", "PIL", "sklearn", "tqdm"):
    pytest.importorskip(name, reason=f"the examples need {name}: pip install 'autograd_lite[examples]'")

from examples import (  # noqa: E402
    activations,
    autoencoder,
    backprop_cost,
    cnn,
    compare_torch,
    convolution_as_matrix,
    faces,
    finetune,
    gradient_check,
    mlp,
    pca,
    report,
    softmax_regression,
    text_extraction,
)
from examples.common import (  # noqa: E402
    figures,
    images,
    letters,
    networks,
    options,
    reconstruction,
    training,
)

CLASSES = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"]


def tiny_split(n: int, seed: int) -> images.Split:
    """Images whose class is told by where their dark square is."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    pictures = 1 - 0.1 * rng.random((n, 1, 32, 32), dtype=np.float32)
    for picture, label in zip(pictures[:, 0], labels, strict=True):
        row, column = divmod(int(label), 6)
        picture[5 * row : 5 * row + 6, 5 * column : 5 * column + 6] = 0
    order = rng.permutation(n)
    return images.Split(ag.from_numpy(pictures[order]), ag.from_numpy(labels[order]))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> images.Images:
    data = images.Images("glyphs", tiny_split(144, 0), tiny_split(72, 1), tiny_split(72, 2), CLASSES)
    monkeypatch.setattr(images, "load", lambda *_, **__: data)
    return data


def run(module: object, folder, *arguments: str) -> dict:
    """Run a script quickly; its metrics come back and are in the file."""
    file = folder / "metrics.json"
    metrics = module.main(["--quick", "--out", str(folder), "--json", str(file), *arguments])
    assert json.loads(file.read_text()) == json.loads(json.dumps(metrics))
    return metrics


def pictures(folder) -> set[str]:
    return {path.name for path in folder.glob("*.png")}


@pytest.mark.parametrize("arguments", [["--sweep", "--epochs", "2"], ["--optimizer", "adam", "--epochs", "2"]])
def test_mlp(tiny, tmp_path, arguments):
    metrics = run(mlp, tmp_path, "--hidden", "8", *arguments)
    assert len(metrics["history"]["valid_accuracy"]) == 2
    assert len(pictures(tmp_path)) == 3 + ("--sweep" in arguments)
    if "--sweep" in arguments:
        assert set(metrics["sweep"]) == {"0.002", "0.02", "0.0002"}


def test_mlp_learns(tiny):
    for split in (tiny.train, tiny.valid):
        split.images = 1 - split.images  # what all images share is then zero, which makes it a quick task
    given = mlp.parse(["--hidden", "32", "--optimizer", "adam", "--lr", "0.01", "--epochs", "40"])
    _, _, history = mlp.train(given, tiny, given.lr)
    assert history.last("valid_accuracy") > 0.9
    assert history.last("train_loss") < history["train_loss"][0]


def test_cnn(tiny, tmp_path):
    metrics = run(cnn, tmp_path, "--epochs", "1", "--save", str(tmp_path))
    assert metrics["weights"] == 626_916
    model = cnn.build(tiny)
    model.load_state_dict(ag.load(tmp_path / "cnn_glyphs.safetensors"))
    assert training.evaluate(model, tiny.test)[1] == metrics["test_accuracy"]


@pytest.mark.parametrize("arguments", [[], ["--deep"]])
def test_autoencoder(tiny, tmp_path, arguments):
    metrics = run(autoencoder, tmp_path, "--epochs", "1", *arguments)
    assert metrics["valid_psnr"] > 0
    assert len(pictures(tmp_path)) == 2


def test_pca(tiny, tmp_path):
    metrics = run(pca, tmp_path, "--components", "8")
    assert metrics["centred"]["projection_shape"] == [1024, 1024]
    assert metrics["centred"]["projection_rank"] == 8


def test_pca_is_numpys_truncated_svd():
    x = np.random.default_rng(0).standard_normal((40, 12)).astype(np.float32)
    restored = pca.PCA(5).fit(ag.from_numpy(x)).reconstruct(ag.from_numpy(x)).numpy()
    u, s, vt = np.linalg.svd(x - x.mean(0), full_matrices=False)
    np.testing.assert_allclose(restored, (u[:, :5] * s[:5]) @ vt[:5] + x.mean(0), atol=1e-4)


def test_softmax_regression(tiny, tmp_path):
    metrics = run(softmax_regression, tmp_path, "--epochs", "2")
    assert metrics["gradient_error"] < 1e-6
    assert set(metrics["loss_after_descent"]) == {"0.0", "0.25", "0.8"}


def test_activations(tmp_path):
    metrics = run(activations, tmp_path)
    assert metrics["largest_slopes"]["sigmoid"] == 0.25
    assert metrics["gradient_sizes"]["sigmoid"][-1] < 1e-9


def test_gradient_check(tmp_path):
    metrics = run(gradient_check, tmp_path, "--pixels", "6", "--hidden", "4", "--classes", "3")
    assert metrics["parameters"] == 6 * 4 + 4 + 4 * 3 + 3
    assert metrics["largest_relative_error"] < 1e-6


def test_convolution_as_matrix(tmp_path):
    assert run(convolution_as_matrix, tmp_path)["equal"]


def test_path_sums_count_the_predicted_products():
    """A unit of layer l has K + K^2 + ... + K^(N-1-l) products behind it; each weight asks anew."""
    depth, width = 3, 3
    _, products = backprop_cost.time_paths(depth, width)
    behind = [sum(width**p for p in range(1, depth - layer)) for layer in range(depth)]
    assert products == width**2 * sum(behind)


def test_backprop_cost_fits_and_predicts():
    power = backprop_cost.Growth("", "layers", [2, 4, 8], [12.0, 48.0, 192.0], 2)
    factor = backprop_cost.Growth("", "layers", [1, 2, 3], [6.0, 18.0, 54.0], 3, factor=True)
    for growth in (power, factor):
        assert growth.fitted == pytest.approx(growth.predicted)
        np.testing.assert_allclose(growth.law, growth.seconds)
    assert str(power) == "N^2.00 (predicted N^2)" and str(factor) == "x3.00 a layer (predicted x3)"


# Reading photographs


def test_letters_are_found_in_reading_order():
    """Three rows of squares on unevenly lit paper, rising to the right, with specks that are no letters."""
    page = np.ones((420, 700))
    rows = (3, 5, 4)
    for row, count in enumerate(rows):
        for column in range(count):
            top = 40 + 130 * row - 3 * column
            page[top : top + 60, 60 + 110 * column : 70 + 110 * column] = 0.1
            page[top : top + 10, 60 + 110 * column : 105 + 110 * column] = 0.1
    page[300:304, 640:644] = 0.1  # a full stop
    page *= np.linspace(0.5, 1, 700)
    boxes, ink = letters.find_letters(np.repeat(page[..., None], 3, 2))
    lines = letters.in_lines(boxes)
    assert [len(line) for line in lines] == list(rows)
    assert all(a.left < b.left for line in lines for a, b in zip(line, line[1:], strict=False))
    crop = letters.cut_out(ink, boxes[0])
    assert crop.shape == (32, 32) and crop.dtype == np.float32
    dark = np.argwhere(crop < 0.5)
    assert 20 <= (dark.max(0) - dark.min(0) + 1).max() <= 24
    assert crop.min() < 0.1 and crop[0].min() == 1


def test_photographs_need_their_text(tmp_path):
    with pytest.raises(SystemExit, match=r"no \*\.jpg found"):
        text_extraction.read_photographs(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(SystemExit, match="no text file says what is on a.jpg"):
        text_extraction.read_photographs(tmp_path)


def test_words_are_parted_by_wide_gaps():
    lefts = [0, 30, 60, 130, 160]
    line = [letters.Box(0, left, 30, left + 20) for left in lefts]
    words = letters.in_words(line, letters.word_gap([line]))
    assert [len(word) for word in words] == [3, 2]


def test_a_word_is_letters_or_digits():
    classes = [*"O01I"]
    scores = np.log(np.array([[0.4, 0.6, 1e-9, 1e-9], [1e-9, 1e-9, 0.1, 0.9]]))
    assert text_extraction.read_word(scores, classes, by_words=False) == "0I"
    assert text_extraction.read_word(scores, classes, by_words=True) == "OI"


def test_crops_are_like_the_training_images():
    ink = np.zeros((60, 60), bool)
    ink[10:50, 20:25] = ink[10:15, 20:45] = True
    page = text_extraction.Page("page", np.ones((60, 60, 3)), ink, [[letters.Box(10, 20, 50, 45)]], ["T"])
    made = {}
    for name, side in (("nist36", 32), ("emnist", 28)):
        split = images.Split(ag.zeros(1, 1, side, side), ag.zeros(1, dtype=ag.int64))
        made[name] = page.crops(images.Images(name, split, split, split, ["A"])).numpy()[0, 0]
        assert made[name].shape == (side, side)
    np.testing.assert_array_equal(made["nist36"][2:-2, 2:-2], 1 - made["emnist"])
    assert made["emnist"][0].max() == 0 and made["emnist"].max() > 0.9


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
)
def test_edit_distance(a, b, distance):
    assert text_extraction.edit_distance(a, b) == text_extraction.edit_distance(b, a) == distance


def test_share_of_characters():
    assert text_extraction.compare(["AB C"], ["ABD"]) == pytest.approx(2 / 3)
    assert text_extraction.compare(["ABCD"], ["ABD"]) == pytest.approx(2 / 3)


# Networks with torchvision's names


def test_squeezenet_has_torchvisions_weights(tmp_path):
    model = networks.SqueezeNet(17)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes["features.10.expand3x3.weight"] == (192, 48, 3, 3)
    assert sum(p.numel() for p in model.features.parameters()) == 722_496
    assert sum(p.numel() for p in networks.SqueezeNet().parameters()) == 1_235_496
    file = tmp_path / "weights.safetensors"
    ag.save({name: value for name, value in model.state_dict().items() if name.startswith("features")}, file)
    other = networks.SqueezeNet(5)
    networks.load_features(other, networks.read_features(file))
    assert ag.equal(other.features[3].squeeze.weight, model.features[3].squeeze.weight)
    with pytest.raises(SystemExit, match=r"do not fit AlexNet: \d+ of 10 differ, .* given, .* expected"):
        networks.load_features(networks.AlexNet(2), networks.read_features(file))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SystemExit, match="corrupt"):
        networks.read_features(file)
    ag.save({"weight": ag.ones(1)}, file)
    with pytest.raises(SystemExit, match="holds no weights named features"):
        networks.read_features(file)


def test_flip_and_crop_augmentation_repeats():
    batch = ag.from_numpy(np.random.default_rng(0).random((6, 3, 8, 8), dtype=np.float32))
    augment = images.Augment(padding=2)
    first, again, other = augment(batch, 0, 0), augment(batch, 0, 0), augment(batch, 0, 1)
    assert ag.equal(first, again) and not ag.equal(first, other)
    assert first.shape == batch.shape
    unmoved = images.Augment(padding=0, flip=False)(batch, 0, 0)
    assert ag.equal(unmoved, batch)


def test_face_estimator_is_scikit_learns():
    from sklearn.base import clone

    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 4)).astype(np.float32)
    y = np.where(x[:, 0] > 0, 7, 3)
    estimator = clone(faces.TwoLayerClassifier(hidden=8, batch_size=10, lr=0.02, epochs=20))
    assert estimator.fit(x, y).score(x, y) > 0.9
    assert set(estimator.predict(x)) <= {3, 7}


def test_scripts_say_what_they_need(monkeypatch, tmp_path):
    monkeypatch.delenv("AUTOGRAD_LITE_DATA", raising=False)
    for module in (faces, finetune):
        with pytest.raises(SystemExit, match="--data DIR"):
            module.main(["--quick", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="not found"):
        cnn.main(["--dataset", "mnist", "--data", str(tmp_path), "--out", str(tmp_path)])


# The training loop


def fit(data: images.Images, epochs: int, callbacks=(), checkpoint=None, augment=None):
    ag.manual_seed(0)
    model = ag.nn.Sequential(ag.nn.Flatten(), ag.nn.Linear(1024, 16), ag.nn.Dropout(0.3), ag.nn.Linear(16, 36))
    optimizer = ag.optim.Adam(model.parameters(), lr=0.01)
    scheduler = ag.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
    history = training.fit(
        model, data.train, data.valid, optimizer, epochs=epochs, batch_size=32,
        scheduler=scheduler, callbacks=callbacks, checkpoint=checkpoint, augment=augment,
    )  # fmt: skip
    return model, history


def test_a_resumed_run_is_the_run_that_was_not_stopped(tiny, tmp_path):
    """Weights and history, to the last bit: dropout, order of examples, Adam's averages and the rate go on."""
    whole, history = fit(tiny, 4, [training.BestWeights()])
    fit(tiny, 2, [training.BestWeights()], tmp_path / "state")
    ag.manual_seed(99)
    resumed, later = fit(tiny, 4, [training.BestWeights()], tmp_path / "state")
    for name, value in whole.state_dict().items():
        assert ag.equal(value, resumed.state_dict()[name]), name
    for name in ("train_loss", "valid_loss", "valid_accuracy"):
        assert history[name] == later[name]


def test_a_run_interrupted_within_an_epoch_resumes_to_the_same_bits(tiny, tmp_path):
    def stop(pictures, epoch, step):
        if (epoch, step) == (2, 3):
            raise KeyboardInterrupt
        return pictures

    whole, history = fit(tiny, 4)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny, 4, checkpoint=tmp_path / "state", augment=stop)
    resumed, later = fit(tiny, 4, checkpoint=tmp_path / "state")
    assert all(ag.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())
    assert history["valid_loss"] == later["valid_loss"]


def test_a_damaged_or_wrong_checkpoint_is_told(tiny, tmp_path):
    fit(tiny, 1, checkpoint=tmp_path / "state")
    whole = (tmp_path / "state").read_bytes()
    (tmp_path / "state").write_bytes(whole[:-100])
    with pytest.raises(SystemExit, match="the tensors take"):
        fit(tiny, 2, checkpoint=tmp_path / "state")
    ag.save({"weight": ag.ones(2)}, tmp_path / "state")
    with pytest.raises(SystemExit, match="not the state of a training run: it has no callbacks, epoch, history"):
        fit(tiny, 2, checkpoint=tmp_path / "state")


def test_a_checkpoint_of_another_run_is_told(tiny, tmp_path):
    fit(tiny, 2, checkpoint=tmp_path / "state")
    with pytest.raises(SystemExit, match="it is 2 epochs old, and 1 were asked for"):
        fit(tiny, 1, checkpoint=tmp_path / "state")
    fewer = images.Images(tiny.name, tiny.train.thinned(20), tiny.valid, tiny.test, tiny.classes)
    with pytest.raises(SystemExit, match=f"of a run with examples {len(tiny.train)}, not {len(fewer.train)}"):
        fit(fewer, 3, checkpoint=tmp_path / "state")


def test_early_stopping_and_best_weights(tiny):
    best, values = training.BestWeights(), iter([0.5, 0.9, 0.6, 0.7, 0.8, 0.95])

    def rig(run: training.Run) -> None:
        run.history["valid_accuracy"][-1] = next(values)

    stopping = training.EarlyStopping("valid_accuracy", "max", patience=2)
    model, history = fit(tiny, 6, [rig, best, stopping])
    assert len(history["train_loss"]) == 4
    assert best.epoch == 2
    last = model.state_dict()["1.weight"].clone()
    best.restore(model)
    assert not ag.equal(model.state_dict()["1.weight"], last)


def test_psnr():
    zeros = ag.zeros(3, 4)
    assert reconstruction.psnr(zeros + 0.1, zeros) == pytest.approx(20, abs=1e-4)


def test_most_confused_pairs():
    matrix = figures.confusion_matrix(np.array([1, 0, 0, 2]), np.array([0, 1, 0, 2]), 3)
    assert matrix.tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert figures.most_confused(matrix, ["a", "b", "c"]) == [("a", "b", 2)]


def test_options_refuse_nonsense(capsys):
    for arguments in (["--epochs", "0"], ["--lr", "-1"], ["--dataset", "none such"]):
        with pytest.raises(SystemExit):
            options.parser("", datasets=("glyphs",)).parse_args(arguments)
    assert "positive" in capsys.readouterr().err


def test_report(tmp_path, monkeypatch):
    """The page holds figures, metrics and commands, and says so where a run failed."""
    monkeypatch.delenv("AUTOGRAD_LITE_DATA", raising=False)
    broken = report.Experiment("broken", "A run that fails", ["mlp", "--no-such-option"], str, "", "")
    monkeypatch.setattr(report, "EXPERIMENTS", [*report.EXPERIMENTS, broken])
    names = "convolution_as_matrix,broken,faces"
    metrics = report.main(["--quick", "--only", names, "--out", str(tmp_path)])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert set(metrics) == {"convolution_as_matrix", "broken"}  # faces needs --data
    assert page.count("data:image/png;base64,") == 2
    assert "python -m examples.convolution_as_matrix" in page and "exactly equal" in page
    assert 'class="failed"' in page and "unrecognized arguments" in page
    assert page.count("<p>A convolution is a matrix product, in two ways.</p>") == 1
    assert "python -m" not in report.introduction("mlp") and "<code>features.10</code>" in report.introduction("faces")


def test_report_keeps_results_and_compares(tmp_path, monkeypatch):
    """What was run before is not run again, and PyTorch's reading of the same metrics stands beside it."""
    commands = []

    def pretend(command: list[str], **_: object) -> None:
        commands.append(command[2])
        file = command[command.index("--json") + 1]
        history = {"processor_seconds_of_epoch": [1.0, 0.5]}
        with open(file, "w", encoding="utf-8") as opened:
            json.dump({"test_accuracy": 0.5 + 0.1 * len(commands), "history": history}, opened)

    monkeypatch.setattr(report.subprocess, "run", pretend)
    arguments = ["--only", "mlp_adam", "--compare", "--keep", "--out", str(tmp_path)]
    first = report.main(arguments)["mlp_adam"]
    assert commands == ["examples.mlp", "examples.compare_torch"]
    assert report.main(arguments)["mlp_adam"] == first and len(commands) == 2
    assert (first["measured"], first["by_torch"]) == ("test 0.600", "test 0.700")
    assert first["training_seconds"] == "1.5; PyTorch 1.5"
    report.main([*arguments, "--seed", "1"])  # other runs than those that were kept
    assert len(commands) == 4


def test_an_example_runs_on_pytorch(tmp_path):
    """The very same file, in a process of its own: importing it again here would give PyTorch to the other tests."""
    pytest.importorskip("torch")
    file = tmp_path / "metrics.json"
    command = [sys.executable, "-m", "examples.compare_torch", "mlp", "--quick", "--epochs", "1", "--hidden", "4"]
    command += ["--checkpoint", str(tmp_path / "state")]
    environment = {**os.environ, "AUTOGRAD_LITE_QUIET": "1"}
    subprocess.run(
        [*command, "--out", str(tmp_path), "--json", str(file)], check=True, capture_output=True, env=environment
    )
    metrics = json.loads(file.read_text())
    assert metrics["hidden"] == 4 and len(metrics["history"]["valid_accuracy"]) == 1
    with pytest.raises(SystemExit):
        compare_torch.main(["report"])
