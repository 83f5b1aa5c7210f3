# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Kernels of a model under a scheme.

Model pendulum, scheme midpoint.

The model dx/dt = F(x, u, theta, t):

    dangle/dt = rate
    drate/dt = drive - c*rate - k*sin(angle)

The measured quantities h(x, theta):

    position = sin(angle)

In this order:

    theta = (c, k)
    u = (drive)

Step n sees the window w = (x[n], x[n+1]) of E + D numbers, the parameters theta, and its own data
step = (t, h, weight, u), u being the forcing at the 1 abscissae of the scheme. The action of one step is
sum_a weight Rf_a r_a^2 / 2 with the residual r below; that of one grid point is the cost of its data, -log p(y | eta).

Written by symda; the text depends on the model, the scheme and the templates only. Do not edit.
"""

from libc.math cimport (
    INFINITY, NAN, acos, acosh, asin, asinh, atan, atan2, atanh, ceil, copysign, cos, cosh, erf, exp, expm1,
    fabs, floor, fmax, fmin, fmod, hypot, log, log1p, pow, sin, sinh, sqrt, tan, tanh,
)
from libc.stdlib cimport free, malloc
from libc.string cimport memset

# Sizes, and where each working array stands in the work space.
cdef enum:
    D = 2  # states
    P = 2  # parameters
    L = 1  # measured channels
    Q = 1  # predictors: h, and what else the cost of data depends on
    MIXED_SIZE = 0  # entries of the cost's curvature off its sure diagonal
    U = 1  # forcing channels
    S = 1  # abscissae of the scheme
    E = 2  # unknowns and residuals a step
    W = 6  # unknowns a step sees: window and parameters
    STAGES = 1  # stages of the scheme
    COLUMNS = 6  # columns of the tangents, see the note on their order below
    THETA = 4  # internal column of theta
    LAST = 2  # internal column of x[n+1]
    STEP = 4  # numbers in `step`
    FIELD_J = 5  # nonzeros of dF/d(x, theta); those of x come first
    FIELD_JX = 3  # those of x only
    FIELD_C = 3  # nonzeros of the lower triangle of mu.D2F
    MEASURE_J = 1  # nonzeros of deta/d(x, theta), eta the predictors
    MEASURE_C = 1  # nonzeros of the lower triangle of mu.D2eta
    AT_ETA = 0  # in the work space of a point: predictors, Q
    AT_SLOPE = AT_ETA + Q  # slopes of the cost, Q
    AT_SURE = AT_SLOPE + Q  # the sure diagonal of its curvature, Q
    AT_COST = AT_SURE + Q  # costs of the channels, L
    AT_MIXED = AT_COST + L  # the rest of its curvature
    AT_MJ = AT_MIXED + MIXED_SIZE  # Jacobian of the predictors
    AT_MC = AT_MJ + MEASURE_J  # their curvature
    POINT_WORK = AT_MC + MEASURE_C
    PRIOR_MIXED = 0  # nonzeros of the prior's Hessian off its sure diagonal
    PRIOR_WORK = 0  # cost, slope, sure diagonal and the rest
    STEP_J = 10  # nonzeros of dr/d(window, theta)
    STEP_H = 21  # nonzeros of the upper triangle of a step's Hessian
    STEP_C = 7  # nonzeros of the upper triangle of lam.D2r
    POINT_H = 1  # nonzeros of the upper triangle of a grid point's Hessian
    POINT_PAIRS = 1  # products of two nonzeros of deta that add to it
    AT_X = 0  # stage arguments, STAGES x D
    AT_K = AT_X + STAGES*D  # slopes, STAGES x D
    AT_R = AT_K + STAGES*D  # residual, E
    AT_LAM = AT_R + E  # what multiplies the residual, E
    AT_J = AT_LAM + E  # Jacobians of the slopes, STAGES x FIELD_J
    AT_KAPPA = AT_J + STAGES*FIELD_J  # adjoints of the slopes, STAGES x D
    AT_XI = AT_KAPPA + STAGES*D  # adjoint of one stage argument and theta, D + P
    GRADIENT_WORK = AT_XI + D + P
    AT_T = GRADIENT_WORK  # tangents of the stage arguments, STAGES x D x COLUMNS
    AT_TK = AT_T + STAGES*D*COLUMNS  # tangents of the slopes, STAGES x D x COLUMNS
    AT_Y = AT_TK + STAGES*D*COLUMNS  # mu.D2F times tangents, (D + P) x COLUMNS
    AT_C = AT_Y + (D + P)*COLUMNS  # nonzeros of mu.D2F
    AT_DR = AT_C + FIELD_C  # dr/d(unknowns), E x W
    AT_H = AT_DR + E*W  # Hessian, W x W
    HESSIAN_WORK = AT_H + W*W
    AT_G = HESSIAN_WORK  # gradient of one step on the way to its Hessian, W
    STEP_WORK = AT_G + W

# The order of the columns in working arrays is (window, theta); what leaves a kernel is in
# the order (window, theta). ROW and COLUMN are the places of nonzeros, SOURCE where an output stands in a working array,
# PAIR which nonzeros of deta are multiplied.
cdef extern from *:
    """
    /* chunk_t asks for functions that stay apart; Cython declares variables of it as well. */
    #if defined(__GNUC__) && !defined(__clang__)
        #pragma GCC diagnostic ignored "-Wattributes"
    #endif
