"""A layered network as data assimilation: layer number is time, weights are parameters of a step.

A twin of six layers of eight logistic neurons gives 60 noisy pairs. Weights and all activities are
annealed together from ten starts, with a prior of the weights around a guess that is not the truth.
What comes out stands beside the constant network and back-propagation with the same prior, start
and time, in words, in numbers and on a page. The network is written as a module that needs only
NumPy. Then a recurrent network, whose layers remember, learns from sequences.
"""

import runpy

import numpy as np

import symda as sd

rng = np.random.default_rng(1)
SD = 0.05


def orthogonal(network: object, gain: float) -> list[np.ndarray]:
    """Weights that keep a signal's size from layer to layer."""
    made = []
    for k, block in enumerate(network.blocks):
        q, _ = np.linalg.qr(rng.normal(size=(block.rows, block.columns)))
        made.append((q - q.mean(axis=1, keepdims=True)) * gain if k else q)
    return made


net = sd.Model.layered([8] * 6, activation="logistic")
truth, guess = orthogonal(net, 4.4), orthogonal(net, 4.0)
net = net.around(guess, 0.5)
action = sd.Action(net)
print(net)
print(action.equations())

x = rng.normal(size=(560, 8))
y = action.outputs(truth, x)
noisy_x, noisy_y = x + SD * rng.normal(size=x.shape), y + SD * rng.normal(size=y.shape)
pairs = sd.Pairs(noisy_x[:60], noisy_y[:60], variance=SD**2)
new = sd.Pairs(noisy_x[60:], noisy_y[60:], variance=SD**2)

run = sd.anneal(action, pairs, paths=10, seed=0)
print(run.summary())
errors = run.prediction_errors(new)
print(errors.round(5))
run.plot_levels("network-levels.png")
run.report("network.html", new=new)

lowest = float(errors["error"]["lowest level"])
assert lowest < 0.6 * float(errors["error"]["constant"]), "the network has learned something"
assert run.reached >= 10
assert run.best.action < run.dataset.attrs["constant"]
holds = {finding.about: finding.holds for finding in run.verdict().findings}
assert holds["learned"] and holds["solution"], "a constant explains less, and the equations hold"

# A module, with its weights beside it, that predicts with NumPy alone.
run.best.to_numpy().save("trained_network.py")
alone = runpy.run_path("trained_network.py")["predict"](noisy_x[60:])
assert np.allclose(alone, run.best.predict(noisy_x[60:]), rtol=1e-12)

# Eq. 16 of the paper: x(l, s) = f[w(l) x(l-1, s) + W(l) x(l, s-1)], places s of a sequence.
memory = sd.Model.recurrent([3, 5, 2], 4, activation="tanh", prior=sd.Normal(0.0, 0.6))
teacher = [rng.normal(0.0, 0.6, (b.rows, b.columns)) for b in memory.blocks]
recurrent = sd.Action(memory)
sequences = rng.normal(size=(140, 4, 3))
answers = recurrent.outputs(teacher, sequences) + SD * rng.normal(size=(140, 4, 2))
known = sd.Pairs(sequences[:40], answers[:40], variance=SD**2, input_variance=1e-4)
later = sd.Pairs(sequences[40:], answers[40:], variance=SD**2, input_variance=1e-4)
remembered = sd.anneal(recurrent, known, paths=4, seed=0)
print(remembered.summary())
table = remembered.prediction_errors(later)
print(table.round(5))
assert float(table["error"]["lowest level"]) < 0.1 * float(table["error"]["constant"])
