# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A network of neurons: what its nodes compute, the linearised network forwards and backwards, and gradients.

Node n is the sum of its terms, x[n] = sum_t g_t(sum_c W_c x[source of c] + b_t), with g one of

    0: tanh(z/2)/2 + 1/2

How many nodes there are, how wide they are and which are connected is said by tables, so that this text serves every network with
these activations. A pair is in a lane of the vector registers; an array has a row for each neuron, of all pairs. Loops go node by
node, and within a node through the pairs of a part. Sums over pairs are those of the parts, which the caller adds in their order.

Written by symda; the text depends on the activations and the templates only. Do not edit.
"""

from libc.string cimport memcpy, memset

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

    void free(void*) nogil

ctypedef const real* source_t
ctypedef real* row_t


cdef void activation_0(source_t z, row_t g, row_t slope) noexcept nogil:
    """g(z) and its slope."""
    cdef real v0 = splat(1.0)/(1.0 + lanes_exp(-z[0]))
    g[0] = v0
    slope[0] = v0 - v0*v0


cdef struct node_t:
    int row, width, first, terms


cdef struct term_t:
    int activation, slope, first, connections, bias


cdef struct connection_t:
    int row, width, weights


cdef struct network_t:
    # Tables; W are the weights, X the activities, D the slopes of the terms, (rows, pairs).
    const node_t* nodes
    const term_t* terms
    const connection_t* connections
    const double* W
    const real* X
    real* D
    Py_ssize_t count  # nodes
    Py_ssize_t rows
    Py_ssize_t weights
    Py_ssize_t S  # vectors of a row
    Py_ssize_t M  # pairs, without those that fill the last vector
    int widest


cdef inline void activate(int kind, const real* z, real* g) noexcept nogil:
    """g(z) and its slope."""
    if kind == 0:
        activation_0(z, g, &g[1])


# Matrix times vector, r rows or columns at a time, so that each number is read once for r of them.
cdef inline void product_1(const double* W, Py_ssize_t columns, const real* x, Py_ssize_t S, real* z) noexcept nogil:
    """z += W x of 1 row."""
    cdef Py_ssize_t j
    cdef real z0 = z[0]
    for j in range(columns):
        z0 += splat(W[0*columns + j])*x[j*S]
    z[0] = z0

cdef inline void mixture_1(const double* W, Py_ssize_t stride, Py_ssize_t rows, const real* s, Py_ssize_t width, real* v,
                                 Py_ssize_t S) noexcept nogil:
    """v += sum_i W[i] s[i], of 1 number of each row of s."""
    cdef Py_ssize_t i
    cdef real v0 = v[0*S]
    for i in range(rows):
        v0 += splat(W[i*stride])*s[i*width + 0]
    v[0*S] = v0

cdef inline void transposed_1(const double* W, Py_ssize_t columns, Py_ssize_t rows, const real* s, real* v, Py_ssize_t S) noexcept nogil:
    """v += W^T s, 1 column."""
    cdef Py_ssize_t i
    cdef real v0 = v[0*S]
    for i in range(rows):
        v0 += splat(W[i*columns + 0])*s[i]
    v[0*S] = v0

cdef inline void product_2(const double* W, Py_ssize_t columns, const real* x, Py_ssize_t S, real* z) noexcept nogil:
    """z += W x of 2 rows."""
    cdef Py_ssize_t j
    cdef real z0 = z[0], z1 = z[1]
    for j in range(columns):
        z0 += splat(W[0*columns + j])*x[j*S]
        z1 += splat(W[1*columns + j])*x[j*S]
    z[0], z[1] = z0, z1

cdef inline void mixture_2(const double* W, Py_ssize_t stride, Py_ssize_t rows, const real* s, Py_ssize_t width, real* v,
                                 Py_ssize_t S) noexcept nogil:
    """v += sum_i W[i] s[i], of 2 numbers of each row of s."""
    cdef Py_ssize_t i
    cdef real v0 = v[0*S], v1 = v[1*S]
    for i in range(rows):
        v0 += splat(W[i*stride])*s[i*width + 0]
        v1 += splat(W[i*stride])*s[i*width + 1]
    v[0*S], v[1*S] = v0, v1

cdef inline void transposed_2(const double* W, Py_ssize_t columns, Py_ssize_t rows, const real* s, real* v, Py_ssize_t S) noexcept nogil:
    """v += W^T s, 2 columns."""
    cdef Py_ssize_t i
    cdef real v0 = v[0*S], v1 = v[1*S]
    for i in range(rows):
        v0 += splat(W[i*columns + 0])*s[i]
        v1 += splat(W[i*columns + 1])*s[i]
    v[0*S], v[1*S] = v0, v1

cdef inline void product_3(const double* W, Py_ssize_t columns, const real* x, Py_ssize_t S, real* z) noexcept nogil:
    """z += W x of 3 rows."""
    cdef Py_ssize_t j
    cdef real z0 = z[0], z1 = z[1], z2 = z[2]
    for j in range(columns):
        z0 += splat(W[0*columns + j])*x[j*S]
        z1 += splat(W[1*columns + j])*x[j*S]
        z2 += splat(W[2*columns + j])*x[j*S]
    z[0], z[1], z[2] = z0, z1, z2

cdef inline void mixture_3(const double* W, Py_ssize_t stride, Py_ssize_t rows, const real* s, Py_ssize_t width, real* v,
                                 Py_ssize_t S) noexcept nogil:
    """v += sum_i W[i] s[i], of 3 numbers of each row of s."""
    cdef Py_ssize_t i
    cdef real v0 = v[0*S], v1 = v[1*S], v2 = v[2*S]
    for i in range(rows):
        v0 += splat(W[i*stride])*s[i*width + 0]
        v1 += splat(W[i*stride])*s[i*width + 1]
        v2 += splat(W[i*stride])*s[i*width + 2]
    v[0*S], v[1*S], v[2*S] = v0, v1, v2

cdef inline void transposed_3(const double* W, Py_ssize_t columns, Py_ssize_t rows, const real* s, real* v, Py_ssize_t S) noexcept nogil:
    """v += W^T s, 3 columns."""
    cdef Py_ssize_t i
    cdef real v0 = v[0*S], v1 = v[1*S], v2 = v[2*S]
    for i in range(rows):
        v0 += splat(W[i*columns + 0])*s[i]
        v1 += splat(W[i*columns + 1])*s[i]
        v2 += splat(W[i*columns + 2])*s[i]
    v[0*S], v[1*S], v[2*S] = v0, v1, v2

cdef inline void product_4(const double* W, Py_ssize_t columns, const real* x, Py_ssize_t S, real* z) noexcept nogil:
    """z += W x of 4 rows."""
    cdef Py_ssize_t j
    cdef real z0 = z[0], z1 = z[1], z2 = z[2], z3 = z[3]
    for j in range(columns):
        z0 += splat(W[0*columns + j])*x[j*S]
        z1 += splat(W[1*columns + j])*x[j*S]
        z2 += splat(W[2*columns + j])*x[j*S]
        z3 += splat(W[3*columns + j])*x[j*S]
    z[0], z[1], z[2], z[3] = z0, z1, z2, z3

cdef inline void mixture_4(const double* W, Py_ssize_t stride, Py_ssize_t rows, const real* s, Py_ssize_t width, real* v,
                                 Py_ssize_t S) noexcept nogil:
    """v += sum_i W[i] s[i], of 4 numbers of each row of s."""
    cdef Py_ssize_t i
    cdef real v0 = v[0*S], v1 = v[1*S], v2 = v[2*S], v3 = v[3*S]
    for i in range(rows):
        v0 += splat(W[i*stride])*s[i*width + 0]
        v1 += splat(W[i*stride])*s[i*width + 1]
        v2 += splat(W[i*stride])*s[i*width + 2]
        v3 += splat(W[i*stride])*s[i*width + 3]
    v[0*S], v[1*S], v[2*S], v[3*S] = v0, v1, v2, v3

cdef inline void transposed_4(const double* W, Py_ssize_t columns, Py_ssize_t rows, const real* s, real* v, Py_ssize_t S) noexcept nogil:
    """v += W^T s, 4 columns."""
    cdef Py_ssize_t i
    cdef real v0 = v[0*S], v1 = v[1*S], v2 = v[2*S], v3 = v[3*S]
    for i in range(rows):
        v0 += splat(W[i*columns + 0])*s[i]
        v1 += splat(W[i*columns + 1])*s[i]
        v2 += splat(W[i*columns + 2])*s[i]
        v3 += splat(W[i*columns + 3])*s[i]
    v[0*S], v[1*S], v[2*S], v[3*S] = v0, v1, v2, v3

cdef inline void product_5(const double* W, Py_ssize_t columns, const real* x, Py_ssize_t S, real* z) noexcept nogil:
    """z += W x of 5 rows."""
    cdef Py_ssize_t j
    cdef real z0 = z[0], z1 = z[1], z2 = z[2], z3 = z[3], z4 = z[4]
    for j in range(columns):
        z0 += splat(W[0*columns + j])*x[j*S]
        z1 += splat(W[1*columns + j])*x[j*S]
        z2 += splat(W[2*columns + j])*x[j*S]
        z3 += splat(W[3*columns + j])*x[j*S]
        z4 += splat(W[4*columns + j])*x[j*S]
    z[0], z[1], z[2], z[3], z[4] = z0, z1, z2, z3, z4

cdef inline void mixture_5(const double* W, Py_ssize_t stride, Py_ssize_t rows, const real* s, Py_ssize_t width, real* v,
                                 Py_ssize_t S) noexcept nogil:
    """v += sum_i W[i] s[i], of 5 numbers of each row of s."""
    cdef Py_ssize_t i
    cdef real v0 = v[0*S], v1 = v[1*S], v2 = v[2*S], v3 = v[3*S], v4 = v[4*S]
    for i in range(rows):
        v0 += splat(W[i*stride])*s[i*width + 0]
        v1 += splat(W[i*stride])*s[i*width + 1]
        v2 += splat(W[i*stride])*s[i*width + 2]
        v3 += splat(W[i*stride])*s[i*width + 3]
        v4 += splat(W[i*stride])*s[i*width + 4]
    v[0*S], v[1*S], v[2*S], v[3*S], v[4*S] = v0, v1, v2, v3, v4

cdef inline void transposed_5(const double* W, Py_ssize_t columns, Py_ssize_t rows, const real* s, real* v, Py_ssize_t S) noexcept nogil:
    """v += W^T s, 5 columns."""
    cdef Py_ssize_t i
    cdef real v0 = v[0*S], v1 = v[1*S], v2 = v[2*S], v3 = v[3*S], v4 = v[4*S]
    for i in range(rows):
        v0 += splat(W[i*columns + 0])*s[i]
        v1 += splat(W[i*columns + 1])*s[i]
        v2 += splat(W[i*columns + 2])*s[i]
        v3 += splat(W[i*columns + 3])*s[i]
        v4 += splat(W[i*columns + 4])*s[i]
    v[0*S], v[1*S], v[2*S], v[3*S], v[4*S] = v0, v1, v2, v3, v4

cdef inline double lanes_sum(const real* x) noexcept nogil:
    cdef double total = 0.0
    cdef int lane
    for lane in range(LANES):
        total += lane_get(x, lane)
    return total


cdef inline void outer_1_1(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 1 x 1 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
    G[0*columns + 0] += lanes_sum(&g00)


cdef inline void outer_1_2(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 1 x 2 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)


cdef inline void outer_1_3(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 1 x 3 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0), g02 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
        g02 += s[b*width + 0]*x[2*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)
    G[0*columns + 2] += lanes_sum(&g02)


cdef inline void outer_1_4(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 1 x 4 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0), g02 = splat(0.0), g03 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
        g02 += s[b*width + 0]*x[2*S + b]
        g03 += s[b*width + 0]*x[3*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)
    G[0*columns + 2] += lanes_sum(&g02)
    G[0*columns + 3] += lanes_sum(&g03)


cdef inline void outer_2_1(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 2 x 1 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0)
    cdef real g10 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[1*columns + 0] += lanes_sum(&g10)


cdef inline void outer_2_2(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 2 x 2 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0)
    cdef real g10 = splat(0.0), g11 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
        g11 += s[b*width + 1]*x[1*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)
    G[1*columns + 0] += lanes_sum(&g10)
    G[1*columns + 1] += lanes_sum(&g11)


cdef inline void outer_2_3(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 2 x 3 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0), g02 = splat(0.0)
    cdef real g10 = splat(0.0), g11 = splat(0.0), g12 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
        g02 += s[b*width + 0]*x[2*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
        g11 += s[b*width + 1]*x[1*S + b]
        g12 += s[b*width + 1]*x[2*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)
    G[0*columns + 2] += lanes_sum(&g02)
    G[1*columns + 0] += lanes_sum(&g10)
    G[1*columns + 1] += lanes_sum(&g11)
    G[1*columns + 2] += lanes_sum(&g12)


cdef inline void outer_2_4(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 2 x 4 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0), g02 = splat(0.0), g03 = splat(0.0)
    cdef real g10 = splat(0.0), g11 = splat(0.0), g12 = splat(0.0), g13 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
        g02 += s[b*width + 0]*x[2*S + b]
        g03 += s[b*width + 0]*x[3*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
        g11 += s[b*width + 1]*x[1*S + b]
        g12 += s[b*width + 1]*x[2*S + b]
        g13 += s[b*width + 1]*x[3*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)
    G[0*columns + 2] += lanes_sum(&g02)
    G[0*columns + 3] += lanes_sum(&g03)
    G[1*columns + 0] += lanes_sum(&g10)
    G[1*columns + 1] += lanes_sum(&g11)
    G[1*columns + 2] += lanes_sum(&g12)
    G[1*columns + 3] += lanes_sum(&g13)


cdef inline void outer_3_1(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 3 x 1 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0)
    cdef real g10 = splat(0.0)
    cdef real g20 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
        g20 += s[b*width + 2]*x[0*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[1*columns + 0] += lanes_sum(&g10)
    G[2*columns + 0] += lanes_sum(&g20)


cdef inline void outer_3_2(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 3 x 2 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0)
    cdef real g10 = splat(0.0), g11 = splat(0.0)
    cdef real g20 = splat(0.0), g21 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
        g11 += s[b*width + 1]*x[1*S + b]
        g20 += s[b*width + 2]*x[0*S + b]
        g21 += s[b*width + 2]*x[1*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)
    G[1*columns + 0] += lanes_sum(&g10)
    G[1*columns + 1] += lanes_sum(&g11)
    G[2*columns + 0] += lanes_sum(&g20)
    G[2*columns + 1] += lanes_sum(&g21)


cdef inline void outer_3_3(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 3 x 3 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0), g02 = splat(0.0)
    cdef real g10 = splat(0.0), g11 = splat(0.0), g12 = splat(0.0)
    cdef real g20 = splat(0.0), g21 = splat(0.0), g22 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
        g02 += s[b*width + 0]*x[2*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
        g11 += s[b*width + 1]*x[1*S + b]
        g12 += s[b*width + 1]*x[2*S + b]
        g20 += s[b*width + 2]*x[0*S + b]
        g21 += s[b*width + 2]*x[1*S + b]
        g22 += s[b*width + 2]*x[2*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)
    G[0*columns + 2] += lanes_sum(&g02)
    G[1*columns + 0] += lanes_sum(&g10)
    G[1*columns + 1] += lanes_sum(&g11)
    G[1*columns + 2] += lanes_sum(&g12)
    G[2*columns + 0] += lanes_sum(&g20)
    G[2*columns + 1] += lanes_sum(&g21)
    G[2*columns + 2] += lanes_sum(&g22)


cdef inline void outer_3_4(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 3 x 4 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0), g02 = splat(0.0), g03 = splat(0.0)
    cdef real g10 = splat(0.0), g11 = splat(0.0), g12 = splat(0.0), g13 = splat(0.0)
    cdef real g20 = splat(0.0), g21 = splat(0.0), g22 = splat(0.0), g23 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
        g02 += s[b*width + 0]*x[2*S + b]
        g03 += s[b*width + 0]*x[3*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
        g11 += s[b*width + 1]*x[1*S + b]
        g12 += s[b*width + 1]*x[2*S + b]
        g13 += s[b*width + 1]*x[3*S + b]
        g20 += s[b*width + 2]*x[0*S + b]
        g21 += s[b*width + 2]*x[1*S + b]
        g22 += s[b*width + 2]*x[2*S + b]
        g23 += s[b*width + 2]*x[3*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)
    G[0*columns + 2] += lanes_sum(&g02)
    G[0*columns + 3] += lanes_sum(&g03)
    G[1*columns + 0] += lanes_sum(&g10)
    G[1*columns + 1] += lanes_sum(&g11)
    G[1*columns + 2] += lanes_sum(&g12)
    G[1*columns + 3] += lanes_sum(&g13)
    G[2*columns + 0] += lanes_sum(&g20)
    G[2*columns + 1] += lanes_sum(&g21)
    G[2*columns + 2] += lanes_sum(&g22)
    G[2*columns + 3] += lanes_sum(&g23)


cdef inline void outer_4_1(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 4 x 1 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0)
    cdef real g10 = splat(0.0)
    cdef real g20 = splat(0.0)
    cdef real g30 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
        g20 += s[b*width + 2]*x[0*S + b]
        g30 += s[b*width + 3]*x[0*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[1*columns + 0] += lanes_sum(&g10)
    G[2*columns + 0] += lanes_sum(&g20)
    G[3*columns + 0] += lanes_sum(&g30)


cdef inline void outer_4_2(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 4 x 2 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0)
    cdef real g10 = splat(0.0), g11 = splat(0.0)
    cdef real g20 = splat(0.0), g21 = splat(0.0)
    cdef real g30 = splat(0.0), g31 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
        g11 += s[b*width + 1]*x[1*S + b]
        g20 += s[b*width + 2]*x[0*S + b]
        g21 += s[b*width + 2]*x[1*S + b]
        g30 += s[b*width + 3]*x[0*S + b]
        g31 += s[b*width + 3]*x[1*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)
    G[1*columns + 0] += lanes_sum(&g10)
    G[1*columns + 1] += lanes_sum(&g11)
    G[2*columns + 0] += lanes_sum(&g20)
    G[2*columns + 1] += lanes_sum(&g21)
    G[3*columns + 0] += lanes_sum(&g30)
    G[3*columns + 1] += lanes_sum(&g31)


cdef inline void outer_4_3(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 4 x 3 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0), g02 = splat(0.0)
    cdef real g10 = splat(0.0), g11 = splat(0.0), g12 = splat(0.0)
    cdef real g20 = splat(0.0), g21 = splat(0.0), g22 = splat(0.0)
    cdef real g30 = splat(0.0), g31 = splat(0.0), g32 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
        g02 += s[b*width + 0]*x[2*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
        g11 += s[b*width + 1]*x[1*S + b]
        g12 += s[b*width + 1]*x[2*S + b]
        g20 += s[b*width + 2]*x[0*S + b]
        g21 += s[b*width + 2]*x[1*S + b]
        g22 += s[b*width + 2]*x[2*S + b]
        g30 += s[b*width + 3]*x[0*S + b]
        g31 += s[b*width + 3]*x[1*S + b]
        g32 += s[b*width + 3]*x[2*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)
    G[0*columns + 2] += lanes_sum(&g02)
    G[1*columns + 0] += lanes_sum(&g10)
    G[1*columns + 1] += lanes_sum(&g11)
    G[1*columns + 2] += lanes_sum(&g12)
    G[2*columns + 0] += lanes_sum(&g20)
    G[2*columns + 1] += lanes_sum(&g21)
    G[2*columns + 2] += lanes_sum(&g22)
    G[3*columns + 0] += lanes_sum(&g30)
    G[3*columns + 1] += lanes_sum(&g31)
    G[3*columns + 2] += lanes_sum(&g32)


cdef inline void outer_4_4(const real* s, Py_ssize_t width, const real* x, Py_ssize_t S, Py_ssize_t count, double* G,
                                       Py_ssize_t columns) noexcept nogil:
    """G += sum over pairs of s x^T, 4 x 4 entries."""
    cdef Py_ssize_t b
    cdef real g00 = splat(0.0), g01 = splat(0.0), g02 = splat(0.0), g03 = splat(0.0)
    cdef real g10 = splat(0.0), g11 = splat(0.0), g12 = splat(0.0), g13 = splat(0.0)
    cdef real g20 = splat(0.0), g21 = splat(0.0), g22 = splat(0.0), g23 = splat(0.0)
    cdef real g30 = splat(0.0), g31 = splat(0.0), g32 = splat(0.0), g33 = splat(0.0)
    for b in range(count):
        g00 += s[b*width + 0]*x[0*S + b]
        g01 += s[b*width + 0]*x[1*S + b]
        g02 += s[b*width + 0]*x[2*S + b]
        g03 += s[b*width + 0]*x[3*S + b]
        g10 += s[b*width + 1]*x[0*S + b]
        g11 += s[b*width + 1]*x[1*S + b]
        g12 += s[b*width + 1]*x[2*S + b]
        g13 += s[b*width + 1]*x[3*S + b]
        g20 += s[b*width + 2]*x[0*S + b]
        g21 += s[b*width + 2]*x[1*S + b]
        g22 += s[b*width + 2]*x[2*S + b]
        g23 += s[b*width + 2]*x[3*S + b]
        g30 += s[b*width + 3]*x[0*S + b]
        g31 += s[b*width + 3]*x[1*S + b]
        g32 += s[b*width + 3]*x[2*S + b]
        g33 += s[b*width + 3]*x[3*S + b]
    G[0*columns + 0] += lanes_sum(&g00)
    G[0*columns + 1] += lanes_sum(&g01)
    G[0*columns + 2] += lanes_sum(&g02)
    G[0*columns + 3] += lanes_sum(&g03)
    G[1*columns + 0] += lanes_sum(&g10)
    G[1*columns + 1] += lanes_sum(&g11)
    G[1*columns + 2] += lanes_sum(&g12)
    G[1*columns + 3] += lanes_sum(&g13)
    G[2*columns + 0] += lanes_sum(&g20)
    G[2*columns + 1] += lanes_sum(&g21)
    G[2*columns + 2] += lanes_sum(&g22)
    G[2*columns + 3] += lanes_sum(&g23)
    G[3*columns + 0] += lanes_sum(&g30)
    G[3*columns + 1] += lanes_sum(&g31)
    G[3*columns + 2] += lanes_sum(&g32)
    G[3*columns + 3] += lanes_sum(&g33)


cdef inline Py_ssize_t share(Py_ssize_t left, Py_ssize_t most) noexcept nogil:
    """How many of those left are next, so that groups are about equal and none larger than `most`."""
    return (left + (left + most - 1)//most - 1)//((left + most - 1)//most)


cdef void multiply(const double* W, Py_ssize_t rows, Py_ssize_t columns, const real* x, Py_ssize_t S, real* z) noexcept nogil:
    """z += W x."""
    cdef Py_ssize_t i = 0, r
    while i < rows:
        r = share(rows - i, 5)
        if r == 1:
            product_1(&W[i*columns], columns, x, S, &z[i])
        elif r == 2:
            product_2(&W[i*columns], columns, x, S, &z[i])
        elif r == 3:
            product_3(&W[i*columns], columns, x, S, &z[i])
        elif r == 4:
            product_4(&W[i*columns], columns, x, S, &z[i])
        elif r == 5:
            product_5(&W[i*columns], columns, x, S, &z[i])
        i += r


cdef void multiply_back(const double* W, Py_ssize_t rows, Py_ssize_t columns, const real* s, real* v, Py_ssize_t S) noexcept nogil:
    """v += W^T s."""
    cdef Py_ssize_t j = 0, r
    while j < columns:
        r = share(columns - j, 5)
        if r == 1:
            transposed_1(&W[j], columns, rows, s, &v[j*S], S)
        elif r == 2:
            transposed_2(&W[j], columns, rows, s, &v[j*S], S)
        elif r == 3:
            transposed_3(&W[j], columns, rows, s, &v[j*S], S)
        elif r == 4:
            transposed_4(&W[j], columns, rows, s, &v[j*S], S)
        elif r == 5:
            transposed_5(&W[j], columns, rows, s, &v[j*S], S)
        j += r


cdef void mix(const double* W, Py_ssize_t rows, Py_ssize_t columns, const real* s, Py_ssize_t width, real* v) noexcept nogil:
    """v (columns, width) += W^T s (rows, width)."""
    cdef Py_ssize_t a, j, r
    for j in range(columns):
        a = 0
        while a < width:
            r = share(width - a, 5)
            if r == 1:
                mixture_1(&W[j], columns, rows, &s[a], width, &v[j*width + a], 1)
            elif r == 2:
                mixture_2(&W[j], columns, rows, &s[a], width, &v[j*width + a], 1)
            elif r == 3:
                mixture_3(&W[j], columns, rows, &s[a], width, &v[j*width + a], 1)
            elif r == 4:
                mixture_4(&W[j], columns, rows, &s[a], width, &v[j*width + a], 1)
            elif r == 5:
                mixture_5(&W[j], columns, rows, &s[a], width, &v[j*width + a], 1)
            a += r


cdef void outer(const real* s, Py_ssize_t rows, const real* x, Py_ssize_t columns, Py_ssize_t S, Py_ssize_t count, double* G) noexcept nogil:
    """G += sum over pairs of s x^T."""
    cdef Py_ssize_t i = 0, j, r, c
    while i < rows:
        r = share(rows - i, 4)
        j = 0
        while j < columns:
            c = share(columns - j, 4)
            if r == 1:
                if c == 1:
                    outer_1_1(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 2:
                    outer_1_2(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 3:
                    outer_1_3(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 4:
                    outer_1_4(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
            elif r == 2:
                if c == 1:
                    outer_2_1(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 2:
                    outer_2_2(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 3:
                    outer_2_3(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 4:
                    outer_2_4(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
            elif r == 3:
                if c == 1:
                    outer_3_1(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 2:
                    outer_3_2(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 3:
                    outer_3_3(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 4:
                    outer_3_4(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
            elif r == 4:
                if c == 1:
                    outer_4_1(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 2:
                    outer_4_2(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 3:
                    outer_4_3(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
                elif c == 4:
                    outer_4_4(&s[i], rows, &x[j*S], S, count, &G[i*columns + j], columns)
            j += c
        i += r


cdef real* reals(Py_ssize_t count) noexcept nogil:
    """Vectors, aligned; all zero."""
    cdef size_t size = (count*sizeof(real) + 63)//64*64
    cdef real* made = <real*> aligned_alloc(64, size)
    if made != NULL:
        memset(made, 0, size)
    return made


cdef inline void receive(const network_t* c, const term_t* term, int width, const double* W, const real* x, Py_ssize_t b, real* z) noexcept nogil:
    """z += sum_c W x + b: what a term receives, by weights W from activities x."""
    cdef Py_ssize_t k
    cdef int i
    cdef const connection_t* one
    for k in range(term.first, term.first + term.connections):
        one = &c.connections[k]
        multiply(&W[one.weights], width, one.width, &x[one.row*c.S + b], c.S, z)


cdef inline void add_bias(const term_t* term, int width, const double* W, real* z) noexcept nogil:
    cdef int i
    if term.bias >= 0:
        for i in range(width):
            z[i] += splat(W[term.bias + i])


cdef void send_back(const network_t* c, const term_t* term, int width, const real* s, real* v, Py_ssize_t first, Py_ssize_t last,
                    double* G) noexcept nogil:
    """v += W^T s to all that a term receives from, and G += s x^T where G is given; s (pairs, width)."""
    cdef Py_ssize_t k, b
    cdef int i
    cdef real total
    cdef const connection_t* one
    for k in range(term.first, term.first + term.connections):
        one = &c.connections[k]
        for b in range(first, last):
            multiply_back(&c.W[one.weights], width, one.width, &s[(b - first)*width], &v[one.row*c.S + b], c.S)
        if G != NULL:
            outer(s, width, &c.X[one.row*c.S + first], one.width, c.S, last - first, &G[one.weights])
    if G != NULL and term.bias >= 0:
        for i in range(width):
            total = splat(0.0)
            for b in range(last - first):
                total += s[b*width + i]
            G[term.bias + i] += lanes_sum(&total)


cdef void blank(const network_t* c, Py_ssize_t b, real* x) noexcept nogil:
    """0 where there is no pair."""
    cdef int lane
    for lane in range(LANES):
        if b*LANES + lane >= c.M:
            lane_put(x, lane, 0.0)


cdef void forward(const network_t* c, real* X, Py_ssize_t first, Py_ssize_t last, real* z) noexcept nogil:
    """x = sum of terms + what stands there; slopes as well where D is given."""
    cdef Py_ssize_t n, t, b
    cdef int i
    cdef real g[2]
    cdef const node_t* node
    cdef const term_t* term
    for n in range(c.count):
        node = &c.nodes[n]
        for t in range(node.first, node.first + node.terms):
            term = &c.terms[t]
            for b in range(first, last):
                memset(z, 0, node.width*sizeof(real))
                receive(c, term, node.width, c.W, X, b, z)
                add_bias(term, node.width, c.W, z)
                for i in range(node.width):
                    activate(term.activation, &z[i], g)
                    X[(node.row + i)*c.S + b] += g[0]
                    if c.D != NULL:
                        c.D[(term.slope + i)*c.S + b] = g[1]


cdef void linearise(const network_t* c, real* R, Py_ssize_t first, Py_ssize_t last, real* z) noexcept nogil:
    """Residuals x - sum of terms, 0 of inputs, and slopes."""
    cdef Py_ssize_t n, t, b
    cdef int i
    cdef real g[2]
    cdef const node_t* node
    cdef const term_t* term
    for n in range(c.count):
        node = &c.nodes[n]
        for i in range(node.width):
            for b in range(first, last):
                R[(node.row + i)*c.S + b] = c.X[(node.row + i)*c.S + b] if node.terms else splat(0.0)
        for t in range(node.first, node.first + node.terms):
            term = &c.terms[t]
            for b in range(first, last):
                memset(z, 0, node.width*sizeof(real))
                receive(c, term, node.width, c.W, c.X, b, z)
                add_bias(term, node.width, c.W, z)
                for i in range(node.width):
                    activate(term.activation, &z[i], g)
                    R[(node.row + i)*c.S + b] -= g[0]
                    c.D[(term.slope + i)*c.S + b] = g[1]
        for b in range(max(first, c.M//LANES), last):
            for i in range(node.width):
                blank(c, b, &R[(node.row + i)*c.S + b])


cdef void tangent(const network_t* c, const double* dW, real* T, Py_ssize_t first, Py_ssize_t last, real* z) noexcept nogil:
    """dx = D (W dx + dW x) + what stands there; dW may be missing."""
    cdef Py_ssize_t n, t, b
    cdef int i
    cdef const node_t* node
    cdef const term_t* term
    for n in range(c.count):
        node = &c.nodes[n]
        for t in range(node.first, node.first + node.terms):
            term = &c.terms[t]
            for b in range(first, last):
                memset(z, 0, node.width*sizeof(real))
                receive(c, term, node.width, c.W, T, b, z)
                if dW != NULL:
                    receive(c, term, node.width, dW, c.X, b, z)
                    add_bias(term, node.width, dW, z)
                for i in range(node.width):
                    T[(node.row + i)*c.S + b] += c.D[(term.slope + i)*c.S + b]*z[i]


cdef void adjoint(const network_t* c, real* V, double* G, Py_ssize_t first, Py_ssize_t last, real* s) noexcept nogil:
    """v += W^T D v from the outputs to the inputs, and G += D v x^T where G is given."""
    cdef Py_ssize_t n, t, b
    cdef int i
    cdef const node_t* node
    cdef const term_t* term
    for n in range(c.count - 1, -1, -1):
        node = &c.nodes[n]
        for t in range(node.first, node.first + node.terms):
            term = &c.terms[t]
            for b in range(first, last):
                for i in range(node.width):
                    s[(b - first)*node.width + i] = c.D[(term.slope + i)*c.S + b]*V[(node.row + i)*c.S + b]
                    if (b + 1)*LANES > c.M:
                        blank(c, b, &s[(b - first)*node.width + i])
            send_back(c, term, node.width, s, V, first, last, G)


cdef double gradient(const network_t* c, double cf, real* GX, double* G, Py_ssize_t first, Py_ssize_t last, real* z, real* r,
                     real* s) noexcept nogil:
    """cf/2 sum r^2, and its gradient by activities, added to GX, and weights, added to G."""
    cdef Py_ssize_t n, t, b
    cdef int i
    cdef real g[2]
    cdef real total = splat(0.0)
    cdef const node_t* node
    cdef const term_t* term
    cdef real* own
    for n in range(c.count):
        node = &c.nodes[n]
        if not node.terms:
            continue
        for i in range(node.width):
            for b in range(first, last):
                r[(b - first)*node.width + i] = c.X[(node.row + i)*c.S + b]
        for t in range(node.first, node.first + node.terms):
            term = &c.terms[t]
            for b in range(first, last):
                own = &s[(t - node.first)*(last - first)*c.widest + (b - first)*node.width]
                memset(z, 0, node.width*sizeof(real))
                receive(c, term, node.width, c.W, c.X, b, z)
                add_bias(term, node.width, c.W, z)
                for i in range(node.width):
                    activate(term.activation, &z[i], g)
                    r[(b - first)*node.width + i] -= g[0]
                    own[i] = g[1]
        for b in range(max(first, c.M//LANES), last):
            for i in range(node.width):
                blank(c, b, &r[(b - first)*node.width + i])
        for i in range(node.width):
            for b in range(first, last):
                total += r[(b - first)*node.width + i]*r[(b - first)*node.width + i]
                GX[(node.row + i)*c.S + b] += splat(cf)*r[(b - first)*node.width + i]
        for t in range(node.first, node.first + node.terms):
            own = &s[(t - node.first)*(last - first)*c.widest]
            for i in range(<int> (last - first)*node.width):
                own[i] *= splat(-cf)*r[i]
            for b in range(max(first, c.M//LANES), last):
                for i in range(node.width):
                    blank(c, b, &own[(b - first)*node.width + i])
            send_back(c, &c.terms[t], node.width, own, GX, first, last, G)
    return 0.5*cf*lanes_sum(&total)


cdef void outputs_by_states(const network_t* c, const int* measured, Py_ssize_t L, Py_ssize_t b, real* P, real* s, real* weight,
                            const double* freedom, double noise, const real* spread, real* gram) noexcept nogil:
    """P (rows, L): derivatives of the L measured outputs by each state of pairs b, and their Gram matrix.

    Where `gram` (L (L + 1)/2 rows) is given: the covariance of the outputs if the errors of states have the variance `noise`, the
    inputs `spread` and the weights, where it is given, `freedom`.
    """
    cdef Py_ssize_t n, t, a, o, k
    cdef int i, j
    cdef real x, y, w
    cdef const node_t* node
    cdef const term_t* term
    cdef const connection_t* one
    memset(P, 0, c.rows*L*sizeof(real))
    for a in range(L):
        P[measured[a]*L + a] = splat(1.0)
    for n in range(c.count - 1, -1, -1):
        node = &c.nodes[n]
        for i in range(node.width):
            weight[i] = splat(noise) if node.terms else spread[(node.row + i)*c.S + b]
        for t in range(node.first, node.first + node.terms):
            term = &c.terms[t]
            for i in range(node.width):
                y = c.D[(term.slope + i)*c.S + b]
                for a in range(L):
                    s[i*L + a] = y*P[(node.row + i)*L + a]
                if freedom != NULL:
                    w = splat(freedom[term.bias + i] if term.bias >= 0 else 0.0)
                    for k in range(term.first, term.first + term.connections):
                        one = &c.connections[k]
                        for j in range(one.width):
                            x = c.X[(one.row + j)*c.S + b]
                            w += splat(freedom[one.weights + i*one.width + j])*x*x
                    weight[i] += w*y*y
            for k in range(term.first, term.first + term.connections):
                one = &c.connections[k]
                mix(&c.W[one.weights], node.width, one.width, s, L, &P[one.row*L])
        if gram != NULL:
            for i in range(node.width):
                o = 0
                for a in range(L):
                    x = weight[i]*P[(node.row + i)*L + a]
                    for k in range(a + 1):
                        gram[o*c.S + b] += x*P[(node.row + i)*L + k]
                        o += 1


cdef void curvature(const network_t* c, const int* measured, Py_ssize_t L, Py_ssize_t b, real* P, real* s, real* weight, const real* inverse,
                    real* found) noexcept nogil:
    """Curvature of e^T inverse e/2 by what each neuron receives in each term, inverse (L, L) of each pair; as slopes stand."""
    cdef Py_ssize_t n, t, a, k
    cdef int i
    cdef real x, w, y
    cdef const node_t* node
    cdef const term_t* term
    outputs_by_states(c, measured, L, b, P, s, weight, NULL, 0.0, c.X, NULL)
    for n in range(c.count):
        node = &c.nodes[n]
        for i in range(node.width):
            w = splat(0.0)
            for a in range(L):
                x = splat(0.0)
                for k in range(L):
                    x += inverse[(a*L + k)*c.S + b]*P[(node.row + i)*L + k]
                w += x*P[(node.row + i)*L + a]
            if (b + 1)*LANES > c.M:
                blank(c, b, &w)
            for t in range(node.first, node.first + node.terms):
                term = &c.terms[t]
                y = c.D[(term.slope + i)*c.S + b]
                found[(term.slope + i)*c.S + b] = w*y*y


cdef network_t describe(size_t tables, size_t sizes, size_t W, size_t X, size_t D) noexcept nogil:
    """The network of the addresses that Python passes: (nodes, terms, connections), (count, rows, weights, pairs in a row, M, widest)."""
    cdef network_t c
    cdef const Py_ssize_t* size = <const Py_ssize_t*> sizes
    cdef const size_t* table = <const size_t*> tables
    c.nodes, c.terms, c.connections = <const node_t*> table[0], <const term_t*> table[1], <const connection_t*> table[2]
    c.W, c.X, c.D = <const double*> W, <const real*> X, <real*> D
    c.count, c.rows, c.weights, c.S, c.M, c.widest = size[0], size[1], size[2], size[3]//LANES, size[4], <int> size[5]
    return c


# What Python calls: addresses of arrays, then the parts, of `part` pairs each, from `begin` to before `end`. An array of sums over
# pairs has a row for each part. They return whether there was memory.

def run_forward(size_t tables, size_t sizes, size_t W, size_t X, size_t D, Py_ssize_t part, Py_ssize_t begin, Py_ssize_t end):
    """X: noise and inputs, then the activities; D may be missing."""
    cdef network_t c = describe(tables, sizes, W, X, D)
    cdef Py_ssize_t p, size = part//LANES
    cdef real* z
    with nogil:
        z = reals(c.widest)
        if z != NULL:
            for p in range(begin, end):
                forward(&c, <real*> X, p*size, min((p + 1)*size, c.S), z)
            free(z)
    return z != NULL


def run_linearise(size_t tables, size_t sizes, size_t W, size_t X, size_t D, size_t R, Py_ssize_t part, Py_ssize_t begin, Py_ssize_t end):
    """R: residuals; D: slopes."""
    cdef network_t c = describe(tables, sizes, W, X, D)
    cdef Py_ssize_t p, size = part//LANES
    cdef real* z
    with nogil:
        z = reals(c.widest)
        if z != NULL:
            for p in range(begin, end):
                linearise(&c, <real*> R, p*size, min((p + 1)*size, c.S), z)
            free(z)
    return z != NULL


def run_tangent(size_t tables, size_t sizes, size_t W, size_t X, size_t D, size_t dW, size_t T, Py_ssize_t part, Py_ssize_t begin,
                Py_ssize_t end):
    """T: sources and changes of the inputs, then the changes of all; dW may be missing."""
    cdef network_t c = describe(tables, sizes, W, X, D)
    cdef Py_ssize_t p, size = part//LANES
    cdef real* z
    with nogil:
        z = reals(c.widest)
        if z != NULL:
            for p in range(begin, end):
                tangent(&c, <const double*> dW, <real*> T, p*size, min((p + 1)*size, c.S), z)
            free(z)
    return z != NULL


def run_adjoint(size_t tables, size_t sizes, size_t W, size_t X, size_t D, size_t V, size_t G, Py_ssize_t part, Py_ssize_t begin,
                Py_ssize_t end):
    """V: what is sent back, then the sums; G (parts, weights), all zero, may be missing."""
    cdef network_t c = describe(tables, sizes, W, X, D)
    cdef Py_ssize_t p, size = part//LANES
    cdef real* s
    with nogil:
        s = reals(size*c.widest)
        if s != NULL:
            for p in range(begin, end):
                adjoint(&c, <real*> V, &(<double*> G)[p*c.weights] if G else NULL, p*size, min((p + 1)*size, c.S), s)
            free(s)
    return s != NULL


def run_gradient(size_t tables, size_t sizes, size_t W, size_t X, double cf, int terms, size_t GX, size_t G, size_t value, Py_ssize_t part,
                 Py_ssize_t begin, Py_ssize_t end):
    """GX, G (parts, weights) and value (parts,): added to; `terms`: most terms of a node."""
    cdef network_t c = describe(tables, sizes, W, X, 0)
    cdef Py_ssize_t p, size = part//LANES
    cdef real* z
    with nogil:
        z = reals(c.widest*(1 + size*(1 + terms)))
        if z != NULL:
            for p in range(begin, end):
                (<double*> value)[p] += gradient(&c, cf, <real*> GX, &(<double*> G)[p*c.weights], p*size, min((p + 1)*size, c.S), z,
                                                 &z[c.widest], &z[c.widest*(1 + size)])
            free(z)
    return z != NULL


def run_covariance(size_t tables, size_t sizes, size_t W, size_t X, size_t D, size_t measured, Py_ssize_t L, size_t freedom, double noise,
                   size_t spread, size_t gram, Py_ssize_t part, Py_ssize_t begin, Py_ssize_t end):
    """gram (L (L + 1)/2, pairs), all zero: covariances of the outputs, the lower triangle row by row."""
    cdef network_t c = describe(tables, sizes, W, X, D)
    cdef Py_ssize_t b, size = part//LANES
    cdef real* P
    with nogil:
        P = reals(c.rows*L + c.widest*(L + 1))
        if P != NULL:
            for b in range(begin*size, min(end*size, c.S)):
                outputs_by_states(&c, <const int*> measured, L, b, P, &P[c.rows*L], &P[c.rows*L + c.widest*L], <const double*> freedom, noise,
                                  <const real*> spread, <real*> gram)
            free(P)
    return P != NULL


def run_curvature(size_t tables, size_t sizes, size_t W, size_t X, size_t D, size_t measured, Py_ssize_t L, size_t inverse, size_t found,
                  Py_ssize_t part, Py_ssize_t begin, Py_ssize_t end):
    """found (slopes, pairs): curvatures by what neurons receive; inverse (L L, pairs)."""
    cdef network_t c = describe(tables, sizes, W, X, D)
    cdef Py_ssize_t b, size = part//LANES
    cdef real* P
    with nogil:
        P = reals(c.rows*L + c.widest*(L + 1))
        if P != NULL:
            for b in range(begin*size, min(end*size, c.S)):
                curvature(&c, <const int*> measured, L, b, P, &P[c.rows*L], &P[c.rows*L + c.widest*L], <const real*> inverse, <real*> found)
            free(P)
    return P != NULL


cdef void take(const real* rows, Py_ssize_t count, Py_ssize_t S, Py_ssize_t first, Py_ssize_t last, real* to) noexcept nogil:
    """Copy the pairs of a part, so that they lie together."""
    cdef Py_ssize_t i
    for i in range(count):
        memcpy(&to[i*(last - first)], &rows[i*S + first], (last - first)*sizeof(real))


def run_normal(size_t tables, size_t sizes, size_t W, size_t X, size_t D, Py_ssize_t slopes, size_t dW, size_t measured, Py_ssize_t L,
               size_t inverse, size_t G, Py_ssize_t part, Py_ssize_t begin, Py_ssize_t end):
    """G (parts, weights), all zero: J^T inverse J dW, J the outputs' derivatives by the weights; part by part, within the caches."""
    cdef network_t c = describe(tables, sizes, W, X, D)
    cdef network_t own = c
    cdef Py_ssize_t p, b, a, k, n, size = part//LANES
    cdef const int* output = <const int*> measured
    cdef const real* precision = <const real*> inverse
    cdef real* x
    cdef real* d
    cdef real* t
    cdef real* v
    cdef real* s
    cdef real total
    with nogil:
        x = reals(size*(3*c.rows + slopes + c.widest))
        if x != NULL:
            t, v, d = &x[size*c.rows], &x[2*size*c.rows], &x[3*size*c.rows]
            s = &d[size*slopes]
            own.X, own.D = x, d
            for p in range(begin, end):
                n = min((p + 1)*size, c.S) - p*size
                take(c.X, c.rows, c.S, p*size, p*size + n, x)
                take(c.D, slopes, c.S, p*size, p*size + n, d)
                own.S, own.M = n, c.M - p*part
                memset(t, 0, n*c.rows*sizeof(real))
                memset(v, 0, n*c.rows*sizeof(real))
                tangent(&own, <const double*> dW, t, 0, n, s)
                for b in range(n):
                    for a in range(L):
                        total = splat(0.0)
                        for k in range(L):
                            total += precision[(a*L + k)*c.S + p*size + b]*t[output[k]*n + b]
                        v[output[a]*n + b] = total
                adjoint(&own, v, &(<double*> G)[p*c.weights], 0, n, s)
            free(x)
    return x != NULL
