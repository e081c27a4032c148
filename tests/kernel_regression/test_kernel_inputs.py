"""Inputs of the kernel estimators: kinds of rows, dtypes, weights, scales, errors."""

import tracemalloc

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sklearn_jlntk import NTKKernel, NystroemNTKKernel
from sklearn_jlntk.kernel_regression import _base
from sklearn_jlntk.out_of_core import RowChunks

KERNELS = [
    NTKKernel(),
    NTKKernel(alpha=0.1),
    NTKKernel(time=5.0),
    NystroemNTKKernel(n_centers=50, alpha=0.1, tol=1e-9, random_state=0),
]
with_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=str)
ONE_ALPHA = [KERNELS[1], KERNELS[3]]
with_one_alpha = pytest.mark.parametrize("kernel", ONE_ALPHA, ids=str)


def data(n=300, d=6, dtype="f8"):
    """Rows, and targets with a standard deviation near one."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    return X.astype(dtype), np.sin(X[:, 0]) + X[:, 1]


def memory_map(path, X):
    """Memory map of the rows in a file."""
    X.tofile(path)
    return np.memmap(path, X.dtype, "r", shape=X.shape)


# ------------------------------------------------------------------ kinds of rows


@pytest.fixture
def kinds_of_rows(tmp_path):
    """The same rows on disk, in several chunks."""

    def kinds(X):
        h5py, zarr = pytest.importorskip("h5py"), pytest.importorskip("zarr")
        da = pytest.importorskip("dask.array")
        file = h5py.File(tmp_path / "rows.h5", "w")
        return {
            "memmap": RowChunks(memory_map(tmp_path / "X", X), chunk_rows=70),
            "RowChunks": RowChunks(X, chunk_rows=70),
            "RowChunks of CSR": RowChunks(sparse.csr_array(X), chunk_rows=70),
            "zarr": RowChunks(zarr.array(X, chunks=(40, 3)), chunk_rows=40),
            "hdf5": RowChunks(file.create_dataset("X", data=X, chunks=(50, 2))),
            "dask": da.from_array(X, chunks=(60, 6)),
        }

    return kinds


@with_kernel
def test_rows_on_disk_give_the_same_model(kernel, kinds_of_rows):
    X, y = data()
    weight = np.random.default_rng(1).uniform(0.1, 2, size=len(X))
    expected = clone(kernel).fit(X, y, weight).predict(X)
    for name, rows in kinds_of_rows(X).items():
        model = clone(kernel).fit(rows, y, weight)
        predicted = model.predict(X) if "CSR" not in name else None
        in_chunks = model.predict(rows)
        assert type(in_chunks) is np.ndarray
        assert_close(in_chunks, expected, rtol=1e-6, atol=1e-7)
        if predicted is not None:
            assert_close(predicted, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@with_one_alpha
def test_memory_map_larger_than_a_chunk(kernel, dtype, tmp_path):
    # A chunk has 16 MiB, and this is half as much again.
    n, d = 120, 3 * 2**23 // (120 * np.dtype(dtype).itemsize)
    X, y = data(n, d, dtype)
    on_disk = memory_map(tmp_path / "X", X)
    assert on_disk.nbytes > 2**24
    model, same = clone(kernel).fit(on_disk, y), clone(kernel).fit(X, y)
    assert_close(model.predict(on_disk), same.predict(X), rtol=1e-3, atol=1e-4)
    attribute = "X_fit_" if hasattr(model, "X_fit_") else "centers_"
    assert type(getattr(model, attribute)) is np.ndarray
    if hasattr(model, "transform"):
        assert_close(model.transform(on_disk), same.transform(X), atol=1e-6)


def test_centers_from_rows_on_disk_use_memory_of_chunks(tmp_path):
    n, d = 40_000, 100
    X, y = data(n, d, "f4")
    on_disk = memory_map(tmp_path / "X", X)
    rows = RowChunks(on_disk, chunk_rows=1000)
    model = NystroemNTKKernel(n_centers=20, tol=0.1, random_state=0)
    model.fit(rows, y)  # imports and caches
    del X
    tracemalloc.start()
    model.fit(rows, y).predict(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Twenty numbers for each row, and ten for each entry of a chunk.
    assert peak < 20 * 8 * n + 10 * 8 * 1000 * d < on_disk.nbytes


@with_kernel
def test_error_names_the_rows_of_a_chunk(kernel):
    X, y = data()
    X[123, 2] = np.nan
    with pytest.raises(ValueError, match=r"[Ii]nput X contains NaN"):
        clone(kernel).fit(RowChunks(X, chunk_rows=50), y)
    model = clone(kernel).fit(np.nan_to_num(X), y)
    with pytest.raises(ValueError, match="Row 123 of X"):
        model.predict(RowChunks(X, chunk_rows=50))


# ------------------------------------------------- independence of the caller's data


@with_kernel
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_changing_arrays_after_fit_keeps_predictions(kernel, kind):
    X, y = data(40)
    X, y, weight = kind(X), np.stack([y, -y], axis=1), np.ones(40)
    X_test = X[:7].copy()
    for arguments in ((X, y), (X, y, weight)):
        model = clone(kernel).fit(*arguments)
        expected = model.predict(X_test)
        staged = hasattr(model, "staged_predict")
        before = list(model.staged_predict(X_test, [3.0])) if staged else []
        kept = [a.copy() for a in (X, y, weight)]
        for array in (X, y, weight):
            (array.data if sparse.issparse(array) else array)[...] = 7.0
        assert_same(model.predict(X_test), expected)
        if staged:
            assert_same(*before, *model.staged_predict(X_test, [3.0]))
        X, y, weight = kept


def test_changing_rows_after_fit_keeps_the_transformer():
    X, _ = data(40)
    model = NTKKernel().fit(X)
    expected = model.transform(X[:7].copy())
    others = X[:7].copy()
    X[...] = 7.0
    assert_same(model.transform(others), expected)


@with_kernel
@pytest.mark.parametrize("factorization", [None, "bc"])
def test_changing_parameters_after_fit_keeps_predictions(kernel, factorization):
    X, y = data(40)
    model = clone(kernel).set_params(factorization=factorization, random_state=0)
    expected = model.fit(X, y).predict(X)
    others = {"normalize": "unit", "depth": 2, "fit_intercept": False, "alpha": 3.0}
    others["factorization"] = None if factorization else "bc"
    assert_same(model.set_params(**others).predict(X), expected)


# --------------------------------------------------------- dtypes and conditioning


@pytest.mark.parametrize(
    "options, scores_of",
    [
        ({"alpha": 1.0}, "predict"),
        ({"alpha": 1e-2}, "predict"),
        ({"alpha": 1e-5}, "predict"),
        ({"alpha": [1e-5, 1e-2]}, "predict"),
        pytest.param({}, "predict", marks=pytest.mark.slow),
        pytest.param(
            {"alpha": np.logspace(-5, 1, 9)}, "predict", marks=pytest.mark.slow
        ),
        pytest.param({"time": 1e5}, "predict", marks=pytest.mark.slow),
        pytest.param({"alpha": 1e-2}, "staged", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_float32_rows_score_as_well_as_float64(options, scores_of):
    # Many rows on few columns: the smallest eigenvalues are 5e4 times below the largest.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1800, 5))
    y = np.sin(2 * X[:, 0]) * X[:, 1] + np.abs(X[:, 2]) + 0.1 * rng.normal(size=1800)
    X = X.astype("f4")
    predicted = {}
    for dtype in ("f4", "f8"):
        model = NTKKernel(**options).fit(X[:1500].astype(dtype), y[:1500])
        rows = X[1500:].astype(dtype)
        if scores_of == "staged":
            (values,) = model.staged_predict(rows, [np.inf])
        else:
            values = model.predict(rows)
        predicted[dtype] = values
        assert values.dtype == dtype
        alpha = model.alpha_
    assert model.alpha_ == alpha
    assert np.std(predicted["f8"] - y[1500:]) < 0.7 * np.std(y)
    assert np.abs(predicted["f4"] - predicted["f8"]).max() < 2e-3


@pytest.mark.parametrize(
    "model, largest",
    [
        (NTKKernel(alpha=0.1), 1e6),
        (NTKKernel(alpha=0.1), 1e20),
        (NystroemNTKKernel(alpha=0.1, random_state=0), 1e6),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_rows_of_large_weight_keep_the_accuracy_of_others(model, dtype, largest):
    X, y = data(dtype=dtype)
    weight = np.where(np.random.default_rng(2).random(300) < 0.03, largest, 1.0)
    exact = NTKKernel(alpha=0.1).fit(X.astype("f8"), y, weight)
    assert model.fit(X, y, weight).score(X, y) > 0.99
    difference = model.predict(X) - exact.predict(X.astype("f8"))
    assert np.abs(difference).max() < 2e-3


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@with_kernel
def test_common_factor_of_weights_scales_alpha(kernel, dtype):
    X, y = data(dtype=dtype)
    rng = np.random.default_rng(1)
    weight, plain = rng.uniform(0.5, 2, size=300), clone(kernel).fit(X, y, np.ones(300))
    expected = clone(kernel).fit(X, y, weight)
    rtol = 1e-3 if dtype == "f4" else 1e-7
    for factor in (1e-30, 1e-8, 3.0, 1e8, 1e30):
        model = clone(kernel)
        if model.get_params().get("time") is not None:
            model.set_params(time=model.time / factor)
        elif model.alpha != "loo":
            model.set_params(alpha=model.alpha * factor)
        scaled = model.fit(X, y, weight * factor)
        assert_close(scaled.predict(X), expected.predict(X), rtol=rtol, atol=rtol)
        if kernel.alpha == "loo" and not scaled.time:
            assert scaled.alpha_ == pytest.approx(expected.alpha_ * factor, rel=1e-6)
            assert scaled.loo_score_ == pytest.approx(expected.loo_score_, rel=rtol)
        even = clone(model).fit(X, y, np.full(300, factor))
        assert_close(even.predict(X), plain.predict(X), rtol=rtol, atol=rtol)


@with_one_alpha
def test_weights_times_c_equal_alpha_over_c(kernel):
    X, y = data()
    for factor in (1e-3, 1e3):
        heavier = clone(kernel).fit(X, y, np.full(300, factor))
        weaker = clone(kernel).set_params(alpha=kernel.alpha / factor).fit(X, y)
        assert_close(heavier.predict(X), weaker.predict(X), rtol=1e-5, atol=1e-6)


# -------------------------------------------------------------- targets of any size


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@with_kernel
def test_targets_of_any_scale_and_offset(kernel, dtype):
    X, y = data(dtype=dtype)
    expected = clone(kernel).fit(X, y)
    outputs = expected.predict(X).astype("f8")
    for scale in (1e-30, 1e-16, 1e-3, 1e3, 1e16, 1e30):
        model = clone(kernel).fit(X, y * scale)
        assert model.score(X, y * scale) == pytest.approx(
            expected.score(X, y), abs=1e-6
        )
        assert_close(model.predict(X) / scale, outputs, rtol=1e-3, atol=1e-4)
        assert model.predict(X).dtype == dtype
    for offset, scale in ((1.7e9, 10.0), (1e5, 1e-3), (-1e200, 1e190)):
        targets = offset + scale * y
        model = clone(kernel).fit(X, targets)
        assert model.predict(X).dtype == np.float64
        # float64 itself keeps some twelve digits of these differences.
        difference = (model.predict(X) - offset) / scale - outputs
        assert np.abs(difference).max() < 2e-3


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@with_kernel
def test_targets_beyond_the_range_of_float32(kernel, dtype):
    X, y = data(dtype=dtype)
    outputs = clone(kernel).fit(X, y).predict(X)
    for scale in (1e-60, 1e40, 1e200):
        model = clone(kernel).fit(X, y * scale)
        assert_close(model.predict(X) / scale, outputs, rtol=1e-3, atol=1e-4)
        if hasattr(model, "loo_predictions_"):
            assert_close(
                model.loo_predictions_ / scale,
                clone(kernel).fit(X, y).loo_predictions_,
                rtol=1e-3,
                atol=1e-4,
            )


def test_alpha_is_chosen_by_the_output_of_largest_scale():
    X, y = data()
    noise = np.random.default_rng(3).normal(size=(300, 1))
    outputs = np.hstack([y[:, None], noise])
    small = NTKKernel().fit(X, outputs * [1e-100, 1.0])
    assert small.alpha_ == NTKKernel().fit(X, noise[:, 0]).alpha_
    large = NTKKernel().fit(X, outputs * [1e100, 1.0])
    assert large.alpha_ == NTKKernel().fit(X, y).alpha_ != small.alpha_


# ------------------------------------------------- distinct rows of positive weight


def test_centers_do_not_depend_on_repetitions():
    X, y = data(200)
    rng = np.random.default_rng(0)
    times = rng.integers(0, 4, size=200)
    model = NystroemNTKKernel(n_centers=20, tol=1e-12, random_state=0)
    weighted = clone(model).fit(X, y, times)
    assert weighted.n_centers_ == 20
    order = rng.permutation(times.sum())
    repeated, targets = np.repeat(X, times, axis=0), np.repeat(y, times)
    for rows, values in (
        (repeated, targets),
        (repeated[order], targets[order]),
        (sparse.csr_array(repeated), targets),
        (RowChunks(repeated, chunk_rows=33), targets),
    ):
        given = clone(model).fit(rows, values)
        centers = given.centers_
        centers = centers.toarray() if sparse.issparse(centers) else centers
        assert_same(centers, weighted.centers_)
        predicted = given.predict(rows[:9] if sparse.issparse(rows) else repeated[:9])
        assert_close(predicted, weighted.predict(np.asarray(repeated[:9])), rtol=1e-6)


def test_at_most_as_many_centers_as_distinct_rows():
    X, y = data(20)
    model = NystroemNTKKernel(n_centers=50, random_state=0)
    model.fit(np.tile(X, (5, 1)), np.tile(y, 5))
    assert len(np.unique(model.centers_, axis=0)) == model.n_centers_ == 20


@pytest.mark.parametrize(
    "kernel",
    [
        NTKKernel(factorization="abc", random_state=0),
        NystroemNTKKernel(factorization="abc", n_centers=10, random_state=0),
    ],
    ids=str,
)
def test_auto_sizes_count_distinct_rows_of_positive_weight(kernel):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 900)), rng.normal(size=300)
    kernel.set_params(input_sketch="gaussian")

    def n_components(X, y, weight=None):
        return clone(kernel).fit(X, y, weight).input_projection_.shape[0]

    expected = n_components(X, y)
    assert n_components(X[:50], y[:50]) < expected < 900
    twice, targets = np.tile(X, (2, 1)), np.tile(y, 2)
    assert n_components(X, y, np.full(300, 1e-3)) == expected
    assert n_components(X, y, np.full(300, 1e30)) == expected
    assert n_components(twice, targets) == expected
    assert n_components(twice, targets, np.repeat([1, 0], 300)) == expected


@pytest.mark.parametrize("normalize", ["unit", None, "bias"])
@with_kernel
def test_rows_of_zeros(kernel, normalize):
    X, y = data(30)
    X[::2] = 0.0
    model = clone(kernel).set_params(normalize=normalize)
    assert np.isfinite(model.fit(X, y).predict(X)).all()
    model.fit(np.zeros((4, 3)), np.array([1.0, 2.0, 3.0, 6.0]))
    assert_close(model.predict(np.zeros((2, 3))), np.array([3.0, 3.0]), rtol=1e-12)
    if normalize == "unit":
        assert_close(model.predict(np.ones((2, 3))), np.array([3.0, 3.0]), rtol=1e-12)


# ------------------------------------------------------------------- errors, advice


@pytest.mark.parametrize(
    "alpha", [np.nan, np.inf, -1.0, "best", [1.0, np.inf], [np.nan], [-1.0, 1.0]]
)
def test_alpha_is_finite_and_not_negative(alpha):
    X, y = data(20)
    with pytest.raises(ValueError, match="alpha"):
        NTKKernel(alpha=alpha).fit(X, y)
    if not isinstance(alpha, list):
        with pytest.raises(ValueError, match="alpha"):
            NystroemNTKKernel(alpha=alpha).fit(X, y)


@pytest.mark.parametrize("name", ["time", "bias"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_numeric_parameters_are_finite_and_not_negative(name, value):
    X, y = data(20)
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        NTKKernel(**{name: value}).fit(X, y)


@pytest.mark.parametrize("tol", [np.nan, np.inf, -1.0, 0.0])
def test_tolerance_is_a_positive_number(tol):
    X, y = data(20)
    with pytest.raises(ValueError, match="The 'tol' parameter"):
        NystroemNTKKernel(tol=tol).fit(X, y)


@pytest.mark.parametrize("times", [[-1.0], [0.0, np.nan], [[1.0]], 3.0])
def test_error_describes_valid_times(times):
    X, y = data(20)
    model = NTKKernel().fit(X, y)
    with pytest.raises(ValueError, match=r"numbers of zero or more in\s+one dimension"):
        model.staged_predict(X, times)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"n_components": 9},
            "n_components=9 has no effect.*factorization='bc' or 'abc'",
        ),
        ({"input_sketch": "srht"}, "input_sketch='srht' has no effect"),
        ({"width": 64}, "width=64 has no effect.*Set factorization='abc'"),
        ({"effective_width": 64, "factorization": "bc"}, "effective_width=64 has no"),
        ({"width_sketch": "srht", "factorization": "bc"}, "width_sketch='srht' has no"),
        (
            {"width": 9, "effective_width": 4},
            "width=9, effective_width=4 have no effect",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("kernel", [NTKKernel(), NystroemNTKKernel()], ids=str)
def test_parameters_without_effect_warn(kernel, options, message):
    X, y = data(20)
    with pytest.warns(UserWarning, match=message):
        clone(kernel).set_params(**options).fit(X, y)


def test_memory_error_names_the_bytes_and_another_estimator():
    # More rows than 47 bits of address can hold.
    n = 4_300_000
    X, y = np.arange(n, dtype="f8")[:, None], np.zeros(n)
    with pytest.raises(MemoryError, match=f"{n} rows takes {8 * n**2} bytes.*Nystroem"):
        NTKKernel(alpha=1.0).fit(X, y)


def test_memory_error_of_a_transformer(monkeypatch):
    X, _ = data(20)

    def fails(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(_base, "as_columns", fails)
    with pytest.raises(MemoryError, match="20 rows takes 3200 bytes"):
        NTKKernel().fit_transform(X)


# -------------------------------------------------------------------- in a pipeline


def test_weights_reach_both_steps_of_a_pipeline():
    X, y = data(60)
    weight = np.random.default_rng(0).uniform(0.1, 3, size=60)
    with config_context(enable_metadata_routing=True):
        kernel = NTKKernel().set_fit_request(sample_weight=True)
        ridge = Ridge().set_fit_request(sample_weight=True)
        pipe = make_pipeline(kernel, ridge).fit(X, y, sample_weight=weight)
    K = NTKKernel().fit_transform(X, sample_weight=weight)
    expected = Ridge().fit(K, y, weight).predict(K)
    assert_close(pipe.predict(X), expected, rtol=1e-6)
    # The constant coordinate is the weighted norm of the rows.
    norm = np.sqrt(np.average(np.sum(X**2, axis=1), weights=weight))
    assert pipe[0].row_scaling_.norm == pytest.approx(norm, rel=1e-12)


def test_weights_for_the_last_step_of_a_pipeline():
    X, y = data(60)
    weight = np.random.default_rng(0).uniform(0.1, 3, size=60)
    pipe = make_pipeline(NTKKernel(), Ridge()).fit(X, y, ridge__sample_weight=weight)
    K = NTKKernel().fit_transform(X)
    assert_close(pipe.predict(X), Ridge().fit(K, y, weight).predict(K), rtol=1e-6)


@pytest.mark.parametrize("weight", [-np.ones(60), np.zeros(60), np.ones(59)])
def test_weights_of_a_transformer_are_checked(weight):
    X, _ = data(60)
    with pytest.raises(ValueError, match="weight"):
        NTKKernel().fit(X, sample_weight=weight)
