r"""Gradient descent of a network of independent neurons, by the events between its steps.

While no gate flips, the step :math:`r \leftarrow (I - \eta H) r` of the residuals is the
whole of gradient descent, and it costs :math:`n^2` operations instead of :math:`n m \ell`.
Gates do flip, in each step a few of all pairs of a neuron and a sample. Here they are
found without looking at the others, so that the steps are those of gradient descent, to
rounding, gate by gate.

A window of steps begins with matrix products: they form the weights, give each
pre-activation P, and how far it will go in the window if the residuals are those that the
present H predicts and no gate of its neuron flips. Bounds on all that may differ leave
most pairs unable to cross zero. The others are listed by the first step at which they
could. When a step comes to a pair, its pre-activation is evaluated in n operations,

.. math:: P_{rj} - \tfrac{\eta v_r}{\sqrt m} \sum_i G_{ij} (z_{ri} S_i + d_{ri}),

with S the sums of the residuals since the window began, z the gates and d what is left of
gates that flipped in between. A pair that has crossed flips, and adds a row to H; then it
is listed for the next step at which it could cross. Neurons with many flips have all their
pairs looked at anew. The window ends at its length, or as soon as the residuals have
left the bound around what was predicted.

With a penalty, S and d shrink by :math:`1 - \eta\alpha` in each step, and so does the
distance of the weights from their anchor.
"""

import numpy as np

from sklearn_jlntk._backend.jit import events, has_events
from sklearn_jlntk._backend.slices import batches
from sklearn_jlntk._backend.threads import map_blocks, n_threads_for
from sklearn_jlntk.gradient_descent import _event_costs
from sklearn_jlntk.gradient_descent._event_bounds import SampleSpace
from sklearn_jlntk.operators import Identity

# Steps taken one by one before the first window: they flip too many gates.
_DIRECT_STEPS = 16
# Fewer steps are not worth it.
_FEWEST_STEPS = 50
# Most that the penalty may take off the weights in a step.
_MOST_SHRINKAGE = 0.1
# Steps of the first window, and the factor from one window to the next.
_FIRST_LENGTH, _GROWTH = 8, 1.5
# Flips of a neuron that the bounds leave room for, over the root of the samples, for the
# speed of a pre-activation is that of a random sum over them; it adapts.
_FLIPS_OF_NEURON = 0.25
# Share of the residuals' norm by which they may leave the prediction; it adapts, and
# stays above rounding.
_DRIFT, _LEAST_DRIFT = 0.02, 1e-7
# Numbers of a tile that stays in cache.
_TILE = 2**16


def serves(network, samples, shrinkage, n_steps):
    """Whether these steps are taken faster here than one by one; sizes and threads decide.

    `shrinkage` is the learning rate times the penalty; where it is large, a descent is
    soon over.
    """
    features, targets, _ = samples
    return (
        isinstance(network.hidden_expansion, Identity)
        and targets.ndim == 1
        and n_steps >= _FEWEST_STEPS
        and shrinkage <= _MOST_SHRINKAGE
        and _event_costs.is_worth_it(
            *(*features.shape[::-1], network.width, n_steps),
            n_threads=n_threads_for(network.width * features.shape[1]),
        )
        and has_events(features)
    )


def descend(
    network,
    samples,
    alpha,
    anchor,
    value_and_gradient,
    weights,
    learning_rate,
    n_steps,
):
    """Weights and loss at the start and after each step, in turn.

    After the first steps, weights are functions without arguments that form them.
    """
    loss, gradient = value_and_gradient(weights)
    yield weights, float(loss)
    n_taken = 0
    # Rounding must not make more of a loss that is zero.
    while n_taken < n_steps and (n_taken < _DIRECT_STEPS or loss == 0):
        weights = weights - learning_rate * gradient
        loss, gradient = value_and_gradient(weights)
        n_taken += 1
        yield weights, float(loss)
    if n_taken < n_steps:
        descent = EventDescent(
            network, samples, alpha, anchor, value_and_gradient, weights, learning_rate
        )
        for step, loss in enumerate(descent.losses(n_steps - n_taken), start=1):
            yield _Weights(descent, step), loss


