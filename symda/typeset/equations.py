"""The mathematics of an action, to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import sympy as sp
from sympy import Expr, Symbol

from symda.correlations import ErrorCorrelations
from symda.declare import Initial, Measurement, Model
from symda.derive.dynamics import hessian_tensor, jacobian
from symda.discretise import Scheme
from symda.observe.weights import Averaging, ErrorForm, averaging_factors, step_weights
from symda.typeset.blocks import gradient_section, hessian_section
from symda.typeset.display import Readable
from symda.typeset.mechanical import mechanical_sections
from symda.typeset.sections import (
    action_section,
    field_curvature_section,
    field_jacobian_section,
    initial_section,
    measured_section,
    model_section,
    noise_section,
    prior_section,
    step_derivatives_section,
    step_section,
)
from symda.typeset.site_subject import subject_of


@dataclass(frozen=True)
class Equations(Readable):
    """What an action is made of, to print (`str`), typeset (`latex`) and compute with.

    A model with sites has an equation for each field, and its derivatives are those by the values
    an equation uses, x[i-1], x[i], x[i+1], in place of the D states.

    Parameters
    ----------
    sections : tuple of Section
        Titled equations: model, measured functions, step, action, derivatives.
    unknowns : tuple of Symbol, (D + P,)
        States, then all parameters.
    jacobian : ImmutableMatrix, (D, D)
        DF, the derivatives of the declared equations by the states, whatever their scales.
    parameter_jacobian : ImmutableMatrix, (D, P)
        Its derivatives by the parameters.
    second_derivatives : mapping of (a, b, c) to Expr
        d2F_a/dunknown_b dunknown_c for b <= c, those that are not zero.
    """

    unknowns: tuple[Symbol, ...]
    jacobian: sp.ImmutableMatrix
    parameter_jacobian: sp.ImmutableMatrix
    second_derivatives: Mapping[tuple[int, int, int], Expr] = field(hash=False)


def equations(
    model: Model,
    measurement: Measurement,
    scheme: Scheme,
    *,
    model_error: ErrorForm = "step",
    averaging: Averaging = "sum",
    initial: Initial | None = None,
    correlations: ErrorCorrelations | None = None,
) -> Equations:
    """Derive the mathematics of an action.

    Parameters
    ----------
    model_error : {"step", "rate"}
        Whether Rf weighs the residual of a step, or Rf/h_n does.
    averaging : {"sum", "eq2", "eq14", "minaone", "varanneal"}
        Factors of the two sums; see `symda.observe.weights.averaging_factors`.
    initial : Initial, optional
        What is known of the initial state.
    correlations : ErrorCorrelations, optional
        Of the model's errors.

    Raises
    ------
    OptionError
        If an option is unknown, or is "rate" for a map.
    """
    # Called for their checks of the options: the factors here are symbols.
    averaging_factors(averaging, N=1, M=2, D=1, L=1, T=1)
    step_weights(model_error, 1.0, np.ones(1), discrete=model.discrete)
    subject = subject_of(model, measurement, scheme, model_error, averaging, correlations)
    sections = (
        *([] if measurement.gaussian else [noise_section]),
        *([prior_section] if subject.has_prior else []),
        step_section,
        action_section,
        step_derivatives_section,
        gradient_section,
        hessian_section,
        field_jacobian_section,
        field_curvature_section,
    )
    return Equations(
        sections=(
            model_section(subject),
            *mechanical_sections(subject),
            measured_section(subject),
            *([initial_section(subject, initial)] if initial and initial.any else []),
            *(make(subject) for make in sections),
        ),
        unknowns=subject.unknowns,
        jacobian=jacobian(subject.model, subject.coordinates),
        parameter_jacobian=jacobian(subject.model, subject.parameters),
        second_derivatives=hessian_tensor(subject.model, subject.unknowns),
    )
