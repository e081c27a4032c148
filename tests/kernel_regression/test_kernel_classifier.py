"""The kernel classifier: labels, leave-one-out, probabilities, scikit-learn's checks."""

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy import sparse
from scipy.optimize import minimize_scalar
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import (
    load_breast_cancer,
    load_iris,
    load_wine,
    make_classification,
)
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import (
    check_array_api_input_and_values,
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
    estimator_checks_generator,
    parametrize_with_checks,
)

from sklearn_jlntk import NTKKernel, NTKKernelClassifier
from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk.kernel_regression._probabilities import (
    LabelledSamples,
    probabilities,
)
from sklearn_jlntk.out_of_core import RowChunks

VARIANTS = [
    NTKKernelClassifier(),
    NTKKernelClassifier(alpha=1.0, loo_scoring="accuracy", class_weight="balanced"),
    NTKKernelClassifier(
        alpha=np.logspace(-3, 2, 9).tolist(), loo_scoring="squared_error"
    ),
    NTKKernelClassifier(factorization="abc", width=64),
]
SCORINGS = ["log_loss", "accuracy", "squared_error"]


def problem(n=60, n_classes=2, seed=0, d=4):
    """Rows, noisy labels, and weights of which one is zero."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    scores = np.sin(X @ rng.normal(size=(d, n_classes))) + 0.3 * rng.normal(
        size=(n, n_classes)
    )
    weight = rng.uniform(0.2, 3, size=n)
    weight[4] = 0.0
    return X, np.argmax(scores, axis=1), weight


def signs(y, n_classes):
    """Targets of -1 and +1."""
    return 2.0 * y - 1 if n_classes == 2 else 2.0 * np.eye(n_classes)[y] - 1


# ------------------------------------------------- decision function, leave-one-out


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_decision_function_is_regression_on_signs(n_classes, fit_intercept):
    X, y, weight = problem(n_classes=n_classes)
    options = {"alpha": 0.3, "fit_intercept": fit_intercept}
    model = NTKKernelClassifier(**options).fit(X, y, weight)
    regression = NTKKernel(**options).fit(X, signs(y, n_classes), weight)
    decisions = model.decision_function(X)
    assert decisions.shape == ((60,) if n_classes == 2 else (60, n_classes))
    assert_close(decisions, regression.predict(X), rtol=1e-9, atol=1e-12)
    predicted = decisions > 0 if n_classes == 2 else np.argmax(decisions, axis=1)
    assert_same(model.predict(X), predicted.astype(y.dtype))


@pytest.mark.parametrize("n_classes", [2, 4])
def test_loo_decisions_equal_refits_without_the_row(n_classes):
    X, y, weight = problem(n=25, n_classes=n_classes)
    options = {"normalize": None, "class_weight": {0: 3.0, 1: 0.5}}
    options |= {"class_weight": None} if n_classes == 4 else {}
    model = NTKKernelClassifier(alpha=0.1, **options).fit(X, y, weight)
    decisions = []
    for i in range(25):
        others = np.arange(25) != i
        left = clone(model).fit(X[others], y[others], weight[others])
        decisions.append(left.decision_function(X[i : i + 1])[0])
    assert_close(model.loo_decision_function_, np.array(decisions), rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scoring", SCORINGS)
def test_alpha_has_the_best_leave_one_out_score(scoring, n_classes):
    X, y, weight = problem(n_classes=n_classes)
    alphas = np.logspace(-3, 2, 6)
    model = NTKKernelClassifier(alpha=alphas, loo_scoring=scoring).fit(X, y, weight)
    scores = []
    for alpha in alphas:
        left = clone(model).set_params(alpha=alpha).fit(X, y, weight)
        assert left.alpha_ == alpha
        decisions = left.loo_decision_function_
        if scoring == "squared_error":
            squares = (decisions - signs(y, n_classes)) ** 2
            squares = squares if n_classes == 2 else np.mean(squares, axis=1)
            score = -np.average(squares, weights=weight)
        elif scoring == "accuracy":
            right = decisions > 0 if n_classes == 2 else np.argmax(decisions, axis=1)
            score = np.average(right == y, weights=weight)
        else:
            p = probabilities(decisions, left.temperature_)
            score = -log_loss(y, p, sample_weight=weight)
        scores.append(score)
        assert left.loo_score_ == pytest.approx(score, rel=1e-9)
    assert_close(model.loo_scores_, np.array(scores), rtol=1e-9)
    best = max(scores)
    assert model.loo_score_ == pytest.approx(best, rel=1e-9)
    assert model.alpha_ == max(
        a
        for a, s in zip(alphas, model.loo_scores_, strict=True)
        if s == max(model.loo_scores_)
    )


def test_repeated_rows_with_different_labels():
    X, y, _ = problem(n=30, n_classes=3)
    X2, y2 = np.vstack([X, X]), np.concatenate([y, (y + 1) % 3])
    model = NTKKernelClassifier().fit(X2, y2)
    assert len(model.X_fit_) == 30
    p = probabilities(model.loo_decision_function_, model.temperature_)
    assert model.loo_score_ == pytest.approx(-log_loss(y2, p), rel=1e-9)


# --------------------------------------------------------------------- probabilities


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_are_softmax_at_the_temperature(n_classes):
    X, y, weight = problem(n_classes=n_classes)
    model = NTKKernelClassifier().fit(X, y, weight)
    p, f = model.predict_proba(X), model.decision_function(X)
    assert p.shape == (60, n_classes)
    assert_close(np.sum(p, axis=1), np.ones(60), rtol=1e-12)
    if n_classes == 2:
        assert_close(p[:, 1], 1 / (1 + np.exp(-f / model.temperature_)), rtol=1e-9)
    else:
        e = np.exp(f / model.temperature_)
        assert_close(p, e / e.sum(axis=1, keepdims=True), rtol=1e-9)
    assert_same(model.classes_[np.argmax(p, axis=1)], model.predict(X))


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("case", ["noisy", "separable", "useless", "opposite"])
def test_temperature_has_the_smallest_log_loss(case, n_classes):
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=200)
    targets = signs(y, n_classes).reshape(200, -1)
    noise = rng.normal(size=targets.shape)
    decisions = {
        "noisy": targets + 2 * noise,
        "separable": targets,
        "useless": noise,
        "opposite": -targets + noise,
    }[case]
    weight = rng.uniform(0.5, 2, size=200)
    samples = LabelledSamples(targets, np.zeros(targets.shape[1]), weight)
    # One more row that belongs to all classes equally.
    rows = np.vstack([decisions, np.repeat(decisions, n_classes, axis=0)])
    labels = np.concatenate([y, np.tile(np.arange(n_classes), 200)])
    weights = np.concatenate(
        [weight, np.repeat(weight / weight.sum() / n_classes, n_classes)]
    )

    def loss(log_temperature):
        f = rows[:, 0] if n_classes == 2 else rows
        p = np.maximum(probabilities(f, np.exp(log_temperature)), 1e-300)
        return -weights @ np.log(p[np.arange(len(labels)), labels])

    best = minimize_scalar(loss, bounds=(-6.9, 6.9), method="bounded")
    assert loss(np.log(samples.temperature(decisions))) <= best.fun * (1 + 1e-9)
    assert 0.03 < samples.temperature(decisions) <= 1000


def test_probabilities_of_noise_are_class_shares():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 5)), (rng.random(300) < 0.2).astype(int)
    p = NTKKernelClassifier().fit(X, y).predict_proba(rng.normal(size=(100, 5)))
    assert np.abs(p[:, 1] - y.mean()).max() < 0.05


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_probabilities_far_from_the_boundary_are_finite_and_not_exact(dtype):
    X = np.concatenate([np.full((30, 1), -1.0), np.full((30, 1), 1.0)])
    X += 0.1 * np.random.default_rng(0).normal(size=X.shape)
    y = np.repeat([0, 1], 30)
    model = NTKKernelClassifier().fit(X.astype(dtype), y)
    p = model.predict_proba(np.array([[-50.0], [50.0]], dtype=dtype))
    assert p.dtype == dtype
    assert_same(p, model.predict_proba(np.array([[-50.0], [50.0]])).astype(dtype))
    assert np.all(np.isfinite(p))
    assert 0 <= p.min() < 1e-3
    assert model.predict_proba(X.astype(dtype)).max() < 1


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_log_loss_is_no_worse_than_calibrated_on_folds(load):
    X, y = load(return_X_y=True)
    losses = {"ours": [], "folds": []}
    for seed in range(5):
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, stratify=y, random_state=seed
        )
        ours = make_pipeline(StandardScaler(), NTKKernelClassifier())
        folds = make_pipeline(
            StandardScaler(), CalibratedClassifierCV(NTKKernelClassifier(), cv=5)
        )
        for name, model in (("ours", ours), ("folds", folds)):
            p = model.fit(X_train, y_train).predict_proba(X_test)
            losses[name].append(log_loss(y_test, p))
    assert np.mean(losses["ours"]) <= np.mean(losses["folds"])


# ------------------------------------------------------------------- labels, weights


@pytest.mark.parametrize(
    "names",
    [
        np.array(["no", "yes", "maybe"]),
        np.array([7, -3, 100]),
        np.array([3.0, 1.0, 2.0]),
        np.array(["a", "b", "c"], dtype=object),
    ],
    ids=str,
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_of_any_kind(names, n_classes):
    X, y, _ = problem(n_classes=n_classes)
    order = np.argsort(names[:n_classes], kind="stable")
    model = NTKKernelClassifier().fit(X, names[:n_classes][order][y])
    numbers = NTKKernelClassifier().fit(X, y)
    np.testing.assert_array_equal(model.classes_, names[:n_classes][order])
    np.testing.assert_array_equal(
        model.predict(X), model.classes_[numbers.predict(X)], strict=True
    )
    assert_same(model.predict_proba(X), numbers.predict_proba(X))


def test_boolean_labels():
    X, y, _ = problem()
    model = NTKKernelClassifier().fit(X, y.astype(bool))
    assert model.predict(X).dtype == bool


def test_single_class_is_an_error_and_keeps_the_model():
    X, y, _ = problem()
    model = NTKKernelClassifier().fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="y has 1 class, 3"):
        model.fit(X, np.full(60, 3))
    assert_same(model.predict_proba(X), before)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scoring", SCORINGS)
def test_a_weight_of_two_is_a_row_given_twice(scoring, n_classes):
    X, y, _ = problem(n_classes=n_classes)
    times = np.random.default_rng(0).integers(0, 4, size=60)
    model = NTKKernelClassifier(loo_scoring=scoring)
    weighted = clone(model).fit(X, y, times)
    given = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    assert weighted.alpha_ == given.alpha_
    assert weighted.temperature_ == pytest.approx(given.temperature_, rel=1e-7)
    assert_close(weighted.predict_proba(X), given.predict_proba(X), rtol=1e-7)
    left = weighted.loo_decision_function_
    assert_close(
        np.repeat(left, times, axis=0), given.loo_decision_function_, rtol=1e-7
    )


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("scoring", SCORINGS)
def test_a_common_factor_of_weights_changes_nothing(scoring, dtype):
    X, y, weight = problem(n_classes=3)
    X = X.astype(dtype)
    model = NTKKernelClassifier(loo_scoring=scoring)
    expected = clone(model).fit(X, y, weight)
    for factor in (1e-30, 1e-8, 3.0, 1e30):
        scaled = clone(model).fit(X, y, weight * factor)
        assert scaled.temperature_ == pytest.approx(expected.temperature_, rel=1e-3)
        assert_close(
            scaled.predict_proba(X), expected.predict_proba(X), rtol=1e-3, atol=1e-5
        )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_class_weights_multiply_sample_weights(n_classes):
    X, y, weight = problem(n_classes=n_classes)
    by_class = {0: 2.0, 1: 0.25, 2: 1.0}
    by_class = {k: by_class[k] for k in range(n_classes)}
    ours = NTKKernelClassifier(class_weight=by_class).fit(X, y, weight)
    expected = NTKKernelClassifier().fit(
        X, y, weight * [by_class[k] for k in y.tolist()]
    )
    assert_close(ours.predict_proba(X), expected.predict_proba(X), rtol=1e-9)


def test_balanced_classes_have_the_same_total_weight():
    X, y = make_classification(
        400, weights=[0.9], flip_y=0.05, class_sep=0.5, random_state=0
    )
    plain, balanced = (
        NTKKernelClassifier(),
        NTKKernelClassifier(class_weight="balanced"),
    )
    recall = [np.mean(m.fit(X, y).predict(X)[y == 1]) for m in (plain, balanced)]
    assert recall[1] > recall[0]
    by_hand = {0: 200 / np.sum(y == 0), 1: 200 / np.sum(y == 1)}
    expected = NTKKernelClassifier(class_weight=by_hand).fit(X, y)
    assert_close(balanced.predict_proba(X), expected.predict_proba(X), rtol=1e-9)


# ------------------------------------------------------- categories and text, defaults


def corpus(n_documents=500, n_topics=4, seed=0):
    """Documents of words drawn around topics, and their topics."""
    rng = np.random.default_rng(seed)
    frequencies = rng.zipf(1.5, size=(n_topics + 1, 3000)).astype(float)
    frequencies /= frequencies.sum(axis=1, keepdims=True)
    topics = rng.integers(n_topics, size=n_documents)
    texts = []
    for topic in topics.tolist():
        mixed = 0.985 * frequencies[-1] + 0.015 * frequencies[topic]
        words = rng.choice(3000, size=rng.integers(30, 120), p=mixed)
        texts.append(" ".join(f"w{word}" for word in words.tolist()))
    return texts, topics


def test_defaults_classify_text_as_well_as_ridge():
    texts, topics = corpus()
    X = TfidfVectorizer().fit_transform(texts)
    X_train, X_test, y_train, y_test = train_test_split(X, topics, random_state=0)
    ours = NTKKernelClassifier().fit(X_train, y_train)
    theirs = RidgeClassifier().fit(X_train, y_train)
    assert sparse.issparse(ours.X_fit_)
    assert 0.6 < theirs.score(X_test, y_test) < 0.99
    assert ours.score(X_test, y_test) > theirs.score(X_test, y_test) - 0.02


def test_defaults_classify_categories_as_well_as_ridge():
    rng = np.random.default_rng(0)
    categories = rng.integers(8, size=(600, 5))
    effects = rng.normal(size=(5, 8))
    scores = effects[np.arange(5), categories].sum(axis=1) + 0.5 * rng.normal(size=600)
    y = np.where(scores > np.median(scores), "high", "low")
    X = OneHotEncoder().fit_transform(categories)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    ours = NTKKernelClassifier().fit(X_train, y_train)
    theirs = RidgeClassifier().fit(X_train, y_train)
    assert ours.score(X_test, y_test) > theirs.score(X_test, y_test) - 0.02


# --------------------------------------------- other tools, kinds of rows, namespaces


def test_scorers_voting_and_calibration():
    X, y, _ = problem(n=90, n_classes=3)
    model = NTKKernelClassifier()
    scores = cross_val_score(model, X, y, scoring="neg_log_loss", cv=3)
    assert np.all(scores > -np.log(3))
    voting = VotingClassifier(
        [("kernel", model), ("logistic", LogisticRegression())], voting="soft"
    ).fit(X, y)
    expected = (
        model.fit(X, y).predict_proba(X) + voting.estimators_[1].predict_proba(X)
    ) / 2
    assert_close(voting.predict_proba(X), expected, rtol=1e-9)
    for method in ("sigmoid", "temperature"):
        calibrated = CalibratedClassifierCV(model, cv=3, method=method).fit(X, y)
        assert calibrated.predict_proba(X).shape == (90, 3)
    p = cross_val_predict(model, X, y, method="predict_proba", cv=3)
    assert p.shape == (90, 3)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", ["chunks", "csr", "float32"])
def test_chunks_csr_and_float32_rows_give_the_same_model(kind, n_classes):
    X, y, weight = problem(n_classes=n_classes)
    rows = {
        "chunks": RowChunks(X, chunk_rows=17),
        "csr": sparse.csr_array(X),
        "float32": X.astype("f4"),
    }[kind]
    model = NTKKernelClassifier().fit(rows, y, weight)
    expected = NTKKernelClassifier().fit(X, y, weight)
    tolerance = 1e-4 if kind == "float32" else 1e-9
    assert_same(model.predict(rows), expected.predict(X))
    for method in ("decision_function", "predict_proba"):
        ours, theirs = getattr(model, method)(rows), getattr(expected, method)(X)
        assert (
            ours.dtype == rows.X.dtype if kind == "chunks" else ours.dtype == rows.dtype
        )
        assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("estimator", VARIANTS, ids=str)
def test_same_model_in_every_namespace(estimator, n_classes, xp, dtype):
    X, y, weight = problem(n_classes=n_classes)
    estimator = clone(estimator).set_params(random_state=0)
    expected = clone(estimator).fit(X, y, weight)
    with config_context(array_api_dispatch=True):
        rows = xp.asarray(X, dtype=dtype)
        model = estimator.fit(rows, xp.asarray(y), xp.asarray(weight, dtype=dtype))
        p, labels = model.predict_proba(rows), model.predict(rows)
    assert p.dtype == dtype
    tolerance = 1e-8 if dtype == xp.float64 else 2e-3
    assert_close(p, expected.predict_proba(X), rtol=tolerance, atol=tolerance)
    assert_same(to_host(labels), expected.predict(X))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"loo_scoring": "r2"}, "The 'loo_scoring' parameter"),
        ({"class_weight": "even"}, "The 'class_weight' parameter"),
        ({"alpha": [0.0, 1.0]}, "one or more positive, finite numbers"),
        ({"alpha": np.inf}, "The 'alpha' parameter"),
    ],
)
def test_error_says_what_to_do(options, message):
    X, y, _ = problem()
    with pytest.raises(ValueError, match=message):
        NTKKernelClassifier(**options).fit(X, y)


# -------------------------------------------------------------- scikit-learn's checks


@parametrize_with_checks(VARIANTS)
def test_check_estimator(estimator, check):
    check(estimator)


def test_array_api_checks_are_among_them():
    checks = [check for _, check in estimator_checks_generator(NTKKernelClassifier())]
    names = [getattr(check, "func", check).__name__ for check in checks]
    # NumPy, array-api-strict and torch on the CPU and those devices that are skipped.
    assert sum(name.startswith("check_array_api") for name in names) >= 15


@pytest.mark.parametrize("estimator", VARIANTS, ids=str)
@pytest.mark.parametrize(
    "check",
    [
        check_param_validation,
        check_dataframe_column_names_consistency,
        check_inplace_ensure_writeable,
    ],
)
def test_checks_left_out_by_check_estimator(estimator, check):
    check(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", VARIANTS, ids=str)
@pytest.mark.parametrize("namespace", ["array_api_strict", "torch"])
@pytest.mark.parametrize("weighted", [False, True])
def test_array_api_values(estimator, namespace, weighted):
    pytest.importorskip(namespace)
    check_array_api_input_and_values(
        type(estimator).__name__,
        clone(estimator),
        array_namespace=namespace,
        device_name="cpu" if namespace == "torch" else "CPU_DEVICE",
        dtype_name="float64",
        check_sample_weight=weighted,
    )
