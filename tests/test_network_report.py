"""What a network's run says of itself: its verdict, against twins, its pages, and its commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from cli_shell import Shell, symda

import symda as sd
from symda.analyse.networks import carried, directions
from symda.status import Reason, Status

__all__ = ["symda"]

pytestmark = pytest.mark.usefixtures("uncompiled")

layered = sd.Model.layered
VARIANCE = 0.0025
ONE = sd.Ladder(relative=1e5, rungs=1)
QUESTIONS = [
    *("minimum", "back-propagation", "learned", "solution", "chi-squared", "determined", "level")
]


def twin(
    seed: int, *, M: int = 40, spread: float = 0.3, variance: float = VARIANCE, factor: float = 1.0
) -> tuple[sd.NetworkAction, sd.Pairs, np.ndarray]:
    """True weights drawn from the prior; `factor` is what the declared variance is too large by."""
    rng = np.random.default_rng(seed)
    network = layered([4, 5, 3], activation="tanh")
    centre = np.concatenate([rng.normal(0.0, 1.2 / b.fan_in**0.5, b.size) for b in network.blocks])
    truth = centre + spread * rng.normal(size=centre.size)
    x = rng.normal(size=(M, 4))
    y = sd.Action(network).outputs(truth, x)
    x, y = (z + variance**0.5 * rng.normal(size=z.shape) for z in (x, y))
    action = sd.Action(network.around(centre, spread))
    return action, sd.Pairs(x, y, variance=factor * variance), centre


@pytest.fixture(scope="module")
def fitted() -> tuple[sd.NetworkAction, sd.Pairs, sd.NetworkRun]:
    """Weights drawn from the prior, so that all is right."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMDA_CC", "none")
        action, pairs, _ = twin(3)
        return action, pairs, sd.anneal(action, pairs, paths=3)


def again(run: sd.NetworkRun, **attributes: object) -> sd.NetworkRun:
    """The run with other attributes."""
    return sd.NetworkRun(run.dataset.assign_attrs(attributes), run.network, run.problem)


def finding(run: sd.NetworkRun, about: str) -> tuple[bool | None, str]:
    one = next(f for f in run.verdict().findings if f.about == about)
    return one.holds, one.text


def test_right_where_all_is_right(fitted) -> None:
    _, _, run = fitted
    verdict = run.verdict()
    assert [f.about for f in verdict.findings] == QUESTIONS
    assert verdict.consistent and verdict.mood == "good"
    assert str(verdict).startswith("consistent with the data: data cost ")
    assert run.table().attrs["verdict"] == str(verdict)
    first, *others = run.summary().splitlines()
    assert first == f"verdict: {verdict}" and others[:7] == verdict.lines()[1:]


def cost_and_band(run: sd.NetworkRun) -> tuple[float, float, float]:
    text = finding(run, "chi-squared")[1]
    cost, low, high = map(float, re.findall(r"(\d[\d.e-]*\d)(?:,| \.\.| of)", text))
    return cost, low, high


def test_the_band_is_that_of_a_linear_network_solved_exactly() -> None:
    """Ridge regression: what is left is (I - H) e, its mean and variance traces of matrices.

    The evidence is the Gaussian density of the outputs.
    """
    rng = np.random.default_rng(0)
    M, sd_prior = 30, 0.1
    x, centre = rng.normal(size=(M, 4)), rng.normal(size=(2, 4))
    network = layered([4, 2], activation="linear")
    truth = centre + sd_prior * rng.normal(size=centre.shape)
    y = x @ truth.T + VARIANCE**0.5 * rng.normal(size=(M, 2))
    pairs = sd.Pairs(x, y, variance=VARIANCE, input_variance=1e-12)
    action = sd.Action(network.around([centre], sd_prior), averaging="sum")
    run = action.anneal(pairs, ladder=sd.Ladder(rf0=1e8, rungs=1), paths=2, baseline=False)
    J = np.kron(np.eye(2), x) * sd_prior / VARIANCE**0.5
    e = ((y - x @ centre.T) / VARIANCE**0.5).T.ravel()
    keep = np.eye(2 * M) - J @ np.linalg.solve(J.T @ J + np.eye(8), J.T)
    left = np.trace(keep)
    around = 2.0 * np.sqrt(2.0 * left)
    cost, low, high = cost_and_band(run)
    assert cost == pytest.approx(((keep @ e) ** 2).sum() / 2.0, rel=1e-4)
    assert low == pytest.approx((np.trace(keep @ keep) - around) / 2.0, rel=1e-4)
    assert high == pytest.approx((left + around) / 2.0, rel=1e-4)
    assert run.dataset.attrs["carried_cost"] == pytest.approx(cost, rel=1e-4)
    # the evidence is the density of e, with both noise and weights
    both = np.eye(2 * M) + J @ J.T
    evidence = -(e @ np.linalg.solve(both, e) + np.linalg.slogdet(both)[1]) / 2.0
    constant = ((y - y.mean(axis=0)) ** 2).sum() / VARIANCE / 2.0
    words = finding(run, "learned")[1].replace(",", "")
    said = float(re.findall(r"is ([\d.]+) above that of a constant", words)[0])
    assert said == pytest.approx(evidence + constant, abs=0.1)
    shares = directions(run.problem, run.best.vector)
    np.testing.assert_allclose(np.sort(shares), 1.0 - np.linalg.eigvalsh(keep)[7::-1], rtol=1e-6)


