"""What a user of JAX would write without symda: Lorenz-96 under RK4, the whole action, jitted.

Nothing here comes from symda. Steps are mapped with `vmap`; the gradient is reverse mode; the
Hessian is block tridiagonal, so its blocks are the second derivatives of each step's cost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

# one core, as all others
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
from baseline_casadi import Twin

jax.config.update("jax_enable_x64", True)

Array = jax.Array


def lorenz96(x: Array, nu: Array) -> Array:
    """dx_a/dt = x_{a-1} (x_{a+1} - x_{a-2}) - x_a + nu."""
    return jnp.roll(x, 1) * (jnp.roll(x, -1) - jnp.roll(x, 2)) - x + nu


def functions(twin: Twin) -> Mapping[str, Callable[[Array, Array, float], object]]:
    """Return action, gradient and Hessian of (path (N + 1, D), nu, rf), jitted.

    Parameters
    ----------
    twin : Twin
        The problem.

    Returns
    -------
    mapping
        ``action``: number; ``gradient``: arrays (N + 1, D) and (); ``Hessian``: the second
        derivatives of each step in (x_n, x_{n+1}, nu), (N, 2 D + 1, 2 D + 1), to be added up.
        The measurement term adds the constant 1 / variance to diagonal entries.
    """
    y, measured = jnp.asarray(twin.y), jnp.asarray(twin.measured)
    h, D = twin.dt, twin.D

    def step(x: Array, nu: Array) -> Array:
        k1 = lorenz96(x, nu)
        k2 = lorenz96(x + h / 2 * k1, nu)
        k3 = lorenz96(x + h / 2 * k2, nu)
        k4 = lorenz96(x + h * k3, nu)
        return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def action(X: Array, nu: Array, rf: float) -> Array:
        error = X[1:] - jax.vmap(step, (0, None))(X[:-1], nu)
        misfit = jnp.sum((X[:, measured] - y) ** 2) / (2 * twin.variance)
        return misfit + rf / 2 * jnp.sum(error**2)

    def cost(window: Array, rf: float) -> Array:
        error = window[D : 2 * D] - step(window[:D], window[2 * D])
        return rf / 2 * jnp.sum(error**2)

    def hessian(X: Array, nu: Array, rf: float) -> Array:
        parameter = jnp.full((X.shape[0] - 1, 1), nu)
        windows = jnp.concatenate([X[:-1], X[1:], parameter], axis=1)
        return jax.vmap(jax.hessian(cost), (0, None))(windows, rf)

    return {
        "action": jax.jit(action),
        "gradient": jax.jit(jax.grad(action, (0, 1))),
        "Hessian": jax.jit(hessian),
    }


def calls(twin: Twin, X: np.ndarray, nu: float, rf: float) -> dict[str, Callable[[], object]]:
    """Make calls from Python: NumPy arrays in, finished results out."""
    made = functions(twin)

    def call(function: Callable[[Array, Array, float], object]) -> Callable[[], object]:
        return lambda: jax.block_until_ready(function(X, nu, rf))

    return {name: call(function) for name, function in made.items()}
