"""Full-batch gradient descent on a function that gives its value and gradient."""

from sklearn_jlntk.gradient_descent._loop import (
    DescentStatus,
    GradientDescentResult,
    gradient_descent,
    largest_eigenvalue,
)

__all__ = [
    "DescentStatus",
    "GradientDescentResult",
    "gradient_descent",
    "largest_eigenvalue",
]
