"""The FJLT transformer: scikit-learn's checks, its properties and its errors."""

import pickle
from unittest import SkipTest

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import DataDimensionalityWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import johnson_lindenstrauss_min_dim
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)

import sklearn_jlntk._backend.jit.dispatch as jit
from sklearn_jlntk import FJLT
from sklearn_jlntk._backend.array_api import array_namespace, from_host, to_host
from sklearn_jlntk.operators import SKETCHES

METHODS = [name for name in SKETCHES if name != "identity"]

# The checks have few features, about which "auto" warns.
few_features = pytest.mark.filterwarnings(
    "ignore:eps=:sklearn.exceptions.DataDimensionalityWarning"
)


def gaussian_rows(n_samples=40, n_features=192, seed=0):
    """Standard normal rows."""
    return np.random.default_rng(seed).standard_normal((n_samples, n_features))


@few_features
@parametrize_with_checks([FJLT(), *(FJLT(1, method=method) for method in METHODS)])
def test_check_estimator(estimator, check):
    check(estimator)


@few_features
@pytest.mark.parametrize("method", METHODS)
def test_array_api_checks_run(method):
    """NumPy, array-api-strict on two devices and torch on the CPU, alone and mixed."""
    ran = []
    for _, check in estimator_checks_generator(FJLT(1, method=method)):
        if "array_api" not in check.func.__name__:
            continue
        try:
            check(FJLT(1, method=method))
        except SkipTest:
            continue
        ran.append(f"{check.func.__name__} {check.keywords}")
    assert len(ran) >= 7
    for namespace in ("numpy", "array_api_strict", "torch"):
        assert any(f"'{namespace}'" in text for text in ran)


@few_features
# The checks fit frames and transform arrays.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize(
    "name",
    [
        "check_param_validation",
        "check_dataframe_column_names_consistency",
        "check_inplace_ensure_writeable",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_set_output_transform_polars",
        "check_global_output_transform_pandas",
        "check_global_set_output_transform_polars",
    ],
)
def test_checks_left_out_by_check_estimator(name):
    getattr(estimator_checks, name)("FJLT", FJLT())


@few_features
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "namespace, device", [("array_api_strict", "CPU_DEVICE"), ("torch", "cpu")]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_array_api_values(method, namespace, device, dtype):
    estimator_checks.check_array_api_input_and_values(
        "FJLT",
        FJLT(1, method=method),
        array_namespace=namespace,
        device_name=device,
        dtype_name=dtype,
    )


@pytest.mark.parametrize("form", [np.asarray, np.float32, sparse.csr_array])
@pytest.mark.parametrize("method", METHODS)
def test_few_features_are_left_as_they_are_and_copied(method, form):
    X = form(gaussian_rows(n_features=6))
    fjlt = FJLT(method=method, random_state=0)
    with pytest.warns(
        DataDimensionalityWarning, match="n_features=6: the features are l"
    ):
        Z = fjlt.fit_transform(X)
    rows = X.toarray() if sparse.issparse(X) else X
    assert_same(Z, rows)
    assert_same(fjlt.components_, np.eye(6, dtype=X.dtype))
    assert not np.shares_memory(Z, X.data if sparse.issparse(X) else X)
    assert not np.shares_memory(fjlt.inverse_transform(Z), Z)


