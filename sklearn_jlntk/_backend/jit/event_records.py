"""Records of the event solver: arrays that belong together, and their shapes.

A descent has m neurons, l components and n samples. Arrays along samples that vector
instructions read are padded with zeros from n to a length called the pitch, a multiple of
`ROW_MULTIPLE`. A pair is a neuron and a sample. Floating arrays are float64.

numba compiles for named tuples. Their arrays are written to in place.
"""

from typing import NamedTuple

import numpy as np

__all__ = [
    "CHUNK",
    "CHUNK_LENGTH",
    "COUNTS",
    "NEURON",
    "PAIR_LENGTH",
    "REST",
    "SAMPLE",
    "SCAN",
    "START",
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
    gates : uint8 ndarray of shape (m, pitch / 8)
        A bit for each sample.
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


# Numbers of a pair, half a line of the cache: pre-activations at the start of the window
# and at the anchor; and, among the same bytes as int32, the neuron, the sample, and the
# number of scans of the neuron when the pair was listed. It is void once its neuron has
# been scanned more often.
PAIR_LENGTH = 4
START, REST = 0, 1
NEURON, SAMPLE, SCAN = 4, 5, 6
# Pairs of a chunk of a list, and its length with the chunk before and the count.
CHUNK = 30
CHUNK_LENGTH = CHUNK + 2


class Found(NamedTuple):
    """Pairs that may flip within a window.

    Parameters
    ----------
    pairs : ndarray of shape (room, PAIR_LENGTH)
        The pairs.
    steps : int32 ndarray of shape (room,)
        First step of the window at which the pair could flip.
    """

    pairs: np.ndarray
    steps: np.ndarray


class Pairs(NamedTuple):
    """Pairs that may flip within the window, in lists by the step to look at them.

    Parameters
    ----------
    pairs : ndarray of shape (room, PAIR_LENGTH)
        The pairs.
    chunks : int32 ndarray of shape (n_chunks, CHUNK_LENGTH)
        Pieces of lists: the piece before, -1 for none, the number of pairs, and these.
    heads : int32 ndarray of shape (length + 1,)
        Last piece of the list of each step, -1 where it is empty.
    """

    pairs: np.ndarray
    chunks: np.ndarray
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
    counts : int64 ndarray of shape (8,)
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
    """Pairs to look at in a step, those of a sample together.

    Parameters
    ----------
    places : int32 ndarray of shape (n_due,)
        Places in `Pairs`.
    pairs : ndarray of shape (n_due, PAIR_LENGTH)
        The pairs themselves.
    values : ndarray of shape (n_due,)
        Their pre-activations.
    speeds : ndarray of shape (n_due,)
        Change of the pre-activations in a step.
    steps : int32 ndarray of shape (n_due,)
        Next step to look at the pair, -1 where it has crossed zero.
    """

    places: np.ndarray
    pairs: np.ndarray
    values: np.ndarray
    speeds: np.ndarray
    steps: np.ndarray


class Counts(NamedTuple):
    """Places of the numbers that a window counts.

    `is_full`: the lists of pairs are full; `chunks`: pieces of lists that have been in use;
    `free`: one more than the last piece that is not in use any more.
    """

    pairs: int = 0
    changes: int = 1
    checks: int = 2
    flips: int = 3
    scans: int = 4
    is_full: int = 5
    chunks: int = 6
    free: int = 7


COUNTS = Counts()
