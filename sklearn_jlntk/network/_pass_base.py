"""Interface of a pass: a computation that visits every neuron at every sample."""

__all__ = ["NetworkPass"]


class NetworkPass:
    r"""One implementation of the passes of a network, which holds no state.

    A subclass says in `applies_to` for which networks and samples it is meant, and defines
    those of the other methods that it computes. `sklearn_jlntk.network._passes` chooses
    among the subclasses, for each method by itself.

    Notes
    -----
    In the shapes below, B has `effective_width` rows and `n_components` columns, and Y
    stands for the features, of shape (n_components, n_samples). The pre-activations are
    :math:`P = A B Y`, the gates :math:`1[P > 0]`, and the outputs
    :math:`u = v^T \max(P, 0) / \sqrt m`, one row for each output; J is their Jacobian in
    B. The column of output q for sample i is :math:`z_{qi} = v_q \circ 1[P_i > 0]`.

    A pass may read these attributes of a network: `width`, `n_outputs`, `output_signs`,
    `hidden_expansion`, `has_independent_neurons`, `signs_like` and `block_size`. It
    writes to none of its arguments.
    """

    def applies_to(self, network, features):
        """Whether this pass is meant for a network and samples.

        Parameters
        ----------
        network : FactorizedNetwork
            Its operators and sizes count.
        features : array of shape (n_components, n_samples)
            Their library, dtype and sizes count, and their values do not.

        Returns
        -------
        applies : bool
            The methods that the class defines may be called.
        """
        raise NotImplementedError

    def outputs(self, network, weights, features):
        """Network outputs u.

        Parameters
        ----------
        network : FactorizedNetwork
            Gives A and v.
        weights : array of shape (effective_width, n_components)
            Trained layer B.
        features : array of shape (n_components, n_samples)
            Projected inputs Y.

        Returns
        -------
        u : array of shape (n_outputs, n_samples)
            Outputs.
        """
        raise NotImplementedError

    def jvp(self, network, weights, features, direction):
        r"""Rate of change :math:`J \dot B` of the outputs.

        Parameters
        ----------
        network, weights, features
            As for `outputs`.
        direction : array of shape (effective_width, n_components)
            Rate of change of the weights.

        Returns
        -------
        rates : array of shape (n_outputs, n_samples)
            Rates of change, at the gates of the weights.
        """
        raise NotImplementedError

    def pullback(self, network, weights, features, cotangent):
        r"""Adjoint :math:`J^T s`, where s may depend on the outputs.

        Parameters
        ----------
        network, weights, features
            As for `outputs`.
        cotangent : callable
            ``cotangent(u, columns)`` gives s of shape (n_outputs, p) for the slice
            `columns` of p samples, from their outputs u of shape (n_outputs, p). It is
            called once for each of the slices that the samples are cut into, in order.

        Returns
        -------
        gradient : array of shape (effective_width, n_components)
            Sum over outputs and samples.
        """
        raise NotImplementedError

    def projected_gates(self, network, weights, features):
        r"""Signed gates seen through the expansion, :math:`A^T z_{qi}`.

        Parameters
        ----------
        network, weights, features
            As for `outputs`.

        Returns
        -------
        projected_gates : array of shape (n_outputs, effective_width, n_samples)
            A column for each output and sample.
        """
        raise NotImplementedError

    def active_together(self, network, weights, features, other_features):
        """Share of the neurons that are active at both of two samples.

        Parameters
        ----------
        network, weights, features
            As for `outputs`; the neurons are independent.
        other_features : array of shape (n_components, n_others)
            Projected inputs of the other samples; may be `features` itself.

        Returns
        -------
        shares : array of shape (n_samples, n_others)
            Numbers from 0 to 1.
        """
        raise NotImplementedError

    @classmethod
    def computes(cls, method):
        """Whether the class defines a method of this name itself."""
        return getattr(cls, method) is not getattr(NetworkPass, method)
