# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Importance draws, several at once: moments, triangular solutions, and determinants of their derivatives.

A draw is the path x with L^-1 m(x) = e, where m(x) = J*' W r(x) + dU/dx, r the residuals of the steps, J* their derivatives
at the minimum, U what data and priors cost; L L' = m'(x*), e Gaussian numbers. Its density has the determinant of
m'(x) = J*' W J(x) + d2U/dx2, which is not symmetric.

Unknowns are the path, of which step n sees the window from n E on, E + D numbers, and P parameters, of which an experiment has
p. The determinant is made by fronts: a matrix of what a step sees, (window, parameters), to which its derivatives and those of
its data are added; then the first E unknowns are eliminated, and what remains is the beginning of the next front. Pivots are
taken in their order; whether that was safe is found out of their sizes.

A number of type `real` holds one double for each of several draws. No operation mixes lanes, so that a draw does not depend on
the others. All sizes are arguments: this text is the same for all models.

Written by symda. Do not edit.
"""

from libc.math cimport (
    INFINITY, NAN, acos, acosh, asin, asinh, atan, atan2, atanh, ceil, copysign, cos, cosh, erf, exp, expm1,
    fabs, floor, fmax, fmin, fmod, hypot, isfinite, log, log1p, pow, sin, sinh, sqrt, tan, tanh,
)
from libc.stdlib cimport free

cdef extern from *:
    """
    /* chunk_t asks for functions that stay apart; Cython declares variables of it as well. */
    #if defined(__GNUC__) && !defined(__clang__)
        #pragma GCC diagnostic ignored "-Wattributes"
    #endif
    #include <math.h>
    #include <stdlib.h>
    /* Doubles in a vector register; -DSYMDA_LANES=1, 2, 4, ... chooses otherwise. */
    /* Halves of a vector that go through memory would stall its next use. */
    #if defined(__GNUC__) && !defined(__clang__) && defined(__AVX512F__)
        #pragma GCC target("prefer-vector-width=512")
    #endif
    #if defined(SYMDA_LANES)
        #define LANES SYMDA_LANES
    #elif defined(__AVX512F__)
        #define LANES 8
    #elif defined(__AVX__)
        #define LANES 4
    #elif defined(__SSE2__) || defined(__ARM_NEON)
        #define LANES 2
    #else
        #define LANES 1
    #endif
    #define EACH_LANE for (int lane = 0; lane < LANES; ++lane)
    /* A vector of one double is not a double to every compiler. */
    #if LANES == 1
        typedef double lane_t;
        #define LANE(x) (x)
    #else
        typedef double lane_t __attribute__((vector_size(8*LANES)));
        #define LANE(x) (x)[lane]
    #endif

    static inline long long take_next(long long* next) { return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED); }
    static inline lane_t splat(double x) { lane_t all; EACH_LANE LANE(all) = x; return all; }
    static inline double lane_get(const lane_t* x, int lane) { (void) lane; return LANE(*x); }
    static inline void lane_put(lane_t* x, int lane, double value) { (void) lane; LANE(*x) = value; }
    static inline double sign(double x) { return (double) (x > 0.0) - (double) (x < 0.0); }

    #define LANEWISE_1(f) \
        static inline lane_t lanes_##f(lane_t a) { EACH_LANE LANE(a) = f(LANE(a)); return a; }
    #define LANEWISE_2(f) \
        static inline lane_t lanes_##f(lane_t a, lane_t b) { EACH_LANE LANE(a) = f(LANE(a), LANE(b)); return a; }
    #define LANEWISE_RULE(f, rule) \
        static inline lane_t lanes_##f(lane_t a, lane_t b) { EACH_LANE LANE(a) = (rule) ? 1.0 : 0.0; return a; }
    /* glibc's vectors of functions, to 4 units in the last place; elsewhere they are called a lane at a time. */
    #if defined(__x86_64__) && defined(__LP64__) && defined(__GLIBC__)
        #if __GLIBC_PREREQ(2, 35)
            #if LANES == 8 && defined(__AVX512F__)
                #define VECTOR(kind, f) _ZGVeN8##kind##_##f
            #elif LANES == 4 && defined(__AVX2__)
                #define VECTOR(kind, f) _ZGVdN4##kind##_##f
            #elif LANES == 2
                #define VECTOR(kind, f) _ZGVbN2##kind##_##f
            #endif
        #endif
    #endif
    #if defined(VECTOR)
        #define FUNCTION_1(f) \
            lane_t VECTOR(v, f)(lane_t); \
            static inline lane_t lanes_##f(lane_t a) { return VECTOR(v, f)(a); }
        #define FUNCTION_2(f) \
            lane_t VECTOR(vv, f)(lane_t, lane_t); \
            static inline lane_t lanes_##f(lane_t a, lane_t b) { return VECTOR(vv, f)(a, b); }
    #else
        #define FUNCTION_1(f) LANEWISE_1(f)
        #define FUNCTION_2(f) LANEWISE_2(f)
    #endif
    FUNCTION_1(exp)
    FUNCTION_1(log)
    LANEWISE_1(sqrt)
    FUNCTION_1(sin)
    FUNCTION_1(cos)
    FUNCTION_1(tan)
    FUNCTION_1(asin)
    FUNCTION_1(acos)
    FUNCTION_1(atan)
    LANEWISE_1(floor)
    LANEWISE_1(ceil)
    LANEWISE_1(sign)
    LANEWISE_1(fabs)
    FUNCTION_1(erf)
    FUNCTION_1(sinh)
    FUNCTION_1(cosh)
    FUNCTION_1(tanh)
    FUNCTION_1(asinh)
    FUNCTION_1(acosh)
    FUNCTION_1(atanh)
    FUNCTION_1(log1p)
    FUNCTION_1(expm1)
    LANEWISE_2(fmod)
    LANEWISE_2(copysign)
    LANEWISE_2(fmin)
    LANEWISE_2(fmax)
    FUNCTION_2(pow)
    FUNCTION_2(atan2)
    FUNCTION_2(hypot)
    LANEWISE_RULE(lt, LANE(a) < LANE(b))
    LANEWISE_RULE(le, LANE(a) <= LANE(b))
    LANEWISE_RULE(eq, LANE(a) == LANE(b))
    LANEWISE_RULE(ne, LANE(a) != LANE(b))
    LANEWISE_RULE(and, LANE(a) != 0.0 && LANE(b) != 0.0)
    LANEWISE_RULE(or, LANE(a) != 0.0 || LANE(b) != 0.0)
    static inline lane_t lanes_not(lane_t a) { EACH_LANE LANE(a) = LANE(a) == 0.0 ? 1.0 : 0.0; return a; }
    static inline lane_t lanes_if_else_zero(lane_t a, lane_t b) {
        EACH_LANE LANE(b) = LANE(a) != 0.0 ? LANE(b) : 0.0;
        return b;
    }
    static inline lane_t lanes_where(lane_t condition, lane_t a, lane_t b) {
        EACH_LANE LANE(a) = LANE(condition) != 0.0 ? LANE(a) : LANE(b);
        return a;
    }
    static inline lane_t lanes_larger(lane_t a, lane_t b) {
        EACH_LANE LANE(a) = LANE(b) > LANE(a) ? LANE(b) : LANE(a);
        return a;
    }

    """
    ctypedef double real "lane_t"
    enum:
        LANES
    void* aligned_alloc(size_t, size_t) nogil
    long long take_next(long long*) nogil
    real splat(double) nogil
    double lane_get(const real*, int) nogil
    void lane_put(real*, int, double) nogil
    real lanes_exp(real) nogil
    real lanes_log(real) nogil
    real lanes_sqrt(real) nogil
    real lanes_sin(real) nogil
    real lanes_cos(real) nogil
    real lanes_tan(real) nogil
    real lanes_asin(real) nogil
    real lanes_acos(real) nogil
    real lanes_atan(real) nogil
    real lanes_floor(real) nogil
    real lanes_ceil(real) nogil
    real lanes_sign(real) nogil
    real lanes_fabs(real) nogil
    real lanes_erf(real) nogil
    real lanes_sinh(real) nogil
    real lanes_cosh(real) nogil
    real lanes_tanh(real) nogil
    real lanes_asinh(real) nogil
    real lanes_acosh(real) nogil
    real lanes_atanh(real) nogil
    real lanes_log1p(real) nogil
    real lanes_expm1(real) nogil
    real lanes_not(real) nogil
    real lanes_fmod(real, real) nogil
    real lanes_copysign(real, real) nogil
    real lanes_fmin(real, real) nogil
    real lanes_fmax(real, real) nogil
    real lanes_pow(real, real) nogil
    real lanes_atan2(real, real) nogil
    real lanes_hypot(real, real) nogil
    real lanes_lt(real, real) nogil
    real lanes_le(real, real) nogil
    real lanes_eq(real, real) nogil
    real lanes_ne(real, real) nogil
    real lanes_and(real, real) nogil
    real lanes_or(real, real) nogil
    real lanes_if_else_zero(real, real) nogil
    real lanes_larger(real, real) nogil
    real lanes_where(real, real, real) nogil


lanes = LANES

# A pivot may not be less than this share of the largest its unknown's diagonal was, nor so many times it.
cdef double LEAST = 1e-12
cdef double MOST = 10.0


cdef real* memory(Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t size = ((count*sizeof(real) + 63)//64 + 1)*64
    return <real*> aligned_alloc(64, size)


cdef void gather(real* target, const double* source, Py_ssize_t count, Py_ssize_t stride, int used) noexcept nogil:
    """Take `count` numbers of each draw; lanes without a draw of their own get those of the last one."""
    cdef Py_ssize_t q
    cdef int k
    for k in range(LANES):
        for q in range(count):
            lane_put(&target[q], k, source[min(k, used - 1)*stride + q])


cdef void scatter(const real* source, double* target, Py_ssize_t count, Py_ssize_t stride, int used) noexcept nogil:
    cdef Py_ssize_t q
    cdef int k
    for k in range(used):
        for q in range(count):
            target[k*stride + q] = lane_get(&source[q], k)


cdef void require(int code) except *:
    if code:
        raise MemoryError("no memory for draws")


# ---------------------------------------------------------------------------------------------------------------------
# x with L x = b, or L' x = b
# ---------------------------------------------------------------------------------------------------------------------

cdef void forward(const double* L, Py_ssize_t n, Py_ssize_t width, real* x) noexcept nogil:
    cdef Py_ssize_t j, i
    cdef const double* low
    cdef real one
    for j in range(n):
        low = &L[j*(width + 1)]
        one = x[j]*splat(1.0/low[0])
        x[j] = one
        for i in range(1, min(width, n - 1 - j) + 1):
            x[j + i] = x[j + i] - splat(low[i])*one


cdef void backward(const double* L, Py_ssize_t n, Py_ssize_t width, real* x) noexcept nogil:
    cdef Py_ssize_t j, i, last
    cdef const double* low
    cdef real one, other
    for j in range(n - 1, -1, -1):
        low = &L[j*(width + 1)]
        last = min(width, n - 1 - j)
        one = x[j]
        other = splat(0.0)
        # the nearest comes last, since it has only just been found
        i = last
        while i > 1:
            one = one - splat(low[i])*x[j + i]
            other = other + splat(low[i - 1])*x[j + i - 1]
            i = i - 2
        if i == 1:
            one = one - splat(low[1])*x[j + 1]
        x[j] = (one - other)*splat(1.0/low[0])


def run_solve(size_t L, Py_ssize_t n, Py_ssize_t width, size_t B, Py_ssize_t k, Py_ssize_t stride, bint back):
    """The first n numbers of each of the k rows B (k, stride) become the solution; L (n, width + 1) are columns of a lower band."""
    cdef Py_ssize_t block, first
    cdef int used, code = 0
    cdef real* x
    with nogil:
        x = memory(n)
        if x == NULL:
            code = -1
        else:
            for block in range((k + LANES - 1)//LANES):
                first = block*LANES
                used = <int> min(LANES, k - first)
                gather(x, &(<double*> B)[first*stride], n, stride, used)
                if back:
                    backward(<double*> L, n, width, x)
                else:
                    forward(<double*> L, n, width, x)
                scatter(x, &(<double*> B)[first*stride], n, stride, used)
            free(x)
    require(code)


# ---------------------------------------------------------------------------------------------------------------------
# What stands where: sizes, experiments, the nonzeros of derivatives
# ---------------------------------------------------------------------------------------------------------------------

cdef struct layout:
    Py_ssize_t N, M, R, S, E, D, p, P
    const long long* steps  # first step of each experiment, and N
    const long long* points  # first grid point of each, and M
    const long long* rows  # first row of data of each grid point, and R
    const long long* use  # which of the P parameters an experiment has, (S, p)
    const long long* varies  # whether an unknown of the path is one, (M D,)
    # W J*, row after row of the residuals (E,): where each begins, what its entries are derivatives by
    Py_ssize_t weighed_count
    const long long* weighed_start
    const long long* weighed_at
    const double* weighed  # (N, count)
    # J, likewise, and where an entry is among the nonzeros that kernels give
    Py_ssize_t slopes_count
    const long long* slopes_start
    const long long* slopes_at
    const long long* slopes_from
    # upper triangles of the second derivatives of a row of data, and of a prior, by (state, parameters)
    Py_ssize_t data_count
    const long long* data_row
    const long long* data_column
    Py_ssize_t prior_count
    const long long* prior_row
    const long long* prior_column
    double share  # what costs of data and priors are multiplied by


cdef layout table(size_t sizes, size_t places, size_t weighed, double share):
    """Read what Python wrote down: `sizes` has the counts, `places` the addresses, in the order of the fields."""
    cdef layout t
    cdef const long long* c = <const long long*> sizes
    cdef const size_t* a = <const size_t*> places
    t.N, t.M, t.R, t.S, t.E, t.D, t.p, t.P = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
    t.weighed_count, t.slopes_count, t.data_count, t.prior_count = c[8], c[9], c[10], c[11]
    t.steps, t.points, t.rows = <const long long*> a[0], <const long long*> a[1], <const long long*> a[2]
    t.use, t.varies = <const long long*> a[3], <const long long*> a[4]
    t.weighed_start, t.weighed_at = <const long long*> a[5], <const long long*> a[6]
    t.slopes_start, t.slopes_at, t.slopes_from = <const long long*> a[7], <const long long*> a[8], <const long long*> a[9]
    t.data_row, t.data_column = <const long long*> a[10], <const long long*> a[11]
    t.prior_row, t.prior_column = <const long long*> a[12], <const long long*> a[13]
    t.weighed, t.share = <const double*> weighed, share
    return t


# ---------------------------------------------------------------------------------------------------------------------
# m(x)
# ---------------------------------------------------------------------------------------------------------------------

cdef void moments(const layout* t, const double* residuals, const double* by_row, const double* by_prior, int used, real* part,
                  real* m) noexcept nogil:
    cdef Py_ssize_t s, step, point, row, i, q, at, base, n = t.M*t.D, W = t.E + t.D, width = t.D + t.p
    cdef const double* weighed
    for i in range(n + t.P):
        m[i] = splat(0.0)
    for s in range(t.S):
        for step in range(t.steps[s], t.steps[s + 1]):
            base = t.points[s]*t.D + (step - t.steps[s])*t.E
            weighed = &t.weighed[step*t.weighed_count]
            gather(part, &residuals[step*t.E], t.E, t.N*t.E, used)
            for i in range(t.E):
                for q in range(t.weighed_start[i], t.weighed_start[i + 1]):
                    at = t.weighed_at[q]
                    at = base + at if at < W else n + t.use[s*t.p + at - W]
                    m[at] = m[at] + splat(weighed[q])*part[i]
        for point in range(t.points[s], t.points[s + 1]):
            for row in range(t.rows[point], t.rows[point + 1]):
                gather(part, &by_row[row*width], width, t.R*width, used)
                for i in range(width):
                    at = point*t.D + i if i < t.D else n + t.use[s*t.p + i - t.D]
                    m[at] = m[at] + splat(t.share)*part[i]
        if by_prior != NULL:
            gather(part, &by_prior[s*width], width, t.S*width, used)
            for i in range(width):
                at = t.points[s]*t.D + i if i < t.D else n + t.use[s*t.p + i - t.D]
                m[at] = m[at] + splat(t.share)*part[i]


def run_moments(size_t sizes, size_t places, size_t weighed, double share, Py_ssize_t k, size_t residuals, size_t by_row,
                size_t by_prior, size_t found):
    """m (k, M D + P) of residuals (k, N, E), gradients of rows (k, R, D + p) and of priors (k, S, D + p), or none."""
    cdef layout t = table(sizes, places, weighed, share)
    cdef Py_ssize_t block, first, n = t.M*t.D + t.P, width = t.D + t.p
    cdef int used, code = 0
    cdef real* m
    cdef real* part
    cdef const double* prior
    with nogil:
        m, part = memory(n), memory(t.E + t.D + t.p)
        if m == NULL or part == NULL:
            code = -1
        else:
            for block in range((k + LANES - 1)//LANES):
                first = block*LANES
                used = <int> min(LANES, k - first)
                prior = &(<double*> by_prior)[first*t.S*width] if by_prior else NULL
                moments(&t, &(<double*> residuals)[first*t.N*t.E], &(<double*> by_row)[first*t.R*width], prior, used, part, m)
                scatter(m, &(<double*> found)[first*n], n, n, used)
        free(m)
        free(part)
    require(code)


# ---------------------------------------------------------------------------------------------------------------------
# det m'(x)
# ---------------------------------------------------------------------------------------------------------------------

cdef void eliminate(real* F, Py_ssize_t K, Py_ssize_t count, const long long* varies, const real* size, real* log_det,
                    real* fine) noexcept nogil:
    """Eliminate the first unknowns of a front F (K, K) that vary."""
    cdef Py_ssize_t i, j, a
    cdef real pivot, inverse, one
    cdef real* row
    cdef real* other
    for i in range(count):
        if not varies[i]:
            continue
        row = &F[i*K]
        pivot = row[i]
        fine[0] = lanes_and(fine[0], lanes_and(lanes_lt(splat(LEAST)*size[i], pivot), lanes_le(pivot, splat(MOST)*size[i])))
        log_det[0] = log_det[0] + lanes_log(pivot)
        inverse = splat(1.0)/pivot
        for a in range(i + 1, K):
            other = &F[a*K]
            one = other[i]*inverse
            for j in range(i + 1, K):
                other[j] = other[j] - one*row[j]


cdef void add_triangle(const layout* t, real* F, Py_ssize_t K, Py_ssize_t offset, const real* values, Py_ssize_t count,
                       const long long* rows, const long long* columns) noexcept nogil:
    """Add second derivatives by (state, parameters), the state at `offset` in the front."""
    cdef Py_ssize_t q, i, j
    cdef real value
    for q in range(count):
        i, j = rows[q], columns[q]
        i = offset + i if i < t.D else t.E + i
        j = offset + j if j < t.D else t.E + j
        value = splat(t.share)*values[q]
        F[i*K + j] = F[i*K + j] + value
        if i != j:
            F[j*K + i] = F[j*K + i] + value


cdef void determinants(const layout* t, const double* slopes, const double* by_row, const double* by_prior, int used, real* F,
                       real* size, real* part, real* corner, real* log_det, real* fine) noexcept nogil:
    cdef Py_ssize_t s, step, point, row, i, j, q, c, a, W = t.E + t.D, K = W + t.p, each = t.E//t.D
    cdef const double* weighed
    cdef real* line
    cdef real one
    fine[0], log_det[0] = splat(1.0), splat(0.0)
    for i in range(t.P*t.P):
        corner[i] = splat(0.0)
    for s in range(t.S):
        for i in range(K*K):
            F[i] = splat(0.0)
        for i in range(K):
            size[i] = splat(0.0)
        if by_prior != NULL:
            gather(part, &by_prior[s*t.prior_count], t.prior_count, t.S*t.prior_count, used)
            add_triangle(t, F, K, 0, part, t.prior_count, t.prior_row, t.prior_column)
        for step in range(t.steps[s], t.steps[s + 1]):
            point = t.points[s] + (step - t.steps[s])*each
            weighed = &t.weighed[step*t.weighed_count]
            for i in range(t.E):
                for c in range(t.slopes_start[i], t.slopes_start[i + 1]):
                    for q in range(LANES):
                        lane_put(&part[c], <int> q, slopes[(min(q, used - 1)*t.N + step)*t.slopes_count + t.slopes_from[c]])
                for q in range(t.weighed_start[i], t.weighed_start[i + 1]):
                    line = &F[t.weighed_at[q]*K]
                    one = splat(weighed[q])
                    for c in range(t.slopes_start[i], t.slopes_start[i + 1]):
                        a = t.slopes_at[c]
                        line[a] = line[a] + one*part[c]
            for a in range(each):
                for row in range(t.rows[point + a], t.rows[point + a + 1]):
                    gather(part, &by_row[row*t.data_count], t.data_count, t.R*t.data_count, used)
                    add_triangle(t, F, K, a*t.D, part, t.data_count, t.data_row, t.data_column)
            for i in range(W):
                size[i] = lanes_larger(size[i], F[i*K + i])
            eliminate(F, K, t.E, &t.varies[point*t.D], size, log_det, fine)
            # what remains is the beginning of the next front
            for i in range(t.D):
                size[i] = size[t.E + i]
                for j in range(t.D):
                    F[i*K + j] = F[(t.E + i)*K + t.E + j]
                for j in range(t.p):
                    F[i*K + W + j] = F[(t.E + i)*K + W + j]
                    F[(W + j)*K + i] = F[(W + j)*K + t.E + i]
            for i in range(t.D, W):
                size[i] = splat(0.0)
                for j in range(K):
                    F[i*K + j] = splat(0.0)
                    F[j*K + i] = splat(0.0)
        point = t.points[s + 1] - 1
        for row in range(t.rows[point], t.rows[point + 1]):
            gather(part, &by_row[row*t.data_count], t.data_count, t.R*t.data_count, used)
            add_triangle(t, F, K, 0, part, t.data_count, t.data_row, t.data_column)
        for i in range(t.D):
            size[i] = lanes_larger(size[i], F[i*K + i])
        eliminate(F, K, t.D, &t.varies[point*t.D], size, log_det, fine)
        for i in range(t.p):
            for j in range(t.p):
                a = t.use[s*t.p + i]*t.P + t.use[s*t.p + j]
                corner[a] = corner[a] + F[(W + i)*K + W + j]


def run_determinants(size_t sizes, size_t places, size_t weighed, double share, Py_ssize_t k, size_t slopes, size_t by_row,
                     size_t by_prior, size_t log_dets, size_t fine, size_t corners):
    """Logarithms of the determinants of the paths' part (k,), whether they are to be trusted (k,), what is left for the parameters
    (k, P, P); of the nonzeros of J (k, N, .) and of second derivatives of rows (k, R, .) and priors (k, S, .), or none."""
    cdef layout t = table(sizes, places, weighed, share)
    cdef Py_ssize_t block, first, K = t.E + t.D + t.p, many = max(t.slopes_count, t.data_count, t.prior_count)
    cdef int used, code = 0
    cdef real* F
    cdef real* size
    cdef real* part
    cdef real* corner
    cdef real* ends
    cdef const double* prior
    with nogil:
        F, size, part, corner, ends = memory(K*K), memory(K), memory(many), memory(t.P*t.P), memory(2)
        if F == NULL or size == NULL or part == NULL or corner == NULL or ends == NULL:
            code = -1
        else:
            for block in range((k + LANES - 1)//LANES):
                first = block*LANES
                used = <int> min(LANES, k - first)
                prior = &(<double*> by_prior)[first*t.S*t.prior_count] if by_prior else NULL
                determinants(&t, &(<double*> slopes)[first*t.N*t.slopes_count], &(<double*> by_row)[first*t.R*t.data_count], prior,
                             used, F, size, part, corner, &ends[0], &ends[1])
                scatter(&ends[0], &(<double*> log_dets)[first], 1, 1, used)
                scatter(&ends[1], &(<double*> fine)[first], 1, 1, used)
                scatter(corner, &(<double*> corners)[first*t.P*t.P], t.P*t.P, t.P*t.P, used)
        free(F)
        free(size)
        free(part)
        free(corner)
        free(ends)
    require(code)
