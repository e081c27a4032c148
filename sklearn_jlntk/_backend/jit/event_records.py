"""Records of the event solver: arrays that belong together, and their shapes.

A descent has m neurons, l components and n samples. Arrays along samples that vector
instructions read are padded with zeros from n to a length called the pitch, a multiple of
`ROW_MULTIPLE`. A pair is a neuron and a sample. Floating arrays are float64.

numba compiles for named tuples. Their arrays are written to in place.
"""

from typing import NamedTuple

import numpy as np

__all__ = [
    "COUNTS",
    "Bounds",
    "Changes",
    "Counts",
    "Due",
    "Events",
    "Found",
    "Layer",
    "Motion",
    "Neurons",
    "Outputs",
    "Pairs",
    "Products",
    "Reach",
    "Tile",
]


class Neurons(NamedTuple):
    """Neurons of a network with one output.

    Parameters
    ----------
    gates : uint8 ndarray of shape (m, pitch / LANES)
        A byte for each vector of samples, whose low bits are the gates.
    readout : ndarray of shape (m,)
        Output weights, the signs over the root of m.
    rates : ndarray of shape (m,)
        Learning rate times readout.
    """

    gates: np.ndarray
    readout: np.ndarray
    rates: np.ndarray


class Layer(NamedTuple):
    """Factors of the pre-activations.

    Parameters
    ----------
    features : ndarray of shape (l, n)
        Projected inputs.
    weights : ndarray of shape (m, l)
        Trained layer at the start of the window.
    anchor : ndarray of shape (m, l)
        Weights that the penalty pulls to.
    """

    features: np.ndarray
    weights: np.ndarray
    anchor: np.ndarray


class Products(NamedTuple):
    """Products of the samples.

    Parameters
    ----------
    gram : ndarray of shape (n, pitch)
        Inner products G of the features.
    half : ndarray of shape (n, pitch)
        Half of the tangent kernel H, which is its sum with its transpose.
    """

    gram: np.ndarray
    half: np.ndarray


class Motion(NamedTuple):
    """Residuals that have moved the weights since the window began.

    Parameters
    ----------
    sums : ndarray of shape (pitch,)
        Sums S of the weighted residuals over the steps, shrunk by the penalty.
    residuals : ndarray of shape (pitch,)
        Weighted residuals s of the next step.
    shrunk : float
        Share of the distance from the anchor that the penalty has left.
    """

    sums: np.ndarray
    residuals: np.ndarray
    shrunk: float


class Outputs(NamedTuple):
    """Outputs of the network.

    Parameters
    ----------
    residual : ndarray of shape (n,)
        Outputs less targets.
    from_anchor : ndarray of shape (n,)
        Outputs less those of the anchor through the present gates.
    """

    residual: np.ndarray
    from_anchor: np.ndarray


class Tile(NamedTuple):
    """Pre-activations of a block of neurons, and how far they go in a window.

    Parameters
    ----------
    values : ndarray of shape (b, pitch)
        Pre-activations P at the start.
    shift : ndarray of shape (b, pitch)
        Their predicted change over the window.
    rest : ndarray of shape (b, pitch)
        Pre-activations at the anchor; any array of this shape without a penalty.
    has_rest : bool
        Whether there is a penalty.
    """

    values: np.ndarray
    shift: np.ndarray
    rest: np.ndarray
    has_rest: bool


class Reach(NamedTuple):
    """How far a pre-activation may be from the chord of its path.

    Parameters
    ----------
    strays : ndarray of shape (n,)
        Distance of the predicted path from its chord.
    slopes : ndarray of shape (n,)
        Distance for each step, from residuals and flips that are not predicted.
    curve : float
        Distance for each unit between the pre-activation and its rest.
    length : float
        Steps of the window.
    """

    strays: np.ndarray
    slopes: np.ndarray
    curve: float
    length: float


