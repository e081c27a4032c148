"""Rows and targets at the scale of a network: sums over chunks, weights, extreme scales."""

from functools import reduce
from itertools import product
from operator import add

import numpy as np
import pytest
from assertions import assert_close
from scipy import sparse

from sklearn_jlntk._backend.array_api import to_host
from sklearn_jlntk._validation import (
    NORMALIZATIONS,
    RowNorm,
    RowScaling,
    TargetMoments,
    _scaling,
    distinct_hashes,
    row_hashes,
)

# Far beyond where a square over- or underflows.
SCALES = {"float64": [1e-150, 1e-30, 1.0, 1e30, 1e150], "float32": [1e-30, 1.0, 1e30]}
CASES = [(dtype, scale) for dtype in SCALES for scale in SCALES[dtype]]
CONTAINERS = {"dense": np.asarray, "CSR": sparse.csr_array}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)) * (RNG.random((40, 6)) < 0.6)
X[3] = 0
Y = RNG.normal(size=(40, 2)) * [1.0, 7.0] + [5.0, -1.0]
WEIGHT = RNG.integers(0, 4, 40).astype(float)
CHUNKS = [slice(0, 1), slice(1, 1), slice(1, 17), slice(17, 40)]


def part(weight, rows):
    """Weights of a chunk, or None."""
    return None if weight is None else weight[rows]


# ------------------------------------------------------------------ norm of rows


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
def test_row_norm_is_the_root_mean_square_of_the_norms(weight, container):
    norm = RowNorm.of(container(X), weight)
    weight = np.ones(40) if weight is None else weight
    squares = np.sum(X**2, axis=1)
    assert_close(norm.value, np.sqrt(np.average(squares, weights=weight)), rtol=1e-14)
    assert norm.weight == np.sum(weight)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
def test_row_norms_of_chunks_add_up(weight, container, monkeypatch):
    rows = container(X)
    whole = RowNorm.of(rows, weight)
    monkeypatch.setattr(_scaling, "_NUMBERS_AT_ONCE", 30)
    for sums in (
        RowNorm.of(rows, weight),
        reduce(add, (RowNorm.of(rows[c], part(weight, c)) for c in CHUNKS)),
    ):
        assert sums.weight == whole.weight
        assert_close(sums.value, whole.value, rtol=1e-14)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("dtype, scale", CASES)
def test_row_norm_follows_the_scale_of_the_rows(dtype, scale, container):
    norm = RowNorm.of(container((X * scale).astype(dtype)))
    rtol = 8 * np.finfo(dtype).eps
    assert_close(norm.value, RowNorm.of(X).value * scale, rtol=rtol)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e290])
@pytest.mark.parametrize("moments", [RowNorm.of, TargetMoments.of])
def test_common_scale_of_weights_does_not_change_the_norm(moments, scale):
    given = X if moments == RowNorm.of else Y
    once, scaled = moments(given, WEIGHT), moments(given, WEIGHT * scale)
    parts = [moments(given[c], WEIGHT[c] * scale) for c in CHUNKS]
    for other in (scaled, reduce(add, parts)):
        for name in set(vars(once)) - {"weight"}:
            assert_close(getattr(other, name), getattr(once, name), rtol=1e-13)


@pytest.mark.parametrize("moments", [RowNorm.of, TargetMoments.of])
def test_a_weight_of_two_is_a_row_given_twice(moments):
    given = X if moments == RowNorm.of else Y
    repeated = moments(np.repeat(given, WEIGHT.astype(int), axis=0))
    weighted = moments(given, WEIGHT)
    for name in vars(weighted):
        assert_close(getattr(repeated, name), getattr(weighted, name), rtol=1e-13)


def test_row_norm_of_zeros_scales_by_one():
    for rows in (np.zeros((3, 2)), sparse.csr_array((3, 2)), np.zeros((0, 2))):
        assert RowNorm.of(rows).scaling("bias") == RowScaling("bias", 1.0)
    assert RowNorm.of(X, np.zeros(40)).scaling("bias").norm == 1.0


