"""Limit of one BLAS thread, shared by overlapping calls and removed by the last one."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import joblib
import numpy as np
import pytest
from assertions import assert_close, assert_same
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_jlntk import (
    FJLT,
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    NTKKernel,
    NystroemNTKKernel,
)
from sklearn_jlntk._backend import blas_threads, threads
from sklearn_jlntk._backend.blas_threads import n_blas_threads, one_blas_thread
from sklearn_jlntk._backend.threads import map_on_threads, n_threads_for, thread_team
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.network._pass_abc_numba import AbcNumbaPass
from sklearn_jlntk.network._pass_bc_numba import BcNumbaPass
from sklearn_jlntk.operators import Identity, make_sketch
from sklearn_jlntk.out_of_core import RowChunks

TIMEOUT = 60


def blas_counts():
    """Threads of each BLAS library of the process."""
    return [
        lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"
    ]


@contextmanager
def kept(n_threads):
    """Limit the BLAS threads, and assert that the limit holds again afterwards."""
    with threadpool_limits(n_threads, user_api="blas"):
        assert set(blas_counts()) == {n_threads}
        yield
        assert set(blas_counts()) == {n_threads}
        assert n_blas_threads() == n_threads


@pytest.fixture
def three():
    """Three BLAS threads on as many processors; the limit must hold again afterwards."""
    with pytest.MonkeyPatch.context() as patch, kept(3):
        patch.setattr(threads, "_n_processors", lambda: 3)
        yield


@pytest.fixture
def two():
    """Two BLAS threads: OpenBLAS before 0.3.29 may crash with more than there are cores."""
    with kept(2):
        yield


class Stay(threading.Thread):
    """Thread that stays in the limit until `leave` is called."""

    def __init__(self, context=one_blas_thread):
        super().__init__(daemon=True)
        self.context = context
        self.inside, self.may_leave = threading.Event(), threading.Event()
        self.start()
        assert self.inside.wait(TIMEOUT)

    def run(self):
        with self.context():
            self.inside.set()
            self.may_leave.wait(TIMEOUT)

    def leave(self):
        """Leave the limit and end the thread."""
        self.may_leave.set()
        self.join(TIMEOUT)
        assert not self.is_alive()


# ---------------------------------------------------------------- overlap


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
@pytest.mark.parametrize("context", [one_blas_thread, lambda: thread_team(2)])
def test_last_overlapping_call_restores_the_threads(three, context, order):
    stays = [Stay(context) for _ in order]
    for index in order:
        assert set(blas_counts()) == {1}
        stays[index].leave()


@pytest.mark.parametrize("first", ["this", "other"])
def test_overlap_with_this_thread_in_both_orders(three, first):
    stay = Stay()
    with ExitStack() as stack:
        stack.enter_context(one_blas_thread())
        if first == "this":
            stack.close()
            assert set(blas_counts()) == {1}
            stay.leave()
        else:
            stay.leave()
            assert set(blas_counts()) == {1}


def test_number_of_threads_does_not_depend_on_other_calls(three):
    stay = Stay()
    assert n_blas_threads() == 3
    assert n_threads_for(2**20) == 3
    with one_blas_thread():
        assert n_blas_threads() == 1
        stay.leave()
        assert n_blas_threads() == 1


def test_work_in_a_team_uses_one_blas_thread_on_every_thread(three):
    barrier = threading.Barrier(3, timeout=TIMEOUT)

    def work(_):
        barrier.wait()
        return n_blas_threads()

    assert map_on_threads(work, range(3), n_threads=3) == [1, 1, 1]


def test_error_ends_the_limit(three):
    with pytest.raises(ArithmeticError), thread_team(2):
        raise ArithmeticError
    assert set(blas_counts()) == {3}


def draw(kind):
    """Network, weights and features that have a compiled pass."""
    rng = np.random.default_rng(0)
    like, v = np.empty(0), rng.choice([-1.0, 1.0], size=2**14)
    F = rng.normal(size=(4, 64))
    if kind == "bc":
        return FactorizedNetwork.from_arrays(v=v), rng.normal(size=(2**14, 4)), F
    A = make_sketch("block-hadamard", 64, 2**14, rng=rng, like=like).T
    network = FactorizedNetwork(Identity((None, None), None), A, v)
    return network, rng.normal(size=(64, 4)), F


@pytest.mark.parametrize("kind", ["bc", "abc"])
def test_error_within_a_pass_ends_the_limit_at_once(two, kind):
    network, weights, features = draw(kind)
    pullback = {"bc": BcNumbaPass(), "abc": AbcNumbaPass()}[kind].pullback
    seen = []

    def cotangent(u, columns):
        seen.append(blas_counts())
        raise ArithmeticError

    # The traceback that is kept holds the frames of the pass.
    with pytest.raises(ArithmeticError) as kept:
        pullback(network, weights, features, cotangent)
    assert set(blas_counts()) == {2}
    assert {n for counts in seen for n in counts} == {1}
    assert kept.tb is not None


# ---------------------------------------------------------------- limits of others


def test_limit_of_the_caller_may_end_meanwhile(three):
    user = threadpool_limits(2, user_api="blas")
    stay = Stay()
    assert set(blas_counts()) == {1}
    user.restore_original_limits()
    assert n_blas_threads() == 3
    stay.leave()


def test_number_that_the_caller_sets_meanwhile_is_kept():
    with threadpool_limits(3, user_api="blas"):
        stay = Stay()
        threadpool_limits(2, user_api="blas")
        assert n_blas_threads() == 2
        with one_blas_thread():
            assert set(blas_counts()) == {1}
        stay.leave()
        assert set(blas_counts()) == {2}


def test_limit_of_the_caller_within_ours_is_respected(three):
    stay = Stay()
    with threadpool_limits(2, user_api="blas"):
        assert n_blas_threads() == 2
    assert n_blas_threads() == 3
    stay.leave()


class OfOneThread:
    """Stand-in for OpenBLAS on OpenMP, with a number of threads for each thread."""

    threading_layer = "openmp"

    def __init__(self):
        self._local = threading.local()

    @property
    def num_threads(self):
        """Number of threads in this thread, by default four."""
        return getattr(self._local, "number", 4)

    def _real_set_num_threads(self, number):
        self._local.number = number

    set_num_threads = _real_set_num_threads


def test_thread_local_numbers_are_restored_in_each_thread(three, monkeypatch):
    library = OfOneThread()
    monkeypatch.setattr(blas_threads, "_here", threading.local())
    monkeypatch.setattr(blas_threads, "_libraries", lambda: [library])
    found = []

    def call(other):
        before = library.num_threads, n_blas_threads()
        with one_blas_thread():
            inside = library.num_threads, n_blas_threads()
            if other is not None:
                other.leave()
        found.append((*before, *inside, library.num_threads, n_blas_threads()))

    for other in (None, Stay(), None):
        thread = threading.Thread(target=call, args=(other,))
        thread.start()
        thread.join(TIMEOUT)
    library.set_num_threads(2)
    assert (
        map_on_threads(lambda _: library.num_threads, range(4), n_threads=2) == [1] * 4
    )
    assert library.num_threads == 2
    assert n_blas_threads() == 2
    # Before, inside and afterwards, in each thread: the library's number, and ours.
    assert found == [(4, 3, 1, 1, 4, 3)] * 3


# ---------------------------------------------------------------- forks


FORKED = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_a_fork(check):
    """Whether a check holds in a fork of this process."""
    child = os.fork()
    if child == 0:
        try:
            check()
        except BaseException:  # noqa: BLE001 - a child must not go on with the tests
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def has_three():
    """Fail unless BLAS has three threads, now and after another call."""
    assert set(blas_counts()) == {3}
    with one_blas_thread():
        assert set(blas_counts()) == {1}
    assert set(blas_counts()) == {3}
    assert n_blas_threads() == 3


@FORKED
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_fork_drops_limits_of_other_threads(three):
    assert in_a_fork(has_three)
    stay = Stay()
    assert in_a_fork(has_three)
    stay.leave()


@FORKED
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_fork_keeps_limits_of_its_own_thread(three):
    stay = Stay()

    def check():
        assert set(blas_counts()) == {1}
        context.__exit__(None, None, None)
        has_three()

    context = one_blas_thread()
    with context:
        assert in_a_fork(check)
    stay.leave()


# ---------------------------------------------------------------- estimators

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 6))
Y = np.sin(X[:, 0]) + X[:, 1]
NETWORK = {"width": 4096, "max_iter": 4, "tol": None, "random_state": 0}
# Estimator, its rows, and whether all its products are within compiled passes. Others are
# rounded as BLAS splits them, which in a process that computes elsewhere too may vary.
CASES = {
    "bc": (JLFactorizedNTKRegressor(**NETWORK), X, True),
    "dense": (JLFactorizedNTKRegressor(factorization="dense", **NETWORK), X, True),
    "abc": (
        JLFactorizedNTKRegressor(**NETWORK | {"width": 2**14}, factorization="abc"),
        X,
        False,
    ),
    "chunks": (
        JLFactorizedNTKRegressor(**NETWORK),
        RowChunks(X, chunk_rows=60),
        False,
    ),
    "classifier": (JLFactorizedNTKClassifier(**NETWORK), X, True),
    "kernel": (NTKKernel(), X, False),
    "nystroem": (NystroemNTKKernel(random_state=0), X, False),
    "sketch": (FJLT(4, random_state=0), X, True),
}


def fitted(model, rows):
    """Predictions, or the sketch, of a clone fitted on the rows."""
    y = Y > 0 if isinstance(model, JLFactorizedNTKClassifier) else Y
    model = clone(model).fit(rows, y)
    return model.predict(X) if hasattr(model, "predict") else model.transform(X)


@pytest.mark.parametrize("model, rows, is_exact", CASES.values(), ids=CASES)
def test_overlapping_fits_are_correct_and_leave_no_limit(two, model, rows, is_exact):
    alone = fitted(model, rows)
    barrier = threading.Barrier(3, timeout=TIMEOUT)

    def fit(_):
        barrier.wait()
        return fitted(model, rows)

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(fit, range(3)))
    assert set(blas_counts()) == {2}
    results += joblib.Parallel(n_jobs=3, backend="threading")(
        joblib.delayed(fitted)(model, rows) for _ in range(3)
    )
    for result in results:
        if is_exact:
            assert_same(result, alone)
        else:
            # atol: a prediction may be near zero.
            assert_close(result, alone, atol=1e-9)
