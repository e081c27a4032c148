"""Costs of gradient descent by the event solver and by plain steps.

Costs are in multiplications of a matrix product, as measured. They decide how steps are
taken and do not enter their results.
"""

from typing import NamedTuple

__all__ = ["LONGEST", "is_worth_it", "of_window"]

# Most steps of a window.
LONGEST = 128

# Costs of a plain step and of a window, per neuron and sample; of a check and of a flip,
# per sample; of a scan, per sample and component; of a step, per pair of samples.
_PLAIN_PAIR, _PAIR, _CHECK, _FLIP, _SCAN, _STEP = 11, 20, 14, 48, 40, 15
# Flips of a step over n sqrt(m), late in training, and checks for each flip.
_FLIP_RATE, _CHECKS_OF_FLIP = 0.04, 10
# Work of a fit by plain steps; below this, compiling takes longer than fitting. It is
# about ten seconds.
_LEAST_WORK = 1.5e11
# Most samples, as three matrices of n x n numbers are held, and fewest neurons.
_MOST_SAMPLES, _FEWEST_NEURONS = 5000, 1000


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
    return Work(
        opening=n * m * (4 * l + _PAIR),
        checks=n * _CHECK * n_checks,
        flips=n * _FLIP * n_flips,
        scans=n * _SCAN * l * n_scans,
        steps=2 * _STEP * n**2 * n_steps,
    )


def is_worth_it(n, l, m, n_steps, *, n_threads=1):
    """Whether a descent is faster by the event solver.

    Parameters
    ----------
    n, l, m : int
        Samples, components and neurons.
    n_steps : int
        Steps of the descent.
    n_threads : int, default=1
        Threads share plain steps and the products of windows; flips are computed one after
        the other.

    Returns
    -------
    is_worth_it : bool
        Whether it is estimated to be at least twice as fast, compiling included.
    """
    plain = 2 * n * m * (l + _PLAIN_PAIR) / n_threads
    flips = _FLIP_RATE * n * m**0.5
    by_events = (
        flips * n * (_CHECKS_OF_FLIP * _CHECK + _FLIP)
        + _STEP * n**2
        + 4 * n * m * l / (LONGEST / 2) / n_threads
    )
    return (
        m >= _FEWEST_NEURONS
        and n <= _MOST_SAMPLES
        and plain * n_steps >= _LEAST_WORK
        and plain >= 2 * by_events
    )
