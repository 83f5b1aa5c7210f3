"""`Mathematics`: what there is to read of an action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symda.declare import Event
from symda.errors import OptionError

if TYPE_CHECKING:
    from symda.api.specification import Specification
    from symda.typeset.continuous import EulerLagrange, HamiltonEquations, Hamiltonian, Lagrangian
    from symda.typeset.discrete import DiscreteEulerLagrange
    from symda.typeset.equations import Equations
    from symda.typeset.subject import Subject


class Mathematics:
    """The equations of an action: each result prints, and has `latex()` and `mathml()`."""

    def __init__(self, specification: Specification) -> None:
        self.specification = specification
        self.model, self.measurement = specification.model, specification.measurement
        self.scheme, self.matrix_free = specification.scheme, specification.matrix_free
        self.parameters = specification.parameters
        self.model_error, self.averaging = specification.model_error, specification.averaging

    def equations(self) -> Equations:
        """Return the mathematics to read: ``print`` it, or take its ``.latex()``."""
        from symda.typeset.equations import equations

        return equations(
            self.model,
            self.measurement.paid(self.model),
            self.scheme,
            model_error=self.model_error,
            averaging=self.averaging,
            initial=self.specification.initial,
            correlations=self.specification.correlations,
        )

    def lagrangian(self) -> Lagrangian:
        """Return the Lagrangian of the continuous limit (eq. 18) and the canonical momenta.

        Raises
        ------
        OptionError
            If the model is a map, or has controls, other noise or a prior.
        """
        from symda.typeset.continuous import continuum, lagrangian

        return lagrangian(continuum(self._continuous))

    def euler_lagrange(self) -> EulerLagrange:
        """Return the Euler-Lagrange equations of the continuous limit with their conditions.

        Raises
        ------
        OptionError
            If the model is a map, whose equations `discrete_euler_lagrange` has, or has controls,
            other noise or a prior.
        """
        from symda.typeset.continuous import continuum, euler_lagrange

        return euler_lagrange(continuum(self._continuous))

    def hamiltonian(self) -> Hamiltonian:
        """Return the Hamiltonian of the continuous limit (eq. 19) and the Legendre transform.

        Raises
        ------
        OptionError
            If the model is a map, or has controls, other noise or a prior.
        """
        from symda.typeset.continuous import continuum, hamiltonian

        return hamiltonian(continuum(self._continuous))

    def hamilton(self) -> HamiltonEquations:
        """Return Hamilton's equations of the continuous limit (eq. 20) with their conditions.

        Raises
        ------
        OptionError
            If the model is a map, whose equations `discrete_euler_lagrange` has, or has controls,
            other noise or a prior.
        """
        from symda.typeset.continuous import continuum, hamilton

        return hamilton(continuum(self._continuous))

    def discrete_euler_lagrange(self) -> DiscreteEulerLagrange:
        """Return the discrete Euler-Lagrange equations and momenta of the scheme, or of a map."""
        from symda.typeset.discrete import discrete_euler_lagrange

        return discrete_euler_lagrange(self._squares)

    @property
    def _squares(self) -> Subject:
        """What is derived for sums of squares only."""
        noise = [str(one) for one in self.measurement.noises if not one.gaussian]
        declared = self.measurement.declarations(self.model)
        priors = [s.name for s, one in declared.items() if one.prior is not None]
        scaled = [s.name for s in self.model.states if declared[s].scale is not None]
        if self.specification.correlations is not None:
            raise OptionError(
                "These equations are derived for independent errors of the model, and here "
                "error_correlations are given. equations() has the action."
            )
        kinds = {"the noise": noise, "the prior of": priors, "the scale of the state": scaled}
        for what, found in kinds.items():
            if found:
                raise OptionError(
                    "These equations are derived for Gaussian noise of the data's variance, no "
                    f"priors, and states on their own scale, and here is {what} {found[0]}. "
                    "equations() has the action."
                )
        return self._subject

    @property
    def _continuous(self) -> Subject:
        """What the continuous limit is of: no controls, whose cost is no sum over observations."""
        if self.measurement.correlated:
            raise OptionError(
                "the continuous limit is not derived with noise that is correlated across "
                "channels. equations() and discrete_euler_lagrange() have it."
            )
        if self.model.controls:
            raise OptionError(
                f"the continuous limit is not derived with the control "
                f"{self.model.controls[0].name!r}: its cost is an integral beside the data. "
                "equations() and discrete_euler_lagrange() have it."
            )
        events = [f.name for f in self.model.forcing if isinstance(f, Event)]
        if events:
            raise OptionError(
                f"the continuous limit is not derived with the event {events[0]!r}, at which a "
                "path jumps. equations() and discrete_euler_lagrange() have it."
            )
        return self._squares

    @property
    def _subject(self) -> Subject:
        from symda.typeset.site_subject import subject_of

        options = (self.scheme, self.model_error, self.averaging)
        return subject_of(self.model, self.measurement.paid(self.model), *options)

    def _repr_latex_(self) -> str:
        return str(self.equations()._repr_latex_())
