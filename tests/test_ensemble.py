"""An ensemble samples the posterior of the Gaussian process of its kernel."""

import pickle
from functools import partial

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from sklearn_jlntk import JLFactorizedNTKEnsemble, JLFactorizedNTKRegressor
from sklearn_jlntk._backend.array_api import from_host, to_host
from sklearn_jlntk._validation import row_hashes
from sklearn_jlntk.gradient_descent import gradient_descent
from sklearn_jlntk.neural_network import _members
from sklearn_jlntk.neural_network._members import Noise
from sklearn_jlntk.out_of_core import RowChunks

ALPHA = 0.5
NEW = np.random.default_rng(1).normal(size=(15, 4))


def data(n=25, n_outputs=None):
    """Rows and a smooth target with noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    y = np.sin(X[:, :1]) + X[:, 1:2] + 0.3 * rng.normal(size=(n, n_outputs or 1))
    return X, 2 + (y if n_outputs else y[:, 0])


def network(**params):
    """A network that is trained until nothing changes any more."""
    params = {"width": 512, "alpha": ALPHA, "max_iter": 3000, "tol": 1e-7} | params
    return JLFactorizedNTKRegressor(random_state=0, **params)


def ensemble(n_estimators=3, random_state=0, **params):
    """A small ensemble."""
    return JLFactorizedNTKEnsemble(
        network(**params), n_estimators=n_estimators, random_state=random_state
    )


class Exact:
    """Posterior of the kernel H(0), from the formulas, for the rows of `data`."""

    def __init__(self, model, X, y, weight=None):
        fitted = model.estimator_
        self.X, self.y, self.model = X, y - fitted.intercept_, model
        self.ridge = ALPHA / (np.ones(len(X)) if weight is None else weight)
        self.K = fitted.ntk(X, at="init")
        self.K_new = fitted.ntk(NEW, X, at="init")
        self.G = np.linalg.inv(self.K + np.diag(self.ridge))

    def mean(self):
        """Mean at new rows."""
        return self.model.estimator_.intercept_ + self.K_new @ self.G @ self.y

    def scale(self):
        """Scale of the prior of the largest likelihood."""
        return np.sqrt(self.y @ self.G @ self.y / len(self.y))

    def variance(self):
        """Variance of the function at new rows, for the scale of the model."""
        prior = np.diag(self.model.estimator_.ntk(NEW, at="init"))
        explained = np.sum(self.K_new @ self.G * self.K_new, axis=1)
        return self.model.prior_scale_**2 * (prior - explained)

    def samples(self):  # -> (n_new, n_estimators)
        """Samples from the priors of the model and from its noise."""
        fitted = self.model.estimator_
        start = fitted.fitted_network()
        noise = self.noise()
        found = []
        for direction, drawn in zip(self.model.member_directions_, noise, strict=True):
            prior, prior_new = (
                self.model.prior_scale_
                * start.network.jvp(
                    start.initial_weights,
                    start.network.features(fitted.scale_rows(rows)),
                    direction,
                )
                for rows in (self.X, NEW)
            )
            seen = self.G @ (self.y + drawn - prior)
            found.append(prior_new + self.K_new @ seen)
        return np.stack(found, axis=1) + fitted.intercept_

    def noise(self):
        """Noise of each member: that which makes its targets, replayed from its seed."""
        seed = int(np.random.RandomState(0).randint(2**31 - 1, size=2)[1])
        weight = ALPHA / self.ridge
        noise = Noise.of(row_hashes(self.X), weight, ALPHA)
        for member, direction in enumerate(self.model.member_directions_):
            rng = np.random.default_rng([seed, member])
            assert_close(rng.standard_normal(direction.shape), direction)
            yield self.model.prior_scale_ * noise.draw(rng, 1)[:, 0]


def distances(factorization, name, sizes, weight=None):
    """Distances of the mean and of samples from the exact ones at each size."""
    X, y = data()
    found = []
    for size in sizes:
        params = {name: size, "factorization": factorization}
        if factorization == "abc":
            params["width"] = 4096
        model = ensemble(2, **params).fit(X, y, weight)
        exact = Exact(model, X, y, weight)
        pairs = (
            (model.predict(NEW), exact.mean()),
            (model.sample_y(NEW), exact.samples()),
        )
        found.append([np.sqrt(np.mean((ours - theirs) ** 2)) for ours, theirs in pairs])
    return np.array(found)


# ------------------------------------------------------------------ the law


@pytest.mark.parametrize(
    "factorization, name, sizes",
    [
        ("bc", "width", [256, 1024, 4096, 16384]),
        ("dense", "width", [256, 1024, 4096, 16384]),
        ("abc", "effective_width", [64, 256, 1024]),
    ],
)
def test_mean_and_each_sample_approach_the_exact_ones(factorization, name, sizes):
    """Like the root of the size, with few rows of B faster than that."""
    found = distances(factorization, name, sizes)
    assert np.all(found[-1] < 0.03)
    slopes = np.polyfit(np.log(sizes), np.log(found), 1)[0]
    steepest = -1.2 if factorization == "abc" else -0.8
    assert np.all((slopes > steepest) & (slopes < -0.3)), slopes


def test_samples_with_weights_approach_the_exact_ones():
    weight = np.random.default_rng(2).uniform(0.2, 3.0, 25)
    found = distances("bc", "width", [16384], weight)
    assert np.all(found < 0.03)


def test_variance_approaches_the_exact_one_with_the_number_of_samples():
    X, y = data(10)
    model = ensemble(512, width=1024, tol=1e-4).fit(X, y)
    exact, samples = Exact(model, X, y), model.sample_y(NEW)
    mean = model.predict(NEW)[:, None]
    sizes, errors = [8, 32, 128], []
    for size in sizes:
        groups = samples.reshape(len(NEW), -1, size)
        variances = np.mean((groups - mean[:, :, None]) ** 2, axis=2)
        off = variances / exact.variance()[:, None] - 1
        errors.append(np.sqrt(np.mean(off**2)))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert -0.65 < slope < -0.35
    whole = np.mean((samples - mean) ** 2, axis=1)
    assert_close(np.mean(whole / exact.variance()), 1.0, rtol=0.1)


def test_deviations_are_of_the_samples_around_the_mean_plus_noise():
    X, y = data()
    model = ensemble(4).fit(X, y)
    mean, std = model.predict(NEW, return_std=True)
    spread = np.mean((model.sample_y(NEW) - mean[:, None]) ** 2, axis=1)
    assert_same(mean, model.estimator_.predict(NEW))
    assert_close(std, np.sqrt(spread + model.noise_scale_**2))
    assert_close(model.noise_scale_, ALPHA**0.5 * model.prior_scale_)


def test_scale_of_the_prior_has_the_largest_likelihood():
    X, y = data()
    model = ensemble(1, width=16384).fit(X, y)
    assert_close(model.prior_scale_, Exact(model, X, y).scale(), rtol=0.02)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e5])
def test_unit_of_the_targets_is_that_of_all_results(unit):
    X, y = data()
    plain, scaled = (ensemble(2).fit(X, t * y) for t in (1.0, unit))
    for ours, theirs in zip(
        plain.predict(NEW, return_std=True),
        scaled.predict(NEW, return_std=True),
        strict=True,
    ):
        assert_close(theirs, unit * ours, rtol=1e-2)
    assert_close(scaled.sample_y(NEW), unit * plain.sample_y(NEW), rtol=5e-2, atol=unit)


def test_several_outputs_have_scales_of_their_own():
    X, y = data(n_outputs=2)
    y[:, 1] *= 3
    model = ensemble(32, width=4096).fit(X, y)
    mean, std = model.predict(NEW, return_std=True)
    samples = model.sample_y(NEW)
    assert mean.shape == std.shape == (15, 2)
    assert samples.shape == (15, 2, 32)
    alone = [ensemble(32, width=4096).fit(X, column) for column in y.T]
    for output, single in enumerate(alone):
        assert_close(model.prior_scale_[output], single.prior_scale_, rtol=0.05)
        alone_std = single.predict(NEW, return_std=True)[1]
        assert_close(np.mean(std[:, output] / alone_std), 1.0, rtol=0.1)


# ------------------------------------------------------------------ rows and weights


def test_weight_of_two_is_a_row_given_twice():
    X, y = data()
    weight = np.ones(25)
    weight[:5], weight[5:8] = 2, 0
    weighted = ensemble().fit(X, y, weight)
    rows = np.repeat(np.arange(25), weight.astype(int))[::-1]
    repeated = ensemble().fit(X[rows], y[rows])
    for method in ("predict", "sample_y"):
        ours, theirs = (getattr(model, method)(NEW) for model in (weighted, repeated))
        assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_noise_has_the_variance_of_the_mean_of_equal_rows():
    hashes = np.array([7, 3, 7, 5, 9], dtype=np.uint64)
    weight = np.array([1.0, 2.0, 3.0, 0.0, 2.0])
    noise = Noise.of(hashes, weight, 0.5)
    drawn = np.stack(
        [noise.draw(np.random.default_rng(seed), 1)[:, 0] for seed in range(4000)]
    )
    assert_same(drawn[:, 0], drawn[:, 2])
    assert not drawn[:, 3].any()
    assert_close(np.var(drawn, axis=0)[[0, 1, 4]], [0.125, 0.25, 0.25], rtol=0.1)
    assert noise.typical == 0.25
    assert noise.n_rows == 4.0


@pytest.mark.parametrize("form", ["csr", "chunks", "scratch"])
def test_rows_in_other_forms_give_the_same(form, tmp_path):
    X, y = data()
    forms = {
        "csr": sparse.csr_array,
        "chunks": partial(RowChunks, chunk_rows=10),
        "scratch": partial(RowChunks, chunk_rows=10, scratch=tmp_path / "rows"),
    }
    model = ensemble().fit(X, y)
    other = ensemble().fit(forms[form](X), y)
    assert not (tmp_path / "rows").exists()
    new = forms[form](NEW) if form != "scratch" else NEW
    for ours, theirs in zip(
        model.predict(NEW, return_std=True),
        other.predict(new, return_std=True),
        strict=True,
    ):
        assert_close(theirs, ours, rtol=1e-5)
    assert_close(other.sample_y(new), model.sample_y(NEW), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_namespaces_give_the_same(xp, n_outputs):
    X, y = data(n_outputs=n_outputs)
    model = ensemble(tol=1e-5).fit(X, y)
    with config_context(array_api_dispatch=True):
        other = ensemble(tol=1e-5).fit(xp.asarray(X), xp.asarray(y))
        new = xp.asarray(NEW)
        found = (*other.predict(new, return_std=True), other.sample_y(new))
    expected = (*model.predict(NEW, return_std=True), model.sample_y(NEW))
    for ours, theirs in zip(expected, found, strict=True):
        assert type(theirs) is type(new)
        assert_close(to_host(theirs), ours, rtol=1e-6)


def test_number_of_threads_changes_nothing():
    X, y = data()
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            found.append(ensemble().fit(X, y).sample_y(NEW))
    assert_close(found[0], found[1], rtol=1e-9)


def test_first_samples_of_a_larger_ensemble_are_those_of_a_smaller_one():
    X, y = data()
    small, large = (ensemble(n).fit(X, y).sample_y(NEW) for n in (2, 4))
    assert_close(large[:, :2], small)
    assert np.linalg.matrix_rank(large) == 4


def test_output_at_the_start_stays_part_of_the_mean_and_of_the_samples():
    X, y = data()
    model = ensemble(64, initial_output="random").fit(X, y)
    zero = ensemble(64).fit(X, y)
    ours, theirs = (
        m.sample_y(NEW).mean(axis=1) - m.predict(NEW) for m in (model, zero)
    )
    assert_close(ours, theirs, atol=0.1)
    assert np.max(np.abs(model.predict(NEW) - zero.predict(NEW))) > 0.1


# ------------------------------------------------------------------ as an estimator


def test_default_network_takes_its_seed_from_the_ensemble():
    X, y = data()
    first, again, other = (
        JLFactorizedNTKEnsemble(n_estimators=1, random_state=seed).fit(X, y)
        for seed in (0, 0, 1)
    )
    assert_same(first.sample_y(NEW), again.sample_y(NEW))
    assert not np.allclose(
        first.estimator_.initial_weights_, other.estimator_.initial_weights_
    )
    assert first.estimator_.alpha == 1.0


def test_seed_of_the_network_is_kept():
    X, y = data()
    models = [ensemble(1, random_state=seed).fit(X, y) for seed in (0, 1)]
    initial = [model.estimator_.initial_weights_ for model in models]
    assert_same(*initial)
    assert not np.allclose(*(model.member_directions_ for model in models))


def test_search_over_parameters_of_the_network():
    X, y = data()
    search = GridSearchCV(
        ensemble(1, tol=1e-5), {"estimator__alpha": [0.1, 10.0]}, cv=2
    )
    search.fit(X, y)
    assert search.best_params_ == {"estimator__alpha": 0.1}


def test_pickled_and_cloned_ensembles():
    X, y = data()
    model = ensemble().fit(X, y)
    assert_same(pickle.loads(pickle.dumps(model)).sample_y(NEW), model.sample_y(NEW))
    with pytest.raises(NotFittedError):
        check_is_fitted(clone(model))


def test_names_of_columns_of_the_last_fit():
    pandas = pytest.importorskip("pandas")
    X, y = data()
    model = ensemble(1, tol=1e-4)
    model.fit(pandas.DataFrame(X, columns=list("abcd")), y)
    assert list(model.feature_names_in_) == list("abcd")
    model.fit(X[:, :3], y)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 3


@pytest.mark.parametrize(
    "params, message",
    [
        ({"alpha": 0}, "alpha=0, targets without noise, .* Give it a positive alpha"),
        ({"early_stopping": True}, "early_stopping=True, .* Use early_stopping=False"),
        ({"learning_rate": 1e6}, "diverged .* use learning_rate='auto'"),
    ],
)
def test_errors_say_what_to_do_and_leave_the_ensemble_as_it_was(params, message):
    X, y = data()
    model = ensemble(1).fit(X, y)
    before = dict(vars(model))
    model.set_params(**{f"estimator__{name}": value for name, value in params.items()})
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    after = dict(vars(model))
    assert {name: after[name] for name in before} == before


def test_member_that_diverges_is_an_error(monkeypatch):
    X, y = data()
    model = ensemble(1)

    def too_fast(*args, learning_rate, **kwargs):
        return gradient_descent(*args, learning_rate=1e3 * learning_rate, **kwargs)

    monkeypatch.setattr(_members, "gradient_descent", too_fast)
    with pytest.raises(ValueError, match="Gradient descent diverged"):
        model.fit(X, y)
    assert not hasattr(model, "estimator_")


@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_number_of_samples_is_checked(value):
    with pytest.raises(ValueError, match="'n_estimators' parameter"):
        ensemble(value).fit(*data())


def test_other_estimators_are_refused():
    with pytest.raises(
        ValueError, match=r"'estimator' parameter .*\.JLFactorizedNTKReg"
    ):
        JLFactorizedNTKEnsemble(Ridge()).fit(*data())


def test_training_that_ends_before_the_penalty_acts_is_a_warning():
    X, y = data()
    with pytest.warns(ConvergenceWarning, match="after about .*: standard deviations"):
        ensemble(1, max_iter=5, tol=None).fit(X, y)


def test_rows_of_another_namespace_are_refused(xp):
    if xp.__name__.endswith("numpy"):
        pytest.skip("the namespace of the fit")
    model = ensemble(1, tol=1e-4).fit(*data())
    with config_context(array_api_dispatch=True):
        for method in (model.predict, model.sample_y):
            with pytest.raises(ValueError, match=r"JLFactorizedNTKEnsemble\.\w+"):
                method(from_host(NEW, xp.asarray([1.0])))