class _Weights:
    """Weights after a step, formed when they are called."""

    def __init__(self, descent, step):
        self._descent, self._step = descent, step

    def __call__(self):
        return self._descent.weights_after(self._step)


class EventDescent:
    """Descent from given weights, in float64, for one output.

    Arrays over samples that vectors run along are padded with zeros to `_pitch`.
    """

    def __init__(
        self,
        network,
        samples,
        alpha,
        anchor,
        value_and_gradient,
        weights,
        learning_rate,
    ):
        features, targets, sample_weight = samples
        self._jit, n = events(), features.shape[1]
        self._value_and_gradient = value_and_gradient
        # Compiled for one kind of array, whatever kind came in.
        self._features, self._anchor = (
            np.require(array, requirements="CW") for array in (features, anchor)
        )
        self._n, self._targets = n, targets
        self._sample_weight = np.ones(n) if sample_weight is None else sample_weight
        self._eta, self._alpha, self._drift = learning_rate, alpha, _DRIFT
        self._readout = network.signs_beside(features)[:, 0] * network.width**-0.5
        self._rates = learning_rate * self._readout
        self._space = SampleSpace(
            self._features,
            network.gate_products(weights, self._features),
            self._sample_weight,
            network.width**-0.5,
            rate=learning_rate,
            alpha=alpha,
        )
        self._pitch = self._space.pitch
        self._blocks = list(batches(network.width, max(16, _TILE // self._pitch)))
        self._gates = np.zeros(
            (network.width, self._pitch // self._jit.LANES), np.uint8
        )
        # Of the steps so far, and of those since the window began.
        self._n_steps, self._base, self._is_whole = 0, (weights, 0), True
        self._residual, self._behind, self._s = np.zeros(n), np.zeros(n), self._row()
        self._sums, self._shrunk, self._changes, self._now = self._row(), 1.0, None, 0
        self._square, self._flips_of_neuron = 0.0, _FLIPS_OF_NEURON * n**0.5
        self._set_outputs(self._map(self._read_block))

    def _row(self):
        return np.zeros(self._pitch)

    def _map(self, work):
        """Results of `work(rows, weights)` for blocks of neurons."""
        weights = self._base[0]
        return map_blocks(
            lambda rows: work(rows, weights),
            *(self._blocks, self._features, len(self._rates)),
        )

    def losses(self, n_steps):
        """Loss after each step."""
        length, growth, cost = _FIRST_LENGTH, _GROWTH, np.inf
        while self._n_steps < n_steps:
            last = self._n_steps
            self._open_window(min(int(length), n_steps - last))
            while self._now < self._forecast.length:
                loss, is_over = self._step()
                yield loss
                if is_over:
                    break
            last_cost, cost = cost, self._cost() / (self._n_steps - last)
            if cost > 1.02 * last_cost:
                growth = 1 / growth
            length = min(length, 1.5 * self._now) * growth
            length = min(max(length, _FIRST_LENGTH), _event_costs.LONGEST)

    def weights_after(self, step):
        """Weights after a step; in turns with `losses`, they cost one matrix product.

        After an interruption amid a step the steps of its window are taken anew.
        """
        if self._is_whole and step == self._n_steps:
            return np.concatenate(self._map(self._fold_block))
        weights, first = self._base
        for _ in range(step - first):
            _, gradient = self._value_and_gradient(weights)
            weights = weights - self._eta * gradient
        return weights

    def _cost(self):
        """What the window has cost, in multiplications of a matrix product.

        The flips that the bounds leave room for are balanced by the way: more of them
        are more checks, fewer are more scans.
        """
        counted = self._jit.COUNTS
        work = _event_costs.of_window(
            *(self._n, len(self._features), len(self._rates), self._now),
            n_checks=self._counts[counted.checks],
            n_flips=self._counts[counted.flips],
            n_scans=self._counts[counted.scans],
        )
        if work.scans > 0.25 * work.checks:
            self._flips_of_neuron *= 1.25
        elif work.scans < 0.05 * work.checks:
            self._flips_of_neuron *= 0.8
        return sum(work)

    # Blocks of neurons.

    def _tile(self, rows):
        return np.zeros((rows.stop - rows.start, self._pitch))

    def _product(self, weights):  # (p, pitch)
        """Weights times features."""
        tile = np.zeros((len(weights), self._pitch))
        np.matmul(weights, self._features, out=tile[:, : self._n])
        return tile

    def _rest(self, rows):
        """Pre-activations at the anchor where the penalty pulls to them, else None."""
        return self._product(self._anchor[rows]) if self._alpha else None

    def _outputs_of(self, rows, P, rest):
        """Sums over a block: of outputs, and of outputs less those of the anchor."""
        u, behind = self._row(), self._row()
        self._jit.add_outputs(P, self._readout[rows], u)
        if rest is not None:
            # Its own sum over the gates, so that the two agree at pairs that are zero.
            self._jit.add_gated_outputs(
                P - rest, self._readout[rows], self._gates[rows], behind
            )
        return u, behind

    def _read_block(self, rows, weights):
        """Close the gates of a block; its sums."""
        P = self._product(weights[rows])
        self._jit.close_gates(P, self._gates[rows])
        return self._outputs_of(rows, P, self._rest(rows))

    def _fold_block(self, rows, weights):
        """Weights of a block after the steps of the window so far."""
        tile = self._tile(rows)
        self._jit.open_gates(tile, self._rates[rows], self._gates[rows], self._sums)
        if self._changes is not None:
            scale = self._rates[rows] * self._shrunk
            self._jit.add_changes(tile, rows.start, scale, self._changes)
        moved = tile[:, : self._n] @ self._features.T
        if self._alpha:
            away = weights[rows] - self._anchor[rows]
            return self._anchor[rows] + (self._shrunk * away - moved)
        return weights[rows] - moved

    def _open_block(self, rows, weights, folded):
        """Fold a block; its sums, and its pairs that may cross in the window to come."""
        folded[rows] = self._fold_block(rows, weights)
        P, rest = self._product(folded[rows]), self._rest(rows)
        shift, forecast = self._tile(rows), self._forecast
        self._jit.open_gates(shift, -self._rates[rows], self._gates[rows], forecast.end)
        moved = shift[:, : self._n] @ self._features.T
        np.matmul(moved, self._features, out=shift[:, : self._n])
        if rest is not None:
            shift += (forecast.shrunk - 1) * (P - rest)
        return *self._outputs_of(rows, P, rest), self._find(rows, P, shift, rest)

    def _find(self, rows, P, shift, rest):
        """Neurons, samples, P, rest and steps of pairs that may cross."""
        room, forecast = P.size // 16, self._forecast
        while True:
            dtypes = (np.int32, np.int32, np.float64, np.float64, np.int32)
            found = tuple(np.empty(room, dtype) for dtype in dtypes)
            has_rest = rest is not None
            count = self._jit.find_pairs(
                *(P, shift, rest if has_rest else P, has_rest, self._gates[rows]),
                *(forecast.strays, forecast.slopes, forecast.curve),
                *(float(forecast.length), found),
            )
            if count <= room:
                found[0][:count] += rows.start
                return [part[:count].copy() for part in found]
            room = count

    # Windows.

    def _open_window(self, length):
        """Form the weights, and list what may flip in the steps to come."""
        self._is_whole = False
        self._forecast = self._space.predict(
            *(self._s, self._residual, self._behind),
            length=length,
            drift=self._drift,
            n_flips=self._flips_of_neuron,
        )
        folded = np.empty_like(self._base[0])
        results = self._map(lambda *block: self._open_block(*block, folded))
        if self._alpha:
            self._square = float(np.sum((folded - self._anchor) ** 2))
        *outputs, found = zip(*results, strict=True)
        self._set_outputs(zip(*outputs, strict=True))
        self._set_pairs([np.concatenate(part) for part in zip(*found, strict=True)])
        self._base = (folded, self._n_steps)
        self._sums[:] = 0
        self._shrunk, self._now, self._is_whole = 1.0, 0, True

    def _set_outputs(self, blocks):
        """Residuals from the sums over blocks."""
        u, behind = (
            np.sum(part, axis=0)[: self._n] for part in zip(*blocks, strict=True)
        )
        self._residual[:] = u - self._targets
        self._behind[:] = behind
        self._s[: self._n] = self._sample_weight * self._residual

    def _set_pairs(self, found):
        """Lists of pairs by their step, and an empty list of changes for each neuron."""
        *columns, steps = found
        width, count = len(self._rates), len(steps)
        room = count + count // 5 + 64 * self._n
        padded = [np.empty(room, column.dtype) for column in columns]
        for column, part in zip(padded, columns, strict=True):
            column[:count] = part
        self._pairs = self._jit.Pairs(
            *padded,
            scans=np.zeros(room, np.int32),
            following=np.empty(room, np.int32),
            heads=np.full(len(self._forecast.path), -1, np.int32),
        )
        self._jit.list_pairs(steps, self._pairs)
        self._counts = np.zeros(len(self._jit.COUNTS), np.int64)
        self._counts[self._jit.COUNTS.pairs] = count
        self._changes = self._jit.Changes(
            np.full(width, -1, np.int32),
            *(np.empty(self._n, dtype) for dtype in (np.int32, np.float64)),
            *(np.empty(self._n, np.int32) for _ in range(2)),
        )
        self._scans, self._used = np.zeros(width, np.int32), np.zeros(width)

    # Steps.

    def _step(self):
        """One step: its loss, and whether the window is over before its time."""
        self._is_whole = False
        s = self._s[: self._n]
        change = self._space.change(self._s, self._behind)
        shrinkage = self._space.shrinkage
        if self._alpha:
            image = change + self._eta * self._alpha * self._behind  # - eta H s
            cross = float(s @ (2 * shrinkage * self._behind + image))
            self._square = shrinkage**2 * self._square - self._eta * cross
        self._residual += change
        self._behind += change
        self._sums *= shrinkage
        self._sums += self._s
        self._shrunk *= shrinkage
        self._now += 1
        self._take_events(self._forecast.path[self._now])
        np.multiply(self._sample_weight, self._residual, out=s)
        off = np.linalg.norm(s - self._forecast.path[self._now, : self._n])
        loss = 0.5 * float(s @ self._residual + self._alpha * self._square)
        self._n_steps += 1
        self._is_whole = True
        is_over = off > self._forecast.off
        if is_over or self._now == self._forecast.length:
            # What was needed and some more, but not less than a fraction of what was.
            needed = 1.3 * self._drift * off / max(self._forecast.off, 1e-300)
            self._drift = max(needed, self._drift / 8, _LEAST_DRIFT)
        return loss, is_over or self._counts[self._jit.COUNTS.is_full] > 0

    def _take_events(self, predicted):
        """Flip what crosses at this step."""
        jit = self._jit
        due = jit.due_pairs(self._now, self._pairs, self._scans, self._n)
        if not len(due):
            return
        self._make_room(len(due))
        bounds, space = self._forecast.bounds, self._space
        P, Q = np.empty(len(due)), np.empty(len(due))
        jit.evaluate(
            *(due, self._pairs, self._changes, self._gates, space.gram, self._rates),
            *(self._sums, predicted, self._shrunk, bounds.pull, P, Q),
        )
        to_scan = np.empty(len(due), np.int64)
        n_scans = jit.flip(
            *(due, self._now, P, Q, self._pairs, self._changes, bounds),
            *(self._counts, self._gates, space.gram, space.half, self._rates),
            *(self._readout, self._sums, predicted, self._shrunk),
            *(self._residual, self._behind, self._scans, self._used, to_scan),
        )
        for r in to_scan[:n_scans]:
            jit.scan(
                *(r, self._now, self._pairs, self._changes, bounds),
                *(self._counts, self._gates, self._features, self._base[0]),
                *(self._anchor, self._rates, self._sums, predicted, self._shrunk),
                *(self._scans, self._used),
            )

    def _make_room(self, n_more):
        """Room for so many more changes."""
        firsts, *columns = self._changes
        if self._counts[self._jit.COUNTS.changes] + n_more > len(columns[0]):
            more = len(columns[0]) + n_more
            columns = [np.append(part, np.empty(more, part.dtype)) for part in columns]
            self._changes = self._jit.Changes(firsts, *columns)
