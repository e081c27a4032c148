"""Seconds of calls that take turns, so that other load on the machine falls on all."""

import resource
import statistics
import sys
import time

import numpy as np

# Threads of OpenMP spin for some 0.2 s after a call; they should be asleep at the next.
PAUSE = 0.3
# Seconds of calls before the timed ones, and of these. A core that slept takes a while to
# be given to a second thread, and in a training steps follow each other.
WARM_UP, TIMED = 0.2, 0.1


def in_turns(calls, n_rounds, measure, n_dropped=1):
    """Measurements of each named call, one a round, without the first rounds.

    `measure` takes a call and returns what is recorded of it.
    """
    found = {name: [] for name in calls}
    for _ in range(n_rounds + n_dropped):
        for name, call in calls.items():
            found[name].append(measure(call))
    return {name: values[n_dropped:] for name, values in found.items()}


def medians(calls, n_rounds, measure=None, n_dropped=1):
    """Median seconds of each named call, by default once it is warm."""
    found = in_turns(calls, n_rounds, measure or seconds_when_warm, n_dropped)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def seconds_when_warm(call):
    """Seconds of a call that follows others, the mean over a tenth of a second."""
    time.sleep(PAUSE)
    _mean_seconds(call, WARM_UP)
    return _mean_seconds(call, TIMED)


def seconds(call):
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _mean_seconds(call, at_least):
    """Mean seconds of calls that are repeated until a given time has passed."""
    n_calls, passed = 0, 0.0
    start = time.perf_counter()
    while not n_calls or passed < at_least:
        call()
        n_calls += 1
        passed = time.perf_counter() - start
    return passed / n_calls


class Clock:
    """Callback of scikit-learn that records the time at the end of each step of a fit."""

    def __init__(self):
        self.marks = []

    def setup(self, estimator, context):
        """Nothing to set up."""

    def teardown(self, estimator, context):
        """Nothing to take down."""

    def on_fit_task_begin(self, estimator, context):
        """Only ends of steps are recorded."""

    def on_fit_task_end(self, estimator, context):
        """Record wall clock, processor time of all threads, and page faults."""
        if context.task_name == "step":
            faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            self.marks.append((time.perf_counter(), time.process_time(), faults))

    def steps(self):
        """Seconds, processor seconds and page faults of each step but the first."""
        return np.diff(self.marks, axis=0)


def calls_that_run(makers, problem):
    """Named calls for a problem; those that miss a library or compiler are printed."""
    calls = {}
    for name, make in makers.items():
        try:
            call = make(problem)
            call()
        except (ImportError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            print(f"{name} is left out: {reason}", file=sys.stderr)
        else:
            calls[name] = call
    return calls
