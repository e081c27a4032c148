"""Estimators on a GPU, or on a stand-in for it.

The stand-in is array-api-strict's second device: it computes with NumPy and refuses every
implicit way to the host, as a card does. Tests of a card itself are marked ``gpu``.
"""

import os
import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from assertions import assert_close, assert_same
from interpreters import run_code
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_array_api_input_and_values

import sklearn_jlntk
from sklearn_jlntk import (
    FJLT,
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    NTKKernel,
    NTKKernelClassifier,
    NystroemNTKKernel,
)
from sklearn_jlntk._backend import array_api
from sklearn_jlntk._backend.array_api import from_host, numbers_at_once, to_host
from sklearn_jlntk.diagnostics import NTKMonitor
from sklearn_jlntk.kernel_regression import _rows_by_centers
from sklearn_jlntk.kernels import _relu
from sklearn_jlntk.kernels._matrix import as_columns, assemble, multiply
from sklearn_jlntk.kernels._relu import ReluKernel
from sklearn_jlntk.network import FactorizedNetwork, _pass_arrays, _passes
from sklearn_jlntk.operators import Identity, make_sketch

SMALL = {"width": 96, "max_iter": 40, "tol": None, "random_state": 0}
ESTIMATORS = [
    JLFactorizedNTKRegressor(**SMALL),
    JLFactorizedNTKRegressor(factorization="abc", **SMALL | {"width": 512}),
    JLFactorizedNTKRegressor(factorization="dense", **SMALL),
    JLFactorizedNTKClassifier(**SMALL),
    NTKKernel(alpha=0.1),
    NTKKernel(),
    NTKKernel(alpha=np.logspace(-3, 2, 9).tolist()),
    NTKKernel(factorization="abc", width=256, alpha=0.1, random_state=0),
    NTKKernelClassifier(),
    NystroemNTKKernel(n_centers=20, alpha=0.1, tol=1e-12, random_state=0),
]
with_device = pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)