@pytest.mark.parametrize("method", METHODS)
def test_transform_is_the_product_with_the_components(method):
    X = gaussian_rows()
    fjlt = FJLT(50, method=method, random_state=0).fit(X)
    assert fjlt.components_.shape == (50, 192)
    # Sums that cancel.
    assert_close(fjlt.transform(X), X @ fjlt.components_.T, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_distances_are_preserved(method):
    # Of 780 squared distances of rows, the largest distortion of a Gaussian sketch of
    # 512 components is about 3.5 standard deviations of (2 / 512)^(1/2); sparse ones
    # are alike on Gaussian rows.
    X = gaussian_rows(n_features=1500)
    Z = FJLT(512, method=method, random_state=0).fit_transform(X)
    i, j = np.triu_indices(X.shape[0], 1)
    before = np.sum((X[i] - X[j]) ** 2, axis=1)
    after = np.sum((Z[i] - Z[j]) ** 2, axis=1)
    assert np.max(np.abs(after / before - 1)) < 5.5 * (2 / 512) ** 0.5


@pytest.mark.parametrize("method", METHODS)
def test_seed_gives_the_same_map_in_every_namespace(method, xp, dtype):
    X = gaussian_rows()
    there = from_host(X, xp.ones(1, dtype=dtype), dtype)
    expected = FJLT(50, method=method, random_state=3).fit_transform(X)
    with config_context(array_api_dispatch=True):
        fjlt = FJLT(50, method=method, random_state=3).fit(there)
        Z = fjlt.transform(there)
        back = fjlt.inverse_transform(Z)
        assert array_namespace(fjlt.components_) is array_namespace(there)
    assert array_namespace(Z) is array_namespace(there)
    assert Z.dtype == back.dtype == dtype
    eps = xp.finfo(dtype).eps
    # Sums that cancel, of rows of norm 14.
    assert_close(Z, expected, atol=1e3 * eps)
    assert_close(to_host(back) @ to_host(fjlt.components_).T, expected, atol=1e3 * eps)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_csr_rows_give_dense_components(method, dtype):
    X = gaussian_rows().astype(dtype)
    X[np.random.default_rng(1).random(X.shape) < 0.9] = 0
    from_csr = FJLT(50, method=method, random_state=0).fit(sparse.csr_array(X))
    from_dense = FJLT(50, method=method, random_state=0).fit(X)
    assert_same(from_csr.components_, from_dense.components_)
    Z = from_csr.transform(sparse.csr_array(X))
    assert isinstance(Z, np.ndarray)
    assert Z.dtype == dtype
    # Sums that cancel.
    assert_close(Z, from_dense.transform(X), atol=1e3 * np.finfo(dtype).eps)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_features", [100, 128, 192])
@pytest.mark.parametrize("n_components", [1, 64, 90])
def test_inverse_transform_is_the_pseudo_inverse(method, n_features, n_components):
    # Four features a component keep the condition number of sparse maps moderate, but
    # CountSketch leaves components empty: its map has no full rank.
    X = gaussian_rows(n_features=n_features)
    fjlt = FJLT(n_components, method=method, random_state=0).fit(X)
    Z = gaussian_rows(5, n_components, seed=1)
    expected = Z @ np.linalg.pinv(fjlt.components_).T
    assert_close(fjlt.inverse_transform(Z), expected, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_transform_after_inverse_transform_changes_nothing(method):
    X = gaussian_rows()
    fjlt = FJLT(50, method=method, random_state=0).fit(X)
    Z = fjlt.transform(X)
    # Sums that cancel.
    assert_close(fjlt.transform(fjlt.inverse_transform(Z)), Z, atol=1e-10)


def test_inverse_transform_of_orthogonal_rows_is_a_multiple_of_the_adjoint(monkeypatch):
    X = gaussian_rows(n_features=256)
    for n_components in (64, 50, 128):
        fjlt = FJLT(n_components, random_state=0).fit(X)
        Z = fjlt.transform(X)
        closed_form = fjlt.inverse_transform(Z)
        assert_close(closed_form, n_components / 256 * Z @ fjlt.components_)
        with monkeypatch.context() as patch:
            patch.setattr(type(fjlt.projection_), "_squared_scale", None)
            # Sums that cancel.
            assert_close(fjlt.inverse_transform(Z), closed_form, atol=1e-12)


def test_inverse_transform_takes_integers_and_lists():
    fjlt = FJLT(2, random_state=0).fit(gaussian_rows(n_features=5))
    expected = fjlt.inverse_transform(np.array([[1.0, 2.0]]))
    assert_same(fjlt.inverse_transform([[1, 2]]), expected)


def test_inverse_transform_names_the_components_it_takes():
    fjlt = FJLT(2).fit(gaussian_rows(n_features=5))
    with pytest.raises(ValueError, match=r"X has 5 columns.*takes the 2 components"):
        fjlt.inverse_transform(gaussian_rows(n_features=5))


def test_auto_counts_components_by_the_lemma():
    X = gaussian_rows(100, 3000)
    fjlt = FJLT(eps=0.3).fit(X)
    assert fjlt.n_components_ == johnson_lindenstrauss_min_dim(100, eps=0.3)
    assert fjlt.transform(X).shape == (100, fjlt.n_components_)


def test_auto_keeps_no_more_than_all_features():
    message = r"eps=0.1 and n_samples=40 ask for 3161 components.*n_features=192"
    with pytest.warns(DataDimensionalityWarning, match=message):
        fjlt = FJLT().fit(gaussian_rows())
    assert fjlt.n_components_ == 192


def test_auto_of_one_row_has_no_distances():
    with pytest.raises(ValueError, match=r"n_samples=1 has none. Give more rows"):
        FJLT().fit(gaussian_rows(1))
    assert FJLT(5).fit_transform(gaussian_rows(1)).shape == (1, 5)


def test_error_for_more_components_than_features():
    message = (
        r"n_components=500 is larger than n_features=64; an FJLT of 64 features keeps "
        r"at most 64\. Use n_components <= 64 or 'auto'\."
    )
    with pytest.raises(ValueError, match=message):
        FJLT(500).fit(gaussian_rows(n_features=64))
    assert FJLT(64).fit(gaussian_rows(n_features=64)).n_components_ == 64


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"n_components": 0}, "The 'n_components' parameter of FJLT must be"),
        ({"eps": 1.0}, "The 'eps' parameter of FJLT must be"),
        ({"method": "identity"}, "The 'method' parameter of FJLT must be"),
        ({"method": "dct"}, "The 'method' parameter of FJLT must be"),
        ({"random_state": -1}, "The 'random_state' parameter of FJLT must be"),
    ],
)
def test_errors_name_wrong_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        FJLT(**parameters).fit(gaussian_rows())


