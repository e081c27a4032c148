"""Rows read in chunks give the model of rows in memory, for all chunks and arrays."""

import errno
import re
import threading
import time
import tracemalloc
import warnings

import numpy as np
import pytest
from assertions import assert_same
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.preprocessing import StandardScaler

from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor
from sklearn_jlntk.diagnostics import NTKMonitor
from sklearn_jlntk.out_of_core import RowChunks

N_ROWS = 203
# Rows per chunk for 1, 3 and 17 chunks, of which the last one is shorter.
CHUNKINGS = {1: 203, 3: 70, 17: 12}
# Sums over the same rows in another order; 1e-9 is asked for, and there is room below.
ROUNDING = 1e-11


def data(n_outputs=None, dtype="float64", seed=0):
    """Rows, targets and sample weights of which some are zero."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_ROWS, 9)).astype(dtype)
    y = np.stack([np.sin(X[:, 0]) + 3.0, X[:, 1] * X[:, 2]], axis=1)
    w = rng.integers(0, 3, size=N_ROWS).astype(dtype)
    return X, y[:, :n_outputs] if n_outputs else y[:, 0], w


def regressor(**params):
    """A small regressor that takes 50 steps."""
    sizes = {"width": 128, "n_components": 6, "effective_width": 64}
    params = {**sizes, "max_iter": 50, "tol": None, "random_state": 0} | params
    return JLFactorizedNTKRegressor(**params)


def assert_same_training(actual, desired):
    """Assert equal movement of weights, losses and intercepts up to rounding."""
    moved = desired.weights_ - desired.initial_weights_
    difference = np.abs(actual.weights_ - desired.weights_).max()
    assert difference <= ROUNDING * np.abs(moved).max()
    assert_same(actual.initial_weights_, desired.initial_weights_)
    for name in ("loss_curve_", "learning_rate_", "intercept_"):
        values = getattr(actual, name), getattr(desired, name)
        np.testing.assert_allclose(*values, rtol=ROUNDING, err_msg=name)


def memory_map(tmp_path, X):
    """Memory map of the rows in a file."""
    X.tofile(tmp_path / "X")
    return np.memmap(tmp_path / "X", X.dtype, "r", shape=X.shape)


# ---------------------------------------------------------------- the same training


@pytest.mark.parametrize("n_chunks", CHUNKINGS)
@pytest.mark.parametrize("kept", ["memory", "scratch", "recomputed"])
@pytest.mark.parametrize("factorization", ["bc", "abc", "dense"])
def test_chunks_train_the_same_weights(factorization, kept, n_chunks, tmp_path):
    X, y, w = data(n_outputs=2)
    how = {
        "memory": {},
        "scratch": {"scratch": tmp_path / "features"},
        "recomputed": {"memory": 0},
    }
    rows = RowChunks(X, chunk_rows=CHUNKINGS[n_chunks], **how[kept])
    assert len(rows.slices) == n_chunks
    model = regressor(factorization=factorization, alpha=0.1, max_iter=20)
    in_memory = clone(model).fit(X, y, w)
    assert_same_training(model.fit(rows, y, w), in_memory)
    np.testing.assert_allclose(model.predict(rows), in_memory.predict(X), rtol=1e-9)


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True, "n_iter_no_change": 3, "tol": 1e-3},
        {"tol": 1e-2, "max_iter": 500},
        {"initial_output": "random", "fit_intercept": False},
        {"learning_rate": 0.004, "normalize": "bias-unit"},
        {"n_components": "auto", "effective_width": "auto", "factorization": "abc"},
    ],
    ids=lambda params: next(iter(params)),
)
def test_every_parameter_has_the_same_effect_in_chunks(params):
    X, y, w = data()
    desired = regressor(**params).fit(X, y, w)
    model = regressor(**params).fit(RowChunks(X, chunk_rows=50), y, w)
    assert model.n_iter_ == desired.n_iter_
    assert_same_training(model, desired)
    if model.early_stopping:
        np.testing.assert_allclose(
            model.validation_scores_, desired.validation_scores_, rtol=1e-9
        )


def test_theory_learning_rate_uses_all_rows():
    X, y, w = data()
    params = {"learning_rate": "theory", "normalize": "unit", "max_iter": 2}
    rows = RowChunks(X, chunk_rows=50)
    rate = regressor(**params).fit(X, y, w).learning_rate_
    assert regressor(**params).fit(rows, y, w).learning_rate_ == pytest.approx(rate)


def test_warm_start_continues_in_chunks():
    X, y, _ = data()
    rows = RowChunks(X, chunk_rows=50)
    half = regressor(max_iter=25, warm_start=True)
    assert_same_training(half.fit(rows, y).fit(X, y), regressor().fit(X, y))
    half = regressor(max_iter=25).fit(X, y).partial_fit(rows, y)
    assert_same_training(half, regressor().fit(X, y))


def test_float32_stays_float32():
    X, y, _ = data(dtype="float32")
    model = regressor().fit(RowChunks(X, chunk_rows=50), y)
    assert model.weights_.dtype == model.predict(RowChunks(X)).dtype == np.float32


@pytest.mark.parametrize("labels", [["a", "b"], ["a", "b", "c"]], ids=len)
def test_classifier_on_chunks(labels):
    X, y, w = data()
    y = np.asarray(labels)[np.digitize(y, [2.5, 3.5]) % len(labels)]
    params = {
        "width": 64,
        "max_iter": 200,
        "tol": 1e-2,
        "early_stopping": True,
        "random_state": 0,
    }
    model = JLFactorizedNTKClassifier(**params).fit(X, y, w)
    rows = RowChunks(X, chunk_rows=50)
    in_chunks = JLFactorizedNTKClassifier(**params).fit(rows, y, w)
    assert_same_training(in_chunks, model)
    assert_same(in_chunks.predict(rows), model.predict(X))
    np.testing.assert_allclose(
        in_chunks.decision_function(rows), model.decision_function(X), rtol=1e-9
    )
    assert in_chunks.score(rows, y) == model.score(X, y)


def test_callbacks_record_the_same_for_chunks():
    X, y, _ = data()
    rows = RowChunks(X, chunk_rows=50)
    logs = []
    for X_given in (X, rows):
        callbacks = ScoringMonitor(scoring="r2"), NTKMonitor(max_samples=20)
        model = regressor(max_iter=3).set_callbacks(*callbacks)
        with pytest.warns(UserWarning, match="forms H"):
            model.fit(X_given, y)
        scores = [step["r2"] for step in callbacks[0].get_logs().data]
        drift = callbacks[1].get_logs()["lambda_max"].tolist()
        logs.append([*scores, *drift])
    np.testing.assert_allclose(*logs, rtol=1e-9)


# ---------------------------------------------------------------- kinds of arrays


@pytest.fixture
def small_chunks(monkeypatch):
    """Automatic chunks of 50 rows of nine float64."""
    monkeypatch.setattr(
        "sklearn_jlntk.out_of_core._row_chunks._CHUNK_BYTES", 50 * 9 * 8
    )


def test_memory_map_is_read_in_chunks_automatically(
    tmp_path, small_chunks, monkeypatch
):
    X, y, _ = data()
    mapped = memory_map(tmp_path, X)
    desired = regressor().fit(X, y)
    read = []
    original = RowChunks.__getitem__
    monkeypatch.setattr(
        RowChunks, "__getitem__", lambda X, part: read.append(part) or original(X, part)
    )
    model = regressor().fit(mapped, y)
    assert_same_training(model, desired)
    np.testing.assert_allclose(model.predict(mapped), desired.predict(X), rtol=1e-9)
    assert max(part.stop - part.start for part in read) == 50


def test_memory_map_of_one_chunk_is_an_array(tmp_path):
    X, y, _ = data()
    model = regressor().fit(memory_map(tmp_path, X), y)
    assert_same(model.weights_, regressor().fit(X, y).weights_)


def test_dask_arrays(small_chunks, tmp_path):
    da = pytest.importorskip("dask.array")
    X, y, w = data()
    blocks = ((20, 70, 1, 12, 100), (4, 5))
    rows = da.from_array(X, chunks=blocks)
    # Blocks are joined up to the size of a chunk, and never split.
    stops = [part.stop for part in RowChunks(rows).slices]
    assert stops == [20, 90, 103, 203]
    model = regressor().fit(rows, da.from_array(y, chunks=50), da.from_array(w))
    assert_same_training(model, regressor().fit(X, y, w))
    with pytest.raises(ValueError, match=re.escape("X.compute_chunk_sizes()")):
        regressor().fit(rows[rows[:, 0] > 0], y)


def test_dask_arrays_of_parquet_files(small_chunks, tmp_path):
    dd = pytest.importorskip("dask.dataframe")
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    X, y, _ = data()
    frame = pd.DataFrame(X, columns=list("abcdefghi"))
    for i, part in enumerate(np.array_split(np.arange(N_ROWS), 3)):
        frame.iloc[part].to_parquet(tmp_path / f"{i}.parquet")
    rows = dd.read_parquet(tmp_path).to_dask_array(lengths=True)
    assert_same_training(regressor().fit(rows, y), regressor().fit(X, y))


def test_zarr_arrays(small_chunks):
    zarr = pytest.importorskip("zarr")
    X, y, _ = data()
    rows = zarr.array(X, chunks=(40, 5))
    assert [part.stop for part in RowChunks(rows).slices] == [40, 80, 120, 160, 203]
    assert_same_training(regressor().fit(rows, y), regressor().fit(X, y))


def test_hdf5_datasets(small_chunks, tmp_path):
    h5py = pytest.importorskip("h5py")
    X, y, _ = data()
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        rows = file.create_dataset("X", data=X, chunks=(40, 5), compression="gzip")
        assert [part.stop for part in RowChunks(rows).slices] == [40, 80, 120, 160, 203]
        desired, model = regressor().fit(X, y), regressor()
        for again in (rows, RowChunks(rows, memory=0)):
            assert_same_training(model.fit(again, y), desired)
        np.testing.assert_allclose(model.predict(rows), desired.predict(X), rtol=1e-9)


def test_csr_rows():
    X, y, _ = data()
    X[np.abs(X) < 1] = 0
    rows = RowChunks(sparse.csr_array(X), chunk_rows=50)
    assert_same_training(regressor().fit(rows, y), regressor().fit(X, y))


def test_transform_is_applied_to_every_chunk():
    X, y, _ = data()
    X = 5 * X + 2
    scaler = StandardScaler()
    for start in range(0, N_ROWS, 50):
        scaler.partial_fit(X[start : start + 50])
    rows = RowChunks(X, chunk_rows=50, transform=lambda X: scaler.transform(X)[:, :4])
    assert rows.shape == (N_ROWS, 4)
    model = regressor(n_components=4).fit(rows, y)
    desired = regressor(n_components=4).fit(scaler.transform(X)[:, :4], y)
    assert_same_training(model, desired)


def test_methods_that_need_all_rows_read_all_chunks(tmp_path):
    X, y, _ = data()
    rows = RowChunks(X, chunk_rows=50)
    model = regressor().fit(X, y)
    assert_same(model.ntk(rows), model.ntk(X))
    assert str(model.diagnose(rows, y)) == str(model.diagnose(X, y))
    assert_same(np.asarray(rows), X)
    assert_same(rows.take(np.array([3, 60, 61, 202])), X[[3, 60, 61, 202]])


# ---------------------------------------------------------------- how rows are read


class Watched:
    """Rows that record reads and their threads; reading some of them fails."""

    def __init__(self, X, bad=()):
        self.X, self.shape, self.dtype, self.bad = X, X.shape, X.dtype, bad
        self.read, self.threads, self.is_busy = [], set(), False

    def __getitem__(self, part):
        assert not self.is_busy, "two threads read at a time"
        if part.start in self.bad:
            raise OSError(errno.EIO, "the disk is gone")
        self.is_busy = True
        time.sleep(0.01)
        self.read.append(part.start or 0)
        self.threads.add(threading.get_ident())
        self.is_busy = False
        return self.X[part]


def reading_threads():
    """Threads that are still reading rows, after a short wait."""
    threads = [t for t in threading.enumerate() if t.name.startswith("reading rows")]
    for thread in threads:
        thread.join(10)
    return [thread for thread in threads if thread.is_alive()]


@pytest.mark.parametrize("memory", [0, 2**30])
def test_rows_are_read_once_per_pass_or_once_in_total(memory):
    X, y, _ = data()
    rows = Watched(X)
    model = regressor(max_iter=3, learning_rate=0.01)
    model.fit(RowChunks(rows, chunk_rows=100, memory=memory), y)
    # The first chunk is read to be checked, all of them for the norms of the rows, and the
    # first row for its dtype. The loss before the first step is a pass of its own.
    passes = 1 if memory else 1 + 4
    assert rows.read == [0, 0, 100, 200, 0, *[0, 100, 200] * passes]


def test_next_chunk_is_read_during_computation():
    X, y, _ = data()
    rows, read_meanwhile = Watched(X), []

    def transform(chunk):
        start = int(np.flatnonzero((chunk[0] == X).all(axis=1))[0])
        if start == 50:
            arrived = threading.Event()
            for _ in range(500):
                if rows.read[-1] == 100 or arrived.wait(0.01):
                    break
            read_meanwhile.append(rows.read[-1])
        return chunk

    model = regressor(max_iter=1, learning_rate=0.01)
    model.fit(RowChunks(rows, chunk_rows=50, memory=0, transform=transform), y)
    assert set(read_meanwhile) == {100}
    assert len(rows.threads) > 1
    assert not reading_threads()


def peak_memory(model, X, y):
    """Peak memory of a fit in bytes; an earlier fit has compiled the code."""
    model.fit(X, y)
    tracemalloc.start()
    model.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("memory", [0, 2**30])
def test_memory_is_limited_to_chunks(memory, tmp_path):
    n, d, p = 100_000, 16, 1000
    X = memory_map(tmp_path, np.random.default_rng(0).normal(size=(n, d)))
    y = np.array(X[:, 0])
    rows = RowChunks(X, chunk_rows=p, memory=memory)
    model = regressor(width=32, n_components="auto", max_iter=2, learning_rate=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer weights than rows
        peak = peak_memory(model, rows, y)
    features = n * (d + 1) if memory else 0
    # The documented formula, and a megabyte for tiles and gates.
    bound = 8 * (3 * p * (2 * d + 1) + 6 * 32 * (d + 1) + n + features) + 2**20
    assert peak < bound
    assert bound < 8 * n * d or memory


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize("bad", [100, 150])
def test_failed_read_keeps_the_model(bad):
    X, y, _ = data()
    model = regressor(max_iter=2).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(RowChunks(Watched(X, bad=[bad]), chunk_rows=50), y)
    assert all(vars(model)[name] is value for name, value in before.items())
    assert not reading_threads()


@pytest.mark.parametrize("was_fitted", [False, True])
@pytest.mark.parametrize(
    "estimator", [JLFactorizedNTKRegressor, JLFactorizedNTKClassifier]
)
def test_error_names_row_that_is_not_finite(estimator, was_fitted, tmp_path):
    X, y, _ = data()
    y = y > 3 if estimator is JLFactorizedNTKClassifier else y
    model = estimator(width=32, max_iter=2, tol=None, random_state=0)
    if was_fitted:
        model.fit(X, y)
    before = dict(vars(model))
    y = y[::-1]
    X = X.copy()
    X[103, 2], X[110, 0] = np.nan, np.inf
    scratch = tmp_path / "features"
    with pytest.raises(ValueError, match="Rows 103, 110 of X: Input X contains"):
        model.fit(RowChunks(X, chunk_rows=50, scratch=scratch), y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert not scratch.exists()
    if was_fitted:
        with pytest.raises(ValueError, match="Rows 103, 110 of X: Input X contains"):
            model.predict(RowChunks(X, chunk_rows=50))


def test_error_of_transform_names_the_rows():
    X, y, _ = data()

    def refuse(rows):
        if np.any(rows == X[60, 0]):
            raise ValueError("no such rows")
        return rows

    with pytest.raises(ValueError, match=r"Rows 50 to 99 of X: no such rows"):
        regressor().fit(RowChunks(X, chunk_rows=50, transform=refuse), y)


def test_error_for_transform_that_drops_rows():
    X, y, _ = data()
    rows = RowChunks(X, chunk_rows=50, transform=lambda rows: rows[1:])
    with pytest.raises(
        ValueError, match=r"Rows 0 to 49 of X.*shape \(49, 9\) of 50 rows"
    ):
        regressor().fit(rows, y)


def test_existing_scratch_file_is_not_overwritten(tmp_path):
    X, y, _ = data()
    scratch = tmp_path / "precious"
    scratch.write_text("precious")
    with pytest.raises(
        FileExistsError, match="precious' exists and would be overwritt"
    ):
        regressor().fit(RowChunks(X, scratch=scratch), y)
    assert scratch.read_text() == "precious"


def test_error_for_full_disk_of_scratch_file(tmp_path, largest_file):
    X, y, _ = data()
    rows = RowChunks(X, chunk_rows=50, scratch=tmp_path / "features")
    model = regressor()
    message = r"File too large: after [\d,]+ bytes scratch=.*leave scratch out"
    with largest_file(4000), pytest.raises(OSError, match=message):
        model.fit(rows, y)
    assert not hasattr(model, "weights_")
    assert not rows.scratch.exists()


def test_error_for_scratch_file_without_folder(tmp_path):
    X, y, _ = data()
    rows = RowChunks(X, scratch=tmp_path / "missing" / "features")
    with pytest.raises(FileNotFoundError, match=r"folder of scratch=.*Make it first"):
        regressor().fit(rows, y)


@pytest.mark.parametrize(
    "chunk_rows", [0, -1, "all", 2.5, True, None, np.array([2, 3])]
)
def test_bad_chunk_rows(chunk_rows):
    with pytest.raises(
        ValueError, match="no number of rows; give 1 or more, or 'auto'"
    ):
        RowChunks(np.ones((4, 2)), chunk_rows=chunk_rows)


def test_bad_rows():
    with pytest.raises(ValueError, match=r"two dimensions.*ndarray of shape \(4,\)"):
        RowChunks(np.ones(4))
    with pytest.raises(ValueError, match=r"list of shape unknown"):
        RowChunks([[1.0]])
    with pytest.raises(ValueError, match=r"X has no rows.*\(0, 3\)"):
        RowChunks(np.ones((0, 3)))
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"a DataFrame is none.*X\.to_numpy\(\)"):
        RowChunks(pd.DataFrame(np.ones((4, 2))))


def test_errors_for_memory_and_transform():
    X = np.ones((4, 2))
    for memory in (-1, "1 GB", None):
        with pytest.raises(ValueError, match=r"is no number of bytes; give 0 or more"):
            RowChunks(X, memory=memory)
    with pytest.raises(TypeError, match=r"transform=3 cannot be called.*scaler"):
        RowChunks(X, transform=3)


def test_error_for_wrong_numbers_of_targets_and_features():
    X, y, _ = data()
    rows = RowChunks(X, chunk_rows=50)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples.*203, 100"):
        regressor().fit(rows, y[:100])
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(100,\)"):
        regressor().fit(rows, y, y[:100])
    model = regressor().fit(rows, y)
    with pytest.raises(ValueError, match=r"X has 8 features, but .* is expecting 9"):
        model.predict(RowChunks(X[:, :8], chunk_rows=50))