class Found(NamedTuple):
    """Pairs that may flip within a window.

    Parameters
    ----------
    neurons, samples : int32 ndarrays of shape (room,)
        The pairs.
    starts, rests : ndarrays of shape (room,)
        Pre-activations at the start of the window and at the anchor.
    steps : int32 ndarray of shape (room,)
        First step of the window at which the pair could flip.
    """

    neurons: np.ndarray
    samples: np.ndarray
    starts: np.ndarray
    rests: np.ndarray
    steps: np.ndarray


class Pairs(NamedTuple):
    """Pairs that may flip within the window, in linked lists by the step to look at them.

    Parameters
    ----------
    neurons, samples : int32 ndarrays of shape (room,)
        The pairs.
    starts, rests : ndarrays of shape (room,)
        Pre-activations at the start of the window and at the anchor.
    scans : int32 ndarray of shape (room,)
        Number of scans of the neuron when the pair was listed; a pair is void once its
        neuron has been scanned more often.
    following : int32 ndarray of shape (room,)
        Next pair of the list, -1 at its end.
    heads : int32 ndarray of shape (length + 1,)
        First pair of the list of each step, -1 where it is empty.
    """

    neurons: np.ndarray
    samples: np.ndarray
    starts: np.ndarray
    rests: np.ndarray
    scans: np.ndarray
    following: np.ndarray
    heads: np.ndarray


class Changes(NamedTuple):
    """Corrections of the gated sums by flips within the window, in a list by neuron.

    Parameters
    ----------
    firsts : int32 ndarray of shape (m,)
        First change of each neuron, -1 where there is none.
    samples : int32 ndarray of shape (room,)
        Sample of the flip.
    amounts : ndarray of shape (room,)
        Added to the sum of the residuals at this sample.
    scans : int32 ndarray of shape (room,)
        Number of scans of the neuron when the change last used up allowance.
    following : int32 ndarray of shape (room,)
        Next change of the neuron, -1 at the end.
    """

    firsts: np.ndarray
    samples: np.ndarray
    amounts: np.ndarray
    scans: np.ndarray
    following: np.ndarray


class Bounds(NamedTuple):
    """How far a pre-activation may be from a straight line.

    Parameters
    ----------
    bends : ndarray of shape (length + 1, n)
        Largest change of the speed in a step, from this step of the window on.
    slack : ndarray of shape (n,)
        Speed from residuals that are not as predicted.
    per_flip : ndarray of shape (n,)
        Speed that a flip at this sample adds at other samples.
    allowance : float
        Speed that flips may add to a neuron before it is scanned.
    pull : float
        Learning rate times penalty.
    """

    bends: np.ndarray
    slack: np.ndarray
    per_flip: np.ndarray
    allowance: float
    pull: float


class Events(NamedTuple):
    """State of the flips of a window.

    Parameters
    ----------
    pairs : Pairs
        Pairs that may flip.
    changes : Changes
        Flips so far.
    bounds : Bounds
        How soon a pair may flip.
    counts : int64 ndarray of shape (6,)
        Numbers at the places of `COUNTS`.
    scans : int32 ndarray of shape (m,)
        Number of scans of each neuron.
    used : ndarray of shape (m,)
        Allowance that the flips of each neuron have used up since its last scan.
    """

    pairs: Pairs
    changes: Changes
    bounds: Bounds
    counts: np.ndarray
    scans: np.ndarray
    used: np.ndarray


class Due(NamedTuple):
    """Pairs to look at in a step.

    Parameters
    ----------
    pairs : int64 ndarray of shape (n_due,)
        Places in `Pairs`, those of a sample together.
    values : ndarray of shape (n_due,)
        Their pre-activations.
    speeds : ndarray of shape (n_due,)
        Change of the pre-activations in a step.
    """

    pairs: np.ndarray
    values: np.ndarray
    speeds: np.ndarray


class Counts(NamedTuple):
    """Places of the numbers that a window counts; `is_full`: no room for more pairs."""

    pairs: int = 0
    changes: int = 1
    checks: int = 2
    flips: int = 3
    scans: int = 4
    is_full: int = 5


COUNTS = Counts()