static const int J_ROW[5] = {
    1, 0, 1, 1, 1};
static const int J_COLUMN[5] = {
    0, 1, 1, 2, 3};
static const int C_ROW[3] = {
    0, 3, 2};
static const int C_COLUMN[3] = {
    0, 0, 1};
static const int MJ_ROW[1] = {
    0};
static const int MJ_COLUMN[1] = {
    0};
static const int ETA_CHANNEL[1] = {
    0};
static const int STEP_J_SOURCE[10] = {
    0, 6, 1, 7, 2, 8, 3, 9, 10, 11};
static const int STEP_H_SOURCE[21] = {
    0, 6, 7, 12, 13, 14, 18, 19, 20, 21, 24, 25, 26, 27, 28, 30, 31, 32, 33, 34, 35};
static const int STEP_C_SOURCE[7] = {
    0, 12, 14, 25, 27, 30, 32};
static const int PAIR_ROW[1] = {
    0};
static const int PAIR_Q[1] = {
    0};
static const int PAIR_R[1] = {
    0};
static const int PAIR_TARGET[1] = {
    0};
static const int POINT_SCATTER[1] = {
    0};
    """
    const int* J_ROW
    const int* J_COLUMN
    const int* C_ROW
    const int* C_COLUMN
    const int* MJ_ROW
    const int* MJ_COLUMN
    const int* ETA_CHANNEL
    const int* STEP_J_SOURCE
    const int* STEP_H_SOURCE
    const int* STEP_C_SOURCE
    const int* PAIR_ROW
    const int* PAIR_Q
    const int* PAIR_R
    const int* PAIR_TARGET
    const int* POINT_SCATTER
    # Rows that do not overlap, so that the compiler may vectorise; functions that must stay apart.
    ctypedef double* row_t "double *__restrict__"
    ctypedef const double* source_t "const double *__restrict__"
    ctypedef int chunk_t "__attribute__((noinline)) int"


cdef inline double sign(double value) noexcept nogil:
    return (1.0 if value > 0.0 else 0.0) - (1.0 if value < 0.0 else 0.0)


cdef inline void add_row(row_t target, double factor, source_t source) noexcept nogil:
    """target += factor * source, over the columns of the tangents."""
    cdef int c
    for c in range(COLUMNS):
        target[c] += factor*source[c]


# ---------------------------------------------------------------------------------------------------------------------
# The vector field F and the measurement functions h
# ---------------------------------------------------------------------------------------------------------------------

cdef void field(const double* x, const double* u, const double* theta, double t, double* k) noexcept nogil:
    """F(x, u, theta, t)."""
    k[0] = x[1]
    k[1] = u[0] - (theta[0]*x[1] + theta[1]*sin(x[0]))


cdef void field_jacobian(const double* x, const double* u, const double* theta, double t, double* k, double* J) noexcept nogil:
    """The same and the nonzeros of its Jacobian by (x, theta), column after column."""
    cdef double v0 = sin(x[0])
    k[0] = x[1]
    k[1] = u[0] - (theta[0]*x[1] + theta[1]*v0)
    J[0] = -(theta[1]*cos(x[0]))
    J[1] = 1.0
    J[2] = -theta[0]
    J[3] = -x[1]
    J[4] = -v0


cdef void field_curvature(const double* x, const double* u, const double* theta, double t, const double* mu, double* C) noexcept nogil:
    """Nonzeros of the lower triangle of sum_a mu_a D2F_a by (x, theta)."""
    C[0] = theta[1]*mu[1]*sin(x[0])
    C[1] = -(cos(x[0])*mu[1])
    C[2] = -mu[1]


cdef void measure(const double* x, const double* theta, double* k) noexcept nogil:
    """The predictors eta(x, theta): the measured quantities h, then further terms of the noise."""
    k[0] = sin(x[0])


cdef void measure_jacobian(const double* x, const double* theta, double* k, double* J) noexcept nogil:
    """The same and the nonzeros of its Jacobian by (x, theta), column after column."""
    k[0] = sin(x[0])
    J[0] = cos(x[0])


cdef void measure_curvature(const double* x, const double* theta, const double* mu, double* C) noexcept nogil:
    """Nonzeros of the lower triangle of sum_k mu_k D2eta_k by (x, theta)."""
    C[0] = -(mu[0]*sin(x[0]))


cdef void loss(const double* eta, const double* point, double* cost, double* slope, double* sure, double* mixed) noexcept nogil:
    """Cost of each channel's datum, its slopes by eta, and its curvature: a sure diagonal and the rest."""
    cdef double v0 = eta[0] - point[0]
    cdef double v1 = point[1]*v0
    cost[0] = 0.5*(v1*v0)
    slope[0] = v1
    sure[0] = point[1]