def test_noise_of_inputs_carried_through_a_linear_network() -> None:
    rng = np.random.default_rng(0)
    action = sd.Action(layered([3, 2], activation="linear", prior=sd.Normal(0.0, 1.0)))
    x, y, W = rng.normal(size=(9, 3)), rng.normal(size=(9, 2)), rng.normal(size=(2, 3))
    problem = action.problem(sd.Pairs(x, y, variance=0.5, input_variance=0.2))
    noise = carried(problem, W.ravel())
    S = 0.5 * np.eye(2) + 0.2 * W @ W.T
    e = y - x @ W.T
    cost = 0.5 * problem.c_m * np.einsum("ma,ab,mb->", e, np.linalg.inv(S), e)
    assert noise.cost == pytest.approx(cost, rel=1e-12)
    assert noise.volume == pytest.approx(4.5 * np.linalg.slogdet(S / 0.5)[1], rel=1e-12)


def judged(seed: int, **options: float) -> tuple[bool | None, float]:
    """Whether a twin's data cost what they should, and where in the band."""
    action, pairs, centre = twin(seed, **options)
    run = action.anneal(pairs, ladder=ONE, start=centre, baseline=False)
    cost, low, high = cost_and_band(run)
    return finding(run, "chi-squared")[0], (2.0 * cost - low - high) / (high - low)


def test_data_of_the_right_noise_cost_what_they_should() -> None:
    """Of 20 twins 95.4 % lie within; the band is two standard deviations wide on each side."""
    found = [judged(seed, M=24) for seed in range(20)]
    off = np.array([where for _, where in found])
    assert sum(not holds for holds, _ in found) <= 3
    assert abs(off.mean()) < 0.25 and 0.3 < off.std() < 0.65


@pytest.mark.parametrize(("factor", "words"), [(0.4, "above the expected"), (2.5, "below the exp")])
def test_other_variances_are_not_consistent(factor: float, words: str) -> None:
    for seed in range(3):
        assert judged(seed, factor=factor)[0] is False
    action, pairs, centre = twin(0, factor=factor)
    run = action.anneal(pairs, ladder=ONE, start=centre, baseline=False)
    assert words in str(run.verdict()) and not run.verdict().consistent
    assert str(run.verdict()).startswith("not consistent (chi-squared): data cost ")


def test_another_network_is_not_consistent() -> None:
    """Outputs that no network of this kind has."""
    action, pairs, centre = twin(1)
    other = sd.Pairs(pairs.inputs, np.cos(3.0 * pairs.inputs[:, :3]), variance=VARIANCE)
    short = {"max_iter": 30}
    run = action.anneal(other, ladder=ONE, start=centre, options=short, baseline=False)
    assert finding(run, "chi-squared")[0] is False and run.verdict().mood == "bad"


@pytest.mark.smoke
def test_noise_of_inputs_that_bends_the_network_is_not_judged() -> None:
    """Inputs of N(0, 1) with noise of sd 0.4: many pairs cost less than linear ones would."""
    action, pairs, centre = twin(0, M=1000, variance=0.16)
    run = action.anneal(pairs, ladder=ONE, start=centre, baseline=False)
    holds, text = finding(run, "chi-squared")
    assert holds is None and "the network is not linear over the noise of the inputs" in text
    small, pairs, centre = twin(0, M=1000, variance=0.16, factor=0.3)
    run = small.anneal(pairs, ladder=ONE, start=centre, baseline=False)
    assert finding(run, "chi-squared")[0] is False


