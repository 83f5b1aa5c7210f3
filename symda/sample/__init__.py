"""Samples of exp(-A): importance draws by randomise-then-optimise, and Hamiltonian Monte Carlo."""
