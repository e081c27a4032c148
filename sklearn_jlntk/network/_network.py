"""The two-layer ReLU network whose first layer is factorised, W = A B C.

Only B is trained. The input projection C is applied once, to the rows; the hidden
expansion A is applied at every step and gives the pre-activations of the neurons. With A
the identity this is the network of section 4 of Ailon and Shit (2022), with both C and A
the identity that of section 3.

Arrays are features-first: a sample is a column. Passes go over tiles of neurons and
samples, so that no array of (width, n_samples) numbers is ever formed.
"""

from dataclasses import dataclass
from functools import wraps

from sklearn_jlntk._backend.array_api import array_namespace, full_precision_matmul
from sklearn_jlntk.network._blocks import in_smaller_blocks
from sklearn_jlntk.network._passes import choose_pass
from sklearn_jlntk.operators import Dense, Identity, Operator, project_rows

__all__ = ["FactorizedNetwork"]


def _in_full_precision(method):
    """Method of a network whose products are not rounded to TF32, as they decide gates."""

    @wraps(method)
    def run(network, weights, features, *args, **kwargs):
        with full_precision_matmul(features):
            return method(network, weights, features, *args, **kwargs)

    return run


@dataclass(frozen=True, eq=False)
class FactorizedNetwork:
    r"""The map :math:`x \mapsto v^T \max(A B C x, 0) / \sqrt m` for any trained layer B.

    Parameters
    ----------
    input_projection : Operator of shape (n_components, n_inputs)
        :math:`C`, applied once to the rows.
    hidden_expansion : Operator of shape (width, effective_width)
        :math:`A`; an `Identity` gives the BC network.
    output_signs : array of shape (width,) or (width, n_outputs)
        :math:`v`, of entries -1 and +1, one column for each output.
    block_size : int, default=None
        Pre-activations held at a time. It bounds memory and makes no other difference.
        None is the number that a core's cache holds, :math:`2^{17}`, or on a GPU one for
        every 512 bytes of its memory.

    Notes
    -----
    A network holds the parts that are drawn once and never trained; methods take B as an
    argument.

    References
    ----------
    .. [1] N. Ailon and S. Shit, "Efficient NTK using dimensionality reduction",
       arXiv:2210.04807, 2022.
    """

    input_projection: Operator
    hidden_expansion: Operator
    output_signs: object
    block_size: int | None = None

    @classmethod
    def from_arrays(cls, C=None, A=None, *, v):
        """Network of the given matrices.

        Parameters
        ----------
        C : array of shape (n_components, n_inputs), default=None
            Input projection; None is the identity, inputs of any size.
        A : array of shape (width, effective_width), default=None
            Hidden expansion; None is the identity of size `width`.
        v : array of shape (width,) or (width, n_outputs)
            Output signs.

        Returns
        -------
        network : FactorizedNetwork
            Computes in the namespace, on the device and in the dtype of its arguments.
        """
        width = v.shape[0]
        if A is not None and A.shape[0] != width:
            raise ValueError(
                f"A has {A.shape[0]} rows and v has {width} entries; both count the "
                "neurons. Give A one row, and v one entry, for each neuron."
            )
        return cls(
            Identity((None, None), None) if C is None else Dense.from_matrix(C),
            Identity((width, width), None) if A is None else Dense.from_matrix(A),
            v,
        )

    @property
    def width(self):
        """Number of neurons, m."""
        return self.output_signs.shape[0]

    @property
    def n_outputs(self):
        """Number of outputs; they share the hidden layer."""
        return 1 if self.output_signs.ndim == 1 else self.output_signs.shape[1]

    @property
    def has_independent_neurons(self):
        """Whether A is the identity, so that neuron r depends on row r of B alone."""
        return isinstance(self.hidden_expansion, Identity)

    def signs_like(self, features):
        """Output signs as columns, in the namespace and dtype of the features.

        Parameters
        ----------
        features : array of shape (n_components, n_samples)
            Projected inputs.

        Returns
        -------
        signs : array of shape (width, n_outputs)
            One column where `output_signs` has one dimension.
        """
        xp = array_namespace(features)
        signs = xp.astype(self.output_signs, features.dtype)
        return xp.reshape(signs, (self.width, -1))

    def features(self, X):
        r"""Projected inputs :math:`C X^T`, computed once for a whole training.

        Parameters
        ----------
        X : {array, CSR} of shape (n_samples, n_inputs)
            Rows.

        Returns
        -------
        features : array of shape (n_components, n_samples)
            One column for each row of X.
        """
        return project_rows(self.input_projection, X)

    @_in_full_precision
    @in_smaller_blocks
    def outputs(self, weights, features):
        r"""Network outputs u, eq. (1).

        Parameters
        ----------
        weights : array of shape (effective_width, n_components)
            Trained layer B.
        features : array of shape (n_components, n_samples)
            Projected inputs.

        Returns
        -------
        outputs : array of shape (n_samples,) or (n_samples, n_outputs)
            Two-dimensional where `output_signs` is.
        """
        return self._outputs(weights, features)

    @_in_full_precision
    @in_smaller_blocks
    def value_and_gradient(
        self, weights, features, y, sample_weight=None, *, alpha=0.0, anchor=None
    ):
        r"""Loss :math:`\Phi(B)` of eq. (3) and its gradient in B.

        Parameters
        ----------
        weights : array of shape (effective_width, n_components)
            Trained layer B.
        features : array of shape (n_components, n_samples)
            Projected inputs.
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array of shape (n_samples,), default=None
            Weights :math:`w_i`; None is one for each sample.
        alpha : float, default=0.0
            Strength of the pull towards `anchor`.
        anchor : array of shape (effective_width, n_components), default=None
            :math:`B(0)`; None is zero. Without effect when `alpha` is 0.

        Returns
        -------
        loss : array of shape ()
            Sum over samples and outputs, not an average.
        gradient : array of shape (effective_width, n_components)
            Gradient of the loss in B.

        Notes
        -----
        .. math::

            \Phi(B) = \tfrac12 \sum_i w_i (y_i - u_i)^2
                      + \tfrac\alpha2 \lVert B - B(0) \rVert_F^2,
            \qquad
            \nabla \Phi = -\frac1{\sqrt m} \sum_i w_i (y_i - u_i)\, A^T z_i\, (C x_i)^T
                          + \alpha (B - B(0)),

        with :math:`z_i = v \circ 1[A B C x_i > 0]`; the sign in front of the sum is that
        of descent, where the paper's update rule prints the other one.

        Costs two products of (width x n_components) with the samples when A is the
        identity, else two applications of A to them.
        """
        xp = array_namespace(features)
        y = xp.reshape(y, (features.shape[1], -1))
        losses = []

        def cotangent(u, columns):
            residual = u - y[columns, :].T
            w = 1 if sample_weight is None else sample_weight[None, columns]
            losses.append(0.5 * xp.sum(w * residual * residual))
            return w * residual

        gradient = self._pullback(weights, features, cotangent)
        loss = sum(losses)
        if alpha:
            shift = weights if anchor is None else weights - anchor
            loss = loss + 0.5 * alpha * xp.sum(shift * shift)
            gradient = gradient + alpha * shift
        return loss, gradient

    @_in_full_precision
    @in_smaller_blocks
    def vjp(self, weights, features, cotangent):
        r"""Gradient in B of :math:`\sum_i s_i u_i`, the adjoint of the Jacobian times s.

        Parameters
        ----------
        weights : array of shape (effective_width, n_components)
            Trained layer B.
        features : array of shape (n_components, n_samples)
            Projected inputs.
        cotangent : array of shape (n_samples,) or (n_samples, n_outputs)
            :math:`s`.

        Returns
        -------
        gradient : array of shape (effective_width, n_components)
            :math:`J^T s`.
        """
        xp = array_namespace(features)
        s = xp.reshape(cotangent, (features.shape[1], -1))
        return self._pullback(weights, features, lambda _, columns: s[columns, :].T)

    @_in_full_precision
    @in_smaller_blocks
    def jvp(self, weights, features, direction):
        r"""Rate of change of the outputs as B moves along a direction.

        Parameters
        ----------
        weights : array of shape (effective_width, n_components)
            Trained layer B.
        features : array of shape (n_components, n_samples)
            Projected inputs.
        direction : array of shape (effective_width, n_components)
            :math:`\dot B`.

        Returns
        -------
        rate : array of shape (n_samples,) or (n_samples, n_outputs)
            :math:`J \dot B`; ``jvp(vjp(s))`` is the tangent kernel times s.
        """
        if direction is weights:
            return self._outputs(weights, features)  # u is homogeneous in B
        jvp = choose_pass("jvp", self, features)
        return self._as_targets(jvp(self, weights, features, direction))

    def tangent_kernel_product(self, weights, features):
        r"""Function :math:`s \mapsto J J^T s` at the given weights, over all outputs.

        Parameters
        ----------
        weights : array of shape (effective_width, n_components)
            Trained layer B.
        features : array of shape (n_components, n_samples)
            Projected inputs.

        Returns
        -------
        product : callable
            Takes and gives arrays of the shape of the outputs. The kernel of all outputs,
            ``n_samples * n_outputs`` on a side, is never formed.

        Notes
        -----
        A call costs a `vjp` and a `jvp` when A is the identity. Else the projected gates
        are computed once, :math:`k n` numbers an output, and a call costs
        :math:`O(n k \ell)` at any width.
        """
        if self.has_independent_neurons:
            return lambda s: self.jvp(weights, features, self.vjp(weights, features, s))
        gates = self._gates_by_output(weights, features)
        scale = 1 / self.width**0.5

        def product(s):
            xp = array_namespace(s)
            s = xp.reshape(s, (features.shape[1], -1)).T * scale
            back = sum(g * s[i, :] for i, g in enumerate(gates))
            direction = (back @ features.T) @ features
            image = xp.stack([xp.sum(g * direction, axis=0) for g in gates])
            return self._as_targets(image * scale)

        return product

    @_in_full_precision
    @in_smaller_blocks
    def projected_gates(self, weights, features):
        r"""Signed activation patterns seen through the expansion, :math:`A^T Z`.

        Parameters
        ----------
        weights : array of shape (effective_width, n_components)
            Trained layer B.
        features : array of shape (n_components, n_samples)
            Projected inputs.

        Returns
        -------
        projected_gates : array of shape (effective_width, n_samples)
            Column i is :math:`A^T z_i` with :math:`z_i = v \circ 1[A B C x_i > 0]`; with
            several outputs, of shape (n_outputs, effective_width, n_samples).
        """
        projected_gates = choose_pass("projected_gates", self, features)
        G = projected_gates(self, weights, features)
        return G[0, :, :] if self.output_signs.ndim == 1 else G

    @_in_full_precision
    @in_smaller_blocks
    def gate_products(self, weights, features, other_features=None):
        r"""Inner products of projected gates, :math:`\frac1m (A^T z_i)^T (A^T z_j)`.

        The factor of eqs. (5) and (21) that depends on B. With A the identity, it is the
        share of neurons active at both samples. With several outputs, their mean.

        Parameters
        ----------
        weights : array of shape (effective_width, n_components)
            Trained layer B.
        features : array of shape (n_components, n_samples)
            Projected inputs.
        other_features : array of shape (n_components, n_others), default=None
            Projected inputs on the other side; None is `features`.

        Returns
        -------
        products : array of shape (n_samples, n_others)
            Exactly symmetric when `other_features` is None.

        Notes
        -----
        Costs :math:`O(n^2 m)` operations when A is the identity, else :math:`O(n^2 k)`
        after one application of A and of its adjoint to the samples.
        """
        symmetric = other_features is None
        other_features = features if symmetric else other_features
        if self.has_independent_neurons:
            active_together = choose_pass("active_together", self, features)
            products = active_together(self, weights, features, other_features)
        else:
            products = 0.0
            G = self._gates_by_output(weights, features)
            G_other = G if symmetric else self._gates_by_output(weights, other_features)
            for g, g_other in zip(G, G_other, strict=True):
                products = products + g.T @ g_other
            products = products / (self.width * self.n_outputs)
        return (products + products.T) / 2 if symmetric else products

    def _gates_by_output(self, weights, features):
        """Projected gates, a list with one (k, n) array for each output."""
        G = self.projected_gates(weights, features)
        return [G] if G.ndim == 2 else [G[i, :, :] for i in range(G.shape[0])]

    def _outputs(self, weights, features):
        """Outputs in the shape of targets."""
        outputs = choose_pass("outputs", self, features)
        return self._as_targets(outputs(self, weights, features))

    def _pullback(self, weights, features, cotangent):
        """J^T s; `cotangent` is that of `NetworkPass.pullback`."""
        pullback = choose_pass("pullback", self, features)
        return pullback(self, weights, features, cotangent)

    def _as_targets(self, outputs):
        """Outputs (n_outputs, n_samples) in the shape of targets."""
        return outputs[0, :] if self.output_signs.ndim == 1 else outputs.T