# ---------------------------------------------------------------------------------------------------------------------
# One step: stages, residual, adjoint, tangents, curvature
# ---------------------------------------------------------------------------------------------------------------------

cdef void stage_slopes(const double* w, const double* theta, const double* step, double* work) noexcept nogil:
    """Stage arguments X_i and slopes k_i = F(X_i, u, theta, t + c_i h)."""
    cdef double t = step[0]
    cdef double h = step[1]
    cdef double* X = &work[AT_X]
    cdef double* k = &work[AT_K]
    cdef int a
    # X_0 = 1/2 x[n] + 1/2 x[n+1]
    for a in range(D):
        X[0*D + a] = 0.5*w[a] + 0.5*w[E + a]
    field(&X[0*D], &step[3 + 0*U], theta, t + 0.5*h, &k[0*D])


cdef void stage_slopes_jacobian(const double* w, const double* theta, const double* step, double* work) noexcept nogil:
    """Stage arguments X_i and slopes k_i = F(X_i, u, theta, t + c_i h), with their Jacobians."""
    cdef double t = step[0]
    cdef double h = step[1]
    cdef double* X = &work[AT_X]
    cdef double* k = &work[AT_K]
    cdef int a
    # X_0 = 1/2 x[n] + 1/2 x[n+1]
    for a in range(D):
        X[0*D + a] = 0.5*w[a] + 0.5*w[E + a]
    field_jacobian(&X[0*D], &step[3 + 0*U], theta, t + 0.5*h, &k[0*D], &work[AT_J + 0*FIELD_J])


cdef void stage_residual(const double* w, const double* step, double* work) noexcept nogil:
    """r = x[n+1] - x[n] - h (k_0)."""
    cdef double h = step[1]
    cdef double* k = &work[AT_K]
    cdef double* r = &work[AT_R]
    cdef int a
    for a in range(D):
        r[a] = w[E + a] - w[a] - h*(k[0*D + a])


cdef double stage_weigh(const double* step, const double* rf, double* work) noexcept nogil:
    """lam_a = weight Rf_a r_a, the canonical momentum; returns the action sum_a lam_a r_a / 2."""
    cdef double* r = &work[AT_R]
    cdef double* lam = &work[AT_LAM]
    cdef double total = 0.0
    cdef int a, b
    for b in range(1):
        for a in range(D):
            lam[b*D + a] = step[2]*rf[a]*r[b*D + a]
            total += lam[b*D + a]*r[b*D + a]
    return 0.5*total


cdef void stage_adjoint(const double* step, double* work, double* g) noexcept nogil:
    """g = lam.dr/d(window, theta) by the adjoint recursion; kappa_i, the adjoint of slope i, on the way."""
    cdef double h = step[1]
    cdef double* lam = &work[AT_LAM]
    cdef double* J = &work[AT_J]
    cdef double* kappa = &work[AT_KAPPA]
    cdef double* xi = &work[AT_XI]
    cdef int a, q
    for a in range(D):
        g[a] = -lam[a]
        g[E + a] = lam[a]
    for a in range(P):
        g[E + D + a] = 0.0
    for a in range(D):
        kappa[0*D + a] = -h*(1.0*lam[a])
    # back through stage 0: xi = kappa_0.dF/d(x, theta)
    memset(xi, 0, (D + P)*sizeof(double))
    for q in range(FIELD_J):
        xi[J_COLUMN[q]] += J[0*FIELD_J + q]*kappa[0*D + J_ROW[q]]
    for a in range(D):
        g[a] += 0.5*xi[a]
        g[E + a] += 0.5*xi[a]
    for a in range(P):
        g[E + D + a] += xi[D + a]