# ------------------------------------------------------------------ scaling of rows


def expected_rows(normalize, rows, c):
    """Scaled rows, one by one in double precision."""
    scaled = []
    for x in rows.astype(np.float64):
        if normalize is None:
            scaled.append(x)
            continue
        x = np.append(x / c, 1.0) / 2**0.5 if "bias" in normalize else x
        largest = np.max(np.abs(x))
        if "unit" in normalize and largest > 0:
            x = x / largest
            x = x / np.linalg.norm(x)
        scaled.append(x)
    return np.array(scaled)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("normalize", [*NORMALIZATIONS, None])
@pytest.mark.parametrize("dtype, scale", CASES)
def test_rows_are_scaled_at_every_size(dtype, scale, normalize, container):
    rows = (X * scale).astype(dtype)
    scaling = RowNorm.of(container(rows)).scaling(normalize)
    given = container(rows)
    copies = given.copy()
    scaled = scaling.apply(given)
    assert scaled.dtype == dtype
    dense = scaled.toarray() if sparse.issparse(scaled) else scaled
    expected = expected_rows(normalize, rows, scaling.norm)
    assert_close(dense, expected.astype(dtype), rtol=8 * np.finfo(dtype).eps)
    assert abs(given - copies).sum() == 0


@pytest.mark.parametrize("normalize", [*NORMALIZATIONS, None])
def test_rows_are_scaled_in_every_namespace(normalize, xp, dtype):
    scaling = RowNorm.of(xp.asarray(X, dtype=dtype)).scaling(normalize)
    scaled = scaling.apply(xp.asarray(X, dtype=dtype))
    assert scaled.dtype == dtype
    assert_close(scaled, expected_rows(normalize, X, RowNorm.of(X).value))


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("numbers", [(3e25, 4e25), (3e-25, 4e-25), (3e38, 0.0)])
def test_unit_rows_of_numbers_whose_squares_leave_the_range(numbers, container):
    rows = container(np.array([numbers], dtype="float32"))
    scaled = RowScaling("unit", 1.0).apply(rows)
    scaled = scaled.toarray() if sparse.issparse(scaled) else scaled
    expected = [[0.6, 0.8]] if numbers[1] else [[1.0, 0.0]]
    assert_close(scaled, np.array(expected, dtype="float32"), rtol=1e-6)


# ------------------------------------------------------------------ targets


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["two outputs", "one"])
def test_target_moments_are_mean_and_standard_deviation(y, weight):
    moments = TargetMoments.of(y, weight)
    weight = np.ones(40) if weight is None else weight
    mean = np.average(y, axis=0, weights=weight)
    variance = np.average((y - mean) ** 2, axis=0, weights=weight)
    assert_close(moments.mean, mean, rtol=1e-13)
    assert_close(moments.spread, np.sqrt(variance), rtol=1e-13)
    assert moments.weight == np.sum(weight)


@pytest.mark.parametrize("offset", [0.0, 1.7e9])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighted"])
def test_target_moments_of_chunks_add_up(weight, offset):
    y = np.round(Y, 3) + offset
    whole = TargetMoments.of(y, weight)
    sums = reduce(add, (TargetMoments.of(y[c], part(weight, c)) for c in CHUNKS))
    assert sums.weight == whole.weight
    assert_close(sums.mean, whole.mean, rtol=1e-14)
    # The means are off by a rounding of the offset.
    rtol = 1e-13 + 4 * 2.3e-16 * offset
    assert_close(sums.spread, whole.spread, rtol=rtol)


@pytest.mark.parametrize("dtype, scale", CASES)
def test_targets_are_scaled_at_every_size(dtype, scale):
    y = (Y * scale).astype(dtype)
    moments = TargetMoments.of(y)
    rtol = 8 * np.finfo(dtype).eps
    assert_close(moments.mean, TargetMoments.of(Y).mean * scale, rtol=rtol)
    assert_close(moments.spread, TargetMoments.of(Y).spread * scale, rtol=rtol)
    scaling = moments.scaling()
    scaled = scaling.apply(y, np.empty(0, dtype="float32"))
    assert scaled.dtype == "float32"
    assert np.all(np.abs(scaled) < 100)
    restored = scaling.invert(scaled.astype("float64"))
    # atol: targets near their mean.
    assert_close(restored, y.astype("float64"), rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9 / 3, 1e200, 1e-200])
