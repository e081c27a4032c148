"""The monitor records the quantities of the lemmas, and does not change training."""

import builtins
import pickle

import numpy as np
import pytest
from assertions import assert_close, assert_same
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_jlntk import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    theory,
)
from sklearn_jlntk.diagnostics import NTKMonitor

FACTORIZATIONS = ["dense", "bc", "abc"]
PARAMETERS = {
    "width": 512,
    "n_components": 8,
    "effective_width": 64,
    "max_iter": 20,
    "tol": None,
    "normalize": "unit",
    "random_state": 0,
}


@pytest.fixture(scope="module")
def rows():
    """Forty rows and targets, linear with noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 10))
    return X, X[:, 0] + 0.1 * rng.standard_normal(40)


def monitored(rows, monitor, **parameters):
    """Regressor fitted under the monitor."""
    model = JLFactorizedNTKRegressor(**{**PARAMETERS, **parameters})
    return model.set_callbacks(monitor).fit(*rows)


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_last_record_equals_the_fitted_model(rows, factorization):
    monitor = NTKMonitor()
    model = monitored(rows, monitor, factorization=factorization)
    X, _ = rows
    H, H_0 = model.ntk(X), model.ntk(X, at="init")
    W = model.effective_weights()
    start = clone(model).fit(*rows)
    start.weights_ = start.initial_weights_
    W_0 = start.effective_weights()
    normalized = X / np.linalg.norm(X, axis=1, keepdims=True)
    expected = {
        "step": 20,
        "loss": model.loss_curve_[-1],
        "n_rows": 40,
        "lambda_min": np.linalg.eigvalsh(H)[0],
        "lambda_max": np.linalg.eigvalsh(H)[-1],
        "drift": np.linalg.norm(H - H_0, 2),
        "cosine": np.sum(H * H_0) / np.linalg.norm(H) / np.linalg.norm(H_0),
        "flipped_gates": np.mean((normalized @ W.T > 0) != (normalized @ W_0.T > 0)),
        "weight_movement": np.max(
            np.linalg.norm(model.weights_ - model.initial_weights_, axis=1)
        ),
        "neuron_movement": np.max(np.linalg.norm(W - W_0, axis=1)),
        "lambda_0": model.lambda_0(X),
    }
    record = monitor.get_logs().iloc[-1]
    for name, value in expected.items():
        assert record[name] == pytest.approx(value, rel=1e-7), name


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_bound_is_that_of_the_theorem_and_holds(rows, factorization):
    monitor = NTKMonitor(every=1)
    model = monitored(
        rows, monitor, factorization=factorization, width=4096, effective_width=256
    )
    logs = monitor.get_logs()
    lambda_0 = model.lambda_0(rows[0])
    expected = [
        theory.contraction(model.learning_rate_, lambda_0, t) * model.loss_curve_[0]
        for t in range(21)
    ]
    assert_close(logs["bound"].to_numpy(), np.asarray(expected))
    assert (logs["loss"] <= logs["bound"]).all()


def test_record_of_start_has_no_movement(rows):
    monitor = NTKMonitor()
    monitored(rows, monitor)
    first = monitor.get_logs().iloc[0]
    unmoved = ["step", "drift", "flipped_gates", "weight_movement", "neuron_movement"]
    assert (first[unmoved] == 0).all()
    assert first["cosine"] == pytest.approx(1.0)
    assert first["bound"] == first["loss"]


def test_monitor_does_not_change_training(rows):
    alone = JLFactorizedNTKRegressor(**PARAMETERS).fit(*rows)
    model = monitored(rows, NTKMonitor(every=1))
    assert_same(model.weights_, alone.weights_)
    assert model.loss_curve_ == alone.loss_curve_


@pytest.mark.parametrize(
    "every, steps",
    [
        (5, [0, 5, 10, 15, 20]),
        (6, [0, 6, 12, 18, 20]),
        ("geometric", [0, 1, 2, 3, 4, 6, 8, 11, 16, 20]),
        (np.int64(30), [0, 20]),
    ],
)
def test_schedule_and_the_last_step_are_recorded(rows, every, steps):
    monitor = NTKMonitor(every=every, kernel=False)
    monitored(rows, monitor)
    assert monitor.get_logs()["step"].tolist() == steps


def test_last_step_of_early_stop_is_recorded(rows):
    monitor = NTKMonitor(every=100, kernel=False)
    model = monitored(rows, monitor, tol=0.5, n_iter_no_change=2)
    assert 0 < model.n_iter_ < 20
    assert monitor.get_logs()["step"].tolist() == [0, model.n_iter_]


def test_columns_without_kernel(rows):
    monitor = NTKMonitor(kernel=False)
    monitored(rows, monitor)
    logs = monitor.get_logs()
    assert list(logs.columns) == ["run", "fit", "step", "loss", "weight_movement"]


@pytest.mark.parametrize("every", [0, -1, 1.5, "often"])
def test_error_names_schedules(every):
    with pytest.raises(ValueError, match="number of steps, 1 or more, or 'geometric'"):
        NTKMonitor(every=every)


def test_subsampled_rows_warn_and_have_no_bound(rows):
    monitor = NTKMonitor(max_samples=10)
    with pytest.warns(UserWarning, match="10 of the 40 rows, evenly spaced"):
        model = monitored(rows, monitor)
    last = monitor.get_logs().iloc[-1]
    assert last["n_rows"] == 10
    assert np.isnan(last["bound"])
    H = model.ntk(rows[0][::4])
    assert last["lambda_min"] == pytest.approx(np.linalg.eigvalsh(H)[0])


@pytest.mark.parametrize(
    "change",
    [{"alpha": 0.1}, {"early_stopping": True}, {"factorization": "abc", "width": 4}],
    ids=["penalty", "held-out", "rank"],
)
@pytest.mark.filterwarnings("ignore:.*trained weights are fewer")
def test_no_bound_outside_the_theorems(rows, change):
    change = {**change, "effective_width": min(64, change.get("width", 64))}
    monitor = NTKMonitor()
    monitored(rows, monitor, **change)
    assert monitor.get_logs()["bound"].isna().all()


def test_no_bound_with_repeated_rows(rows):
    X, y = rows
    monitor = NTKMonitor()
    monitored((np.concatenate([X, X[:1]]), np.append(y, y[0])), monitor)
    logs = monitor.get_logs()
    assert (logs["lambda_0"] == 0).all()
    assert logs["bound"].isna().all()


def test_no_bound_with_sample_weights(rows):
    monitor = NTKMonitor()
    model = JLFactorizedNTKRegressor(**PARAMETERS).set_callbacks(monitor)
    model.fit(*rows, sample_weight=np.full(40, 2.0))
    assert monitor.get_logs()["bound"].isna().all()


def test_resumed_training_continues_step_numbers(rows):
    monitor = NTKMonitor(every=10)
    model = monitored(rows, monitor)
    model.partial_fit(*rows)
    logs = monitor.get_logs("all")
    assert logs["run"].tolist() == [0, 0, 0, 1, 1, 1]
    assert logs["step"].tolist() == [0, 10, 20, 0, 30, 40]
    assert monitor.get_logs()["step"].tolist() == [0, 30, 40]


def test_monitor_in_a_pipeline_sees_transformed_rows(rows):
    X, y = rows
    monitor = NTKMonitor()
    network = JLFactorizedNTKRegressor(**PARAMETERS).set_callbacks(monitor)
    make_pipeline(StandardScaler(), network).fit(X * 3 + 1, y)
    scaled = StandardScaler().fit_transform(X * 3 + 1)
    expected = np.linalg.eigvalsh(network.ntk(scaled))[0]
    assert monitor.get_logs()["lambda_min"].iloc[-1] == pytest.approx(expected)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_monitor_in_a_search_records_each_training(rows, n_jobs):
    monitor = NTKMonitor(every=10)
    network = JLFactorizedNTKRegressor(**PARAMETERS).set_callbacks(monitor)
    search = GridSearchCV(network, {"width": [64, 128]}, cv=2, n_jobs=n_jobs)
    search.fit(*rows)
    logs = monitor.get_logs()
    assert (logs["run"] == 0).all()
    steps = logs.groupby("fit")["step"].agg(list)
    assert len(steps) == 5  # two candidates on two splits, and the best one on all rows
    assert (steps.map(tuple) == (0, 10, 20)).all()
    assert sorted(logs.groupby("fit")["n_rows"].first()) == [20, 20, 20, 20, 40]


def test_pickled_monitor_keeps_its_records(rows):
    monitor = NTKMonitor(every=10)
    monitored(rows, monitor)
    copy = pickle.loads(pickle.dumps(monitor))
    assert copy.get_logs().equals(monitor.get_logs())
    assert copy.every == 10


def test_logs_are_lists_without_pandas(rows, monkeypatch):
    monitor = NTKMonitor(every=10)
    monitored(rows, monitor)
    expected = monitor.get_logs().to_dict("records")
    importer = builtins.__import__

    def without_pandas(name, *args, **kwargs):
        if name == "pandas":
            raise ImportError
        return importer(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    assert monitor.get_logs() == expected


def test_error_without_records():
    with pytest.raises(ValueError, match="No logs"):
        NTKMonitor().get_logs()


def test_monitor_holds_no_kernel_after_training(rows):
    monitor = NTKMonitor()
    monitored(rows, monitor)
    assert not monitor._runs
    with pytest.raises(ValueError, match="diverged"):
        monitored(rows, monitor, learning_rate=1e6)
    assert not monitor._runs


def test_records_follow_the_namespace(xp, dtype):
    from sklearn import config_context

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 6)), rng.standard_normal(20)
    tables = []
    for convert in (np.asarray, lambda a: xp.asarray(a, dtype=dtype)):
        monitor = NTKMonitor()
        with config_context(array_api_dispatch=True):
            monitored((convert(X), convert(y)), monitor, n_components=4)
        tables.append(monitor.get_logs().drop(columns=["run", "fit"]))
    # Differences of H are near zero at the start, and rounding can flip single gates.
    assert_close(tables[1].to_numpy(), tables[0].to_numpy(), rtol=1e-2, atol=1e-4)


def test_monitor_of_classifiers():
    X, y = load_digits(return_X_y=True)
    for n_classes, has_bound in ((2, True), (3, False)):
        chosen = np.flatnonzero(y < n_classes)[:60]
        monitor = NTKMonitor()
        model = JLFactorizedNTKClassifier(**{**PARAMETERS, "normalize": "bias"})
        model.set_callbacks(monitor).fit(X[chosen], y[chosen])
        assert monitor.get_logs()["bound"].notna().all() == has_bound


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_records_do_not_depend_on_block_sizes(rows, factorization, monkeypatch):
    logs = []
    for _ in range(2):
        monitor = NTKMonitor(every=10)
        monitored(rows, monitor, factorization=factorization)
        logs.append(monitor.get_logs().drop(columns="fit").to_numpy())
        monkeypatch.setattr("sklearn_jlntk.diagnostics._drift._AT_ONCE", 100)
        monkeypatch.setattr("sklearn_jlntk.diagnostics._drift._FEWEST_COLUMNS", 3)
    assert_close(*logs)
