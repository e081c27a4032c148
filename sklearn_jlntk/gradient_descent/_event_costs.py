"""Costs of gradient descent by the event solver and by plain steps.

Costs are in multiplications of the compiled product, as measured. They decide how steps
are taken and do not enter their results.
"""

from typing import NamedTuple

__all__ = ["LONGEST", "is_worth_it", "of_window"]

# Most steps of a window.
LONGEST = 128

# Costs per neuron and sample, for each component and beside these: of a plain step, which
# is a product and sums by tables, and of the opening of a window, two of either.
_PLAIN, _OPENING = (1.45, 8), (2.9, 155)
# Costs of a check, on one of the threads and one after the other, and of a flip: for each
# sample and beside these. Of a scan, per sample and component; of a step, per pair of
# samples.
_CHECK, _CHECK_IN_TURN, _FLIP = (11, 0), (1, 3000), (25, 3000)
_SCAN, _STEP = 56, 17
# Checks and flips of a step over n sqrt(m), late in training.
_CHECK_RATE, _FLIP_RATE = 0.22, 0.03
# Work of a fit by plain steps, a few seconds; below this, compiling takes longer than
# fitting.
_LEAST_WORK = 1.5e11
# Most samples, as three matrices of n x n numbers are held, and fewest neurons.
_MOST_SAMPLES, _FEWEST_NEURONS = 5000, 1000
# How many times as fast the event solver is at the least where it is taken.
_LEAST_GAIN = 1.5


class Work(NamedTuple):
    """Costs of a window by their purpose, in multiplications of a matrix product."""

    opening: float
    checks: float
    flips: float
    scans: float
    steps: float


def of_window(n, l, m, n_steps, *, n_checks, n_flips, n_scans):
    """Costs of a window.

    Parameters
    ----------
    n, l, m : int
        Samples, components and neurons.
    n_steps : int
        Steps of the window.
    n_checks, n_flips, n_scans : int
        Pairs that were evaluated, gates that flipped, neurons that were scanned.

    Returns
    -------
    work : Work
        Costs.
    """
    checks = _cost(_CHECK, n) + _cost(_CHECK_IN_TURN, n)
    return Work(
        opening=n * m * _cost(_OPENING, l),
        checks=checks * n_checks,
        flips=_cost(_FLIP, n) * n_flips,
        scans=n * _SCAN * l * n_scans,
        steps=_STEP * n**2 * n_steps,
    )


def _cost(cost, count):
    """A cost for each of some samples or components, and one beside these."""
    each, beside = cost
    return each * count + beside


def is_worth_it(n, l, m, n_steps, *, n_threads=1):
    """Whether a descent is faster by the event solver.

    Parameters
    ----------
    n, l, m : int
        Samples, components and neurons.
    n_steps : int
        Steps of the descent.
    n_threads : int, default=1
        Threads share plain steps, the opening of windows, and checks; flips are computed
        one after the other.

    Returns
    -------
    is_worth_it : bool
        Whether it is estimated to be at least `_LEAST_GAIN` times as fast.
    """
    plain = n * m * _cost(_PLAIN, l) / n_threads
    checks = _cost(_CHECK, n) / n_threads + _cost(_CHECK_IN_TURN, n)
    flips = n * m**0.5
    by_events = (
        _CHECK_RATE * flips * checks
        + _FLIP_RATE * flips * _cost(_FLIP, n)
        + _STEP * n**2
        + n * m * _cost(_OPENING, l) / (LONGEST / 2) / n_threads
    )
    return (
        m >= _FEWEST_NEURONS
        and n <= _MOST_SAMPLES
        and plain * n_threads * n_steps >= _LEAST_WORK
        and plain >= _LEAST_GAIN * by_events
    )
