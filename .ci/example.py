"""Ten lines for a fresh installation, run from anywhere: fit, score, look at the kernel."""

import sys
from pathlib import Path

from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_jlntk

if "site-packages" not in Path(sklearn_jlntk.__file__).parts:
    sys.exit(f"{sklearn_jlntk.__file__} is not an installed package.")

X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
network = sklearn_jlntk.JLFactorizedNTKRegressor(width=1024, alpha=2.0, random_state=0)
model = make_pipeline(StandardScaler(), network).fit(X_train, y_train)
kernel = make_pipeline(StandardScaler(), sklearn_jlntk.NTKKernel()).fit(
    X_train, y_train
)
scores = model.score(X_test, y_test), kernel.score(X_test, y_test)
H = network.ntk(model[0].transform(X_test))
sys.stdout.write(
    f"sklearn_jlntk {sklearn_jlntk.__version__}: R2 {scores[0]:.2f} of a network, "
    f"{scores[1]:.2f} of its limit, kernel of shape {H.shape}\n"
)
if min(scores) < 0.3:
    sys.exit("The scores are too low.")