cdef void stage_tangents(const double* step, double* work) noexcept nogil:
    """Tangents of stage arguments and slopes, and dr/d(unknowns), columns in internal order."""
    cdef double h = step[1]
    cdef double* J = &work[AT_J]
    cdef double* T = &work[AT_T]
    cdef double* TK = &work[AT_TK]
    cdef double* dr = &work[AT_DR]
    cdef int a, c, q
    memset(T, 0, 2*STAGES*D*COLUMNS*sizeof(double))
    memset(dr, 0, E*W*sizeof(double))
    # stage 0: its argument is a combination of grid points, so its tangent is not needed
    for q in range(FIELD_JX):
        TK[(0*D + J_ROW[q])*COLUMNS + J_COLUMN[q]] += 0.5*J[0*FIELD_J + q]
        TK[(0*D + J_ROW[q])*COLUMNS + 2 + J_COLUMN[q]] += 0.5*J[0*FIELD_J + q]
    for q in range(FIELD_JX, FIELD_J):
        TK[(0*D + J_ROW[q])*COLUMNS + THETA - D + J_COLUMN[q]] += J[0*FIELD_J + q]
    for a in range(D):
        for c in range(COLUMNS):
            dr[a*W + c] = -h*(TK[(0*D + a)*COLUMNS + c])
        dr[a*W + a] -= 1.0
        dr[a*W + LAST + a] += 1.0


cdef void stage_spread_curvature(const double* C, const int* from_column, const double* weight, int ends, double* H) noexcept nogil:
    """Add mu.D2F of a stage whose argument is a combination of grid points: weight[e] from column from_column[e]."""
    cdef int q, e, f, i, j, ends_i, ends_j
    cdef double value
    for q in range(FIELD_C):
        ends_i = ends if C_ROW[q] < D else 1
        ends_j = ends if C_COLUMN[q] < D else 1
        for e in range(ends_i):
            for f in range(ends_j):
                value = C[q]
                i = C_ROW[q] + THETA - D
                j = C_COLUMN[q] + THETA - D
                if C_ROW[q] < D:
                    i = C_ROW[q] + from_column[e]
                    value = value*weight[e]
                if C_COLUMN[q] < D:
                    j = C_COLUMN[q] + from_column[f]
                    value = value*weight[f]
                H[i*W + j] += value
                if C_ROW[q] != C_COLUMN[q]:
                    H[j*W + i] += value


cdef void stage_curvature(const double* theta, const double* step, double* work) noexcept nogil:
    """H += sum_a lam_a D2r_a = sum_i (tangent of X_i, theta)' (kappa_i.D2F(X_i)) (tangent of X_i, theta)."""
    cdef double t = step[0]
    cdef double h = step[1]
    cdef double* C = &work[AT_C]
    cdef double* H = &work[AT_H]
    cdef int from_column[2]
    cdef double weight[2]
    field_curvature(&work[AT_X + 0*D], &step[3 + 0*U], theta, t + 0.5*h, &work[AT_KAPPA + 0*D], C)
    from_column[0] = 0
    weight[0] = 0.5
    from_column[1] = 2
    weight[1] = 0.5
    stage_spread_curvature(C, from_column, weight, 2, H)


cdef void stage_gauss_newton(const double* step, const double* rf, double* work) noexcept nogil:
    """H += (dr)' diag(weight Rf) (dr)."""
    cdef double* dr = &work[AT_DR]
    cdef double* H = &work[AT_H]
    cdef double factor
    cdef int a, b, i, row
    for b in range(1):
        for a in range(D):
            row = (b*D + a)*W
            for i in range(COLUMNS):
                factor = step[2]*rf[a]*dr[row + i]
                if factor != 0.0:
                    add_row(&H[i*W], factor, &dr[row])


# ---------------------------------------------------------------------------------------------------------------------
# What CasADi calls: one step or one point, CasADi's external-function signature
# ---------------------------------------------------------------------------------------------------------------------

