"""The equations of the paper as plain loops, which the package is compared with."""

import numpy as np


def forward(B, A, C, v, X):
    """Outputs (n, o) and gates (n, m) of eq. (1), one sample and one neuron at a time."""
    n, (m, o) = X.shape[0], v.shape
    u, gates = np.zeros((n, o)), np.zeros((n, m))
    for i in range(n):
        hidden = A @ (B @ (C @ X[i]))
        for r in range(m):
            gates[i, r] = hidden[r] > 0
            u[i] += v[r] * max(hidden[r], 0.0) / np.sqrt(m)
    return u, gates


def loss_and_gradient(B, A, C, v, X, y, w, alpha=0.0, B0=0.0):
    """Loss of eq. (3), with weights and the alpha term, and its gradient in B."""
    m = v.shape[0]
    u, gates = forward(B, A, C, v, X)
    loss = 0.5 * alpha * np.sum((B - B0) ** 2)
    gradient = alpha * (B - B0)
    for i in range(X.shape[0]):
        for a in range(v.shape[1]):
            residual = y[i, a] - u[i, a]
            loss += 0.5 * w[i] * residual**2
            z = v[:, a] * gates[i]
            gradient -= w[i] * residual / np.sqrt(m) * np.outer(A.T @ z, C @ X[i])
    return loss, gradient


def tangent_kernel(B, A, C, v, X):
    """H of eq. (21), of which eq. (5) is the case A = I; the mean over outputs."""
    n, (m, o) = X.shape[0], v.shape
    _, gates = forward(B, A, C, v, X)
    H = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            for a in range(o):
                z_i, z_j = v[:, a] * gates[i], v[:, a] * gates[j]
                H[i, j] += (
                    (C @ X[i]) @ (C @ X[j]) * ((A.T @ z_i) @ (A.T @ z_j)) / (m * o)
                )
    return H


def replay(B, A, C, v, X, y, eta, n_steps):
    """B after some steps of the update rules of sections 4 and 5, with corrected signs.

    The same equations as the loops above, with samples as rows; used where loops over
    thousands of steps would take minutes.
    """
    m = v.shape[0]
    Y = X @ C.T
    for _ in range(n_steps):
        P = Y @ B.T @ A.T
        mask = P > 0
        residual = y - (mask * P) @ v / np.sqrt(m)
        B = B + eta / np.sqrt(m) * (((mask * v) @ A) * residual[:, None]).T @ Y
    return B
