"""Medians of calls that take turns, so that whatever else runs falls on all of them."""

import statistics
import time

# Threads of OpenMP spin for some 0.2 s after a call; the next one is to find them asleep.
_PAUSE = 0.3
# Seconds of calls that are not timed before those that are. A core that slept takes a
# while to be given to a second thread, and in a training steps follow each other.
_WARM_UP, _TIMED = 0.2, 0.1


def medians(calls, n_rounds):
    """Median seconds of each named call, among others of its own that follow each other.

    The first round, which warms up, is dropped.
    """
    seconds = {name: [] for name in calls}
    for _ in range(n_rounds + 1):
        for name, call in calls.items():
            time.sleep(_PAUSE)
            _seconds_of_one(call, _WARM_UP)
            seconds[name].append(_seconds_of_one(call, _TIMED))
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


def _seconds_of_one(call, at_least):
    """Seconds of a call, on average over as many as take a given time."""
    start, n_calls, passed = time.perf_counter(), 0, 0.0
    while passed < at_least:
        call()
        n_calls += 1
        passed = time.perf_counter() - start
    return passed / n_calls


def calls_that_run(makers, problem):
    """Named calls for a problem; those that miss a library or a compiler are named."""
    calls = {}
    for name, make in makers.items():
        try:
            call = make(problem)
            call()
        except (ImportError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            print(f"{name} is left out: {reason}", flush=True)
        else:
            calls[name] = call
    return calls


def table(names, lines):
    """Markdown table of these column names and lists of cells."""
    rows = [names, ["---"] * len(names), *lines]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def ratios(seconds, own, names):
    """Cells: how many times as long as `own` the others take, a dash where one is not."""
    return [
        f"{seconds[name] / seconds[own]:.2f} x" if name in seconds else "-"
        for name in names
    ]
