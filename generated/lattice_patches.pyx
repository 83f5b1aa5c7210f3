# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Cholesky factors of overlapping patches of a lattice along time, a patch in each lane of the vector registers.

The Gauss-Newton Hessian of one patch is block tridiagonal in time,

    H_nn = S_n before elimination,    H_{n+1,n} = B_n,

and is eliminated forwards: L_n L_n^T = S_n, W_n = B_n L_n^-T, S_{n+1} = H_{n+1,n+1} - W_n W_n^T. L_n and the nonzeros of B_n
are kept. Each row r of the residual's Jacobian J adds weight_r J_ri J_rj. J is read from products with directions that move unknowns
of one colour, which no residual sees two of.

All patches have the same Q unknowns at a grid point and the same pattern; Q is a multiple of 4. Arrays are of vectors: a
number for each of the patches of a group.

Written by symda; the text depends on the templates only. Do not edit.
"""

from libc.string cimport memset

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
    LANEWISE_1(exp)
    LANEWISE_1(log)
    LANEWISE_1(sqrt)
    LANEWISE_1(sin)
    LANEWISE_1(cos)
    LANEWISE_1(tan)
    LANEWISE_1(asin)
    LANEWISE_1(acos)
    LANEWISE_1(atan)
    LANEWISE_1(floor)
    LANEWISE_1(ceil)
    LANEWISE_1(sign)
    LANEWISE_1(fabs)
    LANEWISE_1(erf)
    LANEWISE_1(sinh)
    LANEWISE_1(cosh)
    LANEWISE_1(tanh)
    LANEWISE_1(asinh)
    LANEWISE_1(acosh)
    LANEWISE_1(atanh)
    LANEWISE_1(log1p)
    LANEWISE_1(expm1)
    LANEWISE_2(fmod)
    LANEWISE_2(copysign)
    LANEWISE_2(fmin)
    LANEWISE_2(fmax)
    LANEWISE_2(pow)
    LANEWISE_2(atan2)
    LANEWISE_2(hypot)
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

    #if LANES == 1
        typedef float single_t;
        static inline lane_t widened(single_t x) { return x; }
        static inline single_t narrowed(lane_t x) { return (float) x; }
    #else
        typedef float single_t __attribute__((vector_size(4*LANES)));
        static inline lane_t widened(single_t x) { return __builtin_convertvector(x, lane_t); }
        static inline single_t narrowed(lane_t x) { return __builtin_convertvector(x, single_t); }
    #endif
    static inline lane_t of_double(lane_t x) { return x; }
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

    ctypedef float single "single_t"
    real widened(single) nogil
    single narrowed(real) nogil
    real of_double(real) nogil
    void free_memory "free"(void*) nogil

ctypedef const real* source_t
ctypedef real* row_t

cdef struct plan_t:
    Py_ssize_t Q  # unknowns of a patch at a grid point, with those that fill the last tile
    Py_ssize_t own  # those of them that belong to the state itself: what the step before is coupled to
    Py_ssize_t X  # the same with what fills their last tile
    Py_ssize_t rows  # residuals that a patch takes part in
    Py_ssize_t entries  # nonzeros of their Jacobian
    Py_ssize_t couplings  # nonzeros of B
    const int* first  # where each row's entries begin, (rows + 1)
    const int* column  # Q and above: of the next grid point
    const int* row  # number of each residual by patch, (groups, rows, LANES)
    const int* place  # where its entries are among the products with directions, (groups, entries, LANES)
    const int* begin  # where each row's nonzeros of B begin, (X + 1)
    const int* left  # their columns
    const int* start  # first column that is not 0 in the rows of a tile of W


cdef enum:
    TILE = 4


cdef inline void patches_tile(source_t a, source_t b, Py_ssize_t Q, Py_ssize_t first, Py_ssize_t last, row_t c) noexcept nogil:
    """c -= a b^T for 4 rows of each, columns from first to last."""
    cdef Py_ssize_t k
    cdef real c00 = c[0*Q + 0], c01 = c[0*Q + 1], c02 = c[0*Q + 2], c03 = c[0*Q + 3]
    cdef real c10 = c[1*Q + 0], c11 = c[1*Q + 1], c12 = c[1*Q + 2], c13 = c[1*Q + 3]
    cdef real c20 = c[2*Q + 0], c21 = c[2*Q + 1], c22 = c[2*Q + 2], c23 = c[2*Q + 3]
    cdef real c30 = c[3*Q + 0], c31 = c[3*Q + 1], c32 = c[3*Q + 2], c33 = c[3*Q + 3]
    cdef real x, b0, b1, b2, b3
    for k in range(first, last):
        b0 = b[0*Q + k]
        b1 = b[1*Q + k]
        b2 = b[2*Q + k]
        b3 = b[3*Q + k]
        x = a[0*Q + k]
        c00 -= x*b0
        c01 -= x*b1
        c02 -= x*b2
        c03 -= x*b3
        x = a[1*Q + k]
        c10 -= x*b0
        c11 -= x*b1
        c12 -= x*b2
        c13 -= x*b3
        x = a[2*Q + k]
        c20 -= x*b0
        c21 -= x*b1
        c22 -= x*b2
        c23 -= x*b3
        x = a[3*Q + k]
        c30 -= x*b0
        c31 -= x*b1
        c32 -= x*b2
        c33 -= x*b3
    c[0*Q + 0] = c00
    c[0*Q + 1] = c01
    c[0*Q + 2] = c02
    c[0*Q + 3] = c03
    c[1*Q + 0] = c10
    c[1*Q + 1] = c11
    c[1*Q + 2] = c12
    c[1*Q + 3] = c13
    c[2*Q + 0] = c20
    c[2*Q + 1] = c21
    c[2*Q + 2] = c22
    c[2*Q + 3] = c23
    c[3*Q + 0] = c30
    c[3*Q + 1] = c31
    c[3*Q + 2] = c32
    c[3*Q + 3] = c33


cdef inline void patches_pivot(row_t s, Py_ssize_t Q, source_t least) noexcept nogil:
    """The factor of a tile on the diagonal, with 1 over its diagonal; pivots are at least `least`."""
    cdef int i, j, k
    cdef real x
    for j in range(TILE):
        for i in range(j, 4):
            x = s[i*Q + j]
            for k in range(j):
                x = x - s[i*Q + k]*s[j*Q + k]
            if i == j:
                s[j*Q + j] = splat(1.0)/lanes_sqrt(lanes_larger(least[j], x))
            else:
                s[i*Q + j] = x*s[j*Q + j]


cdef inline void patches_below(row_t c, source_t s, Py_ssize_t Q) noexcept nogil:
    """c s^-T for a tile c and the factor s of one on the diagonal."""
    cdef int i, j, k
    cdef real x
    for i in range(TILE):
        for j in range(TILE):
            x = c[i*Q + j]
            for k in range(j):
                x = x - c[i*Q + k]*s[j*Q + k]
            c[i*Q + j] = x*s[j*Q + j]


cdef void patches_gather(const plan_t* plan, Py_ssize_t group, const double* products, const double* weights, row_t values, row_t S, row_t B,
                         row_t C) noexcept nogil:
    """Add weight_r J_r^T J_r of all residuals to S (of this grid point), B and C (of the next one)."""
    cdef const int* place = &plan.place[group*plan.entries*LANES]
    cdef const int* row = &plan.row[group*plan.rows*LANES]
    cdef const int* column = plan.column
    cdef Py_ssize_t Q = plan.Q
    cdef Py_ssize_t r, e, f, begin, end, i, j
    cdef int lane
    cdef real weight, x
    cdef row_t target
    for r in range(plan.rows):
        for lane in range(LANES):
            lane_put(&weight, lane, weights[row[r*LANES + lane]])
        begin, end = plan.first[r], plan.first[r + 1]
        for e in range(begin, end):
            for lane in range(LANES):
                lane_put(&values[e - begin], lane, products[place[e*LANES + lane]])
        for e in range(begin, end):
            i = column[e]
            x = weight*values[e - begin]
            target = &S[i*Q] if i < Q else &B[(i - Q)*Q]
            for f in range(begin, e + 1):
                j = column[f]
                if j >= Q:
                    C[(i - Q)*Q + j - Q] += x*values[f - begin]
                else:
                    target[j] += x*values[f - begin]


cdef void patches_factor(Py_ssize_t Q, row_t S, source_t least) noexcept nogil:
    """S to its factor."""
    cdef Py_ssize_t i, j
    for j in range(0, Q, 4):
        patches_tile(&S[j*Q], &S[j*Q], Q, 0, j, &S[j*Q + j])
        patches_pivot(&S[j*Q + j], Q, &least[j])
        for i in range(j + TILE, Q, 4):
            patches_tile(&S[i*Q], &S[j*Q], Q, 0, j, &S[i*Q + j])
            patches_below(&S[i*Q + j], &S[j*Q + j], Q)


cdef void patches_reduce(const plan_t* plan, source_t S, row_t B, row_t C) noexcept nogil:
    """B to W = B L^-T, C to C - W W^T."""
    cdef Py_ssize_t Q = plan.Q
    cdef Py_ssize_t i, j, begin
    for i in range(0, plan.X, 4):
        begin = plan.start[i // TILE]
        for j in range(begin, Q, 4):
            patches_tile(&B[i*Q], &S[j*Q], Q, begin, j, &B[i*Q + j])
            patches_below(&B[i*Q + j], &S[j*Q + j], Q)
        for j in range(0, i + TILE, 4):
            patches_tile(&B[i*Q], &B[j*Q], Q, max(begin, plan.start[j // TILE]), Q, &C[i*Q + j])


cdef void patches_hold(Py_ssize_t Q, source_t free, row_t S, row_t least) noexcept nogil:
    """Take what is not free out of S: its rows and columns become those of 1."""
    cdef Py_ssize_t i, j
    for i in range(Q):
        for j in range(i + 1):
            S[i*Q + j] = S[i*Q + j]*free[i]*free[j]
        S[i*Q + i] += splat(1.0) - free[i]
        least[i] = splat(1e-14)*(least[i]*free[i] + splat(1.0) - free[i])


cdef void patches_keep_single(const plan_t* plan, source_t S, single* kept) noexcept nogil:
    """Store a factor, row by row."""
    cdef Py_ssize_t i, j
    for i in range(plan.Q):
        for j in range(i + 1):
            kept[j] = narrowed(S[i*plan.Q + j])
        kept += i + 1


cdef void patches_couple_single(const plan_t* plan, source_t free, source_t further, row_t B, single* kept) noexcept nogil:
    """Take what is not free out of B, and store its nonzeros."""
    cdef Py_ssize_t i, k
    cdef row_t entry
    for i in range(plan.X):
        for k in range(plan.begin[i], plan.begin[i + 1]):
            entry = &B[i*plan.Q + plan.left[k]]
            entry[0] = entry[0]*free[plan.left[k]]*further[i]
            kept[k] = narrowed(entry[0])


cdef void patches_solve_single(Py_ssize_t Q, const single* L, row_t x) noexcept nogil:
    """x to (L L^T)^-1 x."""
    cdef const single* row = L
    cdef Py_ssize_t i, j
    cdef real a, b, c, d
    for i in range(Q):
        a, b, c, d = x[i], splat(0.0), splat(0.0), splat(0.0)
        for j in range(0, i - 3, 4):
            a = a - widened(row[j])*x[j]
            b = b - widened(row[j + 1])*x[j + 1]
            c = c - widened(row[j + 2])*x[j + 2]
            d = d - widened(row[j + 3])*x[j + 3]
        for j in range(i & ~3, i):
            a = a - widened(row[j])*x[j]
        x[i] = ((a + b) + (c + d))*widened(row[i])
        row += i + 1
    for i in range(Q - 1, -1, -1):
        row -= i + 1
        a = x[i]*widened(row[i])
        x[i] = a
        for j in range(i):
            x[j] = x[j] - widened(row[j])*a


cdef void patches_sweep_single(const plan_t* plan, const single* kept, Py_ssize_t M, row_t x) noexcept nogil:
    """Solve for the right-hand sides x (M, Q) of one group, in place."""
    cdef Py_ssize_t Q = plan.Q
    cdef Py_ssize_t triangle = Q*(Q + 1)//2
    cdef Py_ssize_t size = triangle + plan.couplings
    cdef const single* B
    cdef Py_ssize_t n, i, k
    cdef real total
    for n in range(M):
        if n:
            B = &kept[(n - 1)*size + triangle]
            for i in range(plan.X):
                total = x[n*Q + i]
                for k in range(plan.begin[i], plan.begin[i + 1]):
                    total = total - widened(B[k])*x[(n - 1)*Q + plan.left[k]]
                x[n*Q + i] = total
        patches_solve_single(Q, &kept[n*size], &x[n*Q])
    for n in range(M - 2, -1, -1):
        B = &kept[n*size + triangle]
        # what B^T x of the next grid point takes away goes through the factor once more
        memset(&x[M*Q], 0, Q*sizeof(real))
        for i in range(plan.X):
            total = x[(n + 1)*Q + i]
            for k in range(plan.begin[i], plan.begin[i + 1]):
                x[M*Q + plan.left[k]] = x[M*Q + plan.left[k]] + widened(B[k])*total
        patches_solve_single(Q, &kept[n*size], &x[M*Q])
        for i in range(Q):
            x[n*Q + i] = x[n*Q + i] - x[M*Q + i]


cdef void patches_keep_double(const plan_t* plan, source_t S, real* kept) noexcept nogil:
    """Store a factor, row by row."""
    cdef Py_ssize_t i, j
    for i in range(plan.Q):
        for j in range(i + 1):
            kept[j] = of_double(S[i*plan.Q + j])
        kept += i + 1


cdef void patches_couple_double(const plan_t* plan, source_t free, source_t further, row_t B, real* kept) noexcept nogil:
    """Take what is not free out of B, and store its nonzeros."""
    cdef Py_ssize_t i, k
    cdef row_t entry
    for i in range(plan.X):
        for k in range(plan.begin[i], plan.begin[i + 1]):
            entry = &B[i*plan.Q + plan.left[k]]
            entry[0] = entry[0]*free[plan.left[k]]*further[i]
            kept[k] = of_double(entry[0])


cdef void patches_solve_double(Py_ssize_t Q, const real* L, row_t x) noexcept nogil:
    """x to (L L^T)^-1 x."""
    cdef const real* row = L
    cdef Py_ssize_t i, j
    cdef real a, b, c, d
    for i in range(Q):
        a, b, c, d = x[i], splat(0.0), splat(0.0), splat(0.0)
        for j in range(0, i - 3, 4):
            a = a - of_double(row[j])*x[j]
            b = b - of_double(row[j + 1])*x[j + 1]
            c = c - of_double(row[j + 2])*x[j + 2]
            d = d - of_double(row[j + 3])*x[j + 3]
        for j in range(i & ~3, i):
            a = a - of_double(row[j])*x[j]
        x[i] = ((a + b) + (c + d))*of_double(row[i])
        row += i + 1
    for i in range(Q - 1, -1, -1):
        row -= i + 1
        a = x[i]*of_double(row[i])
        x[i] = a
        for j in range(i):
            x[j] = x[j] - of_double(row[j])*a


cdef void patches_sweep_double(const plan_t* plan, const real* kept, Py_ssize_t M, row_t x) noexcept nogil:
    """Solve for the right-hand sides x (M, Q) of one group, in place."""
    cdef Py_ssize_t Q = plan.Q
    cdef Py_ssize_t triangle = Q*(Q + 1)//2
    cdef Py_ssize_t size = triangle + plan.couplings
    cdef const real* B
    cdef Py_ssize_t n, i, k
    cdef real total
    for n in range(M):
        if n:
            B = &kept[(n - 1)*size + triangle]
            for i in range(plan.X):
                total = x[n*Q + i]
                for k in range(plan.begin[i], plan.begin[i + 1]):
                    total = total - of_double(B[k])*x[(n - 1)*Q + plan.left[k]]
                x[n*Q + i] = total
        patches_solve_double(Q, &kept[n*size], &x[n*Q])
    for n in range(M - 2, -1, -1):
        B = &kept[n*size + triangle]
        # what B^T x of the next grid point takes away goes through the factor once more
        memset(&x[M*Q], 0, Q*sizeof(real))
        for i in range(plan.X):
            total = x[(n + 1)*Q + i]
            for k in range(plan.begin[i], plan.begin[i + 1]):
                x[M*Q + plan.left[k]] = x[M*Q + plan.left[k]] + of_double(B[k])*total
        patches_solve_double(Q, &kept[n*size], &x[M*Q])
        for i in range(Q):
            x[n*Q + i] = x[n*Q + i] - x[M*Q + i]


cdef plan_t patches_plan(object plan):
    cdef plan_t p
    cdef size_t first, column, row, place, begin, left, start
    p.Q, p.own, p.X, p.rows, p.entries, p.couplings, first, column, row, place, begin, left, start = plan
    p.first, p.column, p.row, p.place = <const int*> first, <const int*> column, <const int*> row, <const int*> place
    p.begin, p.left, p.start = <const int*> begin, <const int*> left, <const int*> start
    return p


cdef real* patches_workspace(Py_ssize_t count) except NULL:
    cdef real* work = <real*> aligned_alloc(sizeof(real), count*sizeof(real))
    if work == NULL:
        raise MemoryError("no memory for the work space of the patches")
    return work


def lanes():
    """How many patches are a group."""
    return LANES


def advance_single(plan, Py_ssize_t groups, size_t products, size_t weights, size_t free, size_t S, size_t sizes, size_t further,
                   size_t kept, Py_ssize_t stride):
    """Eliminate one grid point of all groups.

    `S` and `sizes` hold what was added to the block and to its diagonal so far; both are followed by those of the next grid point,
    which are written, as `free` is by that of the next one. Without `further` it is the last grid point.
    """
    cdef plan_t p = patches_plan(plan)
    cdef Py_ssize_t Q = p.Q
    cdef Py_ssize_t triangle = Q*(Q + 1)//2
    cdef Py_ssize_t g, i
    cdef real* own
    cdef real* next
    cdef real* diagonal
    cdef const real* held
    cdef single* store
    cdef real* B = patches_workspace(Q*Q + 2*Q)
    with nogil:
        for g in range(groups):
            own, next = &(<real*> S)[g*Q*Q], &(<real*> further)[g*Q*Q]
            diagonal, held = &(<real*> sizes)[g*Q], &(<const real*> free)[g*Q]
            store = &(<single*> kept)[g*stride]
            if further:
                memset(B, 0, Q*Q*sizeof(real))
                memset(next, 0, Q*Q*sizeof(real))
                for i in range(Q):
                    diagonal[i] = diagonal[i] - own[i*Q + i]
                patches_gather(&p, g, <const double*> products, <const double*> weights, &B[Q*Q], own, B, next)
                for i in range(Q):
                    diagonal[i] = diagonal[i] + own[i*Q + i]
                    (<real*> sizes)[(groups + g)*Q + i] = next[i*Q + i]
            patches_hold(Q, held, own, diagonal)
            patches_factor(Q, own, diagonal)
            patches_keep_single(&p, own, store)
            if further:
                patches_couple_single(&p, held, &held[groups*Q], B, &store[triangle])
                patches_reduce(&p, own, B, next)
        free_memory(B)


def solve_single(plan, Py_ssize_t groups, Py_ssize_t M, Py_ssize_t E, size_t unknown, size_t share, size_t kept, size_t right, size_t out):
    """Add each patch's share of the solution for `right` (M D,) to `out`; E unknowns lie between grid points."""
    cdef plan_t p = patches_plan(plan)
    cdef Py_ssize_t Q = p.Q
    cdef Py_ssize_t size = Q*(Q + 1)//2 + p.couplings
    cdef const int* place
    cdef const real* part
    cdef const double* b
    cdef double* sum
    cdef Py_ssize_t g, n, i
    cdef int lane
    cdef real* x = patches_workspace((M + 1)*Q)
    with nogil:
        for g in range(groups):
            place, part = &(<const int*> unknown)[g*Q*LANES], &(<const real*> share)[g*Q]
            for n in range(M):
                b = &(<const double*> right)[n*E]
                for i in range(Q):
                    x[n*Q + i] = splat(0.0)
                    if n < M - 1 or i < p.own:
                        for lane in range(LANES):
                            lane_put(&x[n*Q + i], lane, b[place[i*LANES + lane]])
                        x[n*Q + i] = x[n*Q + i]*part[i]
            patches_sweep_single(&p, &(<const single*> kept)[g*M*size], M, x)
            for n in range(M):
                sum = &(<double*> out)[n*E]
                for i in range(Q if n < M - 1 else p.own):
                    x[n*Q + i] = x[n*Q + i]*part[i]
                    for lane in range(LANES):
                        if lane_get(&part[i], lane) != 0.0:
                            sum[place[i*LANES + lane]] += lane_get(&x[n*Q + i], lane)
        free_memory(x)


