"""The default sketch of rows beside scikit-learn's random projections.

The floor is a copy of the rows.
"""

import json
import time

import numpy as np
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from threadpoolctl import threadpool_limits
from turns import medians

from sklearn_jlntk.operators import make_sketch, project_rows

# Rows, coordinates, components.
CASES = [(2048, 4096, 256), (512, 20000, 1024), (256, 65536, 1024)]
PEERS = {
    "Gaussian": GaussianRandomProjection,
    "Sparse": SparseRandomProjection,
}


def run(n_rounds=7, n_threads=None):
    """Rows of the table, dictionaries of plain numbers."""
    rows = []
    for dtype in ("float32", "float64"):
        for n, d, l in CASES:
            rng = np.random.default_rng(0)
            X = rng.standard_normal((n, d)).astype(dtype)
            start = time.perf_counter()
            sketch = make_sketch("block-hadamard", l, d, rng=rng, like=X[0, :0])
            drawing = time.perf_counter() - start
            calls = {"sklearn_jlntk": lambda s=sketch, X=X: project_rows(s, X)}
            for name, projection in PEERS.items():
                peer = projection(l, random_state=0).fit(X)
                calls[name] = lambda peer=peer, X=X: peer.transform(X)
            calls["copy"] = X.copy
            with threadpool_limits(n_threads):
                seconds = medians(calls, n_rounds)
            sizes = {"dtype": dtype, "n": n, "d": d, "l": l}
            rows.append({**sizes, "fit": drawing, "seconds": seconds})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def markdown(rows):
    """The rows as a table, milliseconds of ours and ratios to it."""
    names = ["dtype", "n d l", "fit, ms", "transform, ms", *PEERS, "copy"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        own = row["seconds"]["sklearn_jlntk"]
        ratios = [f"{row['seconds'][name] / own:.2f} x" for name in (*PEERS, "copy")]
        sizes = f"{row['n']} {row['d']} {row['l']}"
        cells = [row["dtype"], sizes, f"{row['fit'] * 1e3:.2f}", f"{own * 1e3:.1f}"]
        lines.append(f"| {' | '.join(cells + ratios)} |")
    return "\n".join(lines)
