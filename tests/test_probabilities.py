"""Probabilities and class weights of the classifiers."""

import numpy as np
import pytest
from assertions import assert_close, assert_same
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import VotingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB

from sklearn_jlntk import JLFactorizedNTKClassifier
from sklearn_jlntk.out_of_core import RowChunks

CLASSIFIERS = [
    JLFactorizedNTKClassifier(width=128, max_iter=60, tol=None, random_state=0)
]
classifiers = pytest.mark.parametrize("model", CLASSIFIERS, ids=str)


def two_classes(n=200):
    return make_classification(n, 6, n_informative=4, flip_y=0.1, random_state=0)


@classifiers
@pytest.mark.parametrize("load", [two_classes, lambda: load_iris(return_X_y=True)])
def test_predicted_label_has_the_largest_probability(model, load):
    X, y = load()
    model = clone(model).fit(X, y)
    far = np.concatenate([X, 1e3 * X, np.zeros_like(X)])
    p = model.predict_proba(far)
    assert p.shape == (len(far), len(model.classes_))
    assert_close(p.sum(axis=1), np.ones(len(far)), rtol=1e-12)
    assert p.min() > 0
    assert p.max() < 1
    assert_same(model.classes_[p.argmax(axis=1)], model.predict(far))


@classifiers
def test_probabilities_rise_with_the_outputs(model):
    X, y = two_classes()
    model = clone(model).fit(X, y)
    grid = np.linspace(-3, 3, 500)[:, None] * X[:1]
    scores, p = model.decision_function(grid), model.predict_proba(grid)[:, 1]
    order = np.argsort(scores)
    assert (np.diff(p[order]) >= 0).all()
    assert_same(p > 0.5, scores > 0)


@classifiers
def test_probabilities_in_scorers_voting_and_calibration(model):
    X, y = two_classes()
    scores = cross_val_score(clone(model), X, y, scoring="neg_log_loss")
    assert scores.mean() > -np.log(2)
    vote = VotingClassifier([("a", clone(model)), ("b", GaussianNB())], voting="soft")
    assert vote.fit(X, y).score(X, y) > 0.7
    calibrated = CalibratedClassifierCV(clone(model)).fit(X, y)
    assert log_loss(y, calibrated.predict_proba(X)) < np.log(2)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("weights", ["balanced", {0: 1.0, 1: 5.0}, {"a": 2, "b": 0.5}])
@classifiers
def test_class_weights_are_sample_weights(model, weights, chunked):
    X, y = make_classification(120, weights=[0.9], random_state=0)
    sample_weight = np.random.default_rng(0).uniform(0.5, 2, size=120)
    labels = np.array(["a", "b"])[y] if weights != "balanced" and "a" in weights else y
    if weights == "balanced":
        totals = np.bincount(y, sample_weight)
        of_class = sample_weight.sum() / (2 * totals)
    else:
        of_class = np.array(list(weights.values()))
    rows = RowChunks(X, chunk_rows=50) if chunked else X
    weighted = clone(model).set_params(class_weight=weights)
    weighted.fit(rows, labels, sample_weight)
    expected = clone(model).fit(X, labels, sample_weight * of_class[y])
    assert_close(
        weighted.decision_function(X), expected.decision_function(X), rtol=1e-8
    )


@classifiers
def test_error_for_class_weights_of_unknown_labels(model):
    X, y = two_classes()
    with pytest.raises(ValueError, match="are not in class_weight"):
        clone(model).set_params(class_weight={0: 1.0, 7: 2.0}).fit(X, y)
