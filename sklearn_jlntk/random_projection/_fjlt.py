"""Fast Johnson-Lindenstrauss transforms as a scikit-learn transformer.

The lemma of Johnson and Lindenstrauss: a random linear map to O(log n / eps^2) coordinates
preserves the distances of n points up to a factor of 1 +- eps, for any number of original
coordinates. The maps here differ in the cost to draw, store and apply them; the default
needs O(log n_components) operations for each entry of the rows.
"""

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
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
    Interval,
    ReleasedMixin,
    StrOptions,
    cast_results,
    cast_rows,
    check_rows,
    check_same_namespace,
    has_finite_sum,
    unchanged_on_error,
    validate_rows,
)
from sklearn_jlntk.operators import SKETCHES, Identity, make_sketch, project_rows
from sklearn_jlntk.operators._rows import shows_non_finite

__all__ = ["FJLT"]


class FJLT(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ReleasedMixin, BaseEstimator
):
    r"""Fast Johnson-Lindenstrauss transform.

    Maps rows of many features to few components, and preserves norms, distances and inner
    products up to a small distortion [1]_.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of components, at most the number of features. ``"auto"`` takes
        :func:`~sklearn.random_projection.johnson_lindenstrauss_min_dim` at `eps`. Where
        that is more than there are features, they are left as they are, with a warning.
    eps : float, default=0.1
        Distortion of squared distances, in (0, 1), for which ``"auto"`` chooses the number
        of components. Has no effect if `n_components` is a number.
    method : str, default="block-hadamard"
        ``"block-hadamard"``
            Sum of Hadamard transforms of short blocks with two layers of random signs;
            the fastest, with a smaller variance than a Gaussian matrix.
        ``"srht"``
            Sampled coordinates of one long Hadamard transform with random signs.
        ``"fjlt"``
            Sparse Gaussian matrix after a Hadamard transform with random signs, the
            original transform of Ailon and Chazelle.
        ``"gaussian"``, ``"rademacher"``
            Dense matrix of normal entries, or of random signs.
        ``"sparse"``, ``"countsketch"``
            Sparse matrix with eight random signs, or one, for each feature.
    random_state : int, RandomState instance or None, default=None
        Draws the map. An int gives the same map in every array namespace.

    Attributes
    ----------
    n_components_ : int
        Number of components.
    projection_ : Operator of shape (n_components_, n_features_in_)
        The map, in the namespace and on the device of the rows in `fit`.
    components_ : array of shape (n_components_, n_features_in_)
        Matrix of the map, computed at each access.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only where X has string names.

    See Also
    --------
    sklearn.random_projection.GaussianRandomProjection : A dense normal matrix.
    sklearn.random_projection.SparseRandomProjection : A sparse matrix of signs.

    Notes
    -----
    With the default, a row costs :math:`O(d \log \ell)` operations for d features and
    :math:`\ell` components, compared with :math:`2 d \ell` for a dense matrix, and the map
    is stored in two bytes per feature. `fit` uses only the shape of the rows.

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
            method, self.n_components_ = self._method_and_size(*X.shape)
            self.projection_ = make_sketch(
                method,
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
            Dense, in the namespace and on the device of X; float32 if X is, else float64.
            Computed in the dtype of the rows in `fit`.
        """
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="_like", method="transform")
        # A separate check of all entries would cost as much as the transform.
        is_seen = shows_non_finite(self.projection_, X)
        X = validate_rows(self, X, reset=False, ensure_all_finite=not is_seen)
        rows = cast_rows(X, self._like.dtype)
        X_new = cast_results(project_rows(self.projection_, rows).T, X)
        if isinstance(self.projection_, Identity) and not sparse.issparse(X):
            X_new = array_namespace(X_new).asarray(X_new, copy=True)
        if is_seen and not has_finite_sum(X_new):
            validate_rows(self, X, reset=False)
        return X_new

    def inverse_transform(self, X):
        r"""Rows of least norm that have these components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Components of rows.

        Returns
        -------
        X_original : array of shape (n_samples, n_features)
            :math:`C^+ z` for each row z of X. If the rows of the map C are independent,
            `transform` maps it to z; otherwise, to the nearest point that it can reach.

        Notes
        -----
        If the rows of C are orthogonal, :math:`C C^T = (d/\ell) I`, this is
        :math:`(\ell/d) C^T z`, at the cost of `transform`. That is so for the default
        method if its blocks, whose length is the smallest power of two that is at least
        :math:`\ell` and 64, divide the number of features. Otherwise it is :math:`C^T (C
        C^T)^+ z`, with :math:`O(d \ell \log \ell + \ell^3)` further operations per call;
        for dense methods the first term is larger by a factor of :math:`\ell / \log \ell`.
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
        """Array in the namespace and on the device of the map."""
        return self.projection_.like

    def _method_and_size(self, n_samples, n_features):
        """Kind of map and number of components for rows of this shape."""
        if self.n_components != "auto":
            if self.n_components > n_features:
                raise ValueError(
                    f"n_components={self.n_components} is larger than "
                    f"n_features={n_features}; an FJLT of {n_features} features keeps at "
                    f"most {n_features}. Use n_components <= {n_features} or 'auto'."
                )
            return self.method, int(self.n_components)
        if n_samples == 1:
            raise ValueError(
                "n_components='auto' counts components by the distances between rows, "
                "and n_samples=1 has none. Give more rows, or a number of components."
            )
        needed = max(1, int(johnson_lindenstrauss_min_dim(n_samples, eps=self.eps)))
        if needed <= n_features:
            return self.method, needed
        warn_user(
            f"eps={self.eps} and n_samples={n_samples} ask for {needed} components, more "
            f"than n_features={n_features}: the features are left as they are. Use a "
            "larger eps or a number of components, or leave the transform out.",
            DataDimensionalityWarning,
        )
        return "identity", n_features

    def _solve_gram(self, Z):  # (n_components, p) -> (n_components, p)
        """Columns W of least norm for which C C^T W is nearest to Z."""
        projection = self.projection_
        if projection._squared_scale is not None:
            return Z / projection._squared_scale
        xp = array_namespace(Z)
        # In double precision, since the condition number of C is squared here.
        eye = xp.eye(self.n_components_, dtype=xp.float64, device=device(Z))
        values, vectors = xp.linalg.eigh(projection.matmat(projection.rmatmat(eye)))
        # Some sparse sketches have empty components, which have no inverse.
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
