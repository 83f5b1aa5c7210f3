# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Kernels of neuron under the scheme hermite-simpson.

The model dx/dt = F(x, u, theta, t):

    dV/dt = I - gK*n**4*(V + 77) - gL*(V + 54.4) - gNa*h*m**3*(V - 50)
    dm/dt = -4*m*exp(-V/18 - 65/18) + (1 - m)/exprel(-V/10 - 4)
    dh/dt = -h/(exp(-V/10 - 7/2) + 1) + 0.07*(1 - h)*exp(-V/20 - 13/4)
    dn/dt = -0.125*n*exp(-V/80 - 13/16) + 0.1*(1 - n)/exprel(-V/10 - 11/2)

The measured quantities h(x, theta):

    V = V

In this order:

    theta = (gL, gK, gNa)
    u = (I)

Step n sees the window w = (x[n], m[n], x[n+1]) of E + D numbers, the parameters theta, and its own data
step = (t, h, weight, u), u being the forcing at the 3 abscissae of the scheme. The action of one step is
sum_a weight Rf_a r_a^2 / 2 with the residual r below; that of one grid point is sum_l Rm_l (h_l - y_l)^2 / 2.

Written by symda; the text depends on the model, the scheme and the templates alone. Do not edit.
"""

from libc.math cimport (
    INFINITY, NAN, acos, acosh, asin, asinh, atan, atan2, atanh, ceil, copysign, cos, cosh, erf, exp, expm1,
    fabs, floor, fmax, fmin, fmod, hypot, log, log1p, pow, sin, sinh, sqrt, tan, tanh,
)
from libc.stdlib cimport free, malloc
from libc.string cimport memset

# Sizes, and where each working array stands in the work space.
cdef enum:
    D = 4  # states
    P = 3  # parameters
    L = 1  # measured channels
    U = 1  # forcing channels
    S = 3  # abscissae of the scheme
    E = 8  # unknowns and residuals a step
    W = 15  # unknowns a step sees: window and parameters
    STAGES = 3  # stages of the scheme
    COLUMNS = 15  # columns of the tangents, see the note on their order below
    THETA = 12  # internal column of theta
    LAST = 8  # internal column of x[n+1]
    STEP = 6  # numbers in `step`
    FIELD_J = 13  # nonzeros of dF/d(x, theta); those of x come first
    FIELD_JX = 10  # those of x alone
    FIELD_C = 13  # nonzeros of the lower triangle of mu.D2F
    MEASURE_J = 1  # nonzeros of dh/d(x, theta)
    MEASURE_C = 0  # nonzeros of the lower triangle of mu.D2h
    STEP_J = 60  # nonzeros of dr/d(window, theta)
    STEP_H = 120  # nonzeros of the upper triangle of a step's Hessian
    STEP_C = 39  # nonzeros of the upper triangle of lam.D2r
    POINT_H = 1  # nonzeros of the upper triangle of a grid point's Hessian
    POINT_PAIRS = 1  # products of two nonzeros of dh that add to it
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
    POINT_WORK = 2*L + MEASURE_J + MEASURE_C

# The order of the columns in working arrays is (window, theta); what leaves a kernel is in
# the order (window, theta). ROW and COLUMN are the places of nonzeros, SOURCE where an output stands in a working array,
# PAIR which nonzeros of dh are multiplied.
cdef extern from *:
    """
static const int J_ROW[13] = {
    0, 1, 2, 3, 0, 1, 0, 2, 0, 3, 0, 0, 0};
static const int J_COLUMN[13] = {
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6};
static const int C_ROW[13] = {
    0, 1, 2, 3, 4, 5, 6, 1, 2, 6, 6, 3, 5};
static const int C_COLUMN[13] = {
    0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 3};
static const int MJ_ROW[1] = {
    0};
static const int MJ_COLUMN[1] = {
    0};
static const int STEP_J_SOURCE[60] = {
    0, 15, 30, 45, 60, 75, 90, 105, 1, 16, 61, 76, 2, 32, 62, 92, 3, 48, 63, 108, 4, 19, 34, 49, 64,
    5, 20, 80, 6, 36, 96, 7, 52, 112, 8, 23, 38, 53, 68, 83, 98, 113, 9, 24, 69, 84, 10, 40, 70, 100,
    11, 56, 71, 116, 12, 72, 13, 73, 14, 74};
static const int STEP_H_SOURCE[120] = {
    0, 15, 16, 30, 31, 32, 45, 46, 47, 48, 60, 61, 62, 63, 64, 75, 76, 77, 78, 79, 80, 90, 91, 92,
    93, 94, 95, 96, 105, 106, 107, 108, 109, 110, 111, 112, 120, 121, 122, 123, 124, 125, 126, 127,
    128, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144, 150, 151, 152, 153, 154, 155, 156, 157,
    158, 159, 160, 165, 166, 167, 168, 169, 170, 171, 172, 173, 174, 175, 176, 180, 181, 182, 183,
    184, 185, 186, 187, 188, 189, 190, 191, 192, 195, 196, 197, 198, 199, 200, 201, 202, 203, 204,
    205, 206, 207, 208, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219, 220, 221, 222, 223, 224};
static const int STEP_C_SOURCE[39] = {
    0, 15, 16, 30, 31, 45, 48, 64, 79, 80, 94, 95, 109, 112, 128, 143, 144, 158, 159, 173, 176, 180,
    184, 188, 195, 198, 199, 202, 203, 206, 210, 211, 212, 214, 215, 216, 218, 219, 220};
static const int PAIR_ROW[1] = {
    0};
static const int PAIR_Q[1] = {
    0};
static const int PAIR_R[1] = {
    0};