@pytest.mark.parametrize(
    "options", [{"prior": sd.Normal(0.0, 0.5)}, {"prior": sd.Normal(0.0, 2.0)}, {}]
)
def test_pure_noise_is_not_learned(options: dict) -> None:
    """Outputs that do not depend on the inputs; the fit is lower than a constant all the same."""
    network = layered([4, 5, 3], activation=["tanh", "linear"], bias=True, **options)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x, noise = rng.normal(size=(40, 4)), 0.3 + VARIANCE**0.5 * rng.normal(size=(40, 3))
        pairs, short = sd.Pairs(x, noise, variance=VARIANCE), {"max_iter": 40}
        run = sd.Action(network).anneal(pairs, paths=1, ladder=ONE, options=short, baseline=False)
        assert run.best.action < run.dataset.attrs["constant"]
        holds, text = finding(run, "learned")
        assert holds is (False if options else None), text
        assert not run.verdict().consistent


def test_the_papers_weights_carry_nothing() -> None:
    """Weights in +-0.1 through many layers: only the last layer's sums are determined."""
    rng = np.random.default_rng(0)
    network = layered([6] * 8, prior=sd.Normal(0.0, 0.2))
    action = sd.Action(network)
    x = rng.normal(size=(60, 6))
    y = action.outputs(rng.uniform(-0.1, 0.1, network.weights), x)
    y += VARIANCE**0.5 * rng.normal(size=y.shape)
    run = action.anneal(sd.Pairs(x, y, variance=VARIANCE), paths=2, ladder=ONE, baseline=False)
    assert run.determined <= 6.0
    holds, text = finding(run, "learned")
    assert holds is False and "nothing was learned" in text


def test_lower_back_propagation_is_said(fitted) -> None:
    run = fitted[2]
    level = 0.9 * run.best.action
    low = again(run, baseline=json.dumps({"Adam": level}))
    assert str(low.verdict()).startswith(
        "not consistent (back-propagation): back-propagation (Adam) ended lower: the lowest level "
        "was not found"
    )
    none = again(run, baseline="{}")
    assert str(none.verdict()).startswith("not certain (back-propagation): not compared")


def test_what_did_not_converge_is_not_consistent(fitted) -> None:
    action, pairs, run = fitted
    short = action.anneal(pairs, paths=2, options={"max_iter": 1}, baseline=False)
    assert str(short.verdict()).startswith("not consistent (minimum): the lowest path did not conv")
    dataset = run.dataset.copy(deep=True)
    dataset["status"][:, -1] = Status.ACCEPTABLE.code
    dataset["reason"][:, -1] = Reason.CREEPING.code
    slow = sd.NetworkRun(dataset, run.network, run.problem)
    assert finding(slow, "minimum") == (
        False,
        "the lowest path did not converge: its steps gain too little",
    )
    late = action.anneal(pairs, paths=2, time_limit=1e-9)
    assert late.verdict().findings[0].text == "no path reached the last rung"
    assert not late.verdict().consistent and "not consistent (minimum)" in late.summary()


def test_a_level_that_was_met_once_is_not_certain(fitted) -> None:
    action, pairs, run = fitted
    one = action.anneal(pairs, paths=1)
    assert str(one.verdict()).startswith("not certain (level): the lowest level was met by 1 of 1")
    assert finding(run, "level")[0] is True
    # paths that began at weights of back-propagation are no starts
    taken = again(run, taken_up=2)
    assert finding(taken, "level")[0] is None
    # starts that are all one meet the same level whatever there is
    centre = run.dataset["start"].values[0]
    same = action.anneal(pairs, paths=3, start=lambda _: centre)
    assert "all starts are one" in finding(same, "level")[1] and not same.verdict().consistent


def test_errors_of_the_equations_are_not_consistent(fitted) -> None:
    action, pairs, _ = fitted
    loose = action.anneal(pairs, paths=2, ladder=sd.Ladder(relative=1.0, rungs=1))
    holds, text = finding(loose, "solution")
    assert holds is False and "of the level are errors of the equations" in text
    assert finding(loose, "chi-squared")[0] is None


