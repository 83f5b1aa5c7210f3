"""Gradient and Hessian of the action, block by block."""

from __future__ import annotations

import sympy as sp
from sympy import Expr

from symda.derive.dynamics import first_derivatives, second_derivatives
from symda.typeset.display import Line, Section
from symda.typeset.notation import Mark, partial
from symda.typeset.subject import Subject


class Blocks:
    """The vectors and matrices that gradient and Hessian are written with.

    z_n, the unknowns of step n, prints as x_n where a scheme has no interior points.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.notation = subject.notation
        self.interior = bool(subject.scheme.interior)
        self.c_m = subject.factors[0]
        self.explicit = subject.scheme.explicit or subject.scheme.discrete
        self.theta = self.notation.vector("theta", None)
        #: Whether the cost of data is another than half the weighted square of the misfit.
        self.general = not subject.measurement.gaussian
        functions = subject.measurement.predictors
        first = first_derivatives(functions, subject.unknowns)
        D = len(subject.coordinates)
        self.measured_by_theta = any(b >= D for _, b in first)
        measured = second_derivatives(functions, subject.unknowns)
        field = second_derivatives(subject.model.equations, subject.unknowns)
        self.measured_pairs = {self._kinds(b, c, D) for _, b, c in measured}
        # A stage that depends on other slopes makes curvature of every kind out of any.
        composed = any(not subject.scheme.affine(i) for i in range(subject.scheme.stages))
        pairs = {self._kinds(b, c, D) for _, b, c in field}
        every = {"xx"} | ({"xp", "pp"} if subject.model.parameters else set())
        self.field_pairs = every if composed and pairs else pairs

    @staticmethod
    def _kinds(b: int, c: int, D: int) -> str:
        return ("x" if b < D else "p") + ("x" if c < D else "p")

    def z(self, shift: int = 0) -> Mark:
        """Unknowns of step n + shift."""
        letter = "z" if self.interior else "x"
        return self.notation.vector(letter, shift)

    def r(self, shift: int = 0) -> Mark:
        """Residual of step n + shift."""
        return self.notation.vector("r", shift)

    def p(self, shift: int = 0) -> Mark:
        """Momentum of step n + shift."""
        return self.notation.vector("p", shift)

    def W(self, shift: int = 0) -> Mark:
        """Weights of the residual of step n + shift."""
        return self.notation.vector("W", shift)

    def J(self, which: str, shift: int = 0) -> Mark:
        """dr/dz_n ("0"), dr/dz_{n+1} ("1") or dr/dtheta ("theta") of step n + shift."""
        return self._matrix("J", which, shift)

    def G(self, which: str) -> Mark:
        """dh/dz ("0") or dh/dtheta ("theta") at step n; deta/dz where the noise has more terms."""
        return self._matrix("G", which, 0)

    def _matrix(self, letter: str, which: str, shift: int) -> Mark:
        notation, index = self.notation, self.notation.shifted(shift)
        latex = r"\theta" if which == "theta" else which
        return Mark(
            f"{notation[letter]}{which}[{index}]",
            rf"{notation.bold(letter)}_{{{latex},{index}}}",
        )

    @property
    def e(self) -> Mark:
        """Misfit at step n."""
        return self.notation.vector("e")

    @property
    def Rm(self) -> Mark:
        """Weights of the misfit at step n."""
        return self.notation.vector("Rm")

    @property
    def measured(self) -> Mark:
        """What was measured, h(z), or all that the cost of data depends on, eta(z)."""
        name, latex = ("eta", r"\boldsymbol{\eta}") if self.general else ("h", r"\mathbf{h}")
        return Mark(f"{name}({self.z().name})", rf"{latex}({self.z().latex})")

    @property
    def slope(self) -> Expr:
        """Derivative of the cost of data at step n by what it depends on."""
        if self.general:
            return Mark("rho'[n]", r"\boldsymbol{\rho}'_{n}")
        return self.c_m * self.Rm * self.e

    @property
    def second(self) -> Expr:
        """Second derivative of the cost, a matrix."""
        if self.general:
            return Mark("rho''[n]", r"\boldsymbol{\rho}''_{n}")
        return self.Rm

    def by(self, *marks: Mark) -> Mark:
        """Return a derivative of the action."""
        name = self.notation["A"]
        return partial((name, name), *((mark.name, mark.latex) for mark in marks))

    def curvature(self, weight: Mark, what: Mark, *by: Mark) -> Mark:
        """Return sum_e weight_e d2what_e."""
        second = partial((what.name, what.latex), *((mark.name, mark.latex) for mark in by))
        return Mark(f"{weight.name}.{second.name}", rf"{weight.latex} \cdot {second.latex}")

    def over_steps(self, *terms: Expr) -> Expr:
        """Sum over the N steps."""
        n, N = self.notation.index("n"), self.notation.index("N")
        return sp.Sum(plus(*terms), (n, 0, sp.Add(N, -1, evaluate=False)))

    def over_nodes(self, *terms: Expr) -> Expr:
        """Sum over the N + 1 nodes."""
        n, N = self.notation.index("n"), self.notation.index("N")
        return sp.Sum(plus(*terms), (n, 0, N))

    def definitions(self) -> list[Line]:
        """Say what the letters of both sections are."""
        notation, subject = self.notation, self.subject
        lines = []
        if self.interior:
            points = subject.step.points[:-1]
            lines += [
                Line(self.z(), sp.Tuple(*points)),
                Line(self.r(), sp.Tuple(*subject.step.residuals)),
            ]
        diagonal = Mark(
            f"diag({', '.join([notation['Rf']] * (1 + len(subject.scheme.interior)))})",
            rf"\mathrm{{diag}}({', '.join(['R_f'] * (1 + len(subject.scheme.interior)))})",
        )
        lines.append(Line(self.W(), subject.step_weight * diagonal, ordered=True))
        lines.append(Line(self.p(), self.W() * self.r(), "momentum", ordered=True))
        pairs = [("0", self.z()), ("1", self.z(1))]
        if subject.model.parameters:
            pairs.append(("theta", self.theta))
        for which, unknown in pairs:
            r = self.r()
            right = partial((r.name, r.latex), (unknown.name, unknown.latex))
            lines.append(Line(self.J(which), right))
        if not self.general:
            misfit = sp.Add(self.measured, -self.notation.vector("y"), evaluate=False)
            lines.append(Line(self.e, misfit, ordered=True))
        lines.append(Line(self.G("0"), self._of_h(self.z())))
        if self.measured_by_theta:
            lines.append(Line(self.G("theta"), self._of_h(self.theta)))
        return lines

    def _of_h(self, unknown: Mark) -> Mark:
        h = self.measured
        return partial((h.name, h.latex), (unknown.name, unknown.latex))


def gradient_section(subject: Subject) -> Section:
    """Return the gradient of the action."""
    blocks = Blocks(subject)
    c_m = subject.factors[0]
    J, G, p, e, Rm = blocks.J, blocks.G, blocks.p, blocks.e, blocks.Rm

    def pulled(which: str) -> Expr:
        return G(which).T * blocks.slope if blocks.general else c_m * G(which).T * Rm * e

    by_z = plus(J("0").T * p(), J("1", -1).T * p(-1), pulled("0"))
    lines = [*blocks.definitions(), Line(blocks.by(blocks.z()), by_z, ordered=True)]
    terms: list[Expr] = []
    if subject.model.parameters:
        terms.append(blocks.over_steps(J("theta").T * p()))
    if blocks.measured_by_theta:
        terms.append(blocks.over_nodes(pulled("theta")))
    if terms:
        lines.append(Line(blocks.by(blocks.theta), plus(*terms), ordered=True))
    weights = f"{Rm.name} is diagonal, 0 where nothing was measured."
    if subject.measurement.correlated:
        weights = (
            f"{Rm.name} is the inverse of the covariance of the channels that were measured, 0 in "
            "rows and columns of the others."
        )
    if blocks.general:
        weights = (
            "rho' and rho'' are derivatives of the cost of the data, section Noise, by eta: the "
            "measured quantities and further terms of the noise; 0 where nothing was measured."
        )
        if subject.measurement.correlated:
            weights += f" They include what {Rm.name} has off its diagonal."
    note = f"{weights} Terms of the steps -1 and {blocks.notation['N']}, which do not exist, are 0."
    if subject.has_prior:
        note += " The derivatives of the prior are added for the first point and the parameters."
    if blocks.interior and not blocks.general:
        note += f" {e.name} and {Rm.name} stack all points of {blocks.z().name}."
    if blocks.explicit:
        note += f" {J('1').name} is the identity."
    return Section("Gradient", tuple(lines), note)


def hessian_section(subject: Subject) -> Section:
    """Return the blocks of the Hessian: Gauss-Newton terms, then those of curvature."""
    blocks = Blocks(subject)
    c_m = subject.factors[0]
    J, G, p, r, W, Rm = blocks.J, blocks.G, blocks.p, blocks.r, blocks.W, blocks.Rm
    z, theta = blocks.z, blocks.theta
    weighted = Mark(f"({Rm.name}*{blocks.e.name})", f"({Rm.latex} {blocks.e.latex})")
    h = blocks.measured
    if blocks.general:
        weighted, Rm = blocks.slope, blocks.second
    field, measured = blocks.field_pairs, blocks.measured_pairs
    implicit = not blocks.explicit

    diagonal = [
        J("0").T * W() * J("0"),
        J("1", -1).T * W(-1) * J("1", -1),
        c_m * G("0").T * Rm * G("0"),
    ]
    if "xx" in field:
        diagonal.append(blocks.curvature(p(), r(), z(), z()))
        if implicit:
            diagonal.append(blocks.curvature(p(-1), r(-1), z(), z()))
    if "xx" in measured:
        diagonal.append(c_m * blocks.curvature(weighted, h, z(), z()))
    lines = [Line(blocks.by(z(), z()), plus(*diagonal), ordered=True)]

    above = [J("0").T * W() * J("1")]
    if "xx" in field and _couples(subject):
        above.append(blocks.curvature(p(), r(), z(), z(1)))
    lines.append(Line(blocks.by(z(), z(1)), plus(*above), ordered=True))

    border: list[Expr] = []
    corner: list[Expr] = []
    if subject.model.parameters:
        border += [J("0").T * W() * J("theta"), J("1", -1).T * W(-1) * J("theta", -1)]
        terms: list[Expr] = [J("theta").T * W() * J("theta")]
        if "xp" in field:
            border.append(blocks.curvature(p(), r(), z(), theta))
            if implicit:
                border.append(blocks.curvature(p(-1), r(-1), z(), theta))
        if "pp" in field:
            terms.append(blocks.curvature(p(), r(), theta, theta))
        corner.append(blocks.over_steps(*terms))
    if blocks.measured_by_theta:
        border.append(c_m * G("0").T * Rm * G("theta"))
        terms = [c_m * G("theta").T * Rm * G("theta")]
        if "xp" in measured:
            border.append(c_m * blocks.curvature(weighted, h, z(), theta))
        if "pp" in measured:
            terms.append(c_m * blocks.curvature(weighted, h, theta, theta))
        corner.append(blocks.over_nodes(*terms))
    if border:
        lines.append(Line(blocks.by(z(), theta), plus(*border), ordered=True))
        lines.append(Line(blocks.by(theta, theta), plus(*corner), ordered=True))
    shape = "bordered by the parameters" if border else "no parameter borders it"
    note = f"Block tridiagonal, {shape}; blocks further apart are 0."
    if field or measured:
        example = (p(), r()) if field else (weighted, h)
        note += (
            " The products are its Gauss-Newton part, second derivatives add the curvature: "
            f"{example[0].name}.d2{example[1].name} is the sum over the components of "
            f"{example[1].name} of weight times second derivative."
        )
    else:
        note += " There is no curvature: the action is quadratic."
    return Section("Hessian", tuple(lines), note)


def _couples(subject: Subject) -> bool:
    """Whether the slope of some stage depends on both ends of a step."""
    scheme = subject.scheme
    ends: list[set[int]] = []
    for i, v in enumerate(scheme.v):
        if i in scheme.interior:
            ends.append({0})
            continue
        used = ({0} if v != 1 else set()) | ({1} if v else set())
        ends.append(used.union(*(ends[j] for j, x in enumerate(scheme.X[i]) if x)))
    return any(len(used) == 2 for used in ends)


def plus(*terms: Expr) -> Expr:
    """Return the sum in this order."""
    return sp.Add(*terms, evaluate=False) if len(terms) > 1 else terms[0]
