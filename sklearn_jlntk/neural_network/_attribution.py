"""Changes of a fitted network's outputs when it is trained without one row."""

from sklearn_jlntk import theory
from sklearn_jlntk._backend.array_api import from_host, to_host
from sklearn_jlntk._validation import (
    cast_results,
    check_same_namespace,
    in_memory,
    validate_rows,
)
from sklearn_jlntk.neural_network._samples import as_fit_computes
from sklearn_jlntk.ntk import empirical_ntk


def changes_without_rows(estimator, X, X_train, y_train, sample_weight):
    """`NetworkEstimator.attribute`, which has the parameters."""
    model = estimator.fitted_network()
    if hasattr(estimator, "validation_scores_"):
        raise ValueError(
            "The network was fitted with early_stopping=True: some rows were held out, and "
            "its weights are not those of the last step. attribute follows all steps on "
            "all rows; fit with early_stopping=False."
        )
    X, X_train = in_memory(X), in_memory(X_train)
    for rows in (X, X_train):
        check_same_namespace(rows, estimator, attribute="weights_", method="attribute")
    X = validate_rows(estimator, X, reset=False)
    X_train, y, weight = estimator._check(X_train, y_train, sample_weight, reset=False)
    weight = estimator._weights_of(y, weight)
    others, rows = (as_fit_computes(estimator, Z) for Z in (X, X_train))
    features, targets, _ = model.samples(rows, estimator._targets_of(y), None)
    start = model.network.outputs(model.initial_weights, features)
    others, rows = (model.row_scaling.apply(Z) for Z in (others, rows))
    descent = theory.kernel_descent(
        empirical_ntk(model.network, model.weights, rows),
        targets - start,
        learning_rate=estimator.learning_rate_,
        alpha=float(estimator.alpha),
        sample_weight=None if weight is None else from_host(to_host(weight), features),
    )
    kernel = empirical_ntk(model.network, model.weights, others, rows)
    changes = descent.attribute(kernel, estimator.n_iter_)
    changes = changes * from_host(model.target_scaling.scale, changes)
    return cast_results(to_host(changes) if estimator.device else changes, X)
