"""What a user of blackjax would write without symda: NUTS on the action of Lorenz-96.

Diagonal mass and step size by window adaptation, from a good path. Nothing here comes from symda.
"""

from __future__ import annotations

import time

import baseline_jax
import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from baseline_casadi import Twin


def nuts(
    twin: Twin, X: np.ndarray, nu: float, rf: float, draws: int, seed: int
) -> tuple[np.ndarray, float]:
    """Return draws of path and parameter of one chain, (draws, n), and the CPU seconds they took.

    The window adaptation, half as long again, is not counted.
    """
    action = baseline_jax.functions(twin)["action"]
    size = X.size

    def log_density(z: jax.Array) -> jax.Array:
        return -action(z[:size].reshape(X.shape), z[size], rf)

    start = jnp.asarray(np.append(X.reshape(-1), nu))
    warm, key = jax.random.split(jax.random.key(seed))
    adaptation = blackjax.window_adaptation(blackjax.nuts, log_density)
    (state, settings), _ = adaptation.run(warm, start, num_steps=draws // 2)
    kernel = jax.jit(blackjax.nuts(log_density, **settings).step)
    state, _ = jax.block_until_ready(kernel(key, state))
    places = np.empty((draws, size + 1))
    began = time.process_time()
    for k in range(draws):
        key, now = jax.random.split(key)
        state, _ = kernel(now, state)
        places[k] = state.position
    return places, time.process_time() - began