def test_errors_name_wrong_rows():
    X = gaussian_rows()
    fjlt = FJLT(5).fit(X)
    with pytest.raises(ValueError, match="X has 7 features, but FJLT is expecting 192"):
        fjlt.transform(X[:, :7])
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fjlt.transform(X)


def test_error_for_rows_of_another_namespace():
    strict = pytest.importorskip("array_api_strict")
    X = gaussian_rows()
    fjlt = FJLT(5).fit(X)
    with config_context(array_api_dispatch=True):
        for method in (fjlt.transform, fjlt.inverse_transform):
            with pytest.raises(ValueError, match=f"passed to FJLT.{method.__name__}"):
                method(strict.asarray(X))


def test_error_for_unfitted_transformer():
    for use in (
        lambda fjlt: fjlt.components_,
        lambda fjlt: fjlt.transform(gaussian_rows()),
        lambda fjlt: fjlt.inverse_transform(gaussian_rows()),
    ):
        with pytest.raises(NotFittedError):
            use(FJLT())


def test_fit_does_not_change_parameters():
    fjlt = FJLT(eps=0.4)
    before = clone(fjlt).get_params()
    fjlt.fit(gaussian_rows(n_features=400))
    assert fjlt.get_params() == before


def test_random_state_instance_advances():
    rng = np.random.RandomState(0)
    first = FJLT(5, random_state=rng).fit(gaussian_rows()).components_
    second = FJLT(5, random_state=rng).fit(gaussian_rows()).components_
    assert np.any(first != second)


@pytest.mark.parametrize("method", METHODS)
def test_pickle_transforms_the_same(method):
    X = gaussian_rows()
    fjlt = FJLT(50, method=method, random_state=0).fit(X)
    copy = pickle.loads(pickle.dumps(fjlt))
    assert_same(copy.transform(X), fjlt.transform(X))


@pytest.mark.parametrize("method", METHODS)
def test_row_does_not_depend_on_other_rows(method):
    X = gaussian_rows(100)
    fjlt = FJLT(50, method=method, random_state=0).fit(X)
    together = fjlt.transform(X)
    alone = np.concatenate([fjlt.transform(X[i : i + 1]) for i in range(100)])
    # Sums that cancel.
    assert_close(together, alone, atol=1e-12)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_have_named_components(library):
    frames = pytest.importorskip(library)
    X = gaussian_rows(n_features=6)
    fjlt = FJLT(3, random_state=0).set_output(transform=library)
    columns = dict(zip("abcdef", X.T, strict=True))
    Z = fjlt.fit_transform(frames.DataFrame(columns))
    assert isinstance(Z, frames.DataFrame)
    assert list(Z.columns) == ["fjlt0", "fjlt1", "fjlt2"]
    assert list(fjlt.feature_names_in_) == list("abcdef")
    assert_close(Z.to_numpy(), FJLT(3, random_state=0).fit_transform(X))


def test_pipeline_names_components():
    pipeline = make_pipeline(StandardScaler(), FJLT(3)).fit(gaussian_rows())
    assert list(pipeline.get_feature_names_out()) == ["fjlt0", "fjlt1", "fjlt2"]


@pytest.mark.parametrize("to_input", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("number, name", [(np.nan, "NaN"), (-np.inf, "infinity")])
def test_compiled_transform_raises_for_non_finite_rows(
    monkeypatch, to_input, number, name
):
    monkeypatch.setattr(jit, "_FEWEST_NUMBERS", 0)
    X = gaussian_rows()
    fjlt = FJLT(30, random_state=0).fit(X)
    for i, j in [(0, 0), (20, 100), (39, 191)]:
        broken = X.copy()
        broken[i, j] = number
        with pytest.raises(ValueError, match=f"Input X contains {name}"):
            fjlt.transform(to_input(broken))
        with config_context(assume_finite=True):
            Z = fjlt.transform(to_input(broken))
        assert not np.any(np.isfinite(Z[i]))
        assert np.all(np.isfinite(np.delete(Z, i, axis=0)))


def test_compiled_transform_accepts_rows_whose_components_overflow(monkeypatch):
    monkeypatch.setattr(jit, "_FEWEST_NUMBERS", 0)
    X = gaussian_rows().astype(np.float32)
    X[3] = np.finfo(np.float32).max
    Z = FJLT(30, random_state=0).fit(X).transform(X)
    assert not np.all(np.isfinite(Z[3]))
    assert np.all(np.isfinite(Z[4:]))
