"""Checkpoints and interrupts: training resumes exactly, and no steps are lost."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from assertions import assert_same

from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor
from sklearn_jlntk.checkpoint import Checkpoint, load_checkpoint
from sklearn_jlntk.out_of_core import RowChunks

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 5))
Y = np.sin(X[:, 0]) + 3.0
LABELS = np.array(["a", "b", "c"])[np.digitize(Y, [2.5, 3.5])]


class Interrupt(Checkpoint):
    """Callback that interrupts after a number of steps, as Ctrl-C would."""

    def __init__(self, after):
        self.after = after

    def on_fit_task_end(self, estimator, context):
        """Raise the interrupt if its step is reached."""
        if context.task_name == "step" and context.task_id + 1 == self.after:
            raise KeyboardInterrupt


def regressor(**params):
    """A small regressor that takes 30 steps."""
    params = {"width": 64, "max_iter": 30, "tol": None, "random_state": 0} | params
    return JLFactorizedNTKRegressor(**params)


def interrupted(model, *data, after):
    """The model, interrupted after a number of steps."""
    with pytest.raises(KeyboardInterrupt):
        model.set_callbacks(Interrupt(after)).fit(*data)
    return model.set_callbacks()


def assert_same_model(actual, desired):
    """Assert that fitted attributes are bitwise equal."""
    names = ["weights_", "initial_weights_", "output_signs_"]
    for name in names:
        assert_same(getattr(actual, name), getattr(desired, name))
    names = ["loss_curve_", "n_iter_", "learning_rate_", "intercept_"]
    if hasattr(desired, "validation_scores_"):
        names += ["validation_scores_", "best_validation_score_"]
    for name in names:
        assert np.array_equal(getattr(actual, name), getattr(desired, name)), name


# ---------------------------------------------------------------- interrupts


def test_interrupt_keeps_the_model_of_the_last_step():
    model = interrupted(regressor(), X, Y, after=7)
    assert_same_model(model, regressor(max_iter=7).fit(X, Y))
    assert_same(model.predict(X), regressor(max_iter=7).fit(X, Y).predict(X))


def test_interrupt_before_the_first_step_keeps_the_old_model():
    model = regressor().fit(X, Y)
    before = dict(vars(model))

    class AtOnce(Interrupt):
        def on_fit_task_begin(self, estimator, context):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.set_callbacks(AtOnce(1)).fit(X[:, :3], Y)
    assert_same_model(model.set_callbacks(), regressor().fit(X, Y))
    assert vars(model).keys() == before.keys()


def test_error_after_some_steps_leaves_estimator_unfitted():
    class Fail(Interrupt):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("of a callback")

    model = regressor().set_callbacks(Fail(1))
    with pytest.raises(RuntimeError, match="of a callback"):
        model.fit(X, Y)
    assert not hasattr(model, "weights_")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"tol": 3e-2, "max_iter": 500, "n_iter_no_change": 8},
        {"early_stopping": True, "tol": 1e-2, "max_iter": 500},
        {"factorization": "abc", "effective_width": 32, "alpha": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["in memory", "in chunks"])
def test_fit_finishes_an_interrupted_training(params, kind):
    rows = X if kind == "in memory" else RowChunks(X, chunk_rows=40)
    desired = regressor(**params).fit(rows, Y)
    assert desired.n_iter_ > 6
    for after in (1, 5, desired.n_iter_):
        model = regressor(**params, warm_start=True)
        # After the last step, the resumed fit takes no further step.
        resumed = interrupted(model, rows, Y, after=after).fit(rows, Y)
        if after == desired.n_iter_ and model.early_stopping:
            continue  # early stopping had ended that fit
        assert_same_model(resumed, desired)


def test_interrupted_twice_after_an_earlier_fit():
    model = regressor(max_iter=10, warm_start=True).fit(X, Y)
    for after in (3, 4):
        interrupted(model, X, Y, after=after)
    assert model.n_iter_ == 17
    desired = regressor(max_iter=10, warm_start=True).fit(X, Y).fit(X, Y)
    assert_same_model(model.fit(X, Y), desired)


def test_classifier_finishes_an_interrupted_training():
    params = {"width": 64, "max_iter": 30, "tol": None, "random_state": 0}
    desired = JLFactorizedNTKClassifier(**params).fit(X, LABELS)
    model = JLFactorizedNTKClassifier(**params, warm_start=True)
    interrupted(model, X, LABELS, after=4)
    assert set(model.predict(X)) <= set("abc")
    assert_same_model(model.fit(X, LABELS), desired)


# ---------------------------------------------------------------- checkpoints


def test_checkpoints_are_written_at_multiples_of_every(tmp_path):
    path, found = tmp_path / "network", []

    class Reader(Interrupt):
        def on_fit_task_end(self, estimator, context):
            found.append(load_checkpoint(path).n_iter_ if path.exists() else None)

    model = regressor(max_iter=7).set_callbacks(Checkpoint(path, every=3), Reader(0))
    model.fit(X, Y)
    assert found == [None, None, 3, 3, 3, 6, 6, 7]
    loaded = load_checkpoint(path)
    assert_same_model(loaded, model)
    assert_same(loaded.predict(X), model.predict(X))
    assert [file.name for file in tmp_path.iterdir()] == ["network"]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_resumed_training_equals_uninterrupted_training(early_stopping, tmp_path):
    path = tmp_path / "network"
    params = {"early_stopping": early_stopping, "tol": 1e-3, "max_iter": 25}
    params |= {"n_iter_no_change": 30}
    rows = RowChunks(X, chunk_rows=40)
    with pytest.warns(match="Stopped after max_iter=25"):
        desired = regressor(**params).fit(rows, Y)
    callbacks = Checkpoint(path, every=4), Interrupt(11)
    with pytest.raises(KeyboardInterrupt):
        regressor(**params).set_callbacks(*callbacks).fit(rows, Y)
    resumed = load_checkpoint(path)
    assert resumed.n_iter_ == 8
    assert resumed.warm_start
    with pytest.warns(match="Stopped after max_iter=25"):
        resumed.fit(rows, Y)
    assert_same_model(resumed, desired)


def test_training_of_a_killed_process_resumes(tmp_path):
    path = tmp_path / "network"
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from test_checkpoint import *\n"
        "model = regressor(max_iter=10**6).set_callbacks(Checkpoint(sys.argv[1]))\n"
        "model.fit(X, Y)\n"
    )
    folder = os.path.dirname(__file__)
    process = subprocess.Popen([sys.executable, "-c", code, str(path), folder])
    while not path.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    model = load_checkpoint(path)
    n_iter = model.n_iter_ + 5
    resumed = model.set_params(max_iter=n_iter).fit(X, Y)
    assert_same_model(resumed, regressor(max_iter=n_iter).fit(X, Y))


def test_full_disk_warns_and_keeps_the_old_checkpoint(tmp_path, largest_file):
    path = tmp_path / "network"
    regressor(max_iter=3).set_callbacks(Checkpoint(path)).fit(X, Y)
    before = path.read_bytes()
    model = regressor().set_callbacks(Checkpoint(path))
    with (
        largest_file(1000),
        pytest.warns(UserWarning, match=r"after step \d+ could not .*too large"),
    ):
        model.fit(X, Y)
    assert_same_model(model, regressor().fit(X, Y))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["network"]


def test_failed_move_removes_the_partial_file(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", refuse)
    model = regressor().set_callbacks(Checkpoint(tmp_path / "network"))
    with pytest.warns(UserWarning, match=r"not be written: .*No space left on device"):
        model.fit(X, Y)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("n_bytes", [30, 100, -1])
def test_truncated_checkpoint_is_an_error(n_bytes, tmp_path):
    path = tmp_path / "network"
    regressor(max_iter=1).set_callbacks(Checkpoint(path)).fit(X, Y)
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match="network' is truncated or damaged: its"):
        load_checkpoint(path)


def test_error_for_other_files(tmp_path):
    path = tmp_path / "pickle"
    path.write_bytes(pickle.dumps(regressor()))
    with pytest.raises(ValueError, match="is no checkpoint of this package"):
        load_checkpoint(path)


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="every=0 is no number of steps"):
        Checkpoint(tmp_path / "network", every=0)
    with pytest.raises(
        FileNotFoundError, match=r"does not exist. Make .*missing' first"
    ):
        Checkpoint(tmp_path / "missing" / "network")
