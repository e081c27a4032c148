"""
Grid search on a Dask cluster
=============================

Two ways to search on a cluster. Where the rows fit on one machine, joblib's Dask backend
sends whole fits to the workers, each of the plain estimator. Where they do not, the fits
follow each other and each is spread over the rows.

Run as ``python examples/dask_grid_search.py``. It starts processes and is therefore no
page of the gallery.
"""

import dask.array as da
import joblib
from distributed import Client
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_jlntk import JLFactorizedNTKRegressor
from sklearn_jlntk.dask import DaskJLFactorizedNTKRegressor

ALPHAS = [0.3, 1.0, 3.0, 10.0]


def search_over_fits(X, y):
    """Pipelines fitted side by side, each on one worker."""
    network = JLFactorizedNTKRegressor(width=512, tol=1e-3, random_state=0)
    pipeline = make_pipeline(StandardScaler(), network)
    grid = {"jlfactorizedntkregressor__alpha": ALPHAS}
    with joblib.parallel_config(backend="dask"):
        return GridSearchCV(pipeline, grid, cv=5).fit(X, y)


def fit_over_rows(X, y, alpha):
    """One network over all rows, in chunks."""
    rows = da.from_array(StandardScaler().fit_transform(X), chunks=(100, -1))
    network = DaskJLFactorizedNTKRegressor(
        width=512, tol=1e-3, alpha=alpha, random_state=0
    )
    return network.fit(rows, da.from_array(y, chunks=100))


def main():
    """Search on two workers, then fit the best network over the rows."""
    X, y = load_diabetes(return_X_y=True)
    # Nothing listens on an address that other machines can reach.
    with Client(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"):
        search = search_over_fits(X, y)
        (alpha,) = search.best_params_.values()
        print(f"best alpha {alpha}, R2 {search.best_score_:.2f} in cross-validation")
        network = fit_over_rows(X, y, alpha)
        print(
            f"over the rows: {network.n_iter_} steps, loss {network.loss_curve_[-1]:.3g}"
        )


if __name__ == "__main__":
    main()