def advance_double(plan, Py_ssize_t groups, size_t products, size_t weights, size_t free, size_t S, size_t sizes, size_t further,
                   size_t kept, Py_ssize_t stride):
    """Eliminate one grid point of all groups.

    `S` and `sizes` hold what was added to the block and to its diagonal so far; both are followed by those of the next grid point,
    which are written, as `free` is by that of the next one. Without `further` it is the last grid point.
    """
    cdef plan_t p = patches_plan(plan)
    cdef Py_ssize_t Q = p.Q
    cdef Py_ssize_t triangle = Q*(Q + 1)//2
    cdef Py_ssize_t g, i
    cdef real* own
    cdef real* next
    cdef real* diagonal
    cdef const real* held
    cdef real* store
    cdef real* B = patches_workspace(Q*Q + 2*Q)
    with nogil:
        for g in range(groups):
            own, next = &(<real*> S)[g*Q*Q], &(<real*> further)[g*Q*Q]
            diagonal, held = &(<real*> sizes)[g*Q], &(<const real*> free)[g*Q]
            store = &(<real*> kept)[g*stride]
            if further:
                memset(B, 0, Q*Q*sizeof(real))
                memset(next, 0, Q*Q*sizeof(real))
                for i in range(Q):
                    diagonal[i] = diagonal[i] - own[i*Q + i]
                patches_gather(&p, g, <const double*> products, <const double*> weights, &B[Q*Q], own, B, next)
                for i in range(Q):
                    diagonal[i] = diagonal[i] + own[i*Q + i]
                    (<real*> sizes)[(groups + g)*Q + i] = next[i*Q + i]
            patches_hold(Q, held, own, diagonal)
            patches_factor(Q, own, diagonal)
            patches_keep_double(&p, own, store)
            if further:
                patches_couple_double(&p, held, &held[groups*Q], B, &store[triangle])
                patches_reduce(&p, own, B, next)
        free_memory(B)