@pytest.mark.parametrize("weight", [None, WEIGHT / 3], ids=["alike", "weighted"])
def test_constant_targets_are_their_mean_and_keep_their_scale(value, weight):
    y = np.full(40, value)
    parts = (TargetMoments.of(y[c], part(weight, c)) for c in CHUNKS)
    for moments in (TargetMoments.of(y, weight), reduce(add, parts)):
        assert moments.mean == value
        assert moments.spread == 0
        assert moments.scaling().scale == 1
        assert not np.any(moments.scaling().apply(y, y))


def test_targets_are_centred_before_they_lose_digits(xp, dtype):
    y = 1.7e9 + 10 * Y[:, 0]
    scaling = TargetMoments.of(y).scaling()
    scaled = scaling.apply(xp.asarray(y), xp.asarray(X, dtype=dtype))
    assert scaled.dtype == dtype
    expected = (y - np.mean(y)) / scaling.scale
    # atol: the rounding of the offset, and targets near the mean.
    assert_close(scaled, expected.astype("float32"), rtol=1e-6, atol=1e-6)


# ------------------------------------------------------------------ distinct rows


def hashes_of(rows):
    """Hashes of rows dense and CSR, which have to be the same."""
    dense, csr = row_hashes(rows), row_hashes(sparse.csr_array(rows))
    np.testing.assert_array_equal(dense, csr)
    return dense


@pytest.mark.parametrize(
    "rows",
    [
        np.array(list(product([0, 1], repeat=11))),
        np.array(list(product([-2, -1, 0, 1, 2, 1024], repeat=4))),
        np.array(list(product([0.5, 0.25, -0.5, 2.0**-30, 0.0], repeat=5))),
        np.eye(500),
        np.arange(5000)[:, None],
        np.arange(-300, 300)[:, None] * np.ones(7),
        np.random.default_rng(0).normal(size=(2000, 3)),
        np.random.default_rng(0).normal(size=(2000, 2)) * 1e-300,
    ],
    ids=["bits", "integers", "powers", "one-hot", "range", "equal", "normal", "tiny"],
)
def test_distinct_rows_have_distinct_hashes(rows):
    rows = rows.astype(np.float64)
    assert np.unique(hashes_of(rows)).size == len(rows)
    assert np.unique(hashes_of(np.repeat(rows, 2, axis=0))).size == len(rows)


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_distinct_hashes_are_sorted_without_repetitions(n):
    hashes = np.random.default_rng(0).integers(0, 300, n).astype(np.uint64) << 54
    before = hashes.copy()
    np.testing.assert_array_equal(distinct_hashes(hashes), np.unique(hashes))
    np.testing.assert_array_equal(hashes, before)


def test_equal_rows_have_equal_hashes():
    rows = np.array([[0.0, 1.0, -0.0], [-0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    stored = sparse.csr_array(([0.0, 1, 1, -0.0, 1], [0, 1, 1, 2, 1], [0, 2, 4, 5]))
    hashes = [*row_hashes(rows), *row_hashes(stored)]
    hashes += [
        *row_hashes(rows.astype("float32")),
        *row_hashes(np.asfortranarray(rows)),
    ]
    assert len(set(hashes)) == 1
    assert not np.any(row_hashes(np.zeros((2, 3))))
    assert not np.any(row_hashes(sparse.csr_array((2, 3))))


def test_hashes_do_not_depend_on_other_rows(monkeypatch):
    once = hashes_of(X)
    monkeypatch.setattr("sklearn_jlntk._validation._row_hashes._NUMBERS_AT_ONCE", 13)
    np.testing.assert_array_equal(hashes_of(X[::-1])[::-1], once)
    assert to_host(once).dtype == np.uint64
