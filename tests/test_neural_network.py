"""Regressor and classifier, beyond scikit-learn's own checks."""

import pickle
import warnings

import numpy as np
import pytest
from assertions import assert_close, assert_same
from reference import replay
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_diabetes, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_jlntk import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
)
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.neural_network import _prediction
from sklearn_jlntk.operators import SKETCHES

FACTORIZATIONS = ["dense", "bc", "abc"]


def data(n=60, d=9, n_outputs=None, seed=0):
    """Standardised rows and a smooth target with noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    shape = (n,) if n_outputs is None else (n, n_outputs)
    y = np.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:3] + 0.1 * rng.normal(size=(n, 4))
    return X, y[:, : shape[-1]] + 3.0 if n_outputs else y[:, 0] + 3.0


def regressor(**params):
    """A small regressor that takes a fixed number of steps."""
    params = {"width": 128, "max_iter": 40, "tol": None, "random_state": 0} | params
    return JLFactorizedNTKRegressor(**params)


@pytest.fixture(params=FACTORIZATIONS)
def factorization(request):
    return request.param


# ------------------------------------------------------------------ what is computed


def test_fit_replayed_by_the_equations(factorization):
    X, y = data()
    model = regressor(
        factorization=factorization,
        n_components=6,
        effective_width=32,
        normalize="unit",
        initial_output="random",
        fit_intercept=False,
    ).fit(X, y)
    rows = X / np.linalg.norm(X, axis=1, keepdims=True)
    C, A = model.input_projection_.to_dense(), model.hidden_expansion_.to_dense()
    B = replay(
        model.initial_weights_,
        A,
        C,
        model.output_signs_,
        rows,
        y,
        model.learning_rate_,
        model.n_iter_,
    )
    assert np.max(np.abs(model.weights_ - B)) < 1e-10
    u = np.maximum(rows @ (A @ B @ C).T, 0) @ model.output_signs_ / np.sqrt(128)
    assert np.max(np.abs(model.predict(X) - u)) < 1e-10
    assert_close(model.effective_weights(), A @ B @ C, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("length", [1.0, 1e-6, 1e6])
def test_constant_coordinate_is_as_large_as_a_typical_row(length):
    X, y = data(d=9)
    X = length * X
    model = regressor(initial_output="random", n_components="auto").fit(X, y)
    c = np.sqrt(np.mean(np.sum(X**2, axis=1)))
    assert model.row_scaling_.norm == pytest.approx(c)
    rows = np.hstack([X, np.full((len(X), 1), c)]) / (c * np.sqrt(2))
    W = model.effective_weights()
    assert W.shape == (128, 10)
    u = np.maximum(rows @ W.T, 0) @ model.output_signs_ / np.sqrt(128)
    assert_close(model.predict(X), model.intercept_ + u, rtol=1e-10)


def test_zero_initial_output_starts_at_the_intercept(factorization):
    X, y = data()
    model = regressor(factorization=factorization, learning_rate=1e-12, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    assert_close(model.predict(X), np.full(len(X), y.mean()), rtol=1e-6)
    assert_close(model.loss_curve_[0], 0.5 * np.sum((y - y.mean()) ** 2), rtol=1e-10)


def test_zero_row_predicts_the_intercept():
    X, y = data()
    model = regressor(normalize=None).fit(X, y)
    assert model.predict(np.zeros((1, X.shape[1])))[0] == model.intercept_


def test_lossless_auto_size_sketches_nothing():
    X, y = data(d=9)
    model = regressor().fit(X, y)
    assert model.n_components_ == 10
    assert_same(model.input_projection_.to_dense(), np.eye(10))


@pytest.mark.parametrize("kind", [k for k in SKETCHES if k != "identity"])
def test_every_sketch_trains(kind):
    X, y = data(d=20)
    model = regressor(
        factorization="abc",
        n_components=16,
        effective_width=64,
        input_sketch=kind,
        width_sketch=kind,
    ).fit(X, y)
    assert model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]


def test_identity_sketches_are_the_dense_network():
    X, y = data()
    dense = regressor(factorization="dense").fit(X, y)
    factorized = regressor(
        factorization="abc", input_sketch="identity", width_sketch="identity"
    ).fit(X, y)
    assert_close(factorized.predict(X), dense.predict(X), rtol=1e-10)


def test_loss_curve_is_the_loss_after_each_step(factorization):
    X, y = data()
    w = np.random.default_rng(1).uniform(0.1, 2, size=len(X))
    model = regressor(factorization=factorization, alpha=0.3).fit(X, y, w)
    shift = model.weights_ - model.initial_weights_
    loss = 0.5 * np.sum(w * (y - model.predict(X)) ** 2) + 0.15 * np.sum(shift**2)
    assert len(model.loss_curve_) == model.n_iter_ + 1 == 41
    assert_close(model.loss_curve_[-1], loss, rtol=1e-10)


def test_outputs_share_the_hidden_layer():
    X, Y = data(n_outputs=3)
    model = regressor(width=4096, max_iter=20).fit(X, Y)
    assert model.output_signs_.shape == (4096, 3)
    assert model.weights_.shape == (4096, 10)
    assert model.predict(X).shape == Y.shape
    assert model.score(X, Y) > 0.5


def test_predictions_do_not_depend_on_the_order_of_rows(factorization):
    X, y = data()
    order = np.random.default_rng(1).permutation(len(X))
    model = regressor(factorization=factorization)
    straight = model.fit(X, y).predict(X)
    shuffled = clone(model).fit(X[order], y[order]).predict(X)
    assert_close(shuffled, straight, rtol=1e-9)


@pytest.mark.parametrize("to_input", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_outputs", [None, 3])
def test_predictions_do_not_depend_on_chunks(monkeypatch, n_outputs, to_input):
    X, y = data(n_outputs=n_outputs)
    model = regressor(factorization="bc").fit(X, y)
    at_once = model.predict(to_input(X))
    monkeypatch.setattr(_prediction, "NUMBERS_AT_ONCE", 70)
    assert_close(model.predict(to_input(X)), at_once, rtol=1e-12)
    assert_close(model.predict(to_input(X[:1])), at_once[:1], rtol=1e-12)


def test_memory_of_a_prediction_does_not_grow_with_its_rows(monkeypatch):
    import tracemalloc

    X, y = data()
    model = regressor(factorization="bc").fit(X, y)
    monkeypatch.setattr(_prediction, "NUMBERS_AT_ONCE", 2**12)
    many = np.tile(X, (500, 1))
    model.predict(X)  # what is imported at the first use is not meant
    tracemalloc.start()
    predictions = model.predict(many)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Twice the predictions, chunks and their concatenation, beside one block of neurons
    # and samples.
    assert peak < 2 * predictions.nbytes + 2**20
    assert 2 * predictions.nbytes + 2**20 < many.nbytes


def test_same_seed_gives_the_same_model_in_every_namespace(factorization, xp):
    X, y = data(n=30, n_outputs=2)
    model = regressor(
        factorization=factorization, max_iter=100, n_components=6, effective_width=32
    )
    expected = clone(model).fit(X, y)
    with config_context(array_api_dispatch=True):
        model.fit(xp.asarray(X), xp.asarray(y))
        predictions = model.predict(xp.asarray(X))
    assert np.max(np.abs(to_host(model.weights_) - expected.weights_)) < 1e-10
    assert np.max(np.abs(to_host(predictions) - expected.predict(X))) < 1e-10


def test_float32_stays_float32(factorization):
    X, y = data()
    model = regressor(factorization=factorization)
    single = clone(model).fit(X.astype(np.float32), y)
    assert single.weights_.dtype == single.predict(X.astype(np.float32)).dtype
    assert single.weights_.dtype == np.float32
    # Float32 rounds 100 times coarser than the steps that follow from it.
    assert_close(single.predict(X), model.fit(X, y).predict(X), rtol=1e-3)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("normalize", ["bias", "bias-unit", "unit", None])
@pytest.mark.parametrize("sketch", list(SKETCHES))
def test_sparse_rows_are_dense_rows(container, normalize, sketch):
    X, y = data(d=12)
    X[np.abs(X) < 0.8] = 0
    X[3] = 0
    n_components = "auto" if sketch == "identity" else 8
    model = regressor(
        normalize=normalize, input_sketch=sketch, n_components=n_components, max_iter=5
    )
    dense = clone(model).fit(X, y)
    model.fit(container(X), y)
    assert_close(model.predict(container(X)), dense.predict(X), rtol=1e-10)


# ------------------------------------------------------------------ kernel and theory


@pytest.mark.slow
def test_wide_network_approaches_kernel_ridge():
    """The gap to kernel ridge with H(0) shrinks like m^(-1/2)."""
    X, y = data(n=40, d=6)
    X_new, _ = data(n=20, d=6, seed=1)
    widths, gaps = [1024, 4096, 16384, 65536], []
    for width in widths:
        model = regressor(width=width, alpha=0.1, max_iter=500).fit(X, y)
        H, H_new = model.ntk(X, at="init"), model.ntk(X_new, X, at="init")
        ridge = KernelRidge(alpha=0.1, kernel="precomputed")
        ridge.fit(H, y - y.mean())
        expected = ridge.predict(H_new) + y.mean()
        gaps.append(np.linalg.norm(model.predict(X_new) - expected))
    slope = np.polyfit(np.log(widths), np.log(gaps), 1)[0]
    assert -0.7 < slope < -0.3
    assert gaps[-1] < 0.02 * np.linalg.norm(expected - y.mean())


def test_kernels_of_the_fitted_network(factorization):
    X, y = data(n=20)
    model = regressor(factorization=factorization, width=2048).fit(X, y)
    H0, HT, H = (model.ntk(X, at=at) for at in ("init", "fitted", "infinite"))
    assert_close(model.ntk(X, X[:4]), HT[:, :4], rtol=1e-10)
    for kernel in (H0, HT, H):
        assert np.linalg.eigvalsh(kernel)[0] > -1e-12
    assert 0 < np.linalg.norm(HT - H0) < 0.1 * np.linalg.norm(H0)
    assert np.linalg.norm(H0 - H) < 0.2 * np.linalg.norm(H)
    assert_close(model.lambda_0(X), np.linalg.eigvalsh(H)[0], rtol=1e-6)


def test_lambda_0_is_zero_where_rows_repeat():
    X, y = data(n=20)
    model = regressor().fit(X, y)
    assert abs(model.lambda_0(np.vstack([X, X[:1]]))) < 1e-14


def test_learning_rate_of_the_theorem():
    X, y = data(n=20)
    model = regressor(learning_rate="theory", max_iter=2).fit(X, y)
    assert_close(model.learning_rate_, model.lambda_0(X) / 20**2, rtol=1e-6)
    fifth = clone(model).set_params(factorization="abc").fit(X, y)
    expected = fifth.lambda_0(X) * 0.1**4 / (2 * 20**2)
    assert_close(fifth.learning_rate_, expected, rtol=1e-6)


def test_auto_learning_rate_is_the_inverse_of_the_curvature(factorization):
    X, y = data(n=30)
    w = np.random.default_rng(1).uniform(0, 2, size=30)
    model = regressor(factorization=factorization, alpha=0.5).fit(X, y, w)
    H = np.sqrt(w)[:, None] * model.ntk(X, at="init") * np.sqrt(w)
    expected = 1 / (np.linalg.eigvalsh(H)[-1] + 0.5)
    # Power iteration comes from below, so that the rate is never too small.
    assert expected * (1 - 1e-9) <= model.learning_rate_ < 1.1 * expected


# --------------------------------------------------------------------- going on


def test_warm_start_continues_where_it_stopped(factorization):
    X, y = data()
    whole = regressor(factorization=factorization, max_iter=30).fit(X, y)
    parts = regressor(factorization=factorization, max_iter=10, warm_start=True)
    for _ in range(3):
        parts.fit(X, y)
    assert parts.n_iter_ == 30
    assert_same(parts.weights_, whole.weights_)
    assert parts.loss_curve_ == whole.loss_curve_


def test_partial_fit_is_warm_start_without_the_warning():
    X, y = data()
    whole = regressor(max_iter=20).fit(X, y)
    parts = regressor(max_iter=10, tol=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts.partial_fit(X, y).partial_fit(X, y)
    assert_same(parts.weights_, whole.weights_)


def test_warm_start_refuses_another_network():
    X, y = data()
    model = regressor(warm_start=True).fit(X, y)
    weights = model.weights_
    with pytest.raises(ValueError, match="width=128, and width=64 is asked for"):
        model.set_params(width=64).fit(X, y)
    with pytest.raises(ValueError, match="n_outputs=1, and n_outputs=2"):
        model.set_params(width=128).fit(X, np.stack([y, y], axis=1))
    assert model.weights_ is weights


def test_early_stopping_keeps_the_best_weights():
    X, y = data(n=120)
    y = y + np.random.default_rng(1).normal(size=120)
    model = regressor(early_stopping=True, max_iter=400, n_iter_no_change=5, tol=1e-4)
    model.fit(X, y)
    scores = model.validation_scores_
    assert len(scores) == model.n_iter_ < 400
    assert model.best_validation_score_ == max(scores)
    _, X_out, _, y_out = train_test_split(X, y, test_size=0.1, random_state=0)
    errors = np.sum((y_out - model.predict(X_out)) ** 2)
    score = 1 - errors / np.sum((y_out - model.intercept_) ** 2)
    assert_close(np.asarray(model.best_validation_score_), np.asarray(score), rtol=1e-9)
    again = regressor(max_iter=1 + int(np.argmax(scores)), early_stopping=True)
    assert_same(
        again.set_params(n_iter_no_change=1000).fit(X, y).weights_, model.weights_
    )


# --------------------------------------------------------------- outcomes and errors


def test_running_out_of_steps_warns_with_advice():
    X, y = data()
    with pytest.warns(ConvergenceWarning, match="Increase max_iter, or tol"):
        regressor(max_iter=3, tol=1e-6).fit(X, y)


def test_training_that_learned_nothing_warns():
    X, y = data()
    model = regressor(tol=1e-3, max_iter=500)
    with pytest.warns(ConvergenceWarning, match="almost nothing was learned") as caught:
        model.fit(X + 1000, y)
    assert "standardise them" in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)


def test_divergence_names_the_rate_and_the_limit(factorization):
    X, y = data()
    limit = 2 * regressor(factorization=factorization).fit(X, y).learning_rate_
    model = regressor(factorization=factorization, learning_rate=10 * limit)
    with pytest.raises(ValueError, match=r"learning_rate=.*2 / lambda_max = ") as info:
        model.fit(X, y)
    assert f"{limit:.4g}" in str(info.value)
    assert not hasattr(model, "weights_")
    assert not hasattr(model, "n_features_in_")


def test_theory_rate_warns_of_fewer_weights_than_samples():
    X, y = data(n=60)
    model = regressor(factorization="abc", effective_width=4, n_components=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
    assert "20 trained weights are fewer" in model.diagnose(X, y).verdict
    with pytest.warns(UserWarning, match="H\\(t\\) has rank 20 at the most"):
        clone(model).set_params(learning_rate="theory", max_iter=1).fit(X, y)
    assert np.linalg.matrix_rank(model.ntk(X)) <= 20


BAD = {
    "n_components=500 is larger than n_features=9": {"n_components": 500},
    "'n_components' parameter .* must be an int in the range": {"n_components": 0},
    "'effective_width' parameter .* must be an int in": {"effective_width": 0},
    "effective_width=500 is larger than width=128": {
        "factorization": "abc",
        "effective_width": 500,
    },
    "'factorization' parameter .* must be a str among": {"factorization": "cba"},
    "'alpha' parameter": {"alpha": -1.0},
    "more than an array can address": {"width": 2**62},
    "'identity' sketch|sizes of an identity|identity": {
        "input_sketch": "identity",
        "n_components": 4,
    },
    "at='start' is not known": {},
}


@pytest.mark.parametrize("match", list(BAD)[:-1])
def test_bad_parameters(match):
    X, y = data()
    model = regressor(**BAD[match])
    with pytest.raises(ValueError, match=match):
        model.fit(X, y)
    assert not [name for name in vars(model) if name.endswith("_")]


def test_bad_input():
    X, y = data()
    model = regressor().fit(X, y)
    before = pickle.dumps(model)
    broken = X.copy()
    broken[2, 3] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.fit(broken, y)
    with pytest.raises(ValueError, match="Found array with 1 sample"):
        model.fit(X[:1], y[:1])
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_w"):
        model.fit(X, y, np.full(len(X), -1.0))
    with pytest.raises(ValueError, match=r"X has 4 features, but .* is expecting 9"):
        model.predict(X[:, :4])
    with pytest.raises(ValueError, match="at='start' is not known; use 'fitted'"):
        model.ntk(X, at="start")
    assert pickle.dumps(model) == before


def test_rows_of_another_namespace_at_predict():
    torch = pytest.importorskip("torch")
    X, y = data()
    model = regressor().fit(X, y)
    with (
        config_context(array_api_dispatch=True),
        pytest.raises(ValueError, match="must use the same namespace"),
    ):
        model.predict(torch.asarray(X))


def test_cuda_without_cupy_says_what_to_install():
    try:
        import cupy  # noqa: F401
    except ImportError:
        X, y = data()
        with pytest.raises(ImportError, match="sklearn_jlntk\\[cuda12\\]"):
            regressor(device="cuda").fit(X, y)


# ------------------------------------------------------------ among scikit-learn's tools


def test_pickle_clone_and_size_of_the_pickle(factorization):
    X, y = data()
    model = regressor(factorization=factorization, n_components=6, effective_width=64)
    model.fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    assert_same(copy.predict(X), model.predict(X))
    assert_same(clone(model).fit(X, y).predict(X), model.predict(X))


def test_grid_search_in_a_pipeline_over_processes():
    X, y = data()
    pipeline = make_pipeline(StandardScaler(), regressor())
    grid = {
        "jlfactorizedntkregressor__width": [32, 64],
        "jlfactorizedntkregressor__alpha": [0.0, 1.0],
    }
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X, y)
    alone = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert_close(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


def test_sample_weight_is_routed():
    X, y = data()
    w = np.random.default_rng(1).uniform(0.5, 2, size=len(X))
    with config_context(enable_metadata_routing=True):
        model = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=True),
            regressor().set_fit_request(sample_weight=True),
        )
        routed = model.fit(X, y, sample_weight=w).predict(X)
    scaled = StandardScaler().fit(X, sample_weight=w).transform(X)
    assert_close(routed, regressor().fit(scaled, y, w).predict(scaled), rtol=1e-10)


def test_pandas_rows_and_targets():
    pd = pytest.importorskip("pandas")
    X, y = data()
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    model = regressor().fit(frame, pd.Series(y))
    assert_close(model.predict(frame), regressor().fit(X, y).predict(X), rtol=1e-12)
    assert list(model.feature_names_in_) == list(frame.columns)


class Recorder:
    """Callback that records its arguments and may stop the fit."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.calls = []
        self.scores = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.calls.append(("end", context.task_name, context.task_id))
        if context.task_name == "step":
            self.scores.append(fitted_estimator.score(X, y))
        return context.task_id + 1 == self.stop_after