def solve_double(plan, Py_ssize_t groups, Py_ssize_t M, Py_ssize_t E, size_t unknown, size_t share, size_t kept, size_t right, size_t out):
    """Add each patch's share of the solution for `right` (M D,) to `out`; E unknowns lie between grid points."""
    cdef plan_t p = patches_plan(plan)
    cdef Py_ssize_t Q = p.Q
    cdef Py_ssize_t size = Q*(Q + 1)//2 + p.couplings
    cdef const int* place
    cdef const real* part
    cdef const double* b
    cdef double* sum
    cdef Py_ssize_t g, n, i
    cdef int lane
    cdef real* x = patches_workspace((M + 1)*Q)
    with nogil:
        for g in range(groups):
            place, part = &(<const int*> unknown)[g*Q*LANES], &(<const real*> share)[g*Q]
            for n in range(M):
                b = &(<const double*> right)[n*E]
                for i in range(Q):
                    x[n*Q + i] = splat(0.0)
                    if n < M - 1 or i < p.own:
                        for lane in range(LANES):
                            lane_put(&x[n*Q + i], lane, b[place[i*LANES + lane]])
                        x[n*Q + i] = x[n*Q + i]*part[i]
            patches_sweep_double(&p, &(<const real*> kept)[g*M*size], M, x)
            for n in range(M):
                sum = &(<double*> out)[n*E]
                for i in range(Q if n < M - 1 else p.own):
                    x[n*Q + i] = x[n*Q + i]*part[i]
                    for lane in range(LANES):
                        if lane_get(&part[i], lane) != 0.0:
                            sum[place[i*LANES + lane]] += lane_get(&x[n*Q + i], lane)
        free_memory(x)