static const int PAIR_TARGET[1] = {
    0};
    """
    const int* J_ROW
    const int* J_COLUMN
    const int* C_ROW
    const int* C_COLUMN
    const int* MJ_ROW
    const int* MJ_COLUMN
    const int* STEP_J_SOURCE
    const int* STEP_H_SOURCE
    const int* STEP_C_SOURCE
    const int* PAIR_ROW
    const int* PAIR_Q
    const int* PAIR_R
    const int* PAIR_TARGET
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
    cdef double v0 = x[3]*x[3]
    cdef double v1 = (54.4 + x[0])*theta[0] + v0*v0*(77.0 + x[0])*theta[1] + x[1]*x[1]*x[1]*(-50.0 + x[0])*theta[2]*x[2]
    cdef double v2 = (-0.1)*x[0]
    cdef double v3 = -4.0 + v2
    cdef double v4 = (1.0 if fabs(v3) < 1.0 else 0.0)
    cdef double v5 = v4*v3
    cdef double v6 = 8.22063524662433e-18 + v5*(4.110317623312165e-19 + 1.9572941063391263e-20*v5)
    cdef double v7 = v5*(2.8114572543455206e-15 + v5*(1.5619206968586225e-16 + v5*v6))
    cdef double v8 = 1.1470745597729725e-11 + v5*(7.647163731819816e-13 + v5*(4.779477332387385e-14 + v7))
    cdef double v9 = 2.505210838544172e-08 + v5*(2.08767569878681e-09 + v5*(1.6059043836821613e-10 + v5*v8))
    cdef double v10 = 2.48015873015873e-05 + v5*(2.7557319223985893e-06 + v5*(2.755731922398589e-07 + v5*v9))
    cdef double v11 = 0.008333333333333333 + v5*(0.001388888888888889 + v5*(0.0001984126984126984 + v5*v10))
    cdef double v12 = 0.5 + v5*(0.16666666666666666 + v5*(0.041666666666666664 + v5*v11))
    cdef double v13 = (1.0 if v4 == 0.0 else 0.0)
    cdef double v14 = (1.0 if v4 != 0.0 else 0.0) + (v3 if v13 != 0.0 else 0.0)
    cdef double v15 = (1.0 + v5*v12 if v4 != 0.0 else 0.0) + (expm1(v14)/v14 if v13 != 0.0 else 0.0)
    cdef double v16 = (1.0 - x[1])/v15 + (-4.0)*x[1]*exp(-3.611111111111111 + (-0.05555555555555555)*x[0])
    cdef double v17 = 0.07*(1.0 - x[2])*exp(-3.25 + (-0.05)*x[0]) - x[2]/(1.0 + exp(-3.5 + v2))
    cdef double v18 = -5.5 + v2
    cdef double v19 = (1.0 if fabs(v18) < 1.0 else 0.0)
    cdef double v20 = v19*v18
    cdef double v21 = 8.22063524662433e-18 + v20*(4.110317623312165e-19 + 1.9572941063391263e-20*v20)
    cdef double v22 = v20*(2.8114572543455206e-15 + v20*(1.5619206968586225e-16 + v20*v21))
    cdef double v23 = 1.1470745597729725e-11 + v20*(7.647163731819816e-13 + v20*(4.779477332387385e-14 + v22))
    cdef double v24 = v20*(2.08767569878681e-09 + v20*(1.6059043836821613e-10 + v20*v23))
    cdef double v25 = 2.7557319223985893e-06 + v20*(2.755731922398589e-07 + v20*(2.505210838544172e-08 + v24))
    cdef double v26 = v20*(0.0001984126984126984 + v20*(2.48015873015873e-05 + v20*v25))
    cdef double v27 = 0.041666666666666664 + v20*(0.008333333333333333 + v20*(0.001388888888888889 + v26))
    cdef double v28 = (1.0 + v20*(0.5 + v20*(0.16666666666666666 + v20*v27)) if v19 != 0.0 else 0.0)
    cdef double v29 = (1.0 if v19 == 0.0 else 0.0)
    cdef double v30 = (1.0 if v19 != 0.0 else 0.0) + (v18 if v29 != 0.0 else 0.0)
    cdef double v31 = 0.1*(1.0 - x[3])/(v28 + (expm1(v30)/v30 if v29 != 0.0 else 0.0)) + (-0.125)*x[3]*exp(-0.8125 + (-0.0125)*x[0])
    k[0] = u[0] - v1
    k[1] = v16
    k[2] = v17
    k[3] = v31


cdef void field_jacobian(const double* x, const double* u, const double* theta, double t, double* k, double* J) noexcept nogil:
    """The same and the nonzeros of its Jacobian by (x, theta), column after column."""
    cdef double v0 = 54.4 + x[0]
    cdef double v1 = x[3]*x[3]
    cdef double v2 = v1*v1
    cdef double v3 = 77.0 + x[0]
    cdef double v4 = v2*v3
    cdef double v5 = x[1]*x[1]
    cdef double v6 = v5*x[1]
    cdef double v7 = -50.0 + x[0]
    cdef double v8 = v6*v7
    cdef double v9 = v8*theta[2]
    cdef double v10 = (-0.1)*x[0]
    cdef double v11 = -4.0 + v10
    cdef double v12 = (1.0 if fabs(v11) < 1.0 else 0.0)
    cdef double v13 = v12*v11
    cdef double v14 = 4.110317623312165e-19 + 1.9572941063391263e-20*v13
    cdef double v15 = 8.22063524662433e-18 + v13*v14
    cdef double v16 = 1.5619206968586225e-16 + v13*v15
    cdef double v17 = 2.8114572543455206e-15 + v13*v16
    cdef double v18 = 4.779477332387385e-14 + v13*v17
    cdef double v19 = 7.647163731819816e-13 + v13*v18
    cdef double v20 = 1.1470745597729725e-11 + v13*v19
    cdef double v21 = 1.6059043836821613e-10 + v13*v20
    cdef double v22 = 2.08767569878681e-09 + v13*v21
    cdef double v23 = 2.505210838544172e-08 + v13*v22
    cdef double v24 = 2.755731922398589e-07 + v13*v23
    cdef double v25 = 2.7557319223985893e-06 + v13*v24
    cdef double v26 = 2.48015873015873e-05 + v13*v25
    cdef double v27 = 0.0001984126984126984 + v13*v26
    cdef double v28 = 0.001388888888888889 + v13*v27
    cdef double v29 = 0.008333333333333333 + v13*v28
    cdef double v30 = 0.041666666666666664 + v13*v29
    cdef double v31 = 0.16666666666666666 + v13*v30
    cdef double v32 = 0.5 + v13*v31
    cdef double v33 = (1.0 if v12 == 0.0 else 0.0)
    cdef double v34 = (1.0 if v12 != 0.0 else 0.0) + (v11 if v33 != 0.0 else 0.0)
    cdef double v35 = expm1(v34)/v34
    cdef double v36 = (1.0 + v13*v32 if v12 != 0.0 else 0.0) + (v35 if v33 != 0.0 else 0.0)
    cdef double v37 = (1.0 - x[1])/v36
    cdef double v38 = (-4.0)*x[1]
    cdef double v39 = exp(-3.611111111111111 + (-0.05555555555555555)*x[0])
    cdef double v40 = 0.07*(1.0 - x[2])
    cdef double v41 = exp(-3.25 + (-0.05)*x[0])
    cdef double v42 = exp(-3.5 + v10)
    cdef double v43 = 1.0 + v42
    cdef double v44 = x[2]/v43
    cdef double v45 = -5.5 + v10
    cdef double v46 = (1.0 if fabs(v45) < 1.0 else 0.0)
    cdef double v47 = v46*v45
    cdef double v48 = 4.110317623312165e-19 + 1.9572941063391263e-20*v47
    cdef double v49 = 8.22063524662433e-18 + v47*v48
    cdef double v50 = 1.5619206968586225e-16 + v47*v49
    cdef double v51 = 2.8114572543455206e-15 + v47*v50
    cdef double v52 = 4.779477332387385e-14 + v47*v51
    cdef double v53 = 7.647163731819816e-13 + v47*v52
    cdef double v54 = 1.1470745597729725e-11 + v47*v53
    cdef double v55 = 1.6059043836821613e-10 + v47*v54
    cdef double v56 = 2.08767569878681e-09 + v47*v55
    cdef double v57 = 2.505210838544172e-08 + v47*v56
    cdef double v58 = 2.755731922398589e-07 + v47*v57
    cdef double v59 = 2.7557319223985893e-06 + v47*v58
    cdef double v60 = 2.48015873015873e-05 + v47*v59
    cdef double v61 = 0.0001984126984126984 + v47*v60
    cdef double v62 = 0.001388888888888889 + v47*v61
    cdef double v63 = 0.008333333333333333 + v47*v62
    cdef double v64 = 0.041666666666666664 + v47*v63
    cdef double v65 = 0.16666666666666666 + v47*v64
    cdef double v66 = 0.5 + v47*v65
    cdef double v67 = (1.0 if v46 == 0.0 else 0.0)
    cdef double v68 = (1.0 if v46 != 0.0 else 0.0) + (v45 if v67 != 0.0 else 0.0)
    cdef double v69 = expm1(v68)/v68
    cdef double v70 = (1.0 + v47*v66 if v46 != 0.0 else 0.0) + (v69 if v67 != 0.0 else 0.0)
    cdef double v71 = 0.1*(1.0 - x[3])/v70
    cdef double v72 = (-0.125)*x[3]
    cdef double v73 = exp(-0.8125 + (-0.0125)*x[0])
    cdef double v74 = (-0.1)*v12
    cdef double v75 = v13*(v15*v74 + v13*(v14*v74 + v13*((-1.9572941063391264e-21)*v12)))
    cdef double v76 = v19*v74 + v13*(v18*v74 + v13*(v17*v74 + v13*(v16*v74 + v75)))
    cdef double v77 = v23*v74 + v13*(v22*v74 + v13*(v21*v74 + v13*(v20*v74 + v13*v76)))
    cdef double v78 = v27*v74 + v13*(v26*v74 + v13*(v25*v74 + v13*(v24*v74 + v13*v77)))
    cdef double v79 = v31*v74 + v13*(v30*v74 + v13*(v29*v74 + v13*(v28*v74 + v13*v78)))
    cdef double v80 = (((-0.1)*exp(v34)/v34 - (-0.1)*(v35/v34) if v33 != 0.0 else 0.0) if v33 != 0.0 else 0.0)
    cdef double v81 = v38*((-0.05555555555555555)*v39) - v37/v36*((v32*v74 + v13*v79 if v12 != 0.0 else 0.0) + v80)
    cdef double v82 = (-0.1)*v46
    cdef double v83 = v49*v82 + v47*(v48*v82 + v47*((-1.9572941063391264e-21)*v46))
    cdef double v84 = v47*(v52*v82 + v47*(v51*v82 + v47*(v50*v82 + v47*v83)))
    cdef double v85 = v56*v82 + v47*(v55*v82 + v47*(v54*v82 + v47*(v53*v82 + v84)))
    cdef double v86 = v47*(v59*v82 + v47*(v58*v82 + v47*(v57*v82 + v47*v85)))
    cdef double v87 = v63*v82 + v47*(v62*v82 + v47*(v61*v82 + v47*(v60*v82 + v86)))
    cdef double v88 = (v66*v82 + v47*(v65*v82 + v47*(v64*v82 + v47*v87)) if v46 != 0.0 else 0.0)
    cdef double v89 = ((-0.1)*exp(v68)/v68 - (-0.1)*(v69/v68) if v67 != 0.0 else 0.0)
    cdef double v90 = v72*((-0.0125)*v73) - v71/v70*(v88 + (v89 if v67 != 0.0 else 0.0))
    k[0] = u[0] - (v0*theta[0] + v4*theta[1] + v9*x[2])
    k[1] = v37 + v38*v39
    k[2] = v40*v41 - v44
    k[3] = v71 + v72*v73
    J[0] = -(theta[0] + theta[1]*v2 + x[2]*(theta[2]*v6))
    J[1] = v81
    J[2] = v40*((-0.05)*v41) + v44/v43*((-0.1)*v42)
    J[3] = v90
    J[4] = -(x[2]*(theta[2]*(v7*(x[1]*(2.0*x[1]) + v5))))
    J[5] = (-4.0)*v39 - 1.0/v36
    J[6] = -v9
    J[7] = (-0.07)*v41 - 1.0/v43
    J[8] = -(theta[1]*(v3*(2.0*v1*(2.0*x[3]))))
    J[9] = (-0.1)/v70 + (-0.125)*v73
    J[10] = -v0
    J[11] = -v4
    J[12] = -(x[2]*v8)


cdef void field_curvature(const double* x, const double* u, const double* theta, double t, const double* mu, double* C) noexcept nogil:
    """Nonzeros of the lower triangle of sum_a mu_a D2F_a by (x, theta)."""
    cdef double v0 = (-0.0125)*exp(-0.8125 + (-0.0125)*x[0])
    cdef double v1 = (-0.05)*exp(-3.25 + (-0.05)*x[0])
    cdef double v2 = (-0.0125)*((-0.125)*x[3]*mu[3]*v0) + (-0.05)*(0.07*(1.0 - x[2])*mu[2]*v1)
    cdef double v3 = (-0.05555555555555555)*exp(-3.611111111111111 + (-0.05555555555555555)*x[0])
    cdef double v4 = (-0.1)*x[0]
    cdef double v5 = -5.5 + v4
    cdef double v6 = (1.0 if fabs(v5) < 1.0 else 0.0)
    cdef double v7 = (1.0 if v6 == 0.0 else 0.0)
    cdef double v8 = v6*v5
    cdef double v9 = 4.110317623312165e-19 + 1.9572941063391263e-20*v8
    cdef double v10 = 8.22063524662433e-18 + v8*v9
    cdef double v11 = 1.5619206968586225e-16 + v8*v10
    cdef double v12 = 2.8114572543455206e-15 + v8*v11
    cdef double v13 = 4.779477332387385e-14 + v8*v12
    cdef double v14 = 7.647163731819816e-13 + v8*v13
    cdef double v15 = 1.1470745597729725e-11 + v8*v14
    cdef double v16 = 1.6059043836821613e-10 + v8*v15
    cdef double v17 = 2.08767569878681e-09 + v8*v16
    cdef double v18 = 2.505210838544172e-08 + v8*v17
    cdef double v19 = 2.755731922398589e-07 + v8*v18
    cdef double v20 = 2.7557319223985893e-06 + v8*v19
    cdef double v21 = 2.48015873015873e-05 + v8*v20
    cdef double v22 = 0.0001984126984126984 + v8*v21
    cdef double v23 = 0.001388888888888889 + v8*v22
    cdef double v24 = 0.008333333333333333 + v8*v23
    cdef double v25 = 0.041666666666666664 + v8*v24
    cdef double v26 = 0.16666666666666666 + v8*v25
    cdef double v27 = 0.5 + v8*v26
    cdef double v28 = (1.0 if v6 != 0.0 else 0.0) + (v5 if v7 != 0.0 else 0.0)
    cdef double v29 = expm1(v28)/v28
    cdef double v30 = (1.0 + v8*v27 if v6 != 0.0 else 0.0) + (v29 if v7 != 0.0 else 0.0)
    cdef double v31 = 0.1*(1.0 - x[3])/v30/v30
    cdef double v32 = v31*mu[3]
    cdef double v33 = exp(v28)
    cdef double v34 = (-0.1)*v33
    cdef double v35 = v29/v28
    cdef double v36 = v34/v28 - (-0.1)*v35
    cdef double v37 = (-0.1)*v6
    cdef double v38 = (-1.9572941063391264e-21)*v6
    cdef double v39 = v9*v37 + v8*v38
    cdef double v40 = v10*v37 + v8*v39
    cdef double v41 = v11*v37 + v8*v40
    cdef double v42 = v12*v37 + v8*v41
    cdef double v43 = v13*v37 + v8*v42
    cdef double v44 = v14*v37 + v8*v43
    cdef double v45 = v15*v37 + v8*v44
    cdef double v46 = v16*v37 + v8*v45
    cdef double v47 = v17*v37 + v8*v46
    cdef double v48 = v18*v37 + v8*v47
    cdef double v49 = v19*v37 + v8*v48
    cdef double v50 = v20*v37 + v8*v49
    cdef double v51 = v21*v37 + v8*v50
    cdef double v52 = v22*v37 + v8*v51
    cdef double v53 = v23*v37 + v8*v52
    cdef double v54 = v24*v37 + v8*v53
    cdef double v55 = v25*v37 + v8*v54
    cdef double v56 = v26*v37 + v8*v55
    cdef double v57 = (v27*v37 + v8*v56 if v6 != 0.0 else 0.0) + ((v36 if v7 != 0.0 else 0.0) if v7 != 0.0 else 0.0)
    cdef double v58 = mu[3]*(v31*v57/v30 + v31/v30*v57)
    cdef double v59 = (v32*(v36/v28 - (-0.1)*(v35/v28)) if v7 != 0.0 else 0.0) - v35*v58
    cdef double v60 = v32/v28
    cdef double v61 = (v60*v34 if v7 != 0.0 else 0.0) + v33*((-((-0.1)*(v60/v28)) if v7 != 0.0 else 0.0) - v58/v28)
    cdef double v62 = v8*v32
    cdef double v63 = v32*v37 - v8*v58
    cdef double v64 = v8*v62
    cdef double v65 = v62*v37 + v8*v63
    cdef double v66 = v32*v56 - v27*v58 + (v62*v55 + v26*v63) + (v64*v54 + v25*v65)
    cdef double v67 = v8*v64
    cdef double v68 = v64*v37 + v8*v65
    cdef double v69 = v8*v67
    cdef double v70 = v67*v37 + v8*v68
    cdef double v71 = v8*v69
    cdef double v72 = v69*v37 + v8*v70
    cdef double v73 = v66 + (v67*v53 + v24*v68) + (v69*v52 + v23*v70) + (v71*v51 + v22*v72)
    cdef double v74 = v8*v71
    cdef double v75 = v71*v37 + v8*v72
    cdef double v76 = v8*v74
    cdef double v77 = v74*v37 + v8*v75
    cdef double v78 = v8*v76
    cdef double v79 = v76*v37 + v8*v77
    cdef double v80 = v73 + (v74*v50 + v21*v75) + (v76*v49 + v20*v77) + (v78*v48 + v19*v79)
    cdef double v81 = v8*v78
    cdef double v82 = v78*v37 + v8*v79
    cdef double v83 = v8*v81
    cdef double v84 = v81*v37 + v8*v82
    cdef double v85 = v8*v83
    cdef double v86 = v83*v37 + v8*v84
    cdef double v87 = v80 + (v81*v47 + v18*v82) + (v83*v46 + v17*v84) + (v85*v45 + v16*v86)
    cdef double v88 = v8*v85
    cdef double v89 = v85*v37 + v8*v86
    cdef double v90 = v8*v88
    cdef double v91 = v88*v37 + v8*v89
    cdef double v92 = v8*v90
    cdef double v93 = v90*v37 + v8*v91
    cdef double v94 = v87 + (v88*v44 + v15*v89) + (v90*v43 + v14*v91) + (v92*v42 + v13*v93)
    cdef double v95 = v8*v92
    cdef double v96 = v92*v37 + v8*v93
    cdef double v97 = v8*v95
    cdef double v98 = v95*v37 + v8*v96
    cdef double v99 = v8*v97
    cdef double v100 = v97*v37 + v8*v98
    cdef double v101 = v94 + (v95*v41 + v12*v96) + (v97*v40 + v11*v98) + (v99*v39 + v10*v100)
    cdef double v102 = v8*v99
    cdef double v103 = v99*v37 + v8*v100
    cdef double v104 = v101 + (v102*v38 + v9*v103) + 1.9572941063391263e-20*(v102*v37 + v8*v103)
    cdef double v105 = ((v59 - v61 if v7 != 0.0 else 0.0) if v7 != 0.0 else 0.0) + (-(v6*v104) if v6 != 0.0 else 0.0)
    cdef double v106 = exp(-3.5 + v4)
    cdef double v107 = 1.0 + v106
    cdef double v108 = x[2]/v107/v107
    cdef double v109 = (-0.1)*v106
    cdef double v110 = v108*mu[2]*v109 - v106*(mu[2]*(v108*v109/v107 + v108/v107*v109))
    cdef double v111 = -4.0 + v4
    cdef double v112 = (1.0 if fabs(v111) < 1.0 else 0.0)
    cdef double v113 = (1.0 if v112 == 0.0 else 0.0)
    cdef double v114 = v112*v111
    cdef double v115 = 4.110317623312165e-19 + 1.9572941063391263e-20*v114
    cdef double v116 = 8.22063524662433e-18 + v114*v115
    cdef double v117 = 1.5619206968586225e-16 + v114*v116
    cdef double v118 = 2.8114572543455206e-15 + v114*v117
    cdef double v119 = 4.779477332387385e-14 + v114*v118
    cdef double v120 = 7.647163731819816e-13 + v114*v119
    cdef double v121 = 1.1470745597729725e-11 + v114*v120
    cdef double v122 = 1.6059043836821613e-10 + v114*v121
    cdef double v123 = 2.08767569878681e-09 + v114*v122
    cdef double v124 = 2.505210838544172e-08 + v114*v123
    cdef double v125 = 2.755731922398589e-07 + v114*v124
    cdef double v126 = 2.7557319223985893e-06 + v114*v125
    cdef double v127 = 2.48015873015873e-05 + v114*v126
    cdef double v128 = 0.0001984126984126984 + v114*v127
    cdef double v129 = 0.001388888888888889 + v114*v128
    cdef double v130 = 0.008333333333333333 + v114*v129
    cdef double v131 = 0.041666666666666664 + v114*v130
    cdef double v132 = 0.16666666666666666 + v114*v131
    cdef double v133 = 0.5 + v114*v132
    cdef double v134 = (1.0 if v112 != 0.0 else 0.0) + (v111 if v113 != 0.0 else 0.0)
    cdef double v135 = expm1(v134)/v134
    cdef double v136 = (1.0 + v114*v133 if v112 != 0.0 else 0.0) + (v135 if v113 != 0.0 else 0.0)
    cdef double v137 = (1.0 - x[1])/v136/v136
    cdef double v138 = v137*mu[1]
    cdef double v139 = exp(v134)
    cdef double v140 = (-0.1)*v139
    cdef double v141 = v135/v134
    cdef double v142 = v140/v134 - (-0.1)*v141
    cdef double v143 = (-0.1)*v112
    cdef double v144 = (-1.9572941063391264e-21)*v112
    cdef double v145 = v115*v143 + v114*v144
    cdef double v146 = v116*v143 + v114*v145
    cdef double v147 = v117*v143 + v114*v146
    cdef double v148 = v118*v143 + v114*v147
    cdef double v149 = v119*v143 + v114*v148
    cdef double v150 = v120*v143 + v114*v149
    cdef double v151 = v121*v143 + v114*v150
    cdef double v152 = v122*v143 + v114*v151
    cdef double v153 = v123*v143 + v114*v152
    cdef double v154 = v124*v143 + v114*v153
    cdef double v155 = v125*v143 + v114*v154
    cdef double v156 = v126*v143 + v114*v155
    cdef double v157 = v127*v143 + v114*v156
    cdef double v158 = v128*v143 + v114*v157
    cdef double v159 = v129*v143 + v114*v158
    cdef double v160 = v130*v143 + v114*v159
    cdef double v161 = v131*v143 + v114*v160
    cdef double v162 = v132*v143 + v114*v161
    cdef double v163 = (v133*v143 + v114*v162 if v112 != 0.0 else 0.0) + ((v142 if v113 != 0.0 else 0.0) if v113 != 0.0 else 0.0)
    cdef double v164 = mu[1]*(v137*v163/v136 + v137/v136*v163)
    cdef double v165 = (v138*(v142/v134 - (-0.1)*(v141/v134)) if v113 != 0.0 else 0.0) - v141*v164
    cdef double v166 = v138/v134
    cdef double v167 = (v166*v140 if v113 != 0.0 else 0.0) + v139*((-((-0.1)*(v166/v134)) if v113 != 0.0 else 0.0) - v164/v134)
    cdef double v168 = v114*v138
    cdef double v169 = v138*v143 - v114*v164
    cdef double v170 = v114*v168
    cdef double v171 = v168*v143 + v114*v169
    cdef double v172 = v138*v162 - v133*v164 + (v168*v161 + v132*v169) + (v170*v160 + v131*v171)
    cdef double v173 = v114*v170
    cdef double v174 = v170*v143 + v114*v171
    cdef double v175 = v114*v173
    cdef double v176 = v173*v143 + v114*v174
    cdef double v177 = v114*v175
    cdef double v178 = v175*v143 + v114*v176
    cdef double v179 = v172 + (v173*v159 + v130*v174) + (v175*v158 + v129*v176) + (v177*v157 + v128*v178)
    cdef double v180 = v114*v177
    cdef double v181 = v177*v143 + v114*v178
    cdef double v182 = v114*v180
    cdef double v183 = v180*v143 + v114*v181
    cdef double v184 = v114*v182
    cdef double v185 = v182*v143 + v114*v183
    cdef double v186 = v179 + (v180*v156 + v127*v181) + (v182*v155 + v126*v183) + (v184*v154 + v125*v185)
    cdef double v187 = v114*v184
    cdef double v188 = v184*v143 + v114*v185
    cdef double v189 = v114*v187
    cdef double v190 = v187*v143 + v114*v188
    cdef double v191 = v114*v189
    cdef double v192 = v189*v143 + v114*v190
    cdef double v193 = v186 + (v187*v153 + v124*v188) + (v189*v152 + v123*v190) + (v191*v151 + v122*v192)
    cdef double v194 = v114*v191
    cdef double v195 = v191*v143 + v114*v192
    cdef double v196 = v114*v194
    cdef double v197 = v194*v143 + v114*v195
    cdef double v198 = v114*v196
    cdef double v199 = v196*v143 + v114*v197
    cdef double v200 = v193 + (v194*v150 + v121*v195) + (v196*v149 + v120*v197) + (v198*v148 + v119*v199)
    cdef double v201 = v114*v198
    cdef double v202 = v198*v143 + v114*v199
    cdef double v203 = v114*v201
    cdef double v204 = v201*v143 + v114*v202
    cdef double v205 = v114*v203
    cdef double v206 = v203*v143 + v114*v204
    cdef double v207 = v200 + (v201*v147 + v118*v202) + (v203*v146 + v117*v204) + (v205*v145 + v116*v206)
    cdef double v208 = v114*v205
    cdef double v209 = v205*v143 + v114*v206
    cdef double v210 = v207 + (v208*v144 + v115*v209) + 1.9572941063391263e-20*(v208*v143 + v114*v209)
    cdef double v211 = ((v165 - v167 if v113 != 0.0 else 0.0) if v113 != 0.0 else 0.0) + (-(v112*v210) if v112 != 0.0 else 0.0)
    cdef double v212 = v2 + (-0.05555555555555555)*((-4.0)*x[1]*mu[1]*v3) + (-0.1)*(v105 + v110 + v211)
    cdef double v213 = x[1]*x[1]
    cdef double v214 = x[2]*mu[0]
    cdef double v215 = theta[2]*v214
    cdef double v216 = 2.0*x[1]
    cdef double v217 = (-4.0)*(mu[1]*v3) + mu[1]/v136/v136*v163 - v213*v215 - v216*(x[1]*v215)
    cdef double v218 = v213*x[1]
    cdef double v219 = 2.0*x[3]
    cdef double v220 = x[3]*x[3]
    cdef double v221 = 2.0*v220
    cdef double v222 = theta[1]*mu[0]
    cdef double v223 = (-0.125)*(mu[3]*v0) + 0.1*(mu[3]/v30/v30*v57) - v219*(v221*v222)
    cdef double v224 = -50.0 + x[0]
    cdef double v225 = v224*v215
    cdef double v226 = v224*(theta[2]*mu[0])
    cdef double v227 = v224*v214
    cdef double v228 = 77.0 + x[0]
    cdef double v229 = v228*v222
    C[0] = v212
    C[1] = v217
    C[2] = -(0.07*(mu[2]*v1) - mu[2]/v107/v107*v109 + mu[0]*(theta[2]*v218))
    C[3] = v223
    C[4] = -mu[0]
    C[5] = -(mu[0]*(v220*v220))
    C[6] = -(v218*v214)
    C[7] = -(v225*v216 + (2.0*(x[1]*v225) + v216*v225))
    C[8] = -(v213*v226 + v216*(x[1]*v226))
    C[9] = -(v213*v227 + v216*(x[1]*v227))
    C[10] = -(mu[0]*(v218*v224))
    C[11] = -(2.0*(v221*v229) + v219*(v229*(4.0*x[3])))
    C[12] = -(v219*(v221*(v228*mu[0])))


cdef void measure(const double* x, const double* theta, double* k) noexcept nogil:
    """h(x, theta)."""
    k[0] = x[0]


cdef void measure_jacobian(const double* x, const double* theta, double* k, double* J) noexcept nogil:
    """The same and the nonzeros of its Jacobian by (x, theta), column after column."""
    k[0] = x[0]
    J[0] = 1.0


cdef void measure_curvature(const double* x, const double* theta, const double* mu, double* C) noexcept nogil:
    """Nonzeros of the lower triangle of sum_l mu_l D2h_l by (x, theta)."""
    pass


# ---------------------------------------------------------------------------------------------------------------------
# One step: stages, residual, adjoint, tangents, curvature
# ---------------------------------------------------------------------------------------------------------------------

cdef void slopes(const double* w, const double* theta, const double* step, double* work) noexcept nogil:
    """Stage arguments X_i and slopes k_i = F(X_i, u, theta, t + c_i h)."""
    cdef double t = step[0]
    cdef double h = step[1]
    cdef double* X = &work[AT_X]
    cdef double* k = &work[AT_K]
    cdef int a
    # X_0 = x[n]
    for a in range(D):
        X[0*D + a] = w[a]
    field(&X[0*D], &step[3 + 0*U], theta, t, &k[0*D])
    # X_1 = x[n+1]
    for a in range(D):
        X[1*D + a] = w[E + a]
    field(&X[1*D], &step[3 + 2*U], theta, t + h, &k[1*D])
    # X_2 = m[n], a grid point of its own
    for a in range(D):
        X[2*D + a] = w[1*D + a]
    field(&X[2*D], &step[3 + 1*U], theta, t + 0.5*h, &k[2*D])


cdef void slopes_jacobian(const double* w, const double* theta, const double* step, double* work) noexcept nogil:
    """Stage arguments X_i and slopes k_i = F(X_i, u, theta, t + c_i h), with their Jacobians."""
    cdef double t = step[0]
    cdef double h = step[1]
    cdef double* X = &work[AT_X]
    cdef double* k = &work[AT_K]
    cdef int a
    # X_0 = x[n]
    for a in range(D):
        X[0*D + a] = w[a]
    field_jacobian(&X[0*D], &step[3 + 0*U], theta, t, &k[0*D], &work[AT_J + 0*FIELD_J])
    # X_1 = x[n+1]
    for a in range(D):
        X[1*D + a] = w[E + a]
    field_jacobian(&X[1*D], &step[3 + 2*U], theta, t + h, &k[1*D], &work[AT_J + 1*FIELD_J])
    # X_2 = m[n], a grid point of its own
    for a in range(D):
        X[2*D + a] = w[1*D + a]
    field_jacobian(&X[2*D], &step[3 + 1*U], theta, t + 0.5*h, &k[2*D], &work[AT_J + 2*FIELD_J])


cdef void residual(const double* w, const double* step, double* work) noexcept nogil:
    """r = x[n+1] - x[n] - h (1/6 k_0 + 1/6 k_1 + 2/3 k_2);  m[n] - (1/2 x[n] + 1/2 x[n+1] + h (1/8 k_0 - 1/8 k_1))."""
    cdef double h = step[1]
    cdef double* k = &work[AT_K]
    cdef double* r = &work[AT_R]
    cdef int a
    for a in range(D):
        r[a] = w[E + a] - w[a] - h*(0.16666666666666666*k[0*D + a] + 0.16666666666666666*k[1*D + a] + 0.6666666666666666*k[2*D + a])
    for a in range(D):
        r[1*D + a] = w[1*D + a] - (0.5*w[a] + 0.5*w[E + a] + h*(0.125*k[0*D + a] + -0.125*k[1*D + a]))


cdef double weigh(const double* step, const double* rf, double* work) noexcept nogil:
    """lam_a = weight Rf_a r_a, the canonical momentum; returns the action sum_a lam_a r_a / 2."""
    cdef double* r = &work[AT_R]
    cdef double* lam = &work[AT_LAM]
    cdef double total = 0.0
    cdef int a, b
    for b in range(2):
        for a in range(D):
            lam[b*D + a] = step[2]*rf[a]*r[b*D + a]
            total += lam[b*D + a]*r[b*D + a]
    return 0.5*total


cdef void adjoint(const double* step, double* work, double* g) noexcept nogil:
    """g = lam.dr/d(window, theta) by the adjoint recursion; kappa_i, the adjoint of slope i, on the way."""
    cdef double h = step[1]
    cdef double* lam = &work[AT_LAM]
    cdef double* J = &work[AT_J]
    cdef double* kappa = &work[AT_KAPPA]
    cdef double* xi = &work[AT_XI]
    cdef int a, q
    for a in range(D):
        g[a] = -lam[a] - 0.5*lam[1*D + a]
        g[E + a] = lam[a] - 0.5*lam[1*D + a]
        g[1*D + a] = lam[1*D + a]
    for a in range(P):
        g[E + D + a] = 0.0
    for a in range(D):
        kappa[0*D + a] = -h*(0.16666666666666666*lam[a] + 0.125*lam[1*D + a])
        kappa[1*D + a] = -h*(0.16666666666666666*lam[a] + -0.125*lam[1*D + a])
        kappa[2*D + a] = -h*(0.6666666666666666*lam[a])
    # back through stage 2: xi = kappa_2.dF/d(x, theta)
    memset(xi, 0, (D + P)*sizeof(double))
    for q in range(FIELD_J):
        xi[J_COLUMN[q]] += J[2*FIELD_J + q]*kappa[2*D + J_ROW[q]]
    for a in range(D):
        g[1*D + a] += xi[a]
    for a in range(P):
        g[E + D + a] += xi[D + a]
    # back through stage 1: xi = kappa_1.dF/d(x, theta)
    memset(xi, 0, (D + P)*sizeof(double))
    for q in range(FIELD_J):
        xi[J_COLUMN[q]] += J[1*FIELD_J + q]*kappa[1*D + J_ROW[q]]
    for a in range(D):
        g[E + a] += xi[a]
    for a in range(P):
        g[E + D + a] += xi[D + a]
    # back through stage 0: xi = kappa_0.dF/d(x, theta)
    memset(xi, 0, (D + P)*sizeof(double))
    for q in range(FIELD_J):
        xi[J_COLUMN[q]] += J[0*FIELD_J + q]*kappa[0*D + J_ROW[q]]
    for a in range(D):
        g[a] += xi[a]
    for a in range(P):
        g[E + D + a] += xi[D + a]


cdef void tangents(const double* step, double* work) noexcept nogil:
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
        TK[(0*D + J_ROW[q])*COLUMNS + J_COLUMN[q]] += J[0*FIELD_J + q]
    for q in range(FIELD_JX, FIELD_J):
        TK[(0*D + J_ROW[q])*COLUMNS + THETA - D + J_COLUMN[q]] += J[0*FIELD_J + q]
    # stage 1: its argument is a combination of grid points, so its tangent is not needed
    for q in range(FIELD_JX):
        TK[(1*D + J_ROW[q])*COLUMNS + 8 + J_COLUMN[q]] += J[1*FIELD_J + q]
    for q in range(FIELD_JX, FIELD_J):
        TK[(1*D + J_ROW[q])*COLUMNS + THETA - D + J_COLUMN[q]] += J[1*FIELD_J + q]
    # stage 2: its argument is a combination of grid points, so its tangent is not needed
    for q in range(FIELD_JX):
        TK[(2*D + J_ROW[q])*COLUMNS + 4 + J_COLUMN[q]] += J[2*FIELD_J + q]
    for q in range(FIELD_JX, FIELD_J):
        TK[(2*D + J_ROW[q])*COLUMNS + THETA - D + J_COLUMN[q]] += J[2*FIELD_J + q]
    for a in range(D):
        for c in range(COLUMNS):
            dr[a*W + c] = -h*(0.16666666666666666*TK[(0*D + a)*COLUMNS + c] + 0.16666666666666666*TK[(1*D + a)*COLUMNS + c] + 0.6666666666666666*TK[(2*D + a)*COLUMNS + c])
        dr[a*W + a] -= 1.0
        dr[a*W + LAST + a] += 1.0
    for a in range(D):
        for c in range(COLUMNS):
            dr[(1*D + a)*W + c] = -h*(0.125*TK[(0*D + a)*COLUMNS + c] + -0.125*TK[(1*D + a)*COLUMNS + c])
        dr[(1*D + a)*W + a] -= 0.5
        dr[(1*D + a)*W + LAST + a] -= 0.5
        dr[(1*D + a)*W + 1*D + a] += 1.0


cdef void spread_curvature(const double* C, const int* from_column, const double* weight, int ends, double* H) noexcept nogil:
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


cdef void curvature(const double* theta, const double* step, double* work) noexcept nogil:
    """H += sum_a lam_a D2r_a = sum_i (tangent of X_i, theta)' (kappa_i.D2F(X_i)) (tangent of X_i, theta)."""
    cdef double t = step[0]
    cdef double h = step[1]
    cdef double* C = &work[AT_C]
    cdef double* H = &work[AT_H]
    cdef int from_column[2]
    cdef double weight[2]
    field_curvature(&work[AT_X + 0*D], &step[3 + 0*U], theta, t, &work[AT_KAPPA + 0*D], C)
    from_column[0] = 0
    weight[0] = 1.0
    spread_curvature(C, from_column, weight, 1, H)
    field_curvature(&work[AT_X + 1*D], &step[3 + 2*U], theta, t + h, &work[AT_KAPPA + 1*D], C)
    from_column[0] = 8
    weight[0] = 1.0
    spread_curvature(C, from_column, weight, 1, H)
    field_curvature(&work[AT_X + 2*D], &step[3 + 1*U], theta, t + 0.5*h, &work[AT_KAPPA + 2*D], C)
    from_column[0] = 4
    weight[0] = 1.0
    spread_curvature(C, from_column, weight, 1, H)


