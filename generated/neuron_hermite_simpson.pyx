# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Kernels of a model under a scheme.

Model neuron, scheme hermite-simpson.

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
    D = 4  # states
    P = 3  # parameters
    L = 1  # measured channels
    Q = 1  # predictors: h, and what else the cost of data depends on
    MIXED_SIZE = 0  # entries of the cost's curvature off its sure diagonal
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
    FIELD_JX = 10  # those of x only
    FIELD_C = 13  # nonzeros of the lower triangle of mu.D2F
    MEASURE_J = 1  # nonzeros of deta/d(x, theta), eta the predictors
    MEASURE_C = 0  # nonzeros of the lower triangle of mu.D2eta
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
    STEP_J = 60  # nonzeros of dr/d(window, theta)
    STEP_H = 120  # nonzeros of the upper triangle of a step's Hessian
    STEP_C = 39  # nonzeros of the upper triangle of lam.D2r
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
static const int ETA_CHANNEL[1] = {
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
    const int* ETA_CHANNEL
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
    cdef double v15 = (1.0 if v14 < 0.0 else 0.0)
    cdef double v16 = (1.0 - 2.0*v15)*v14
    cdef double v17 = -v16
    cdef double v18 = ((v16 if v15 != 0.0 else 0.0) - v16*exp(v17)/expm1(v17) if v13 != 0.0 else 0.0)
    cdef double v19 = ((1.0/(1.0 + v5*v12) if v4 != 0.0 else 0.0) + v18)*(1.0 - x[1]) + (-4.0)*x[1]*exp(-3.611111111111111 + (-0.05555555555555555)*x[0])
    cdef double v20 = -3.5 + v2
    cdef double v21 = (1.0 if 0.0 < v20 else 0.0)
    cdef double v22 = exp((1.0 - 2.0*v21)*v20)
    cdef double v23 = (v22 if v21 != 0.0 else 0.0) + (1.0 if (1.0 if v21 == 0.0 else 0.0) != 0.0 else 0.0)
    cdef double v24 = -5.5 + v2
    cdef double v25 = (1.0 if fabs(v24) < 1.0 else 0.0)
    cdef double v26 = v25*v24
    cdef double v27 = 8.22063524662433e-18 + v26*(4.110317623312165e-19 + 1.9572941063391263e-20*v26)
    cdef double v28 = v26*(2.8114572543455206e-15 + v26*(1.5619206968586225e-16 + v26*v27))
    cdef double v29 = 1.1470745597729725e-11 + v26*(7.647163731819816e-13 + v26*(4.779477332387385e-14 + v28))
    cdef double v30 = v26*(2.08767569878681e-09 + v26*(1.6059043836821613e-10 + v26*v29))
    cdef double v31 = 2.7557319223985893e-06 + v26*(2.755731922398589e-07 + v26*(2.505210838544172e-08 + v30))
    cdef double v32 = v26*(0.0001984126984126984 + v26*(2.48015873015873e-05 + v26*v31))
    cdef double v33 = 0.041666666666666664 + v26*(0.008333333333333333 + v26*(0.001388888888888889 + v32))
    cdef double v34 = (1.0/(1.0 + v26*(0.5 + v26*(0.16666666666666666 + v26*v33))) if v25 != 0.0 else 0.0)
    cdef double v35 = (1.0 if v25 == 0.0 else 0.0)
    cdef double v36 = (1.0 if v25 != 0.0 else 0.0) + (v24 if v35 != 0.0 else 0.0)
    cdef double v37 = (1.0 if v36 < 0.0 else 0.0)
    cdef double v38 = (1.0 - 2.0*v37)*v36
    cdef double v39 = -v38
    cdef double v40 = ((v38 if v37 != 0.0 else 0.0) - v38*exp(v39)/expm1(v39) if v35 != 0.0 else 0.0)
    cdef double v41 = 0.1*(v34 + v40)*(1.0 - x[3]) + (-0.125)*x[3]*exp(-0.8125 + (-0.0125)*x[0])
    k[0] = u[0] - v1
    k[1] = v19
    k[2] = 0.07*(1.0 - x[2])*exp(-3.25 + (-0.05)*x[0]) - x[2]*v23/(1.0 + v22)
    k[3] = v41


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
    cdef double v33 = 1.0 + v13*v32
    cdef double v34 = 1.0/v33
    cdef double v35 = (1.0 if v12 == 0.0 else 0.0)
    cdef double v36 = (1.0 if v12 != 0.0 else 0.0) + (v11 if v35 != 0.0 else 0.0)
    cdef double v37 = (1.0 if v36 < 0.0 else 0.0)
    cdef double v38 = 1.0 - 2.0*v37
    cdef double v39 = v38*v36
    cdef double v40 = -v39
    cdef double v41 = exp(v40)
    cdef double v42 = expm1(v40)
    cdef double v43 = v39*v41/v42
    cdef double v44 = (v34 if v12 != 0.0 else 0.0) + ((v39 if v37 != 0.0 else 0.0) - v43 if v35 != 0.0 else 0.0)
    cdef double v45 = 1.0 - x[1]
    cdef double v46 = (-4.0)*x[1]
    cdef double v47 = exp(-3.611111111111111 + (-0.05555555555555555)*x[0])
    cdef double v48 = 0.07*(1.0 - x[2])
    cdef double v49 = exp(-3.25 + (-0.05)*x[0])
    cdef double v50 = -3.5 + v10
    cdef double v51 = (1.0 if 0.0 < v50 else 0.0)
    cdef double v52 = 1.0 - 2.0*v51
    cdef double v53 = exp(v52*v50)
    cdef double v54 = (v53 if v51 != 0.0 else 0.0) + (1.0 if (1.0 if v51 == 0.0 else 0.0) != 0.0 else 0.0)
    cdef double v55 = 1.0 + v53
    cdef double v56 = x[2]*v54/v55
    cdef double v57 = -5.5 + v10
    cdef double v58 = (1.0 if fabs(v57) < 1.0 else 0.0)
    cdef double v59 = v58*v57
    cdef double v60 = 4.110317623312165e-19 + 1.9572941063391263e-20*v59
    cdef double v61 = 8.22063524662433e-18 + v59*v60
    cdef double v62 = 1.5619206968586225e-16 + v59*v61
    cdef double v63 = 2.8114572543455206e-15 + v59*v62
    cdef double v64 = 4.779477332387385e-14 + v59*v63
    cdef double v65 = 7.647163731819816e-13 + v59*v64
    cdef double v66 = 1.1470745597729725e-11 + v59*v65
    cdef double v67 = 1.6059043836821613e-10 + v59*v66
    cdef double v68 = 2.08767569878681e-09 + v59*v67
    cdef double v69 = 2.505210838544172e-08 + v59*v68
    cdef double v70 = 2.755731922398589e-07 + v59*v69
    cdef double v71 = 2.7557319223985893e-06 + v59*v70
    cdef double v72 = 2.48015873015873e-05 + v59*v71
    cdef double v73 = 0.0001984126984126984 + v59*v72
    cdef double v74 = 0.001388888888888889 + v59*v73
    cdef double v75 = 0.008333333333333333 + v59*v74
    cdef double v76 = 0.041666666666666664 + v59*v75
    cdef double v77 = 0.16666666666666666 + v59*v76
    cdef double v78 = 0.5 + v59*v77
    cdef double v79 = 1.0 + v59*v78
    cdef double v80 = 1.0/v79
    cdef double v81 = (1.0 if v58 == 0.0 else 0.0)
    cdef double v82 = (1.0 if v58 != 0.0 else 0.0) + (v57 if v81 != 0.0 else 0.0)
    cdef double v83 = (1.0 if v82 < 0.0 else 0.0)
    cdef double v84 = 1.0 - 2.0*v83
    cdef double v85 = v84*v82
    cdef double v86 = -v85
    cdef double v87 = exp(v86)
    cdef double v88 = expm1(v86)
    cdef double v89 = v85*v87/v88
    cdef double v90 = (v80 if v58 != 0.0 else 0.0) + ((v85 if v83 != 0.0 else 0.0) - v89 if v81 != 0.0 else 0.0)
    cdef double v91 = 0.1*v90
    cdef double v92 = 1.0 - x[3]
    cdef double v93 = (-0.125)*x[3]
    cdef double v94 = exp(-0.8125 + (-0.0125)*x[0])
    cdef double v95 = (-0.1)*v12
    cdef double v96 = v13*(v15*v95 + v13*(v14*v95 + v13*((-1.9572941063391264e-21)*v12)))
    cdef double v97 = v19*v95 + v13*(v18*v95 + v13*(v17*v95 + v13*(v16*v95 + v96)))
    cdef double v98 = v23*v95 + v13*(v22*v95 + v13*(v21*v95 + v13*(v20*v95 + v13*v97)))
    cdef double v99 = v27*v95 + v13*(v26*v95 + v13*(v25*v95 + v13*(v24*v95 + v13*v98)))
    cdef double v100 = v31*v95 + v13*(v30*v95 + v13*(v29*v95 + v13*(v28*v95 + v13*v99)))
    cdef double v101 = (-0.1)*v38
    cdef double v102 = v41*v101
    cdef double v103 = (-((v102 - v39*v102)/v42 + v43/v42*v102) if v35 != 0.0 else 0.0)
    cdef double v104 = (((v101 if v35 != 0.0 else 0.0) if v37 != 0.0 else 0.0) + v103 if v35 != 0.0 else 0.0)
    cdef double v105 = v45*((-(v34/v33*(v32*v95 + v13*v100)) if v12 != 0.0 else 0.0) + v104)
    cdef double v106 = v53*((-0.1)*v52)
    cdef double v107 = v48*((-0.05)*v49) - ((x[2]*v106/v55 if v51 != 0.0 else 0.0) - v56/v55*v106)
    cdef double v108 = (-0.1)*v58
    cdef double v109 = v61*v108 + v59*(v60*v108 + v59*((-1.9572941063391264e-21)*v58))
    cdef double v110 = v59*(v64*v108 + v59*(v63*v108 + v59*(v62*v108 + v59*v109)))
    cdef double v111 = v68*v108 + v59*(v67*v108 + v59*(v66*v108 + v59*(v65*v108 + v110)))
    cdef double v112 = v59*(v71*v108 + v59*(v70*v108 + v59*(v69*v108 + v59*v111)))
    cdef double v113 = v75*v108 + v59*(v74*v108 + v59*(v73*v108 + v59*(v72*v108 + v112)))
    cdef double v114 = v80/v79*(v78*v108 + v59*(v77*v108 + v59*(v76*v108 + v59*v113)))
    cdef double v115 = (-0.1)*v84
    cdef double v116 = v87*v115
    cdef double v117 = (-((v116 - v85*v116)/v88 + v89/v88*v116) if v81 != 0.0 else 0.0)
    cdef double v118 = (((v115 if v81 != 0.0 else 0.0) if v83 != 0.0 else 0.0) + v117 if v81 != 0.0 else 0.0)
    cdef double v119 = v92*(0.1*((-v114 if v58 != 0.0 else 0.0) + v118)) + v93*((-0.0125)*v94)
    k[0] = u[0] - (v0*theta[0] + v4*theta[1] + v9*x[2])
    k[1] = v44*v45 + v46*v47
    k[2] = v48*v49 - v56
    k[3] = v91*v92 + v93*v94
    J[0] = -(theta[0] + theta[1]*v2 + x[2]*(theta[2]*v6))
    J[1] = v105 + v46*((-0.05555555555555555)*v47)
    J[2] = v107
    J[3] = v119
    J[4] = -(x[2]*(theta[2]*(v7*(x[1]*(2.0*x[1]) + v5))))
    J[5] = (-4.0)*v47 - v44
    J[6] = -v9
    J[7] = (-0.07)*v49 - v54/v55
    J[8] = -(theta[1]*(v3*(2.0*v1*(2.0*x[3]))))
    J[9] = (-0.125)*v94 - v91
    J[10] = -v0
    J[11] = -v4
    J[12] = -(x[2]*v8)


cdef chunk_t field_curvature_0(const double* x, const double* u, const double* theta, double t, const double* mu, double* C, double* v) noexcept nogil:
    v[0] = (-0.0125)*exp(-0.8125 + (-0.0125)*x[0])
    cdef double v1 = (-0.05)*exp(-3.25 + (-0.05)*x[0])
    cdef double v2 = (-0.0125)*((-0.125)*x[3]*mu[3]*v[0]) + (-0.05)*(0.07*(1.0 - x[2])*mu[2]*v1)
    v[1] = (-0.05555555555555555)*exp(-3.611111111111111 + (-0.05555555555555555)*x[0])
    cdef double v4 = (-0.1)*x[0]
    cdef double v5 = -5.5 + v4
    cdef double v6 = (1.0 if fabs(v5) < 1.0 else 0.0)
    cdef double v7 = (1.0 if v6 == 0.0 else 0.0)
    cdef double v8 = (1.0 if v6 != 0.0 else 0.0) + (v5 if v7 != 0.0 else 0.0)
    cdef double v9 = (1.0 if v8 < 0.0 else 0.0)
    cdef double v10 = 1.0 - 2.0*v9
    cdef double v11 = v10*v8
    cdef double v12 = -v11
    cdef double v13 = exp(v12)
    cdef double v14 = 0.1*((1.0 - x[3])*mu[3])
    cdef double v15 = expm1(v12)
    cdef double v16 = v14/v15
    cdef double v17 = (-0.1)*v10
    cdef double v18 = v13*v17
    cdef double v19 = v16/v15*v18
    cdef double v20 = v11*v13/v15/v15
    cdef double v21 = (v18 - v11*v18)/v15 + v20*v18
    cdef double v22 = v13*(v14*(v21/v15 + v20/v15*v18)) - v20*v14*v18 + (v13*v19 - v16*v18)
    cdef double v23 = (v10*(v13*(v16*v17 + v11*v19) - v11*v16*v18 - v22) if v7 != 0.0 else 0.0)
    cdef double v24 = v6*v5
    cdef double v25 = 4.110317623312165e-19 + 1.9572941063391263e-20*v24
    cdef double v26 = 8.22063524662433e-18 + v24*v25
    cdef double v27 = 1.5619206968586225e-16 + v24*v26
    cdef double v28 = 2.8114572543455206e-15 + v24*v27
    cdef double v29 = 4.779477332387385e-14 + v24*v28
    cdef double v30 = 7.647163731819816e-13 + v24*v29
    cdef double v31 = 1.1470745597729725e-11 + v24*v30
    cdef double v32 = 1.6059043836821613e-10 + v24*v31
    cdef double v33 = 2.08767569878681e-09 + v24*v32
    cdef double v34 = 2.505210838544172e-08 + v24*v33
    cdef double v35 = 2.755731922398589e-07 + v24*v34
    cdef double v36 = 2.7557319223985893e-06 + v24*v35
    cdef double v37 = 2.48015873015873e-05 + v24*v36
    cdef double v38 = 0.0001984126984126984 + v24*v37
    cdef double v39 = 0.001388888888888889 + v24*v38
    cdef double v40 = 0.008333333333333333 + v24*v39
    cdef double v41 = 0.041666666666666664 + v24*v40
    cdef double v42 = 0.16666666666666666 + v24*v41
    cdef double v43 = 0.5 + v24*v42
    cdef double v44 = 1.0 + v24*v43
    cdef double v45 = 1.0/v44/v44
    cdef double v46 = v45*v14
    cdef double v47 = (-0.1)*v6
    cdef double v48 = (-1.9572941063391264e-21)*v6
    cdef double v49 = v25*v47 + v24*v48
    cdef double v50 = v26*v47 + v24*v49
    cdef double v51 = v27*v47 + v24*v50
    cdef double v52 = v28*v47 + v24*v51
    cdef double v53 = v29*v47 + v24*v52
    cdef double v54 = v30*v47 + v24*v53
    cdef double v55 = v31*v47 + v24*v54
    cdef double v56 = v32*v47 + v24*v55
    cdef double v57 = v33*v47 + v24*v56
    cdef double v58 = v34*v47 + v24*v57
    cdef double v59 = v35*v47 + v24*v58
    cdef double v60 = v36*v47 + v24*v59
    cdef double v61 = v37*v47 + v24*v60
    cdef double v62 = v38*v47 + v24*v61
    cdef double v63 = v39*v47 + v24*v62
    cdef double v64 = v40*v47 + v24*v63
    cdef double v65 = v41*v47 + v24*v64
    cdef double v66 = v42*v47 + v24*v65
    cdef double v67 = v43*v47 + v24*v66
    cdef double v68 = v45*v67
    cdef double v69 = v14*(v68/v44 + v45/v44*v67)
    cdef double v70 = v24*v46
    cdef double v71 = v46*v47 - v24*v69
    cdef double v72 = v24*v70
    cdef double v73 = v70*v47 + v24*v71
    cdef double v74 = v46*v66 - v43*v69 + (v70*v65 + v42*v71) + (v72*v64 + v41*v73)
    cdef double v75 = v24*v72
    cdef double v76 = v72*v47 + v24*v73
    cdef double v77 = v24*v75
    cdef double v78 = v75*v47 + v24*v76
    cdef double v79 = v24*v77
    cdef double v80 = v77*v47 + v24*v78
    cdef double v81 = v74 + (v75*v63 + v40*v76) + (v77*v62 + v39*v78) + (v79*v61 + v38*v80)
    cdef double v82 = v24*v79
    cdef double v83 = v79*v47 + v24*v80
    cdef double v84 = v24*v82
    cdef double v85 = v82*v47 + v24*v83
    cdef double v86 = v24*v84
    cdef double v87 = v84*v47 + v24*v85
    cdef double v88 = v81 + (v82*v60 + v37*v83) + (v84*v59 + v36*v85) + (v86*v58 + v35*v87)
    cdef double v89 = v24*v86
    cdef double v90 = v86*v47 + v24*v87
    cdef double v91 = v24*v89
    cdef double v92 = v89*v47 + v24*v90
    cdef double v93 = v24*v91
    cdef double v94 = v91*v47 + v24*v92
    cdef double v95 = v88 + (v89*v57 + v34*v90) + (v91*v56 + v33*v92) + (v93*v55 + v32*v94)
    cdef double v96 = v24*v93
    cdef double v97 = v93*v47 + v24*v94
    cdef double v98 = v24*v96
    cdef double v99 = v96*v47 + v24*v97
    cdef double v100 = v24*v98
    cdef double v101 = v98*v47 + v24*v99
    cdef double v102 = v95 + (v96*v54 + v31*v97) + (v98*v53 + v30*v99) + (v100*v52 + v29*v101)
    cdef double v103 = v24*v100
    cdef double v104 = v100*v47 + v24*v101
    cdef double v105 = v24*v103
    cdef double v106 = v103*v47 + v24*v104
    cdef double v107 = v24*v105
    cdef double v108 = v105*v47 + v24*v106
    cdef double v109 = v102 + (v103*v51 + v28*v104) + (v105*v50 + v27*v106) + (v107*v49 + v26*v108)
    cdef double v110 = v24*v107
    cdef double v111 = v107*v47 + v24*v108
    cdef double v112 = v109 + (v110*v48 + v25*v111) + 1.9572941063391263e-20*(v110*v47 + v24*v111)
    cdef double v113 = ((v23 if v7 != 0.0 else 0.0) if v7 != 0.0 else 0.0) + (-(v6*v112) if v6 != 0.0 else 0.0)
    cdef double v114 = -3.5 + v4
    cdef double v115 = (1.0 if 0.0 < v114 else 0.0)
    cdef double v116 = 1.0 - 2.0*v115
    cdef double v117 = exp(v116*v114)
    cdef double v118 = (v117 if v115 != 0.0 else 0.0) + (1.0 if (1.0 if v115 == 0.0 else 0.0) != 0.0 else 0.0)
    cdef double v119 = 1.0 + v117
    cdef double v120 = x[2]*v118/v119/v119
    cdef double v121 = v117*((-0.1)*v116)
    cdef double v122 = ((x[2]*v121/v119 if v115 != 0.0 else 0.0) - v120*v121)/v119 - v120/v119*v121
    cdef double v123 = mu[2]/v119
    cdef double v124 = v123/v119*v121
    cdef double v125 = v120*mu[2]*v121 + v117*(mu[2]*v122) + (-(x[2]*v123*v121 - v117*(x[2]*v124)) if v115 != 0.0 else 0.0)
    cdef double v126 = -4.0 + v4
    cdef double v127 = (1.0 if fabs(v126) < 1.0 else 0.0)
    cdef double v128 = (1.0 if v127 == 0.0 else 0.0)
    cdef double v129 = (1.0 if v127 != 0.0 else 0.0) + (v126 if v128 != 0.0 else 0.0)
    cdef double v130 = (1.0 if v129 < 0.0 else 0.0)
    cdef double v131 = 1.0 - 2.0*v130
    cdef double v132 = v131*v129
    cdef double v133 = -v132
    cdef double v134 = exp(v133)
    cdef double v135 = (1.0 - x[1])*mu[1]
    cdef double v136 = expm1(v133)
    cdef double v137 = v135/v136
    cdef double v138 = (-0.1)*v131
    cdef double v139 = v134*v138
    cdef double v140 = v137/v136*v139
    cdef double v141 = v132*v134/v136/v136
    cdef double v142 = (v139 - v132*v139)/v136 + v141*v139
    cdef double v143 = v134*(v135*(v142/v136 + v141/v136*v139)) - v141*v135*v139 + (v134*v140 - v137*v139)
    cdef double v144 = (v131*(v134*(v137*v138 + v132*v140) - v132*v137*v139 - v143) if v128 != 0.0 else 0.0)
    cdef double v145 = v127*v126
    cdef double v146 = 4.110317623312165e-19 + 1.9572941063391263e-20*v145
    cdef double v147 = 8.22063524662433e-18 + v145*v146
    cdef double v148 = 1.5619206968586225e-16 + v145*v147
    cdef double v149 = 2.8114572543455206e-15 + v145*v148
    cdef double v150 = 4.779477332387385e-14 + v145*v149
    cdef double v151 = 7.647163731819816e-13 + v145*v150
    cdef double v152 = 1.1470745597729725e-11 + v145*v151
    cdef double v153 = 1.6059043836821613e-10 + v145*v152
    cdef double v154 = 2.08767569878681e-09 + v145*v153
    cdef double v155 = 2.505210838544172e-08 + v145*v154
    cdef double v156 = 2.755731922398589e-07 + v145*v155
    cdef double v157 = 2.7557319223985893e-06 + v145*v156
    cdef double v158 = 2.48015873015873e-05 + v145*v157
    cdef double v159 = 0.0001984126984126984 + v145*v158
    cdef double v160 = 0.001388888888888889 + v145*v159
    cdef double v161 = 0.008333333333333333 + v145*v160
    cdef double v162 = 0.041666666666666664 + v145*v161
    cdef double v163 = 0.16666666666666666 + v145*v162
    cdef double v164 = 0.5 + v145*v163
    cdef double v165 = 1.0 + v145*v164
    cdef double v166 = 1.0/v165/v165
    cdef double v167 = v166*v135
    cdef double v168 = (-0.1)*v127
    cdef double v169 = (-1.9572941063391264e-21)*v127
    cdef double v170 = v146*v168 + v145*v169
    cdef double v171 = v147*v168 + v145*v170
    cdef double v172 = v148*v168 + v145*v171
    cdef double v173 = v149*v168 + v145*v172
    cdef double v174 = v150*v168 + v145*v173
    cdef double v175 = v151*v168 + v145*v174
    cdef double v176 = v152*v168 + v145*v175
    cdef double v177 = v153*v168 + v145*v176
    cdef double v178 = v154*v168 + v145*v177
    cdef double v179 = v155*v168 + v145*v178
    cdef double v180 = v156*v168 + v145*v179
    cdef double v181 = v157*v168 + v145*v180
    cdef double v182 = v158*v168 + v145*v181
    cdef double v183 = v159*v168 + v145*v182
    cdef double v184 = v160*v168 + v145*v183
    cdef double v185 = v161*v168 + v145*v184
    cdef double v186 = v162*v168 + v145*v185
    cdef double v187 = v163*v168 + v145*v186
    cdef double v188 = v164*v168 + v145*v187
    cdef double v189 = v166*v188
    cdef double v190 = v135*(v189/v165 + v166/v165*v188)
    cdef double v191 = v145*v167
    cdef double v192 = v167*v168 - v145*v190
    cdef double v193 = v145*v191
    cdef double v194 = v191*v168 + v145*v192
    cdef double v195 = v167*v187 - v164*v190 + (v191*v186 + v163*v192) + (v193*v185 + v162*v194)
    cdef double v196 = v145*v193
    cdef double v197 = v193*v168 + v145*v194
    cdef double v198 = v145*v196
    cdef double v199 = v196*v168 + v145*v197
    cdef double v200 = v145*v198
    cdef double v201 = v198*v168 + v145*v199
    cdef double v202 = v195 + (v196*v184 + v161*v197) + (v198*v183 + v160*v199) + (v200*v182 + v159*v201)
    cdef double v203 = v145*v200
    cdef double v204 = v200*v168 + v145*v201
    cdef double v205 = v145*v203
    cdef double v206 = v203*v168 + v145*v204
    cdef double v207 = v145*v205
    cdef double v208 = v205*v168 + v145*v206
    cdef double v209 = v202 + (v203*v181 + v158*v204) + (v205*v180 + v157*v206) + (v207*v179 + v156*v208)
    cdef double v210 = v145*v207
    cdef double v211 = v207*v168 + v145*v208
    cdef double v212 = v145*v210
    cdef double v213 = v210*v168 + v145*v211
    cdef double v214 = v145*v212
    cdef double v215 = v212*v168 + v145*v213
    cdef double v216 = v209 + (v210*v178 + v155*v211) + (v212*v177 + v154*v213) + (v214*v176 + v153*v215)
    cdef double v217 = v145*v214
    cdef double v218 = v214*v168 + v145*v215
    cdef double v219 = v145*v217
    cdef double v220 = v217*v168 + v145*v218
    cdef double v221 = v145*v219
    cdef double v222 = v219*v168 + v145*v220
    cdef double v223 = v216 + (v217*v175 + v152*v218) + (v219*v174 + v151*v220) + (v221*v173 + v150*v222)
    cdef double v224 = v145*v221
    cdef double v225 = v221*v168 + v145*v222
    cdef double v226 = v145*v224
    cdef double v227 = v224*v168 + v145*v225
    cdef double v228 = v145*v226
    cdef double v229 = v226*v168 + v145*v227
    cdef double v230 = v223 + (v224*v172 + v149*v225) + (v226*v171 + v148*v227) + (v228*v170 + v147*v229)
    cdef double v231 = v145*v228
    cdef double v232 = v228*v168 + v145*v229
    cdef double v233 = v230 + (v231*v169 + v146*v232) + 1.9572941063391263e-20*(v231*v168 + v145*v232)
    cdef double v234 = ((v144 if v128 != 0.0 else 0.0) if v128 != 0.0 else 0.0) + (-(v127*v233) if v127 != 0.0 else 0.0)
    v[2] = v2 + (-0.05555555555555555)*((-4.0)*x[1]*mu[1]*v[1]) + (-0.1)*(v113 + v116*v125 + v234)
    cdef double v236 = ((v138 if v128 != 0.0 else 0.0) if v130 != 0.0 else 0.0) + (-v142 if v128 != 0.0 else 0.0)
    v[3] = mu[1]*((-v189 if v127 != 0.0 else 0.0) + (v236 if v128 != 0.0 else 0.0))
    v[4] = x[1]*x[1]
    v[5] = x[2]*mu[0]
    v[6] = theta[2]*v[5]
    v[7] = 2.0*x[1]
    v[8] = v[4]*x[1]
    v[9] = (v123*v121 if v115 != 0.0 else 0.0) - v118*v124 + 0.07*(mu[2]*v1) + mu[0]*(theta[2]*v[8])
    cdef double v244 = ((v17 if v7 != 0.0 else 0.0) if v9 != 0.0 else 0.0) + (-v21 if v7 != 0.0 else 0.0)
    v[10] = mu[3]*(0.1*((-v68 if v6 != 0.0 else 0.0) + (v244 if v7 != 0.0 else 0.0)))
    v[11] = 2.0*x[3]
    v[12] = x[3]*x[3]
    v[13] = 2.0*v[12]
    v[14] = theta[1]*mu[0]
    return 0


cdef chunk_t field_curvature_1(const double* x, const double* u, const double* theta, double t, const double* mu, double* C, double* v) noexcept nogil:
    cdef double v250 = -50.0 + x[0]
    cdef double v251 = v250*v[6]
    cdef double v252 = v250*(theta[2]*mu[0])
    cdef double v253 = v250*v[5]
    cdef double v254 = 77.0 + x[0]
    cdef double v255 = v254*v[14]
    C[0] = v[2]
    C[1] = (-4.0)*(mu[1]*v[1]) - v[3] - v[4]*v[6] - v[7]*(x[1]*v[6])
    C[2] = -v[9]
    C[3] = (-0.125)*(mu[3]*v[0]) - v[10] - v[11]*(v[13]*v[14])
    C[4] = -mu[0]
    C[5] = -(mu[0]*(v[12]*v[12]))
    C[6] = -(v[8]*v[5])
    C[7] = -(v251*v[7] + (2.0*(x[1]*v251) + v[7]*v251))
    C[8] = -(v[4]*v252 + v[7]*(x[1]*v252))
    C[9] = -(v[4]*v253 + v[7]*(x[1]*v253))
    C[10] = -(mu[0]*(v[8]*v250))
    C[11] = -(2.0*(v[13]*v255) + v[11]*(v255*(4.0*x[3])))
    C[12] = -(v[11]*(v[13]*(v254*mu[0])))
    return 0


cdef void field_curvature(const double* x, const double* u, const double* theta, double t, const double* mu, double* C) noexcept nogil:
    """Nonzeros of the lower triangle of sum_a mu_a D2F_a by (x, theta)."""
    cdef double v[15]
    field_curvature_0(x, u, theta, t, mu, C, v)
    field_curvature_1(x, u, theta, t, mu, C, v)


cdef void measure(const double* x, const double* theta, double* k) noexcept nogil:
    """The predictors eta(x, theta): the measured quantities h, then further terms of the noise."""
    k[0] = x[0]


cdef void measure_jacobian(const double* x, const double* theta, double* k, double* J) noexcept nogil:
    """The same and the nonzeros of its Jacobian by (x, theta), column after column."""
    k[0] = x[0]
    J[0] = 1.0


cdef void measure_curvature(const double* x, const double* theta, const double* mu, double* C) noexcept nogil:
    """Nonzeros of the lower triangle of sum_k mu_k D2eta_k by (x, theta)."""
    pass


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


cdef void stage_slopes_jacobian(const double* w, const double* theta, const double* step, double* work) noexcept nogil:
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


cdef void stage_residual(const double* w, const double* step, double* work) noexcept nogil:
    """r = x[n+1] - x[n] - h (1/6 k_0 + 1/6 k_1 + 2/3 k_2);  m[n] - (1/2 x[n] + 1/2 x[n+1] + h (1/8 k_0 - 1/8 k_1))."""
    cdef double h = step[1]
    cdef double* k = &work[AT_K]
    cdef double* r = &work[AT_R]
    cdef int a
    for a in range(D):
        r[a] = w[E + a] - w[a] - h*(0.16666666666666666*k[0*D + a] + 0.16666666666666666*k[1*D + a] + 0.6666666666666666*k[2*D + a])
    for a in range(D):
        r[1*D + a] = w[1*D + a] - (0.5*w[a] + 0.5*w[E + a] + h*(0.125*k[0*D + a] + -0.125*k[1*D + a]))


cdef double stage_weigh(const double* step, const double* rf, double* work) noexcept nogil:
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


cdef void stage_adjoint(const double* step, double* work, double* g) noexcept nogil:
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
    field_curvature(&work[AT_X + 0*D], &step[3 + 0*U], theta, t, &work[AT_KAPPA + 0*D], C)
    from_column[0] = 0
    weight[0] = 1.0
    stage_spread_curvature(C, from_column, weight, 1, H)
    field_curvature(&work[AT_X + 1*D], &step[3 + 2*U], theta, t + h, &work[AT_KAPPA + 1*D], C)
    from_column[0] = 8
    weight[0] = 1.0
    stage_spread_curvature(C, from_column, weight, 1, H)
    field_curvature(&work[AT_X + 2*D], &step[3 + 1*U], theta, t + 0.5*h, &work[AT_KAPPA + 2*D], C)
    from_column[0] = 4
    weight[0] = 1.0
    stage_spread_curvature(C, from_column, weight, 1, H)


cdef void stage_gauss_newton(const double* step, const double* rf, double* work) noexcept nogil:
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
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_action_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_action_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_action_sparsity_in(long long i) {
        return &step_action_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_action_sparsity_out(long long i) {
        return &step_action_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_step_action_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 4; *res = 1; *iw = 0; *w = 936;
        return 0;
    }

    static const long long step_gradient_in[12] = {
        12, 1, 1, 3, 1, 1, 6, 1, 1, 4, 1, 1};
    static const long long step_gradient_out[6] = {
        1, 1, 1, 15, 1, 1};
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_gradient_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_gradient_n_out(void) { return 2; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_gradient_sparsity_in(long long i) {
        return &step_gradient_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_gradient_sparsity_out(long long i) {
        return &step_gradient_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_step_gradient_work(long long* arg, long long* res, long long* iw, long long* w) {
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
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_hessian_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_hessian_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_hessian_sparsity_in(long long i) {
        return &step_hessian_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_hessian_sparsity_out(long long i) {
        return &step_hessian_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_step_hessian_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 4; *res = 1; *iw = 0; *w = 936;
        return 0;
    }

    static const long long step_residual_in[9] = {
        12, 1, 1, 3, 1, 1, 6, 1, 1};
    static const long long step_residual_out[3] = {
        8, 1, 1};
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_residual_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_residual_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_residual_sparsity_in(long long i) {
        return &step_residual_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_residual_sparsity_out(long long i) {
        return &step_residual_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_step_residual_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 936;
        return 0;
    }

    static const long long step_jacobian_in[9] = {
        12, 1, 1, 3, 1, 1, 6, 1, 1};
    static const long long step_jacobian_out[78] = {
        8, 15, 0, 8, 12, 16, 20, 25, 28, 31, 34, 42, 46, 50, 54, 56, 58, 60, 0, 1, 2, 3, 4, 5, 6, 7, 0,
        1, 4, 5, 0, 2, 4, 6, 0, 3, 4, 7, 0, 1, 2, 3, 4, 0, 1, 5, 0, 2, 6, 0, 3, 7, 0, 1, 2, 3, 4, 5, 6,
        7, 0, 1, 4, 5, 0, 2, 4, 6, 0, 3, 4, 7, 0, 4, 0, 4, 0, 4};
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_jacobian_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_jacobian_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_jacobian_sparsity_in(long long i) {
        return &step_jacobian_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_jacobian_sparsity_out(long long i) {
        return &step_jacobian_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_step_jacobian_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 936;
        return 0;
    }

    static const long long step_curvature_in[12] = {
        12, 1, 1, 3, 1, 1, 6, 1, 1, 8, 1, 1};
    static const long long step_curvature_out[57] = {
        15, 15, 0, 1, 3, 5, 7, 8, 10, 12, 14, 15, 17, 19, 21, 24, 30, 39, 0, 0, 1, 0, 1, 0, 3, 4, 4, 5,
        4, 5, 4, 7, 8, 8, 9, 8, 9, 8, 11, 0, 4, 8, 0, 3, 4, 7, 8, 11, 0, 1, 2, 4, 5, 6, 8, 9, 10};
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_curvature_n_in(void) { return 4; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_step_curvature_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_curvature_sparsity_in(long long i) {
        return &step_curvature_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_step_curvature_sparsity_out(long long i) {
        return &step_curvature_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_step_curvature_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 4; *res = 1; *iw = 0; *w = 936;
        return 0;
    }

    static const long long point_action_in[9] = {
        4, 1, 1, 3, 1, 1, 2, 1, 1};
    static const long long point_action_out[3] = {
        1, 1, 1};
    SYMDA_EXPORT long long symda_b8ba061a7f58_point_action_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_point_action_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_point_action_sparsity_in(long long i) {
        return &point_action_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_point_action_sparsity_out(long long i) {
        return &point_action_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_point_action_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 5;
        return 0;
    }

    static const long long point_gradient_in[9] = {
        4, 1, 1, 3, 1, 1, 2, 1, 1};
    static const long long point_gradient_out[6] = {
        1, 1, 1, 7, 1, 1};
    SYMDA_EXPORT long long symda_b8ba061a7f58_point_gradient_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_point_gradient_n_out(void) { return 2; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_point_gradient_sparsity_in(long long i) {
        return &point_gradient_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_point_gradient_sparsity_out(long long i) {
        return &point_gradient_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_point_gradient_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 2; *iw = 0; *w = 5;
        return 0;
    }

    static const long long point_hessian_in[9] = {
        4, 1, 1, 3, 1, 1, 2, 1, 1};
    static const long long point_hessian_out[11] = {
        7, 7, 0, 1, 1, 1, 1, 1, 1, 1, 0};
    SYMDA_EXPORT long long symda_b8ba061a7f58_point_hessian_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_point_hessian_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_point_hessian_sparsity_in(long long i) {
        return &point_hessian_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_point_hessian_sparsity_out(long long i) {
        return &point_hessian_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_point_hessian_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 5;
        return 0;
    }

    static const long long point_gauss_newton_in[9] = {
        4, 1, 1, 3, 1, 1, 2, 1, 1};
    static const long long point_gauss_newton_out[11] = {
        7, 7, 0, 1, 1, 1, 1, 1, 1, 1, 0};
    SYMDA_EXPORT long long symda_b8ba061a7f58_point_gauss_newton_n_in(void) { return 3; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_point_gauss_newton_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_point_gauss_newton_sparsity_in(long long i) {
        return &point_gauss_newton_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_point_gauss_newton_sparsity_out(long long i) {
        return &point_gauss_newton_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_point_gauss_newton_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 3; *res = 1; *iw = 0; *w = 5;
        return 0;
    }

    static const long long measure_in[6] = {
        4, 1, 1, 3, 1, 1};
    static const long long measure_out[3] = {
        1, 1, 1};
    SYMDA_EXPORT long long symda_b8ba061a7f58_measure_n_in(void) { return 2; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_measure_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_measure_sparsity_in(long long i) {
        return &measure_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_measure_sparsity_out(long long i) {
        return &measure_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_measure_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 2; *res = 1; *iw = 0; *w = 5;
        return 0;
    }

    static const long long measure_jacobian_in[6] = {
        4, 1, 1, 3, 1, 1};
    static const long long measure_jacobian_out[11] = {
        1, 7, 0, 1, 1, 1, 1, 1, 1, 1, 0};
    SYMDA_EXPORT long long symda_b8ba061a7f58_measure_jacobian_n_in(void) { return 2; }
    SYMDA_EXPORT long long symda_b8ba061a7f58_measure_jacobian_n_out(void) { return 1; }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_measure_jacobian_sparsity_in(long long i) {
        return &measure_jacobian_in[3*i];
    }
    SYMDA_EXPORT const long long* symda_b8ba061a7f58_measure_jacobian_sparsity_out(long long i) {
        return &measure_jacobian_out[3*i];
    }
    SYMDA_EXPORT int symda_b8ba061a7f58_measure_jacobian_work(long long* arg, long long* res, long long* iw, long long* w) {
        *arg = 2; *res = 1; *iw = 0; *w = 5;
        return 0;
    }

    """


cdef public int symda_b8ba061a7f58_step_action(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """sum_a weight Rf_a r_a^2 / 2 of one step."""
    stage_slopes(arg[0], arg[1], arg[2], work)
    stage_residual(arg[0], arg[2], work)
    cdef double action = stage_weigh(arg[2], arg[3], work)
    if res[0] != NULL:
        res[0][0] = action
    return 0


cdef public int symda_b8ba061a7f58_step_gradient(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """The action of one step and its gradient by (window, theta)."""
    stage_slopes_jacobian(arg[0], arg[1], arg[2], work)
    stage_residual(arg[0], arg[2], work)
    cdef double action = stage_weigh(arg[2], arg[3], work)
    if res[0] != NULL:
        res[0][0] = action
    if res[1] != NULL:
        stage_adjoint(arg[2], work, res[1])
    return 0


cdef public int symda_b8ba061a7f58_step_hessian(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
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


cdef public int symda_b8ba061a7f58_step_residual(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """The residual r of one step."""
    cdef int e
    if res[0] == NULL:
        return 0
    stage_slopes(arg[0], arg[1], arg[2], work)
    stage_residual(arg[0], arg[2], work)
    for e in range(E):
        res[0][e] = work[AT_R + e]
    return 0


cdef public int symda_b8ba061a7f58_step_jacobian(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Nonzeros of dr/d(window, theta)."""
    cdef int q
    if res[0] == NULL:
        return 0
    stage_slopes_jacobian(arg[0], arg[1], arg[2], work)
    stage_tangents(arg[2], work)
    for q in range(STEP_J):
        res[0][q] = work[AT_DR + STEP_J_SOURCE[q]]
    return 0


cdef public int symda_b8ba061a7f58_step_curvature(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
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


cdef public int symda_b8ba061a7f58_point_action(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """Cost of the data of one grid point."""
    if res[0] == NULL:
        return 0
    measure(arg[0], arg[1], &work[AT_ETA])
    casadi_point_costs(arg[2], work)
    res[0][0] = casadi_point_total(arg[2], work)
    return 0


cdef public int symda_b8ba061a7f58_point_gradient(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
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


cdef public int symda_b8ba061a7f58_point_hessian(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
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
    return 0


cdef public int symda_b8ba061a7f58_point_gauss_newton(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
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


cdef public int symda_b8ba061a7f58_measure(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
    """The predictors at one grid point."""
    if res[0] != NULL:
        measure(arg[0], arg[1], res[0])
    return 0


cdef public int symda_b8ba061a7f58_measure_jacobian(const double** arg, double** res, long long* iw, double* work, int mem) noexcept nogil:
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
        code = paths_sweep(symda_b8ba061a7f58_step_gradient, <double*> X, E, D, <double*> theta, <double*> steps, STEP, <double*> rf, 0,
                     <long long*> firsts, pieces, <double*> action, 1, <double*> gradient, W)
    paths_require(code)


def step_action(size_t X, size_t theta, size_t steps, size_t rf, size_t firsts, Py_ssize_t pieces, size_t action):
    """Actions (N,) of the steps."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_b8ba061a7f58_step_action, <double*> X, E, D, <double*> theta, <double*> steps, STEP, <double*> rf, 0,
                     <long long*> firsts, pieces, <double*> action, 1, NULL, 0)
    paths_require(code)


def step_hessian(size_t X, size_t theta, size_t steps, size_t rf, size_t firsts, Py_ssize_t pieces, size_t hessian):
    """Nonzeros (N, STEP_H) of the Hessians of the steps."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_b8ba061a7f58_step_hessian, <double*> X, E, D, <double*> theta, <double*> steps, STEP, <double*> rf, 0,
                     <long long*> firsts, pieces, <double*> hessian, STEP_H, NULL, 0)
    paths_require(code)


def step_residual(size_t X, size_t theta, size_t steps, size_t firsts, Py_ssize_t pieces, size_t residuals):
    """Residuals (N, E) of the steps."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_b8ba061a7f58_step_residual, <double*> X, E, D, <double*> theta, <double*> steps, STEP, NULL, 0,
                     <long long*> firsts, pieces, <double*> residuals, E, NULL, 0)
    paths_require(code)


def step_jacobian(size_t X, size_t theta, size_t steps, size_t firsts, Py_ssize_t pieces, size_t jacobian):
    """Nonzeros (N, STEP_J) of the residuals' Jacobians."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_b8ba061a7f58_step_jacobian, <double*> X, E, D, <double*> theta, <double*> steps, STEP, NULL, 0,
                     <long long*> firsts, pieces, <double*> jacobian, STEP_J, NULL, 0)
    paths_require(code)


def step_curvature(size_t X, size_t theta, size_t steps, size_t lam, size_t firsts, Py_ssize_t pieces, size_t curvatures):
    """Nonzeros (N, STEP_C) of the residuals' curvatures along lam (N, E)."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_b8ba061a7f58_step_curvature, <double*> X, E, D, <double*> theta, <double*> steps, STEP, <double*> lam, E,
                     <long long*> firsts, pieces, <double*> curvatures, STEP_C, NULL, 0)
    paths_require(code)


def point_action(size_t X, size_t theta, size_t points, size_t firsts, Py_ssize_t pieces, size_t action):
    """Costs (M,) of rows of data."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_b8ba061a7f58_point_action, <double*> X, D, 0, <double*> theta, <double*> points, 2*L, NULL, 0,
                     <long long*> firsts, pieces, <double*> action, 1, NULL, 0)
    paths_require(code)


def point_gradient(size_t X, size_t theta, size_t points, size_t firsts, Py_ssize_t pieces, size_t action, size_t gradient):
    """Costs (M,) and their gradients (M, D + P)."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_b8ba061a7f58_point_gradient, <double*> X, D, 0, <double*> theta, <double*> points, 2*L, NULL, 0,
                     <long long*> firsts, pieces, <double*> action, 1, <double*> gradient, D + P)
    paths_require(code)


def point_hessian(size_t X, size_t theta, size_t points, size_t firsts, Py_ssize_t pieces, size_t hessian):
    """Nonzeros (M, POINT_H) of the Hessians of the grid points."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_b8ba061a7f58_point_hessian, <double*> X, D, 0, <double*> theta, <double*> points, 2*L, NULL, 0,
                     <long long*> firsts, pieces, <double*> hessian, POINT_H, NULL, 0)
    paths_require(code)


def point_gauss_newton(size_t X, size_t theta, size_t points, size_t firsts, Py_ssize_t pieces, size_t hessian):
    """Nonzeros (M, POINT_H) of the Gauss-Newton Hessians of the grid points."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_b8ba061a7f58_point_gauss_newton, <double*> X, D, 0, <double*> theta, <double*> points, 2*L, NULL, 0,
                     <long long*> firsts, pieces, <double*> hessian, POINT_H, NULL, 0)
    paths_require(code)


def measure_path(size_t X, size_t theta, size_t firsts, Py_ssize_t pieces, size_t values):
    """The predictors eta(x, theta), shape (M, Q), along a path."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_b8ba061a7f58_measure, <double*> X, D, 0, <double*> theta, NULL, 0, NULL, 0,
                     <long long*> firsts, pieces, <double*> values, Q, NULL, 0)
    paths_require(code)


def measure_jacobian_path(size_t X, size_t theta, size_t firsts, Py_ssize_t pieces, size_t nonzeros):
    """Nonzeros (M, MEASURE_J) of the predictors' Jacobians along a path."""
    cdef int code
    with nogil:
        code = paths_sweep(symda_b8ba061a7f58_measure_jacobian, <double*> X, D, 0, <double*> theta, NULL, 0, NULL, 0,
                     <long long*> firsts, pieces, <double*> nonzeros, MEASURE_J, NULL, 0)
    paths_require(code)