cdef extern from *:
    """
    #define SYMDA_EXPORT __attribute__((visibility("default")))
    static const long long step_action_in[12] = {
        4, 1, 1, 2, 1, 1, 4, 1, 1, 2, 1, 1};
    static const long long step_action_out[3] = {
        1, 1, 1};
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_action_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_action_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_action_sparsity_in(long long i) {
        return &step_action_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_action_sparsity_out(long long i) {
        return &step_action_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_step_action_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 4; *res = 1; *iw = 0; *w = 124;
        return 0;
    }

    static const long long step_gradient_in[12] = {
        4, 1, 1, 2, 1, 1, 4, 1, 1, 2, 1, 1};
    static const long long step_gradient_out[6] = {
        1, 1, 1, 6, 1, 1};
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_gradient_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_gradient_n_out(void) { return 2; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_gradient_sparsity_in(long long i) {
        return &step_gradient_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_gradient_sparsity_out(long long i) {
        return &step_gradient_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_step_gradient_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 4; *res = 2; *iw = 0; *w = 124;
        return 0;
    }

    static const long long step_hessian_in[12] = {
        4, 1, 1, 2, 1, 1, 4, 1, 1, 2, 1, 1};
    static const long long step_hessian_out[30] = {
        6, 6, 0, 1, 3, 6, 10, 15, 21, 0, 0, 1, 0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5};
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_hessian_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_hessian_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_hessian_sparsity_in(long long i) {
        return &step_hessian_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_hessian_sparsity_out(long long i) {
        return &step_hessian_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_step_hessian_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 4; *res = 1; *iw = 0; *w = 124;
        return 0;
    }

    static const long long step_residual_in[9] = {
        4, 1, 1, 2, 1, 1, 4, 1, 1};
    static const long long step_residual_out[3] = {
        2, 1, 1};
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_residual_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_residual_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_residual_sparsity_in(long long i) {
        return &step_residual_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_residual_sparsity_out(long long i) {
        return &step_residual_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_step_residual_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 124;
        return 0;
    }

    static const long long step_jacobian_in[9] = {
        4, 1, 1, 2, 1, 1, 4, 1, 1};
    static const long long step_jacobian_out[19] = {
        2, 6, 0, 2, 4, 6, 8, 9, 10, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1};
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_jacobian_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_jacobian_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_jacobian_sparsity_in(long long i) {
        return &step_jacobian_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_jacobian_sparsity_out(long long i) {
        return &step_jacobian_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_step_jacobian_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 124;
        return 0;
    }

    static const long long step_curvature_in[12] = {
        4, 1, 1, 2, 1, 1, 4, 1, 1, 2, 1, 1};
    static const long long step_curvature_out[16] = {
        6, 6, 0, 1, 1, 3, 3, 5, 7, 0, 0, 2, 1, 3, 0, 2};
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_curvature_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_step_curvature_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_curvature_sparsity_in(long long i) {
        return &step_curvature_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_step_curvature_sparsity_out(long long i) {
        return &step_curvature_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_step_curvature_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 4; *res = 1; *iw = 0; *w = 124;
        return 0;
    }

    static const long long point_action_in[9] = {
        2, 1, 1, 2, 1, 1, 2, 1, 1};
    static const long long point_action_out[3] = {
        1, 1, 1};
    SYMDA_EXPORT long long symda_54c864b3e4c0_point_action_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_point_action_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_point_action_sparsity_in(long long i) {
        return &point_action_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_point_action_sparsity_out(long long i) {
        return &point_action_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_point_action_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 6;
        return 0;
    }

    static const long long point_gradient_in[9] = {
        2, 1, 1, 2, 1, 1, 2, 1, 1};
    static const long long point_gradient_out[6] = {
        1, 1, 1, 4, 1, 1};
    SYMDA_EXPORT long long symda_54c864b3e4c0_point_gradient_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_point_gradient_n_out(void) { return 2; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_point_gradient_sparsity_in(long long i) {
        return &point_gradient_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_point_gradient_sparsity_out(long long i) {
        return &point_gradient_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_point_gradient_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 2; *iw = 0; *w = 6;
        return 0;
    }

    static const long long point_hessian_in[9] = {
        2, 1, 1, 2, 1, 1, 2, 1, 1};
    static const long long point_hessian_out[8] = {
        4, 4, 0, 1, 1, 1, 1, 0};
    SYMDA_EXPORT long long symda_54c864b3e4c0_point_hessian_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_point_hessian_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_point_hessian_sparsity_in(long long i) {
        return &point_hessian_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_point_hessian_sparsity_out(long long i) {
        return &point_hessian_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_point_hessian_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 6;
        return 0;
    }

    static const long long point_gauss_newton_in[9] = {
        2, 1, 1, 2, 1, 1, 2, 1, 1};
    static const long long point_gauss_newton_out[8] = {
        4, 4, 0, 1, 1, 1, 1, 0};
    SYMDA_EXPORT long long symda_54c864b3e4c0_point_gauss_newton_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_point_gauss_newton_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_point_gauss_newton_sparsity_in(long long i) {
        return &point_gauss_newton_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_point_gauss_newton_sparsity_out(long long i) {
        return &point_gauss_newton_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_point_gauss_newton_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 6;
        return 0;
    }

    static const long long measure_in[6] = {
        2, 1, 1, 2, 1, 1};
    static const long long measure_out[3] = {
        1, 1, 1};
    SYMDA_EXPORT long long symda_54c864b3e4c0_measure_n_in(void) { return 2; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_measure_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_measure_sparsity_in(long long i) {
        return &measure_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_measure_sparsity_out(long long i) {
        return &measure_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_measure_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 2; *res = 1; *iw = 0; *w = 6;
        return 0;
    }

    static const long long measure_jacobian_in[6] = {
        2, 1, 1, 2, 1, 1};
    static const long long measure_jacobian_out[8] = {
        1, 4, 0, 1, 1, 1, 1, 0};
    SYMDA_EXPORT long long symda_54c864b3e4c0_measure_jacobian_n_in(void) { return 2; }
    SYMDA_EXPORT long long symda_54c864b3e4c0_measure_jacobian_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_measure_jacobian_sparsity_in(long long i) {
        return &measure_jacobian_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_54c864b3e4c0_measure_jacobian_sparsity_out(long long i) {
        return &measure_jacobian_out[3*i];
    }
    SYMDA_EXPORT int symda_54c864b3e4c0_measure_jacobian_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 2; *res = 1; *iw = 0; *w = 6;
        return 0;
    }

    """


