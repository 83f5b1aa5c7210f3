"""A network learns exclusive or: back-propagation is the momentum of the action at infinite Rf.

Three layers of three units, x_{n+1} = tanh(W_n x_n + b_n): a discrete model whose weights are
parameters per step. The inputs are the first two units at layer 0, the answer is the first unit at
the last layer. `backpropagate` goes forward through the layers, then backward in the momenta; its
gradient trains the network and is compared with CasADi's reverse mode.
"""

import casadi as ca
import numpy as np
import sympy as sp
from scipy.optimize import minimize

import symda as sd

UNITS, LAYERS = 3, 3
PAIRS = (((-1, -1), -0.8), ((-1, 1), 0.8), ((1, -1), 0.8), ((1, 1), -0.8))

x = sd.states("x", UNITS, start=(-1.0, 1.0))
W = [
    [sd.parameter(f"W{i}{j}", per="step", start=(-1.0, 1.0)) for j in range(UNITS)]
    for i in range(UNITS)
]
b = [sd.parameter(f"b{i}", per="step", start=(-1.0, 1.0)) for i in range(UNITS)]

model = sd.Model(
    {
        x[i]: sp.tanh(sum(W[i][j] * x[j] for j in range(UNITS)) + b[i])
        for i in range(UNITS)
    },
    name="network",
    discrete=True,
)  # fmt: skip
measured = {"answer": x[0]}
scheme = "map"

WEIGHTS = [w.name for row in W for w in row] + [w.name for w in b]


def loss_and_gradient(action: sd.Action, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Sum of the pairs' measurement terms, and its gradient; weights (12, LAYERS)."""
    total, gradient = 0.0, np.zeros_like(weights)
    for inputs, answer in PAIRS:
        values = np.full((LAYERS + 1, 1), np.nan)
        values[-1] = answer
        data = sd.Observations(np.arange(LAYERS + 1.0), values, variance=1.0)
        found = action.backpropagate(data, [*inputs, 0.0], dict(zip(WEIGHTS, weights, strict=True)))
        total += found.loss
        gradient += found.by_step.sel(state=WEIGHTS).values[:LAYERS].T
    return total, gradient


def reverse_mode() -> ca.Function:
    """Return the same loss's gradient by CasADi, composed by hand."""
    weights, total = ca.SX.sym("weights", len(WEIGHTS), LAYERS), ca.SX(0)
    for inputs, answer in PAIRS:
        state = ca.DM([*inputs, 0.0])
        for n in range(LAYERS):
            matrix = ca.reshape(weights[: UNITS**2, n], UNITS, UNITS).T
            state = ca.tanh(matrix @ state + weights[UNITS**2 :, n])
        total += (state[0] - answer) ** 2 / 2
    return ca.Function("gradient", [weights], [total, ca.gradient(total, weights)])


def train(seed: int = 0) -> tuple[float, float, np.ndarray]:
    """Train from random weights: distance from reverse mode, final loss, answers to the pairs."""
    action = sd.Action(model, measured, scheme=scheme)
    start = np.random.default_rng(seed).normal(size=(len(WEIGHTS), LAYERS))
    _, gradient = loss_and_gradient(action, start)
    expected = reverse_mode()(start)[1].full()
    distance = float(np.linalg.norm(gradient - expected) / np.linalg.norm(expected))

    def flat(weights: np.ndarray) -> tuple[float, np.ndarray]:
        loss, slope = loss_and_gradient(action, weights.reshape(start.shape))
        return loss, slope.ravel()

    found = minimize(flat, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 60})
    weights = found.x.reshape(start.shape)
    answers = []
    for inputs, _ in PAIRS:
        state = np.array([*inputs, 0.0])
        for n in range(LAYERS):
            matrix = weights[: UNITS**2, n].reshape(UNITS, UNITS)
            state = np.tanh(matrix @ state + weights[UNITS**2 :, n])
        answers.append(state[0])
    return distance, float(found.fun), np.array(answers)


def main() -> None:
    """Print how far the gradient is from reverse mode, and what the network answers."""
    distance, loss, answers = train()
    print(f"gradient against CasADi's reverse mode: relative difference {distance:.1e}")
    print(f"loss after training: {loss:.1e}")
    for (inputs, answer), got in zip(PAIRS, answers, strict=True):
        print(f"{inputs} -> {got:+.3f}, wanted {answer:+.1f}")


if __name__ == "__main__":
    main()