def data(n=50, d=7):
    """Rows and targets of two values, for both regressors and classifiers."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    return X, np.where(np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] > 0, 1.0, -1.0)


@pytest.fixture(
    params=["array_api_strict", pytest.param("cupy", marks=pytest.mark.gpu)]
)
def card(request):
    """Device for device="cuda": a GPU, or a stand-in."""
    if request.param == "array_api_strict":
        return request.getfixturevalue("stand_in")
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device")
    return cupy


@pytest.fixture
def stand_in(monkeypatch):
    """Second device of array-api-strict, in place of the GPU."""
    strict = pytest.importorskip("array_api_strict")
    card = SimpleNamespace(
        asarray=lambda x: strict.asarray(x, device=strict.Device("device1"))
    )
    monkeypatch.setattr(array_api, "_cupy", lambda: card)
    return strict


@pytest.fixture
def pretend_gpu(monkeypatch):
    """Treat every array as one on a GPU with the given bytes of memory."""
    monkeypatch.setattr(_passes, "PASSES", (_pass_arrays.ArrayPass(),))

    def pretend(memory):
        monkeypatch.setattr(array_api, "_memory", lambda x: memory)

    return pretend


# --------------------------------------------------------------- device="cuda"


@with_device
def test_host_data_give_host_predictions(card, estimator):
    X, y = data()
    on_card = clone(estimator).set_params(device="cuda").fit(X, y)
    on_host = clone(estimator).fit(X, y)
    assert isinstance(on_card.predict(X), np.ndarray)
    assert_close(on_card.predict(X), on_host.predict(X), rtol=1e-9, atol=1e-9)  # labels
    for name, value in vars(on_card).items():
        if name.endswith("_") and array_api.is_array(value):
            assert isinstance(value, np.ndarray), name


@with_device
def test_pickle_of_a_gpu_fit_needs_no_gpu(card, estimator, monkeypatch):
    X, y = data()
    model = clone(estimator).set_params(device="cuda").fit(X, y)
    expected, pickled = model.predict(X), pickle.dumps(model)
    assert b"array_api_strict" not in pickled
    assert b"cupy" not in pickled

    def absent():
        raise RuntimeError("no card")

    monkeypatch.setattr(array_api, "_cupy", absent)
    copy = pickle.loads(pickled)
    with pytest.warns(UserWarning, match=r"it computes on the CPU.*device=None"):
        assert_close(copy.predict(X), expected, rtol=1e-9, atol=1e-9)  # labels
    assert_close(copy.set_params(device=None).predict(X), expected, rtol=1e-9)


@pytest.mark.gpu
def test_gpu_fit_predicts_in_a_process_without_gpu(tmp_path):
    if not _has_card():
        pytest.skip("no CuPy or no CUDA device")
    X, y = data()
    model = JLFactorizedNTKRegressor(**SMALL, device="cuda").fit(X, y)
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps((model, X, model.predict(X))))
    code = (
        "import pickle, sys, numpy as np\n"
        "model, X, expected = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(np.max(np.abs(model.predict(X) - expected)) < 1e-9)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(path)],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == "True", result.stderr


def test_methods_of_a_model_fitted_on_a_gpu(card):
    X, y = data()
    model = JLFactorizedNTKRegressor(**SMALL, device="cuda").fit(X, y)
    same = JLFactorizedNTKRegressor(**SMALL).fit(X, y)
    for at in ("fitted", "init", "infinite"):
        kernel = model.ntk(X, X[:9], at=at)
        assert isinstance(kernel, np.ndarray)
        assert_close(kernel, same.ntk(X, X[:9], at=at), rtol=1e-9, atol=1e-12)
    assert_close(model.lambda_0(X), same.lambda_0(X), rtol=1e-9)
    assert_close(model.effective_weights(), same.effective_weights(), rtol=1e-9)
    assert str(model.diagnose(X, y))
    assert_close(
        model.partial_fit(X, y).score(X, y), same.partial_fit(X, y).score(X, y)
    )
    labels = JLFactorizedNTKClassifier(**SMALL, device="cuda").fit(X, y)
    assert str(labels.diagnose(X, y))
    kernel = NTKKernel(device="cuda").fit(X, y)
    assert isinstance(kernel.transform(X), np.ndarray)
    assert_close(kernel.lambda_0_, NTKKernel().fit(X, y).lambda_0_, rtol=1e-9)


def test_options_of_a_fit_on_a_gpu(card):
    """Weights, several outputs, CSR rows, early stopping, and a monitor of H(t)."""
    X, y = data()
    weights = np.random.default_rng(1).uniform(0.5, 2.0, size=len(y))
    Y = np.stack([y, X[:, 0]], axis=1)
    for params, arguments in [
        ({}, (X, y, weights)),
        ({"alpha": 0.5, "initial_output": "random"}, (X, Y)),
        ({"early_stopping": True, "normalize": "unit"}, (sparse.csr_array(X), y)),
    ]:
        model = JLFactorizedNTKRegressor(**SMALL, **params)
        on_card = clone(model).set_params(device="cuda").fit(*arguments)
        desired = model.fit(*arguments).predict(X)
        assert_close(on_card.predict(X), desired, rtol=1e-9, atol=1e-12)
    records = []
    for device in (None, "cuda"):
        monitor = NTKMonitor()
        model = JLFactorizedNTKRegressor(**SMALL, device=device)
        model.set_callbacks(monitor).fit(X, y)
        records.append(monitor.get_logs()["lambda_min"].to_numpy())
    assert_close(records[1], records[0], rtol=1e-6)


def test_grid_search_on_a_gpu(card):
    X, y = data()
    grid = {"alpha": [0.0, 1.0], "factorization": ["bc", "abc"]}
    model = JLFactorizedNTKRegressor(**SMALL)
    scores = [
        GridSearchCV(model.set_params(device=device), grid, cv=2)
        .fit(X, y)
        .cv_results_["mean_test_score"]
        for device in ("cuda", None)
    ]
    assert_close(*scores, rtol=1e-9)


@pytest.mark.parametrize("estimator", [ESTIMATORS[0], ESTIMATORS[4]], ids=str)
def test_error_without_gpu(estimator, monkeypatch):
    X, y = data()
    model = clone(estimator).set_params(device="cuda")
    absent = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "cupy", absent)
    with pytest.raises(RuntimeError, match=r"CuPy sees none.*nvidia-smi.*device=None"):
        model.fit(X, y)
    monkeypatch.setitem(sys.modules, "cupy", None)
    message = r"pip install 'sklearn_jlntk\[cuda12\]'.*\[cuda13\]'.*device=None"
    with pytest.raises(ImportError, match=message):
        model.fit(X, y)
    assert not [name for name in vars(model) if name.endswith("_")]


def test_import_and_fit_do_not_import_other_array_libraries(tmp_path):
    code = (
        "import sys, numpy as np, sklearn_jlntk as s\n"
        "s.JLFactorizedNTKRegressor(width=8).fit(np.eye(4), np.arange(4.))\n"
        "print({'cupy', 'torch'} & set(sys.modules))"
    )
    result = run_code(code, tmp_path)
    assert result.stdout.strip() == "set()", result.stderr


# ------------------------------------------------------- one device for everything


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataDimensionalityWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", sklearn_jlntk.__all__)
def test_strict_device_passes_for_every_estimator(name):
    """Namespace with a separate device, from which only explicit transfers are allowed."""
    pytest.importorskip("array_api_strict")
    estimator = getattr(sklearn_jlntk, name)
    if not hasattr(estimator, "fit"):
        pytest.skip(f"{name} is no estimator")
    params = {"width": 64, "max_iter": 30} if hasattr(estimator(), "max_iter") else {}
    check_array_api_input_and_values(
        name,
        estimator(**params),
        array_namespace="array_api_strict",
        device_name="device1",
        dtype_name="float32",
    )


@pytest.mark.gpu
@pytest.mark.parametrize(
    "estimator", [*ESTIMATORS, FJLT(4), JLFactorizedNTKRegressor(**SMALL, alpha=1.0)]
)
@pytest.mark.parametrize("namespace", ["cupy", "torch"])
@pytest.mark.parametrize("weighted", [False, True])
def test_gpu_passes_for_every_estimator(estimator, namespace, weighted):
    library = pytest.importorskip(namespace, reason=f"{namespace} is not installed")
    if not library.cuda.is_available():
        pytest.skip("no CUDA device")
    check_array_api_input_and_values(
        type(estimator).__name__,
        clone(estimator),
        array_namespace=namespace,
        device_name="cuda" if namespace == "torch" else None,
        dtype_name="float64",
        check_sample_weight=weighted and not isinstance(estimator, FJLT),
    )


@pytest.mark.parametrize("factorization", ["bc", "abc", "dense"])
def test_hundred_steps_agree_between_namespaces(xp, factorization):
    X, y = data()
    model = JLFactorizedNTKRegressor(
        factorization=factorization,
        **SMALL | {"max_iter": 100, "width": 512, "n_components": 6},
    )
    host = clone(model).fit(X, y)
    with config_context(array_api_dispatch=True):
        there = clone(model).fit(xp.asarray(X), xp.asarray(y))
        assert there.n_iter_ == host.n_iter_ == 100
        assert_close(there.weights_, host.weights_, rtol=1e-10, atol=1e-10)
        assert_close(there.predict(xp.asarray(X)), host.predict(X), rtol=1e-10)
        assert_close(there.loss_curve_, host.loss_curve_, rtol=1e-10)


# ------------------------------------------------------------- blocks and memory


@pytest.mark.parametrize("memory", [2**25, 2**37])
@pytest.mark.parametrize("k", [None, 40, 300])
def test_blocks_of_a_gpu_do_not_change_results(pretend_gpu, memory, k):
    network, B, F, y = problem(k)
    expected = network.value_and_gradient(B, F, y)
    pretend_gpu(memory)
    for actual, desired in zip(
        network.value_and_gradient(B, F, y), expected, strict=True
    ):
        assert_close(actual, desired, rtol=1e-12, atol=1e-12)


def test_block_is_a_share_of_the_memory(pretend_gpu):
    assert numbers_at_once(np.empty(0), 2**17) == 2**17
    pretend_gpu(141 * 10**9)
    # A dozen arrays of float64 take a fifth of the memory.
    assert 12 * 8 * numbers_at_once(np.empty(0), 2**17) < 0.2 * 141 * 10**9
    pretend_gpu(2**20)
    assert numbers_at_once(np.empty(0), 2**17) == 2**17


class Full:
    """Limit the size of arrays; larger ones raise an error of memory."""

    def __init__(self, room, error):
        self.room, self.error, self.refused = room, error, 0

    def let(self, array):
        if array.size > self.room:
            self.refused += 1
            raise self.error(f"allocating {array.nbytes} bytes.")
        return array


def memory_errors():
    """Errors of memory of NumPy and CuPy, and of torch."""
    torch = pytest.importorskip("torch")
    return [MemoryError, torch.OutOfMemoryError]


@pytest.mark.parametrize("which", [0, 1])
def test_full_memory_leads_to_smaller_blocks(pretend_gpu, monkeypatch, which):
    network, B, F, y = problem(None, m=900, n=300)
    expected = network.value_and_gradient(B, F, y), network.outputs(B, F)
    pretend_gpu(2**28)
    full = Full(2**15, memory_errors()[which])
    whole = _pass_arrays._pre_activations
    monkeypatch.setattr(
        _pass_arrays, "_pre_activations", lambda *args: full.let(whole(*args))
    )
    loss, gradient = network.value_and_gradient(B, F, y)
    assert full.refused > 0
    assert_close(loss, expected[0][0], rtol=1e-12)
    assert_close(gradient, expected[0][1], rtol=1e-12, atol=1e-12)
    assert_close(network.outputs(B, F), expected[1], rtol=1e-12, atol=1e-12)
    full.room = 1
    message = r"ran out even for work on \d+ numbers at a time: allocating \d+ bytes"
    with pytest.raises(MemoryError, match=message):
        network.value_and_gradient(B, F, y)


@pytest.mark.parametrize("which", [0, 1])
def test_full_memory_leads_to_smaller_tiles(pretend_gpu, monkeypatch, which):
    x = as_columns(np.random.default_rng(0).normal(size=(3, 500)))
    V = np.random.default_rng(1).normal(size=(500, 2))
    kernel = ReluKernel(1, 0.0, "first")
    expected = assemble(kernel, x), multiply(kernel, V, x)
    pretend_gpu(2**28)
    full = Full(2**16, memory_errors()[which])
    whole = ReluKernel.tile
    monkeypatch.setattr(ReluKernel, "tile", lambda *args: full.let(whole(*args)))
    assert_close(assemble(kernel, x), expected[0], rtol=1e-12, atol=1e-14)
    assert_close(multiply(kernel, V, x), expected[1], rtol=1e-12, atol=1e-12)
    assert full.refused > 0
    full.room = 1
    with pytest.raises(MemoryError, match="or use fewer samples"):
        assemble(kernel, x)


def problem(k, m=300, n=45, l=6):
    """Network with weights, features and targets, on NumPy."""
    rng = np.random.default_rng(0)
    like = np.empty(0)
    A = Identity((m, m), like)
    if k is not None:
        A = make_sketch("block-hadamard", k, m, rng=rng, like=like).T
    v = rng.choice(np.array([-1, 1], np.int8), size=m)
    network = FactorizedNetwork(Identity((None, None), None), A, v)
    B, F = rng.standard_normal((k or m, l)), rng.standard_normal((l, n))
    return network, B, F, rng.standard_normal(n)


# ------------------------------------------------------------ ways to the host


@pytest.fixture
def visits(stand_in, monkeypatch):
    """Number of scalars and arrays moved to the host."""
    counted = []
    array = type(stand_in.asarray(1.0))
    for name in ("__float__", "__int__", "__bool__", "__index__"):
        whole = getattr(array, name)

        def count(self, whole=whole):
            counted.append(self.shape)
            return whole(self)

        monkeypatch.setattr(array, name, count)
    whole_asarray = stand_in.asarray

    def count_moves(x, *args, **kwargs):
        if isinstance(x, array) and kwargs.get("device") == stand_in.Device(
            "CPU_DEVICE"
        ):
            counted.append(x.shape)
        return whole_asarray(x, *args, **kwargs)

    monkeypatch.setattr(stand_in, "asarray", count_moves)
    # The search for nearly parallel rows has masks on the host, and the CUDA kernel that
    # takes over on CuPy arrays has none.
    whole_search = _relu.near_pairs

    def search(*args):
        n_counted = len(counted)
        found = whole_search(*args)
        del counted[n_counted:]
        return found

    monkeypatch.setattr(_relu, "near_pairs", search)
    return counted


@pytest.mark.parametrize("factorization", ["bc", "abc", "dense"])
def test_steps_read_only_losses_and_read_them_together(
    stand_in, visits, pretend_gpu, factorization
):
    X, y = data()
    pretend_gpu(2**33)
    n_visits = []
    for max_iter in (16, 48):
        visits.clear()
        params = SMALL | {"max_iter": max_iter, "factorization": factorization}
        JLFactorizedNTKRegressor(**params, device="cuda").fit(X, y)
        n_visits.append(len(visits))
    assert n_visits[1] - n_visits[0] == 2  # sixteen losses each


@pytest.mark.parametrize("alpha", [0.1, "loo"])
def test_kernel_matrix_of_a_fit_stays_on_the_gpu(visits, alpha):
    X, y = data(n=90)
    model = NTKKernel(alpha=alpha, device="cuda").fit(X, y)
    assert model.lambda_max_ > 0
    assert max(np.prod(shape) for shape in visits) < 90**2


def test_smallest_eigenvalue_is_computed_where_the_kernel_is(visits):
    X, y = data(n=90)
    model = JLFactorizedNTKRegressor(**SMALL, device="cuda").fit(X, y)
    visits.clear()
    assert model.lambda_0(X) > 0
    assert max(np.prod(shape) for shape in visits) < 90**2
    model.ntk(X)
    assert (90, 90) in visits


def test_sums_over_panels_of_rows_leave_the_gpu_once(visits, monkeypatch):
    X, y = data(n=200)
    monkeypatch.setattr(_rows_by_centers, "_DEVICE_PANEL", 16)
    n_sums = []
    for n in (100, 200):
        visits.clear()
        model = NystroemNTKKernel(n_centers=23, alpha="loo", random_state=0)
        model.set_params(device="cuda").fit(X[:n], y[:n])
        n_sums.append(sum(shape == (23, 23) for shape in visits))
    assert n_sums[0] == n_sums[1] > 0


@pytest.mark.parametrize("tol", [3e-3, None])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_reading_losses_together_does_not_change_the_fit(
    pretend_gpu, tol, early_stopping
):
    X, y = data()
    params = SMALL | {"max_iter": 150, "tol": tol, "early_stopping": early_stopping}
    model = JLFactorizedNTKRegressor(**params, n_iter_no_change=3)
    one_by_one = clone(model).fit(X, y)
    pretend_gpu(2**33)
    together = clone(model).fit(X, y)
    assert together.n_iter_ == one_by_one.n_iter_
    assert together.loss_curve_ == one_by_one.loss_curve_
    assert_same(together.weights_, one_by_one.weights_)


def test_divergence_is_seen_in_losses_read_together(pretend_gpu):
    X, y = data()
    model = JLFactorizedNTKRegressor(**SMALL | {"learning_rate": 1.0})
    for memory in (None, 2**33):
        pretend_gpu(memory)
        with pytest.raises(ValueError, match="diverged within 3 steps"):
            model.fit(X, y)


def test_numbers_are_cast_before_transfer(xp):
    values = np.random.default_rng(0).normal(size=5)
    moved = from_host(values, xp.asarray([1.0]), xp.float32)
    assert moved.dtype == xp.float32
    assert_same(to_host(moved), values.astype(np.float32))


def _has_card():
    try:
        array_api.check_card("cuda")
    except (ImportError, RuntimeError):
        return False
    return True