cdef public int symda_54c864b3e4c0_step_action(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """sum_a weight Rf_a r_a^2 / 2 of one step."""
    stage_slopes(arg[0], arg[1], arg[2], work)
    stage_residual(arg[0], arg[2], work)
    cdef double action = stage_weigh(arg[2], arg[3], work)
    if res[0] != NULL:
        res[0][0] = action
    return 0


cdef public int symda_54c864b3e4c0_step_gradient(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """The action of one step and its gradient by (window, theta)."""
    stage_slopes_jacobian(arg[0], arg[1], arg[2], work)
    stage_residual(arg[0], arg[2], work)
    cdef double action = stage_weigh(arg[2], arg[3], work)
    if res[0] != NULL:
        res[0][0] = action
    if res[1] != NULL:
        stage_adjoint(arg[2], work, res[1])
    return 0


cdef public int symda_54c864b3e4c0_step_hessian(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Upper triangle of the Hessian of one step's action."""
    cdef int q
    if res[0] == NULL:
        return 0
    stage_slopes_jacobian(arg[0], arg[1], arg[2], work)
    stage_tangents(arg[2], work)
    memset(&work[AT_H], 0, W*W*sizeof(double))
    stage_residual(arg[0], arg[2], work)
    stage_weigh(arg[2], arg[3], work)
    stage_adjoint(arg[2], work, &work[AT_G])
    stage_curvature(arg[1], arg[2], work)
    stage_gauss_newton(arg[2], arg[3], work)
    for q in range(STEP_H):
        res[0][q] = work[AT_H + STEP_H_SOURCE[q]]
    return 0


cdef public int symda_54c864b3e4c0_step_residual(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """The residual r of one step."""
    cdef int e
    if res[0] == NULL:
        return 0
    stage_slopes(arg[0], arg[1], arg[2], work)
    stage_residual(arg[0], arg[2], work)
    for e in range(E):
        res[0][e] = work[AT_R + e]
    return 0


cdef public int symda_54c864b3e4c0_step_jacobian(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Nonzeros of dr/d(window, theta)."""
    cdef int q
    if res[0] == NULL:
        return 0
    stage_slopes_jacobian(arg[0], arg[1], arg[2], work)
    stage_tangents(arg[2], work)
    for q in range(STEP_J):
        res[0][q] = work[AT_DR + STEP_J_SOURCE[q]]
    return 0


cdef public int symda_54c864b3e4c0_step_curvature(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Upper triangle of sum_e lam_e D2r_e of one step."""
    cdef int q, e
    if res[0] == NULL:
        return 0
    stage_slopes_jacobian(arg[0], arg[1], arg[2], work)
    for e in range(E):
        work[AT_LAM + e] = arg[3][e]
    stage_adjoint(arg[2], work, &work[AT_G])
    stage_tangents(arg[2], work)
    memset(&work[AT_H], 0, W*W*sizeof(double))
    stage_curvature(arg[1], arg[2], work)
    for q in range(STEP_C):
        res[0][q] = work[AT_H + STEP_C_SOURCE[q]]
    return 0


cdef inline void casadi_point_costs(const double* point, double* work) noexcept nogil:
    """Costs and their derivatives by the predictors; what was not measured, Rm_l = 0, counts nothing."""
    cdef int k
    loss(&work[AT_ETA], point, &work[AT_COST], &work[AT_SLOPE], &work[AT_SURE], &work[AT_MIXED])
    for k in range(Q):
        if point[L + ETA_CHANNEL[k]] == 0.0:
            work[AT_SLOPE + k] = work[AT_SURE + k] = 0.0


cdef inline double casadi_point_total(const double* point, double* work) noexcept nogil:
    """Sum of the costs; what was not measured need not be finite."""
    cdef double total = 0.0
    cdef int l
    for l in range(L):
        if point[L + l] != 0.0:
            total += work[AT_COST + l]
    return total


cdef public int symda_54c864b3e4c0_point_action(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Cost of the data of one grid point."""
    if res[0] == NULL:
        return 0
    measure(arg[0], arg[1], &work[AT_ETA])
    casadi_point_costs(arg[2], work)
    res[0][0] = casadi_point_total(arg[2], work)
    return 0


cdef public int symda_54c864b3e4c0_point_gradient(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """The same and its gradient by (x, theta)."""
    cdef double* J = &work[AT_MJ]
    cdef int q
    measure_jacobian(arg[0], arg[1], &work[AT_ETA], J)
    casadi_point_costs(arg[2], work)
    if res[0] != NULL:
        res[0][0] = casadi_point_total(arg[2], work)
    if res[1] != NULL:
        memset(res[1], 0, (D + P)*sizeof(double))
        for q in range(MEASURE_J):
            if arg[2][L + ETA_CHANNEL[MJ_ROW[q]]] != 0.0:
                res[1][MJ_COLUMN[q]] += J[q]*work[AT_SLOPE + MJ_ROW[q]]
    return 0


cdef public int symda_54c864b3e4c0_point_hessian(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Upper triangle of the Hessian of one grid point's cost."""
    cdef const double* rm = &arg[2][L]
    cdef double* J = &work[AT_MJ]
    cdef int q
    if res[0] == NULL:
        return 0
    measure_jacobian(arg[0], arg[1], &work[AT_ETA], J)
    casadi_point_costs(arg[2], work)
    memset(res[0], 0, POINT_H*sizeof(double))
    for q in range(POINT_PAIRS):
        if rm[ETA_CHANNEL[PAIR_ROW[q]]] != 0.0:
            res[0][PAIR_TARGET[q]] += work[AT_SURE + PAIR_ROW[q]]*J[PAIR_Q[q]]*J[PAIR_R[q]]
    measure_curvature(arg[0], arg[1], &work[AT_SLOPE], &work[AT_MC])
    for q in range(MEASURE_C):
        res[0][POINT_SCATTER[q]] += work[AT_MC + q]
    return 0


cdef public int symda_54c864b3e4c0_point_gauss_newton(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """The same without the curvature of the predictors and off the sure diagonal of the cost's."""
    cdef double* J = &work[AT_MJ]
    cdef int q
    if res[0] == NULL:
        return 0
    measure_jacobian(arg[0], arg[1], &work[AT_ETA], J)
    casadi_point_costs(arg[2], work)
    memset(res[0], 0, POINT_H*sizeof(double))
    for q in range(POINT_PAIRS):
        if arg[2][L + ETA_CHANNEL[PAIR_ROW[q]]] != 0.0:
            res[0][PAIR_TARGET[q]] += work[AT_SURE + PAIR_ROW[q]]*J[PAIR_Q[q]]*J[PAIR_R[q]]
    return 0


cdef public int symda_54c864b3e4c0_measure(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """The predictors at one grid point."""
    if res[0] != NULL:
        measure(arg[0], arg[1], res[0])
    return 0


cdef public int symda_54c864b3e4c0_measure_jacobian(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Nonzeros of their Jacobian by (x, theta)."""
    if res[0] != NULL:
        measure_jacobian(arg[0], arg[1], work, res[0])
    return 0


# ---------------------------------------------------------------------------------------------------------------------
# What Python calls: whole paths, addresses of C-contiguous float64 arrays checked by the caller; the GIL is released
# ---------------------------------------------------------------------------------------------------------------------

ctypedef int (*kernel_t)(const double**, double**, long long*, double*, int) noexcept nogil


cdef int paths_sweep(kernel_t kernel, const double* at, Py_ssize_t stride, Py_ssize_t shift, const double* theta, const double* data,
                     Py_ssize_t width, const double* last, Py_ssize_t last_stride, const long long* firsts, Py_ssize_t pieces,
                     double* first_out, Py_ssize_t first_stride, double* second_out, Py_ssize_t second_stride) noexcept nogil:
    """Call a kernel for each step or point, piece after piece of the path: piece s has those from firsts[s] on, parameters of its
    own, and stands `shift` behind where the strides alone would put it; -1 when there is no memory."""
    cdef const double* arg[4]
    cdef double* res[2]
    cdef Py_ssize_t n, s
    cdef double* work = <double*> malloc((STEP_WORK + POINT_WORK + PRIOR_WORK)*sizeof(double))
    if work == NULL:
        return -1
    for s in range(pieces):
        arg[1] = &theta[s*P]
        for n in range(firsts[s], firsts[s + 1]):
            arg[0] = &at[n*stride + s*shift]
            arg[2] = &data[n*width]
            arg[3] = &last[n*last_stride]
            res[0] = &first_out[n*first_stride]
            res[1] = &second_out[n*second_stride]
            kernel(arg, res, NULL, work, 0)
    free(work)
    return 0


cdef void paths_require(int code) except *:
    if code:
        raise MemoryError("no memory for the work space of the kernels")


def step_gradient(size_t X, size_t theta, size_t steps, size_t rf, size_t firsts, Py_ssize_t pieces, size_t action, size_t gradient):
    """Actions (N,) and gradients (N, E + D + P) of the steps."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_step_gradient, <double*> X, E, D, <double*> theta, <double*> steps, STEP, <double*> rf, 0,
                     <long long*> firsts, pieces, <double*> action, 1, <double*> gradient, W)
    paths_require(code)


def step_action(size_t X, size_t theta, size_t steps, size_t rf, size_t firsts, Py_ssize_t pieces, size_t action):
    """Actions (N,) of the steps."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_step_action, <double*> X, E, D, <double*> theta, <double*> steps, STEP, <double*> rf, 0,
                     <long long*> firsts, pieces, <double*> action, 1, NULL, 0)
    paths_require(code)


def step_hessian(size_t X, size_t theta, size_t steps, size_t rf, size_t firsts, Py_ssize_t pieces, size_t hessian):
    """Nonzeros (N, STEP_H) of the Hessians of the steps."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_step_hessian, <double*> X, E, D, <double*> theta, <double*> steps, STEP, <double*> rf, 0,
                     <long long*> firsts, pieces, <double*> hessian, STEP_H, NULL, 0)
    paths_require(code)


def step_residual(size_t X, size_t theta, size_t steps, size_t firsts, Py_ssize_t pieces, size_t residuals):
    """Residuals (N, E) of the steps."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_step_residual, <double*> X, E, D, <double*> theta, <double*> steps, STEP, NULL, 0,
                     <long long*> firsts, pieces, <double*> residuals, E, NULL, 0)
    paths_require(code)


def step_jacobian(size_t X, size_t theta, size_t steps, size_t firsts, Py_ssize_t pieces, size_t jacobian):
    """Nonzeros (N, STEP_J) of the residuals' Jacobians."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_step_jacobian, <double*> X, E, D, <double*> theta, <double*> steps, STEP, NULL, 0,
                     <long long*> firsts, pieces, <double*> jacobian, STEP_J, NULL, 0)
    paths_require(code)


def step_curvature(size_t X, size_t theta, size_t steps, size_t lam, size_t firsts, Py_ssize_t pieces, size_t curvatures):
    """Nonzeros (N, STEP_C) of the residuals' curvatures along lam (N, E)."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_step_curvature, <double*> X, E, D, <double*> theta, <double*> steps, STEP, <double*> lam, E,
                     <long long*> firsts, pieces, <double*> curvatures, STEP_C, NULL, 0)
    paths_require(code)


def point_action(size_t X, size_t theta, size_t points, size_t firsts, Py_ssize_t pieces, size_t action):
    """Costs (M,) of rows of data."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_point_action, <double*> X, D, 0, <double*> theta, <double*> points, 2*L, NULL, 0,
                     <long long*> firsts, pieces, <double*> action, 1, NULL, 0)
    paths_require(code)


def point_gradient(size_t X, size_t theta, size_t points, size_t firsts, Py_ssize_t pieces, size_t action, size_t gradient):
    """Costs (M,) and their gradients (M, D + P)."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_point_gradient, <double*> X, D, 0, <double*> theta, <double*> points, 2*L, NULL, 0,
                     <long long*> firsts, pieces, <double*> action, 1, <double*> gradient, D + P)
    paths_require(code)


def point_hessian(size_t X, size_t theta, size_t points, size_t firsts, Py_ssize_t pieces, size_t hessian):
    """Nonzeros (M, POINT_H) of the Hessians of the grid points."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_point_hessian, <double*> X, D, 0, <double*> theta, <double*> points, 2*L, NULL, 0,
                     <long long*> firsts, pieces, <double*> hessian, POINT_H, NULL, 0)
    paths_require(code)


def point_gauss_newton(size_t X, size_t theta, size_t points, size_t firsts, Py_ssize_t pieces, size_t hessian):
    """Nonzeros (M, POINT_H) of the Gauss-Newton Hessians of the grid points."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_point_gauss_newton, <double*> X, D, 0, <double*> theta, <double*> points, 2*L, NULL, 0,
                     <long long*> firsts, pieces, <double*> hessian, POINT_H, NULL, 0)
    paths_require(code)


def measure_path(size_t X, size_t theta, size_t firsts, Py_ssize_t pieces, size_t values):
    """The predictors eta(x, theta), shape (M, Q), along a path."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_measure, <double*> X, D, 0, <double*> theta, NULL, 0, NULL, 0,
                     <long long*> firsts, pieces, <double*> values, Q, NULL, 0)
    paths_require(code)


def measure_jacobian_path(size_t X, size_t theta, size_t firsts, Py_ssize_t pieces, size_t nonzeros):
    """Nonzeros (M, MEASURE_J) of the predictors' Jacobians along a path."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_54c864b3e4c0_measure_jacobian, <double*> X, D, 0, <double*> theta, NULL, 0, NULL, 0,
                     <long long*> firsts, pieces, <double*> nonzeros, MEASURE_J, NULL, 0)
    paths_require(code)
