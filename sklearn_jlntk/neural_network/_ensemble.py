"""Samples of a Gaussian process posterior by an ensemble of networks."""

import math
from contextlib import closing
from numbers import Integral

from sklearn.base import BaseEstimator, RegressorMixin, _fit_context, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import (
    array_namespace,
    available_device,
    from_host,
    host_or_cuda,
    to_host,
)
from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk._validation import Interval, ReleasedMixin, check_same_namespace
from sklearn_jlntk.neural_network._members import prior_outputs, train_members
from sklearn_jlntk.neural_network._prediction import by_chunks, values_of_rows
from sklearn_jlntk.neural_network._regressor import JLFactorizedNTKRegressor
from sklearn_jlntk.neural_network._samples import Start, training_data

__all__ = ["JLFactorizedNTKEnsemble"]


class JLFactorizedNTKEnsemble(RegressorMixin, ReleasedMixin, BaseEstimator):
    r"""Bayesian regression by networks that are samples of a posterior.

    One network is trained on the targets and predicts the mean. Further networks of the
    same draw of C, A, v and B(0) are trained on targets with noise, minus a random prior
    that is added back to their predictions. In the kernel regime each of them is an exact
    sample of the posterior of a Gaussian process [1]_, whose covariance is :math:`s^2
    H(0)` and whose noise has the variance :math:`s^2 \alpha`.

    Parameters
    ----------
    estimator : JLFactorizedNTKRegressor, default=None
        Network to train, with ``alpha > 0``; it is cloned. None is one with ``alpha=1.0``
        and ``tol=1e-5``.
    n_estimators : int, default=16
        Number of samples S, of networks beside that of the mean.
    random_state : int, RandomState instance or None, default=None
        Draws the priors and the noise; and C, A, v and B(0) if `estimator` has the
        `random_state` None.

    Attributes
    ----------
    estimator_ : JLFactorizedNTKRegressor
        Network that is trained on the targets as they are.
    member_weights_ : array of shape (n_estimators, effective_width, n_components)
        Trained layers B of the samples.
    member_directions_ : array of shape (n_estimators, effective_width, n_components)
        Z, from which the priors of the samples are.
    prior_scale_ : float or array of shape (n_outputs,)
        Scale s of the prior in the unit of y, for which the targets are most likely.
    noise_scale_ : float or array of shape (n_outputs,)
        Standard deviation of the noise of a row of typical weight, in the unit of y.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen in `fit`. Only where X has string names.

    See Also
    --------
    NTKKernel : The exact posterior of the kernel of infinite width, for a few thousand
        rows, with alpha by leave-one-out.
    JLFactorizedNTKRegressor : One network.

    Notes
    -----
    With J(x) the gradient of the outputs in B at B(0), member s has the prior
    :math:`g_s(x) = s J(x) Z_s` with :math:`Z_s` of independent normal entries. It is
    trained on :math:`y + \epsilon_s - g_s`, with noise :math:`\epsilon_s` of variance
    :math:`s^2 \alpha / w_i`, and predicts :math:`g_s(x) + u(x; B_s) - u(x; B(0))`. While
    the outputs are linear in B, that is

    .. math:: g_s(x) + k_x^T (K + \alpha W^{-1})^{-1} (y + \epsilon_s - g_s),

    a sample of the posterior. It holds up to :math:`O(m^{-1/2})` for BC networks, and
    :math:`O(k^{-1/2})` for ABC ones. Standard deviations over S samples have a relative
    error of about :math:`(2 S)^{-1/2}`.

    The scale of the prior has the largest likelihood, :math:`s^2 = y^T (K + \alpha
    W^{-1})^{-1} y / n`, which the residuals of the first network give. `alpha`, the
    variance of the noise over that of the prior, is not chosen here;
    ``NTKKernel(alpha="loo").fit(X, y).alpha_`` is a good value.

    The penalty has its effect after about :math:`1 / (\eta \alpha)` steps. If training ends
    earlier, standard deviations are too large, and `fit` warns.

    The members share the sketched rows, and each is trained by a thread of its own. They
    are held in memory, also for rows on disk.

    References
    ----------
    .. [1] B. He, B. Lakshminarayanan and Y. W. Teh, "Bayesian deep ensembles via the
       neural tangent kernel", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk import JLFactorizedNTKEnsemble, JLFactorizedNTKRegressor
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> network = JLFactorizedNTKRegressor(width=1024, alpha=0.1, max_iter=2000)
    >>> ensemble = JLFactorizedNTKEnsemble(network, random_state=0)
    >>> ensemble = ensemble.fit(X, np.sin(3 * X[:, 0]))
    >>> y, std = ensemble.predict([[0.0], [3.0]], return_std=True)
    >>> bool(std[1] > 2 * std[0])
    True
    """

    _parameter_constraints: dict = {
        "estimator": [JLFactorizedNTKRegressor, None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator=None, *, n_estimators=16, random_state=None):
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Train the network of the mean, and the samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows: an array of any namespace or on disk (`out_of_core.RowChunks`), or CSR.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. The outputs share the hidden layer.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row given twice.

        Returns
        -------
        self : JLFactorizedNTKEnsemble
            Fitted estimator.

        Raises
        ------
        ValueError
            If the input is not valid, `alpha` of the network is not positive, or it stops
            early. The ensemble is then as it was before.
        """
        random = check_random_state(self.random_state)
        network_seed, seed = random.randint(2**31 - 1, size=2)
        network = self._network(int(network_seed)).fit(X, y, sample_weight)
        _warn_if_unsettled(network)
        X, y, sample_weight = network._check(X, y, sample_weight, reset=False)
        with closing(training_data(network, X, y, sample_weight)) as data:
            members = train_members(network, data, self.n_estimators, int(seed))
        keep = to_host if network.device else lambda array: array
        unit = network.target_scaling_.scale
        vars(self).pop("feature_names_in_", None)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(network, name):
                setattr(self, name, getattr(network, name))
        self.estimator_ = network
        self.member_weights_ = keep(members.weights)
        self.member_directions_ = keep(members.directions)
        self.prior_scale_, self.noise_scale_ = (
            keep(from_host(s * unit, members.weights)) if s.ndim else float(s * unit)
            for s in (members.prior_scale, members.noise_scale)
        )
        return self

    def _network(self, seed):
        """Network to train, with a seed if it has none; ValueError if it cannot serve."""
        if self.estimator is None:
            network = JLFactorizedNTKRegressor(alpha=1.0, tol=1e-5)
        else:
            network = clone(self.estimator)
        if not network.alpha > 0:
            raise ValueError(
                f"The estimator has alpha={network.alpha!r}, targets without noise, of "
                "which no posterior is sampled. Give it a positive alpha, for instance 1.0 "
                "or NTKKernel(alpha='loo').fit(X, y).alpha_."
            )
        if network.early_stopping:
            raise ValueError(
                "The estimator has early_stopping=True, and ends before its penalty has "
                "its effect. Use early_stopping=False; alpha limits what is learned."
            )
        if network.random_state is None:
            network.set_params(random_state=seed)
        return network

    def predict(self, X, return_std=False):
        r"""Mean of the posterior.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in the namespace of those in `fit`, or rows on disk, which are read in
            chunks.
        return_std : bool, default=False
            Whether to give the standard deviations of the targets as well.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Predictions of `estimator_`, in the namespace and dtype of X.
        std : array of shape (n_samples,) or (n_samples, n_outputs)
            Standard deviation of the target of a new row of typical weight: the root of
            the mean squared distance of the samples from y, plus the variance of the
            noise. Only with `return_std`.
        """
        if not return_std:
            return self._by_chunks(X, "predict", Start.predictions)

        def both(model, features):
            mean = model.outputs(features)
            xp, variance = array_namespace(mean), self._noise_variance(mean)
            for outputs in self._samples(model, features):
                square = (outputs - mean) ** 2
                variance = variance + square / self.member_weights_.shape[0]
            mean = model.target_scaling.invert(mean)
            scale = from_host(model.target_scaling.scale, mean, mean.dtype)
            std = xp.astype(xp.sqrt(variance), mean.dtype) * scale
            return xp.stack([mean, std], axis=1)

        found = self._by_chunks(X, "predict", both)
        return found[:, 0, ...], found[:, 1, ...]

    def sample_y(self, X):
        """Samples of the posterior, functions without noise.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for `predict`.

        Returns
        -------
        samples : array of shape (n_samples, n_estimators) or \
                (n_samples, n_outputs, n_estimators)
            Predictions of each sample, in the namespace and dtype of X. The samples are
            drawn in `fit`: further calls are values of the same functions.
        """

        def samples(model, features):
            outputs = self._samples(model, features)
            found = [model.target_scaling.invert(u) for u in outputs]
            return array_namespace(*found).stack(found, axis=-1)

        return self._by_chunks(X, "sample_y", samples)

    def _by_chunks(self, X, method, values):
        """`values(model, features)` of rows in any form, as by `values_of_rows`."""
        check_is_fitted(self)

        def of_rows(rows):
            check_same_namespace(rows, self, attribute="member_weights_", method=method)
            return values_of_rows(self.estimator_, rows, method, values)

        return by_chunks(self.estimator_, X, of_rows)

    def _samples(self, model, features):
        """Outputs of each sample at projected rows, in the unit of scaled targets."""
        device = available_device(self.estimator_.device)
        scale = to_host(self.prior_scale_) / model.target_scaling.scale
        network, start = model.network, 0.0
        if model.subtracts_start:
            start = network.outputs(model.initial_weights, features)
        for member in range(self.member_weights_.shape[0]):
            B, direction = (
                host_or_cuda(arrays[member, :, :], device)
                for arrays in (self.member_weights_, self.member_directions_)
            )
            prior = prior_outputs(model, features, direction, scale)
            yield network.outputs(B, features) - start + prior

    def _noise_variance(self, like):
        """Variance of the noise of a row of typical weight, for scaled targets."""
        scale = self.estimator_.target_scaling_.scale
        return from_host((to_host(self.noise_scale_) / scale) ** 2, like, like.dtype)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        network = get_tags(
            JLFactorizedNTKRegressor() if self.estimator is None else self.estimator
        )
        tags.input_tags = network.input_tags
        tags.target_tags = network.target_tags
        tags.array_api_support = network.array_api_support
        return tags


def _warn_if_unsettled(network):
    """Warn if a training ended before its penalty had an effect."""
    settled = network.n_iter_ * network.learning_rate_ * network.alpha
    if settled < 1:
        needed = math.ceil(1 / (network.learning_rate_ * network.alpha))
        warn_user(
            f"The network took {network.n_iter_} steps, and its penalty alpha="
            f"{network.alpha:g} has its effect after about {needed}: standard deviations "
            "are too large until then. Raise max_iter, lower tol, or raise alpha.",
            ConvergenceWarning,
        )
