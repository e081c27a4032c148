"""Fast Johnson-Lindenstrauss transforms as a scikit-learn transformer.

The lemma of Johnson and Lindenstrauss: n points keep their distances up to a factor of
1 +- eps under a random linear map to O(log n / eps^2) coordinates, whatever the number
of coordinates before. The maps here differ in what they cost to draw, to keep and to
apply; the default needs O(log n_components) operations for each entry of the rows.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import DataDimensionalityWarning
from sklearn.random_projection import johnson_lindenstrauss_min_dim
from sklearn.utils.validation import check_is_fitted

from sklearn_jlntk._backend.array_api import array_namespace, device, is_array
from sklearn_jlntk._backend.user_warnings import warn_user
from sklearn_jlntk._validation import (
    Estimator,
    Interval,
    StrOptions,
    cast_results,
    cast_rows,
    check_rows,
    check_same_namespace,
    has_finite_sum,
    unchanged_on_error,
    validate_rows,
)
from sklearn_jlntk.operators import SKETCHES, make_sketch, project_rows
from sklearn_jlntk.operators._rows import shows_non_finite

__all__ = ["FJLT"]


class FJLT(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    r"""Fast Johnson-Lindenstrauss transform.

    Rows of many features become rows of few components that keep norms, distances and
    inner products up to a small distortion [1]_.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of components, at most the number of features. ``"auto"`` takes
        :func:`~sklearn.random_projection.johnson_lindenstrauss_min_dim` at `eps`, or
        the number of features where that is less, with a warning.
    eps : float, default=0.1
        Distortion of squared distances, in (0, 1), for which ``"auto"`` keeps enough
        components. Without effect on a number of components.
    method : str, default="block-hadamard"
        ``"block-hadamard"``
            Hadamard transforms of short blocks under two layers of signs, added; the
            fastest, and of smaller variance than a Gaussian matrix.
        ``"srht"``
            Some coordinates of one long Hadamard transform under signs.
        ``"fjlt"``
            A sparse Gaussian matrix after a Hadamard transform under signs, the
            original transform of Ailon and Chazelle.
        ``"gaussian"``, ``"rademacher"``
            A dense matrix of normal entries, or of signs.
        ``"sparse"``, ``"countsketch"``
            Eight signs, or one, for each feature.
    random_state : int, RandomState instance or None, default=None
        Draws the map. An int gives the same map in every array namespace.

    Attributes
    ----------
    n_components_ : int
        Number of components.
    projection_ : Operator of shape (n_components_, n_features_in_)
        The map, in the namespace and on the device of the rows it was fitted to.
    components_ : array of shape (n_components_, n_features_in_)
        Matrix of the map, computed whenever it is asked for.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where they are all strings.

    See Also
    --------
    sklearn.random_projection.GaussianRandomProjection : A dense normal matrix.
    sklearn.random_projection.SparseRandomProjection : A sparse matrix of signs.

    Notes
    -----
    With the default, a row costs :math:`O(d \log \ell)` operations for d features and
    :math:`\ell` components, against :math:`2 d \ell` of a dense matrix, and the map is
    kept in two bytes a feature. `fit` looks at the shape of the rows only.

    References
    ----------
    .. [1] N. Ailon and B. Chazelle, "The fast Johnson-Lindenstrauss transform and
       approximate nearest neighbors", SIAM J. Comput. 39, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_jlntk import FJLT
    >>> X = np.random.default_rng(0).standard_normal((50, 4096))
    >>> Z = FJLT(n_components=512, random_state=0).fit_transform(X)
    >>> Z.shape
    (50, 512)
    >>> ratios = np.linalg.norm(Z, axis=1) / np.linalg.norm(X, axis=1)
    >>> bool(np.all(np.abs(ratios - 1) < 0.1))
    True
    """

    _parameter_constraints: dict = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "eps": [Interval(Real, 0, 1, closed="neither")],
        "method": [StrOptions(SKETCHES.keys() - {"identity"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components="auto",
        *,
        eps=0.1,
        method="block-hadamard",
        random_state=None,
    ):
        self.n_components = n_components
        self.eps = eps
        self.method = method
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Draw the map for rows of this shape, namespace, device and dtype.

        Parameters
        ----------
        X : {array-like, CSR} of shape (n_samples, n_features)
            Rows.
        y : None
            Ignored.

        Returns
        -------
        self : FJLT
            Fitted transformer.
        """
        with unchanged_on_error(self):
            X = validate_rows(self, X, reset=True)
            self.n_components_ = self._count_components(*X.shape)
            self.projection_ = make_sketch(
                self.method,
                self.n_components_,
                X.shape[1],
                rng=self.random_state,
                like=X if is_array(X) else np.empty(0, dtype=X.dtype),
            )
            self._n_features_out = self.n_components_
        return self

    def transform(self, X):
        """Components of rows.

        Parameters
        ----------
        X : {array-like, CSR} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X_new : array of shape (n_samples, n_components)
            Dense, in the namespace and on the device of X; float32 where X is, else
            float64. Computed in the dtype of the rows in `fit`.
        """
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="_like", method="transform")
        # Reading all of X once more would cost as much as the transform.
        is_seen = shows_non_finite(self.projection_, X)
        X = validate_rows(self, X, reset=False, ensure_all_finite=not is_seen)
        rows = cast_rows(X, self._like.dtype)
        X_new = cast_results(project_rows(self.projection_, rows).T, X)
        if is_seen and not has_finite_sum(X_new):
            validate_rows(self, X, reset=False)
        return X_new

    def inverse_transform(self, X):
        r"""Shortest rows that have these components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Components of rows.

        Returns
        -------
        X_original : array of shape (n_samples, n_features)
            :math:`C^+ z` for each row z of X: what `transform` takes back to z where
            the rows of the map C are independent, and near to z where they are not.

        Notes
        -----
        Where the rows of C are orthogonal, :math:`C C^T = (d/\ell) I`, this is
        :math:`(\ell/d) C^T z` and costs as much as `transform`: the default method when
        its blocks, of the smallest power of two not below :math:`\ell` and 64, divide
        the features. Else :math:`C^T (C C^T)^+ z`, with
        :math:`O(d \ell \log \ell + \ell^3)` operations more a call, more by a factor of
        :math:`\ell / \log \ell` in the first term for dense methods.
        """
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="_like", method="inverse_transform")
        X = check_rows(X, accept_sparse=False)
        if X.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {X.shape[1]} columns, but FJLT.inverse_transform takes the "
                f"{self.n_components_} components that transform returns. Give it rows "
                "of components."
            )
        solution = self._solve_gram(cast_rows(X, self._like.dtype).T)
        return cast_results(self.projection_.rmatmat(solution).T, X)

    @property
    def components_(self):
        """Matrix of the map."""
        check_is_fitted(self)
        return self.projection_.to_dense()

    @property
    def _like(self):
        """Array that lives where the map was fitted."""
        return self.projection_.like

    def _count_components(self, n_samples, n_features):
        """Number of components for rows of this shape."""
        if self.n_components == "auto":
            return self._count_automatically(n_samples, n_features)
        if self.n_components > n_features:
            raise ValueError(
                f"n_components={self.n_components} is larger than "
                f"n_features={n_features}; an FJLT of {n_features} features keeps at "
                f"most {n_features}. Use n_components <= {n_features} or 'auto'."
            )
        return int(self.n_components)

    def _count_automatically(self, n_samples, n_features):
        """Number of components by the lemma, at most that of the features."""
        if n_samples == 1:
            raise ValueError(
                "n_components='auto' counts components by the distances between rows, "
                "and n_samples=1 has none. Give more rows, or a number of components."
            )
        needed = int(johnson_lindenstrauss_min_dim(n_samples, eps=self.eps))
        if needed > n_features:
            warn_user(
                f"eps={self.eps} and n_samples={n_samples} ask for {needed} components, "
                f"more than n_features={n_features}: {n_features} are made, and no "
                "dimension is saved. Use a larger eps or a number of components.",
                DataDimensionalityWarning,
            )
        return min(max(needed, 1), n_features)

    def _solve_gram(self, Z):  # (n_components, p) -> (n_components, p)
        """The columns W of least norm for which C C^T W is nearest to Z."""
        projection = self.projection_
        if projection._squared_scale is not None:
            return Z / projection._squared_scale
        xp = array_namespace(Z)
        # The condition number of C is squared here: double precision pays for it.
        eye = xp.eye(self.n_components_, dtype=xp.float64, device=device(Z))
        values, vectors = xp.linalg.eigh(projection.matmat(projection.rmatmat(eye)))
        # Some sparse sketches leave components empty; these have no inverse.
        floor = self.n_components_ * xp.finfo(xp.float64).eps * values[-1]
        kept = values > floor
        inverse = xp.astype(kept, xp.float64) / xp.where(kept, values, floor)
        solution = vectors @ (inverse[:, None] * (vectors.T @ xp.astype(Z, xp.float64)))
        return xp.astype(solution, Z.dtype)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