@pytest.mark.filterwarnings("ignore::symda.api.network_warnings.NetworkWarning")
def test_what_cannot_be_judged_is_not_guessed(fitted) -> None:
    action, pairs, _ = fitted
    prior = sd.Normal(0.0, 1.0)
    few = sd.Pairs(pairs.inputs[:, :2], pairs.outputs, variance=VARIANCE)
    tails = sd.Action(action.network, noise=sd.StudentT(4.0, 0.0))
    made = layered([4, 5, 3], activation="tanh", prior=prior)
    held = layered([4, 5, 3], activation="tanh", prior=prior, input_prior=prior)
    cases = (
        (sd.Action(layered([4, 5, 3], activation="tanh")), pairs, "not all weights have a prior"),
        (tails, pairs, "the outputs have a Student t"),
        (sd.Action(held), few, "inputs that were not measured"),
        (sd.Action(made), few, "inputs that were not measured"),
    )
    for one, given, words in cases:
        run = one.anneal(given, paths=1, ladder=ONE, options={"max_iter": 9}, baseline=False)
        holds, text = finding(run, "chi-squared")
        assert holds is None and words in text and not run.verdict().consistent
        free = one.network is made
        assert ("inputs" in [f.about for f in run.verdict().findings]) == free


def test_directions_that_were_not_counted_are_not_known(fitted) -> None:
    run = fitted[2]
    attributes = {k: v for k, v in run.dataset.attrs.items() if not k.startswith("determined")}
    dataset = run.dataset.copy()
    dataset.attrs = attributes
    unknown = sd.NetworkRun(dataset, run.network, run.problem)
    assert finding(unknown, "determined")[0] is None
    assert finding(unknown, "chi-squared")[0] is None
    assert str(unknown.verdict()).startswith("not certain (chi-squared): cannot be judged")


def rows_of(text: str, caption: str) -> list[list[str]]:
    """The rows of a table of a Markdown page."""
    lines = text.split(f"*{caption}*")[1].strip().splitlines()
    table = [line for line in lines[: lines.index("") if "" in lines else None] if line]
    return [[cell.strip().replace("\\", "") for cell in row.split("|")[1:-1]] for row in table[2:]]