def test_callbacks_see_a_fitted_estimator_after_each_step():
    X, y = data()
    recorder = Recorder()
    model = regressor(max_iter=5).set_callbacks(recorder).fit(X, y)
    steps = [(event, "step", t) for t in range(5) for event in ("begin", "end")]
    assert recorder.calls == [
        "setup",
        ("begin", "fit", 0),
        *steps,
        ("end", "fit", 0),
        "teardown",
    ]
    scores = [1 - loss / model.loss_curve_[0] for loss in model.loss_curve_[1:]]
    assert_close(np.array(recorder.scores), np.array(scores), rtol=1e-9)


def test_callback_can_stop_the_fit():
    X, y = data()
    model = regressor(max_iter=50).set_callbacks(Recorder(stop_after=7)).fit(X, y)
    assert model.n_iter_ == 7


def test_scikit_learns_own_callbacks(capsys):
    X, y = data()
    monitor = ScoringMonitor(scoring="r2")
    regressor(max_iter=4).set_callbacks(monitor).fit(X, y)
    iris = load_iris(return_X_y=True)
    classifier = JLFactorizedNTKClassifier(width=32, max_iter=3, tol=None)
    classifier.set_callbacks(ScoringMonitor(scoring="accuracy")).fit(*iris)
    pytest.importorskip("rich")
    regressor(max_iter=4).set_callbacks(ProgressBar()).fit(X, y)