cdef void gauss_newton(const double* step, const double* rf, double* work) noexcept nogil:
    """H += (dr)' diag(weight Rf) (dr)."""
    cdef double* dr = &work[AT_DR]
    cdef double* H = &work[AT_H]
    cdef double factor
    cdef int a, b, i, row
    for b in range(2):
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
        12, 1, 1, 3, 1, 1, 6, 1, 1, 4, 1, 1};
    static const long long step_action_out[3] = {
        1, 1, 1};
    SYMDA_EXPORT long long symda_b170ace2838e_step_action_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_b170ace2838e_step_action_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_action_sparsity_in(long long i) {
        return &step_action_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_action_sparsity_out(long long i) {
        return &step_action_out[3*i];
    }
    SYMDA_EXPORT int symda_b170ace2838e_step_action_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 4; *res = 1; *iw = 0; *w = 936;
        return 0;
    }

    static const long long step_gradient_in[12] = {
        12, 1, 1, 3, 1, 1, 6, 1, 1, 4, 1, 1};
    static const long long step_gradient_out[6] = {
        1, 1, 1, 15, 1, 1};
    SYMDA_EXPORT long long symda_b170ace2838e_step_gradient_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_b170ace2838e_step_gradient_n_out(void) { return 2; }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_gradient_sparsity_in(long long i) {
        return &step_gradient_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_gradient_sparsity_out(long long i) {
        return &step_gradient_out[3*i];
    }
    SYMDA_EXPORT int symda_b170ace2838e_step_gradient_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 4; *res = 2; *iw = 0; *w = 936;
        return 0;
    }

    static const long long step_hessian_in[12] = {
        12, 1, 1, 3, 1, 1, 6, 1, 1, 4, 1, 1};
    static const long long step_hessian_out[138] = {
        15, 15, 0, 1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 66, 78, 91, 105, 120, 0, 0, 1, 0, 1, 2, 0, 1, 2,
        3, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4,
        5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4, 5, 6,
        7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
        12, 13, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    SYMDA_EXPORT long long symda_b170ace2838e_step_hessian_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_b170ace2838e_step_hessian_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_hessian_sparsity_in(long long i) {
        return &step_hessian_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_hessian_sparsity_out(long long i) {
        return &step_hessian_out[3*i];
    }
    SYMDA_EXPORT int symda_b170ace2838e_step_hessian_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 4; *res = 1; *iw = 0; *w = 936;
        return 0;
    }

    static const long long step_residual_in[9] = {
        12, 1, 1, 3, 1, 1, 6, 1, 1};
    static const long long step_residual_out[3] = {
        8, 1, 1};
    SYMDA_EXPORT long long symda_b170ace2838e_step_residual_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_b170ace2838e_step_residual_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_residual_sparsity_in(long long i) {
        return &step_residual_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_residual_sparsity_out(long long i) {
        return &step_residual_out[3*i];
    }
    SYMDA_EXPORT int symda_b170ace2838e_step_residual_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 936;
        return 0;
    }

    static const long long step_jacobian_in[9] = {
        12, 1, 1, 3, 1, 1, 6, 1, 1};
    static const long long step_jacobian_out[78] = {
        8, 15, 0, 8, 12, 16, 20, 25, 28, 31, 34, 42, 46, 50, 54, 56, 58, 60, 0, 1, 2, 3, 4, 5, 6, 7, 0,
        1, 4, 5, 0, 2, 4, 6, 0, 3, 4, 7, 0, 1, 2, 3, 4, 0, 1, 5, 0, 2, 6, 0, 3, 7, 0, 1, 2, 3, 4, 5, 6,
        7, 0, 1, 4, 5, 0, 2, 4, 6, 0, 3, 4, 7, 0, 4, 0, 4, 0, 4};
    SYMDA_EXPORT long long symda_b170ace2838e_step_jacobian_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_b170ace2838e_step_jacobian_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_jacobian_sparsity_in(long long i) {
        return &step_jacobian_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_jacobian_sparsity_out(long long i) {
        return &step_jacobian_out[3*i];
    }
    SYMDA_EXPORT int symda_b170ace2838e_step_jacobian_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 936;
        return 0;
    }

    static const long long step_curvature_in[12] = {
        12, 1, 1, 3, 1, 1, 6, 1, 1, 8, 1, 1};
    static const long long step_curvature_out[57] = {
        15, 15, 0, 1, 3, 5, 7, 8, 10, 12, 14, 15, 17, 19, 21, 24, 30, 39, 0, 0, 1, 0, 1, 0, 3, 4, 4, 5,
        4, 5, 4, 7, 8, 8, 9, 8, 9, 8, 11, 0, 4, 8, 0, 3, 4, 7, 8, 11, 0, 1, 2, 4, 5, 6, 8, 9, 10};
    SYMDA_EXPORT long long symda_b170ace2838e_step_curvature_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_b170ace2838e_step_curvature_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_curvature_sparsity_in(long long i) {
        return &step_curvature_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b170ace2838e_step_curvature_sparsity_out(long long i) {
        return &step_curvature_out[3*i];
    }
    SYMDA_EXPORT int symda_b170ace2838e_step_curvature_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 4; *res = 1; *iw = 0; *w = 936;
        return 0;
    }

    static const long long point_action_in[9] = {
        4, 1, 1, 3, 1, 1, 2, 1, 1};
    static const long long point_action_out[3] = {
        1, 1, 1};
    SYMDA_EXPORT long long symda_b170ace2838e_point_action_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_b170ace2838e_point_action_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b170ace2838e_point_action_sparsity_in(long long i) {
        return &point_action_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b170ace2838e_point_action_sparsity_out(long long i) {
        return &point_action_out[3*i];
    }
    SYMDA_EXPORT int symda_b170ace2838e_point_action_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 3;
        return 0;
    }

    static const long long point_gradient_in[9] = {
        4, 1, 1, 3, 1, 1, 2, 1, 1};
    static const long long point_gradient_out[6] = {
        1, 1, 1, 7, 1, 1};
    SYMDA_EXPORT long long symda_b170ace2838e_point_gradient_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_b170ace2838e_point_gradient_n_out(void) { return 2; }
    SYMDA_EXPORT const long long* symda_b170ace2838e_point_gradient_sparsity_in(long long i) {
        return &point_gradient_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b170ace2838e_point_gradient_sparsity_out(long long i) {
        return &point_gradient_out[3*i];
    }
    SYMDA_EXPORT int symda_b170ace2838e_point_gradient_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 2; *iw = 0; *w = 3;
        return 0;
    }

    static const long long point_hessian_in[9] = {
        4, 1, 1, 3, 1, 1, 2, 1, 1};
    static const long long point_hessian_out[11] = {
        7, 7, 0, 1, 1, 1, 1, 1, 1, 1, 0};
    SYMDA_EXPORT long long symda_b170ace2838e_point_hessian_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_b170ace2838e_point_hessian_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b170ace2838e_point_hessian_sparsity_in(long long i) {
        return &point_hessian_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b170ace2838e_point_hessian_sparsity_out(long long i) {
        return &point_hessian_out[3*i];
    }
    SYMDA_EXPORT int symda_b170ace2838e_point_hessian_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 3;
        return 0;
    }

    static const long long measure_in[6] = {
        4, 1, 1, 3, 1, 1};
    static const long long measure_out[3] = {
        1, 1, 1};
    SYMDA_EXPORT long long symda_b170ace2838e_measure_n_in(void) { return 2; }
    SYMDA_EXPORT long long symda_b170ace2838e_measure_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b170ace2838e_measure_sparsity_in(long long i) {
        return &measure_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b170ace2838e_measure_sparsity_out(long long i) {
        return &measure_out[3*i];
    }
    SYMDA_EXPORT int symda_b170ace2838e_measure_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 2; *res = 1; *iw = 0; *w = 3;
        return 0;
    }

    """


cdef public int symda_b170ace2838e_step_action(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """sum_a weight Rf_a r_a^2 / 2 of one step."""
    slopes(arg[0], arg[1], arg[2], work)
    residual(arg[0], arg[2], work)
    cdef double action = weigh(arg[2], arg[3], work)
    if res[0] != NULL:
        res[0][0] = action
    return 0


cdef public int symda_b170ace2838e_step_gradient(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """The action of one step and its gradient by (window, theta)."""
    slopes_jacobian(arg[0], arg[1], arg[2], work)
    residual(arg[0], arg[2], work)
    cdef double action = weigh(arg[2], arg[3], work)
    if res[0] != NULL:
        res[0][0] = action
    if res[1] != NULL:
        adjoint(arg[2], work, res[1])
    return 0


cdef public int symda_b170ace2838e_step_hessian(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Upper triangle of the Hessian of one step's action."""
    cdef int q
    if res[0] == NULL:
        return 0
    slopes_jacobian(arg[0], arg[1], arg[2], work)
    tangents(arg[2], work)
    memset(&work[AT_H], 0, W*W*sizeof(double))
    residual(arg[0], arg[2], work)
    weigh(arg[2], arg[3], work)
    adjoint(arg[2], work, &work[AT_G])
    curvature(arg[1], arg[2], work)
    gauss_newton(arg[2], arg[3], work)
    for q in range(STEP_H):
        res[0][q] = work[AT_H + STEP_H_SOURCE[q]]
    return 0


cdef public int symda_b170ace2838e_step_residual(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """The residual r of one step."""
    cdef int e
    if res[0] == NULL:
        return 0
    slopes(arg[0], arg[1], arg[2], work)
    residual(arg[0], arg[2], work)
    for e in range(E):
        res[0][e] = work[AT_R + e]
    return 0


cdef public int symda_b170ace2838e_step_jacobian(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Nonzeros of dr/d(window, theta)."""
    cdef int q
    if res[0] == NULL:
        return 0
    slopes_jacobian(arg[0], arg[1], arg[2], work)
    tangents(arg[2], work)
    for q in range(STEP_J):
        res[0][q] = work[AT_DR + STEP_J_SOURCE[q]]
    return 0


cdef public int symda_b170ace2838e_step_curvature(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Upper triangle of sum_e lam_e D2r_e of one step."""
    cdef int q, e
    if res[0] == NULL:
        return 0
    slopes_jacobian(arg[0], arg[1], arg[2], work)
    for e in range(E):
        work[AT_LAM + e] = arg[3][e]
    adjoint(arg[2], work, &work[AT_G])
    tangents(arg[2], work)
    memset(&work[AT_H], 0, W*W*sizeof(double))
    curvature(arg[1], arg[2], work)
    for q in range(STEP_C):
        res[0][q] = work[AT_H + STEP_C_SOURCE[q]]
    return 0


cdef public int symda_b170ace2838e_point_action(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """sum_l Rm_l (h_l - y_l)^2 / 2 of one grid point."""
    cdef const double* y = arg[2]
    cdef const double* rm = &arg[2][L]
    cdef double total = 0.0
    cdef int l
    if res[0] == NULL:
        return 0
    measure(arg[0], arg[1], work)
    for l in range(L):
        total += rm[l]*(work[l] - y[l])*(work[l] - y[l])
    res[0][0] = 0.5*total
    return 0


cdef public int symda_b170ace2838e_point_gradient(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """The measurement term of one grid point and its gradient by (x, theta)."""
    cdef const double* y = arg[2]
    cdef const double* rm = &arg[2][L]
    cdef double* J = &work[2*L]
    cdef double total = 0.0
    cdef int l, q
    measure_jacobian(arg[0], arg[1], work, J)
    for l in range(L):
        work[L + l] = rm[l]*(work[l] - y[l])
        total += work[L + l]*(work[l] - y[l])
    if res[0] != NULL:
        res[0][0] = 0.5*total
    if res[1] != NULL:
        memset(res[1], 0, (D + P)*sizeof(double))
        for q in range(MEASURE_J):
            res[1][MJ_COLUMN[q]] += J[q]*work[L + MJ_ROW[q]]
    return 0


cdef public int symda_b170ace2838e_point_hessian(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Upper triangle of the Hessian of one grid point's measurement term."""
    cdef const double* rm = &arg[2][L]
    cdef double* J = &work[2*L]
    cdef int q
    if res[0] == NULL:
        return 0
    measure_jacobian(arg[0], arg[1], work, J)
    memset(res[0], 0, POINT_H*sizeof(double))
    for q in range(POINT_PAIRS):
        res[0][PAIR_TARGET[q]] += rm[PAIR_ROW[q]]*J[PAIR_Q[q]]*J[PAIR_R[q]]
    return 0


cdef public int symda_b170ace2838e_measure(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """h(x, theta) at one grid point."""
    if res[0] != NULL:
        measure(arg[0], arg[1], res[0])
    return 0


# ---------------------------------------------------------------------------------------------------------------------
# What Python calls: whole paths, addresses of C-contiguous float64 arrays checked by the caller; the GIL is released
# ---------------------------------------------------------------------------------------------------------------------

ctypedef int (*kernel_t)(const double**, double**, long long*, double*, int) noexcept nogil


cdef int sweep(kernel_t kernel, const double* at, Py_ssize_t stride, const double* theta, const double* data, Py_ssize_t width,
               const double* last, Py_ssize_t last_stride, Py_ssize_t count, double* first_out, Py_ssize_t first_stride,
               double* second_out, Py_ssize_t second_stride) noexcept nogil:
    """Call a kernel for each of `count` steps or points; -1 when there is no memory."""
    cdef const double* arg[4]
    cdef double* res[2]
    cdef Py_ssize_t n
    cdef double* work = <double*> malloc((STEP_WORK + POINT_WORK)*sizeof(double))
    if work == NULL:
        return -1
    arg[1] = theta
    for n in range(count):
        arg[0] = &at[n*stride]
        arg[2] = &data[n*width]
        arg[3] = &last[n*last_stride]
        res[0] = &first_out[n*first_stride]
        res[1] = &second_out[n*second_stride]
        kernel(arg, res, NULL, work, 0)
    free(work)
    return 0


cdef void require(int code) except *:
    if code:
        raise MemoryError("no memory for the work space of the kernels")


def step_gradient(size_t X, size_t theta, size_t steps, size_t rf, Py_ssize_t N, size_t action, size_t gradient):
    """Actions (N,) and gradients (N, E + D + P) of the steps."""
    cdef int code
    with nogil:
        code = sweep(symda_b170ace2838e_step_gradient, <double*> X, E, <double*> theta, <double*> steps, STEP, <double*> rf, 0, N,
                     <double*> action, 1, <double*> gradient, W)
    require(code)


def step_action(size_t X, size_t theta, size_t steps, size_t rf, Py_ssize_t N, size_t action):
    """Actions (N,) of the steps."""
    cdef int code
    with nogil:
        code = sweep(symda_b170ace2838e_step_action, <double*> X, E, <double*> theta, <double*> steps, STEP, <double*> rf, 0, N,
                     <double*> action, 1, NULL, 0)
    require(code)


def step_hessian(size_t X, size_t theta, size_t steps, size_t rf, Py_ssize_t N, size_t hessian):
    """Nonzeros (N, STEP_H) of the Hessians of the steps."""
    cdef int code
    with nogil:
        code = sweep(symda_b170ace2838e_step_hessian, <double*> X, E, <double*> theta, <double*> steps, STEP, <double*> rf, 0, N,
                     <double*> hessian, STEP_H, NULL, 0)
    require(code)


def step_residual(size_t X, size_t theta, size_t steps, Py_ssize_t N, size_t residuals):
    """Residuals (N, E) of the steps."""
    cdef int code
    with nogil:
        code = sweep(symda_b170ace2838e_step_residual, <double*> X, E, <double*> theta, <double*> steps, STEP, NULL, 0, N,
                     <double*> residuals, E, NULL, 0)
    require(code)


def step_jacobian(size_t X, size_t theta, size_t steps, Py_ssize_t N, size_t jacobian):
    """Nonzeros (N, STEP_J) of the residuals' Jacobians."""
    cdef int code
    with nogil:
        code = sweep(symda_b170ace2838e_step_jacobian, <double*> X, E, <double*> theta, <double*> steps, STEP, NULL, 0, N,
                     <double*> jacobian, STEP_J, NULL, 0)
    require(code)


def step_curvature(size_t X, size_t theta, size_t steps, size_t lam, Py_ssize_t N, size_t curvatures):
    """Nonzeros (N, STEP_C) of the residuals' curvatures along lam (N, E)."""
    cdef int code
    with nogil:
        code = sweep(symda_b170ace2838e_step_curvature, <double*> X, E, <double*> theta, <double*> steps, STEP, <double*> lam, E, N,
                     <double*> curvatures, STEP_C, NULL, 0)
    require(code)


def point_action(size_t X, size_t theta, size_t points, Py_ssize_t M, size_t action):
    """Measurement terms (M,) of the grid points."""
    cdef int code
    with nogil:
        code = sweep(symda_b170ace2838e_point_action, <double*> X, D, <double*> theta, <double*> points, 2*L, NULL, 0, M,
                     <double*> action, 1, NULL, 0)
    require(code)


def point_gradient(size_t X, size_t theta, size_t points, Py_ssize_t M, size_t action, size_t gradient):
    """Measurement terms (M,) and their gradients (M, D + P)."""
    cdef int code
    with nogil:
        code = sweep(symda_b170ace2838e_point_gradient, <double*> X, D, <double*> theta, <double*> points, 2*L, NULL, 0, M,
                     <double*> action, 1, <double*> gradient, D + P)
    require(code)


def point_hessian(size_t X, size_t theta, size_t points, Py_ssize_t M, size_t hessian):
    """Nonzeros (M, POINT_H) of the Hessians of the grid points."""
    cdef int code
    with nogil:
        code = sweep(symda_b170ace2838e_point_hessian, <double*> X, D, <double*> theta, <double*> points, 2*L, NULL, 0, M,
                     <double*> hessian, POINT_H, NULL, 0)
    require(code)


def measure_path(size_t X, size_t theta, Py_ssize_t M, size_t values):
    """h(x, theta), shape (M, L), along a path."""
    cdef int code
    with nogil:
        code = sweep(symda_b170ace2838e_measure, <double*> X, D, <double*> theta, NULL, 0, NULL, 0, M, <double*> values, L, NULL, 0)
    require(code)