@pytest.fixture(scope="module")
def page(fitted, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report in Markdown, with errors on new pairs."""
    _, pairs, run = fitted
    made = run.report(tmp_path_factory.mktemp("report") / "net.md", new=pairs[:20])
    assert (made.parent / "net_files" / "01-levels.png").stat().st_size > 5000
    return made.read_text(encoding="utf-8")


def test_the_page_holds_what_the_run_says(fitted, page: str) -> None:
    action, pairs, run = fitted
    asked = rows_of(page, "What was asked of it")
    assert [row[0] for row in asked] == QUESTIONS and {row[1] for row in asked} == {"yes"}
    table, low = run.table(), run.best
    (level, *_), *_ = rows_of(page, "Distinct levels at the last rung")
    assert float(level) == pytest.approx(low.action, rel=1e-5) and len(table) == 1
    for words in ("M = 40, of 4 measured inputs and 3 measured outputs", "3 starts, 3 reached"):
        assert words in page
    beside = {row[0]: row[1:] for row in rows_of(page, "Levels, and errors on new pairs")}
    errors = run.prediction_errors(pairs[:20])
    assert list(beside) == list(errors.index)
    lowest = errors.loc["lowest level"]
    said = f"new pairs: lowest level {lowest['error']:.4g} +- {lowest['standard error']:.2g}, const"
    assert said in run.summary(pairs[:20]) and "new pairs" not in run.summary()
    for name, (level, error, standard) in beside.items():
        assert float(error) == pytest.approx(errors["error"][name], rel=1e-3)
        assert float(standard) == pytest.approx(errors["standard error"][name], rel=0.05)
        assert float(level) > 0.0
    assert float(beside["constant"][0]) == pytest.approx(run.dataset.attrs["constant"], rel=1e-5)
    assert action.network.name in page.splitlines()[0]


def test_the_page_says_how_rungs_ended(fitted, page: str) -> None:
    run = fitted[2]
    rungs = rows_of(page, "All paths on each rung")
    np.testing.assert_allclose([float(r[1]) for r in rungs], run.dataset["rf"].values, rtol=1e-3)
    for row, reasons in zip(rungs, run.dataset["reason"].values.T, strict=True):
        converged = int((reasons == Reason.CONVERGED.code).sum())
        whole = {0: "gained too little", 3: "converged"}.get(converged, f"{converged} converged")
        assert whole in row[4] and (row[3], row[5]) == ("3", "newton")
    assert rungs[-1][4] == "converged"
    lowest = rows_of(page, f"Path {run.order[0]}, the lowest")
    levels = run.levels.values[run.order[0]]
    np.testing.assert_allclose([float(r[1]) for r in lowest], levels, rtol=1e-5)
    last = rows_of(page, "Paths on the last rung")
    assert [int(r[0]) for r in last] == run.order


def test_the_page_shares_the_determined_directions_among_the_blocks(fitted, page: str) -> None:
    run = fitted[2]
    rows = rows_of(page, "Weights of the lowest level")
    assert [row[0] for row in rows] == ["W1", "W2"]
    each = [float(row[5]) for row in rows]
    assert sum(each) == pytest.approx(run.determined, rel=0.01)
    sizes = [np.sqrt((w**2).mean()) for w in run.best.weights]
    np.testing.assert_allclose([float(row[2]) for row in rows], sizes, rtol=1e-3)


def test_the_page_repeats_the_run(fitted, page: str) -> None:
    """The call that stands in it gives the same paths."""
    action, pairs, run = fitted
    code = page.split("## Repeat this run")[1].split("```python\n")[1].split("```")[0]
    names = {"action": action, "pairs": pairs, "sd": sd}
    exec(code, names)
    np.testing.assert_array_equal(names["run"].levels.values[:3], run.levels.values[:3])
    short = action.anneal(
        pairs,
        paths=1,
        seed=4,
        ladder=ONE,
        options={"max_iter": 7},
        start="prior",
        baseline=False,
        time_limit=60.0,
    )
    settings = json.loads(short.dataset.attrs["provenance"])["settings"]
    assert settings["solver_options"] == {"max_iter": 7} and settings["relative"] == 1e5


def test_pages_of_other_forms_and_runs(fitted, tmp_path: Path) -> None:
    action, pairs, run = fitted
    html = run.report(tmp_path / "net.html").read_text(encoding="utf-8")
    for words in ("<math", "<svg", "Beside other networks", "Emitted source", "<h2>Record</h2>"):
        assert words in html
    assert "error on new pairs" not in html and "verdict good" in html
    assert r"\begin{align*}" in run.report(tmp_path / "net.tex").read_text(encoding="utf-8")
    run.save(tmp_path / "net.nc")
    loaded = action.load(tmp_path / "net.nc", pairs)
    assert loaded.report(tmp_path / "again.html").read_text(encoding="utf-8") == html
    declared = action.report(tmp_path / "action.html").read_text(encoding="utf-8")
    assert "<math" in declared and "Emitted source" in declared and "Levels" not in declared
    late = action.anneal(pairs, paths=2, time_limit=1e-9)
    nothing = late.report(tmp_path / "late.md", new=pairs).read_text(encoding="utf-8")
    assert "Not consistent \\(minimum\\)" in nothing or "Not consistent (minimum)" in nothing
    assert "2 paths did not reach the last rung" in nothing and "Levels" not in nothing
    for other in (run, action):
        with pytest.raises(sd.OptionError, match="the suffix chooses the form"):
            other.report(tmp_path / "net.pdf")
    fewer = sd.Pairs(pairs.inputs[:, :3], pairs.outputs, variance=1.0)
    with pytest.raises(sd.DataError, match=r"pairs have \(3,\) inputs"):
        run.report(tmp_path / "net.html", new=fewer)


def test_a_run_without_its_settings_has_no_page(symda: Shell, fitted) -> None:
    action, pairs, run = fitted
    old = sd.NetworkRun(run.dataset.copy(), run.network, run.problem)
    del old.dataset.attrs["provenance"]
    old.save(symda.folder / "old.nc")
    loaded = action.load(symda.folder / "old.nc", pairs)
    assert loaded.summary() == run.summary()
    with pytest.raises(sd.DataError, match=r"no record of its settings.*Anneal again"):
        loaded.report(symda.folder / "old.html")
    _, _, centre = twin(3)
    for name, array in (("centre", centre), ("x", pairs.inputs), ("y", pairs.outputs)):
        np.save(symda.folder / f"{name}.npy", array)
    done = symda("report", "old.nc", "--model", symda.write("net.py", MODEL + PAIRS))
    assert done.code == 2 and "no record of its settings" in done.err
    assert not (symda.folder / "old.html").exists()


def test_a_recurrent_network_has_a_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    network = sd.Model.recurrent(
        [2, 3, 1], 3, activation="tanh", bias=True, prior=sd.Normal(0.0, 0.6), name="</title>&$x"
    )
    action = sd.Action(network)
    x = rng.normal(size=(20, 3, 2))
    weights = rng.normal(0.0, 0.6, network.weights)
    y = action.outputs(weights, x) + 0.05 * rng.normal(size=(20, 3, 1))
    run = action.anneal(sd.Pairs(x, y, variance=VARIANCE), paths=2, ladder=ONE, start=None)
    text = run.report(tmp_path / "memory.md").read_text(encoding="utf-8")
    assert "recurrent network" in text and "at 3 places" in text
    nodes = rows_of(text, "9 nodes")
    assert nodes[4][:3] == ["x2_2", "3", "g(w2 x1_2 + W2 x2_1 + b2)"]
    html = run.report(tmp_path / "memory.html").read_text(encoding="utf-8")
    assert html.count("</title>") == 1


def test_what_networks_are() -> None:
    """Neither `Model` nor `Action`: what asks for those refuses a network in words."""
    network = layered([2, 2])
    action = sd.Action(network)
    assert isinstance(network, sd.Network) and not isinstance(network, sd.Model)
    assert isinstance(action, sd.NetworkAction) and not isinstance(action, sd.Action)
    with pytest.raises(sd.OptionError, match=r"first argument is a symda\.Model, got Network"):
        sd.integrate(network, [0.0, 1.0], [0.0, 0.0])


MODEL = """
import numpy as np
import symda as sd

model = sd.Model.layered([4, 5, 3], activation="tanh").around(np.load("centre.npy"), 0.3)
"""
PAIRS = """
x, y = np.load("x.npy"), np.load("y.npy")
pairs = sd.Pairs(x, y, variance=0.0025)
"""


def test_commands(symda: Shell, fitted) -> None:
    _, pairs, run = fitted
    _, _, centre = twin(3)
    for name, array in (("centre", centre), ("x", pairs.inputs), ("y", pairs.outputs)):
        np.save(symda.folder / f"{name}.npy", array)
    run.save(symda.folder / "net.nc")
    model = symda.write("net.py", MODEL + PAIRS)
    done = symda("report", "net.nc", "--model", model)
    assert done.code == 0, done.err
    assert run.summary() in done.out and "wrote net.html" in done.out
    assert "Beside other networks" in (symda.folder / "net.html").read_text(encoding="utf-8")
    done = symda("report", model, "--into", "action.html")
    assert done.code == 0 and "wrote action.html" in done.out, done.err
    done = symda("derive", model)
    assert done.code == 0 and "Back-propagation" in done.out
    assert "\\begin{align*}" in symda("derive", model, "--latex").out
    done = symda("generate", model, "--no-compile")
    assert done.code == 0 and "wrote generated" in done.out, done.err


def test_commands_that_networks_have_not(symda: Shell, fitted) -> None:
    _, _, centre = twin(3)
    np.save(symda.folder / "centre.npy", centre)
    fitted[2].save(symda.folder / "net.nc")
    model = symda.write("bare.py", MODEL)
    (symda.folder / "data.csv").write_text("t,x\n0,1\n1,2\n")
    wrong = symda.write("wrong.py", MODEL.replace("0.3)", "0.4)") + PAIRS)
    np.save(symda.folder / "x.npy", fitted[1].inputs)
    np.save(symda.folder / "y.npy", fitted[1].outputs)
    slip = symda.write("slip.py", MODEL + "\naveragin = 'sum'\n")
    for command, words in (
        (("report", "net.nc"), "is the run of a network, which is read with the pairs it was"),
        (("report", "net.nc", "--model", model), "bare.py must define `pairs`, the sd.Pairs"),
        (("report", "net.nc", "--model", wrong), "of other pairs, priors, activations or noise"),
        (("derive", model, "--continuous"), "declares a network, which has no equations of motion"),
        (
            ("anneal", model, "data.csv"),
            "`model` is a network, which the commands derive, generate",
        ),
        (("integrate", model), "run = sd.anneal(sd.Action(model), pairs)"),
        (("derive", slip), "Did you mean `averaging`?"),
    ):
        done = symda(*command)
        assert done.code == 2 and words in " ".join(done.err.split()), (command, done.err)