# ------------------------------------------------------------------------ classifier


def test_classifier_is_the_regressor_on_signs():
    X, labels = make_classification(n_samples=80, random_state=0)
    params = {"width": 128, "max_iter": 30, "tol": None, "random_state": 0}
    classifier = JLFactorizedNTKClassifier(**params).fit(X, labels)
    signs = JLFactorizedNTKRegressor(**params).fit(X, 2.0 * labels - 1)
    assert_close(classifier.decision_function(X), signs.predict(X), rtol=1e-12)
    assert_same(classifier.predict(X), (signs.predict(X) > 0).astype(labels.dtype))


def test_classifier_of_three_text_labels():
    X, y = load_iris(return_X_y=True)
    labels = np.array(["setosa", "versicolor", "virginica"])[y]
    classifier = JLFactorizedNTKClassifier(width=512, max_iter=100, tol=None)
    model = make_pipeline(StandardScaler(), classifier.set_params(random_state=0))
    assert model.fit(X, labels).score(X, labels) > 0.95
    assert model.decision_function(X).shape == (150, 3)
    assert list(classifier.classes_) == ["setosa", "versicolor", "virginica"]


def test_classifier_partial_fit_learns_the_classes_first():
    X, y = load_iris(return_X_y=True)
    params = {"width": 64, "max_iter": 5, "random_state": 0}
    model = JLFactorizedNTKClassifier(**params)
    model.partial_fit(X[:100], y[:100], classes=[0, 1, 2]).partial_fit(X, y)
    assert model.decision_function(X).shape == (150, 3)
    assert model.n_iter_ == 10


def test_classifier_needs_two_classes():
    X, _ = data()
    with pytest.raises(ValueError, match=r"y has 1 class, .*at least"):
        JLFactorizedNTKClassifier(width=8).fit(X, np.zeros(len(X)))


def test_classifier_early_stopping_keeps_the_share_of_classes():
    X, y = make_classification(n_samples=100, weights=[0.9], random_state=0)
    model = JLFactorizedNTKClassifier(
        width=64, early_stopping=True, random_state=0, max_iter=50
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert len(model.validation_scores_) == model.n_iter_


def test_beats_a_constant_on_diabetes():
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(
        StandardScaler(), JLFactorizedNTKRegressor(width=1024, alpha=10, random_state=0)
    )
    scores = cross_validate(model, X, y, cv=3)["test_score"]
    assert np.mean(scores) > 0.4
    assert_close(r2_score(y, model.fit(X, y).predict(X)), model.score(X, y), rtol=1e-12)
