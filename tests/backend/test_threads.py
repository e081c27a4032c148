"""Work on thread teams: results in order, errors, nested calls, number of threads."""

import os
import threading

import numpy as np
import pytest
from assertions import assert_same
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_jlntk._backend import threads
from sklearn_jlntk._backend.jit import _compiled
from sklearn_jlntk._backend.threads import map_on_threads, n_threads_for, thread_team


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n_items", [0, 1, 3, 40])
def test_results_are_in_order(n_threads, n_items):
    results = map_on_threads(lambda i: i * i, range(n_items), n_threads=n_threads)
    assert_same(results, [i * i for i in range(n_items)])


def test_two_items_run_in_parallel():
    barrier = threading.Barrier(2, timeout=20)
    map_on_threads(lambda _: barrier.wait(), range(2), n_threads=2)


def test_nested_work_terminates():
    def outer(i):
        return sum(map_on_threads(lambda j: i + j, range(5), n_threads=3))

    results = map_on_threads(outer, range(20), n_threads=3)
    assert_same(results, [5 * i + 10 for i in range(20)])


def test_error_of_a_thread_is_raised_and_the_next_call_works():
    def work(i):
        if i == 7:
            raise ArithmeticError("seven")
        return i

    with pytest.raises(ArithmeticError, match="seven"):
        map_on_threads(work, range(20), n_threads=3)
    assert_same(map_on_threads(abs, range(4), n_threads=3), list(range(4)))


def test_blas_takes_one_thread_within_a_team():
    def n_blas_threads(_):
        libraries = threadpool_info()
        return {lib["num_threads"] for lib in libraries if lib["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        with thread_team(2) as map_items:
            assert map_items(n_blas_threads, range(2)) == [{1}, {1}]
        assert n_blas_threads(None) == {2}


def test_little_work_takes_one_thread(monkeypatch):
    monkeypatch.setattr(threads, "_n_processors", lambda: 4)
    with threadpool_limits(2, user_api="blas"):
        assert n_threads_for(2**20) == 2
        assert n_threads_for(2**20 - 1) == 1


@pytest.mark.parametrize("n_processors", [1, 3])
def test_no_more_threads_than_processors_that_joblib_counts(n_processors, monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: n_processors)
    monkeypatch.setattr(_compiled.numba.config, "NUMBA_NUM_THREADS", 5)
    threads._n_processors.cache_clear()
    try:
        with threadpool_limits(5, user_api="blas"):
            assert threads.n_threads() == n_threads_for(2**20) == n_processors
            assert _compiled.n_threads() == n_processors
            shares = threads.map_shares(lambda part: part, 100, np.empty(0))
            assert len(shares) == n_processors
    finally:
        threads._n_processors.cache_clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_fork_starts_its_own_threads():
    map_on_threads(abs, range(4), n_threads=2)
    child = os.fork()
    if child == 0:
        barrier = threading.Barrier(2, timeout=20)
        map_on_threads(lambda _: barrier.wait(), range(2), n_threads=2)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
