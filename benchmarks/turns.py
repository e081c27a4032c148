"""Medians of calls that take turns, so that whatever else runs falls on all of them."""

import statistics
import time


def medians(calls, n_rounds):
    """Median seconds of each named call; the first round, which warms up, is dropped."""
    seconds = {name: [] for name in calls}
    for _ in range(n_rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}
