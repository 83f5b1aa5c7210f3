# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Rates that are linear in coefficients: residuals of steps, their derivatives, and the elimination of the path.

dx_i/dt = known_i(x) + sum_j C[i,j] theta_j(x), with the terms theta_j of

    0: 1
    1: x
    2: y
    3: z
    4: x**2
    5: x*y
    6: x*z
    7: y**2
    8: y*z
    9: z**2

and what is known of the rates

    0
    0
    0

A step of length h[m] goes from point m of the path to the next by the classic method of Runge and Kutta; where h[m] is 0 a recording
ends. Its residual is r[m] = x[m+1] - Phi(x[m], C), its derivatives A = dPhi/dx (D, D) and B = dPhi/dC, for the coefficients that are
free only. B has one column more, -r, so that the gradient is the last column of what is made of it.

Gauss and Newton's Hessian of 1/2 sum r W r + 1/2 sum d (x - y)^2 in the path is block tridiagonal. Its Cholesky factor is made point
after point: block m is L[m], its neighbour's U[m] = L^-1 (-A^T W), and the border's V[m] = L^-1 Z (D, columns of B).

Written by symda; the text depends on the terms and the templates only. Do not edit.
"""

from libc.math cimport (
    INFINITY, NAN, acos, acosh, asin, asinh, atan, atan2, atanh, ceil, copysign, cos, cosh, erf, exp, expm1,
    fabs, floor, fmax, fmin, fmod, hypot, isfinite, log, log1p, pow, sin, sinh, sqrt, tan, tanh,
)

cdef enum:
    D = 3  # states
    T = 10  # terms

ctypedef const double* source_t
ctypedef double* row_t

# Where the stages of the method are, and what they count.
cdef double[4] PLACE = [0.0, 0.5, 0.5, 1.0]
cdef double[4] COUNT = [1.0, 2.0, 2.0, 1.0]


cdef void terms(const double* x, double* values) noexcept nogil:
    """theta(x), (T,)."""
    values[0] = 1.0
    values[1] = x[0]
    values[2] = x[1]
    values[3] = x[2]
    values[4] = x[0]*x[0]
    values[5] = x[0]*x[1]
    values[6] = x[0]*x[2]
    values[7] = x[1]*x[1]
    values[8] = x[1]*x[2]
    values[9] = x[2]*x[2]


cdef void terms_and_slopes(const double* x, double* values, double* slopes) noexcept nogil:
    """theta(x), and dtheta/dx (T, D), column after column."""
    values[0] = 1.0
    values[1] = x[0]
    values[2] = x[1]
    values[3] = x[2]
    values[4] = x[0]*x[0]
    values[5] = x[0]*x[1]
    values[6] = x[0]*x[2]
    values[7] = x[1]*x[1]
    values[8] = x[1]*x[2]
    values[9] = x[2]*x[2]
    slopes[0] = 0.0
    slopes[1] = 1.0
    slopes[2] = 0.0
    slopes[3] = 0.0
    slopes[4] = 2.0*x[0]
    slopes[5] = x[1]
    slopes[6] = x[2]
    slopes[7] = 0.0
    slopes[8] = 0.0
    slopes[9] = 0.0
    slopes[10] = 0.0
    slopes[11] = 0.0
    slopes[12] = 1.0
    slopes[13] = 0.0
    slopes[14] = 0.0
    slopes[15] = x[0]
    slopes[16] = 0.0
    slopes[17] = 2.0*x[1]
    slopes[18] = x[2]
    slopes[19] = 0.0
    slopes[20] = 0.0
    slopes[21] = 0.0
    slopes[22] = 0.0
    slopes[23] = 1.0
    slopes[24] = 0.0
    slopes[25] = 0.0
    slopes[26] = x[0]
    slopes[27] = 0.0
    slopes[28] = x[1]
    slopes[29] = 2.0*x[2]


cdef void known(const double* x, double* values) noexcept nogil:
    """What is known of the rates, (D,)."""
    values[0] = 0.0
    values[1] = 0.0
    values[2] = 0.0


cdef void known_and_slopes(const double* x, double* values, double* slopes) noexcept nogil:
    """The same, and its derivative by x (D, D), column after column."""
    values[0] = 0.0
    values[1] = 0.0
    values[2] = 0.0
    slopes[0] = 0.0
    slopes[1] = 0.0
    slopes[2] = 0.0
    slopes[3] = 0.0
    slopes[4] = 0.0
    slopes[5] = 0.0
    slopes[6] = 0.0
    slopes[7] = 0.0
    slopes[8] = 0.0


cdef void rate(const double* x, const double* C, double* theta, double* k) noexcept nogil:
    """k = known + C theta, (D,)."""
    cdef int i, j
    cdef double total
    known(x, k)
    terms(x, theta)
    for i in range(D):
        total = k[i]
        for j in range(T):
            total = total + C[i*T + j]*theta[j]
        k[i] = total


cdef void rate_slopes(const double* x, const double* C, double* theta, double* k, double* A) noexcept nogil:
    """The same, and A = dk/dx (D, D)."""
    cdef int i, j, d
    cdef double slopes[T*D]
    cdef double known_slopes[D*D]
    known_and_slopes(x, k, known_slopes)
    terms_and_slopes(x, theta, slopes)
    for i in range(D):
        for d in range(D):
            A[i*D + d] = known_slopes[i + D*d]
        for j in range(T):
            k[i] = k[i] + C[i*T + j]*theta[j]
            for d in range(D):
                A[i*D + d] = A[i*D + d] + C[i*T + j]*slopes[j + T*d]


cdef void step(const double* x, const double* C, double h, double* f) noexcept nogil:
    """f = Phi(x, C), (D,)."""
    cdef int i, s
    cdef double k[D]
    cdef double z[D]
    cdef double total[D]
    cdef double theta[T]
    for i in range(D):
        k[i] = 0.0
        total[i] = 0.0
    for s in range(4):
        for i in range(D):
            z[i] = x[i] + PLACE[s]*h*k[i]
        rate(z, C, theta, k)
        for i in range(D):
            total[i] = total[i] + COUNT[s]*k[i]
    for i in range(D):
        f[i] = x[i] + h/6.0*total[i]


def run_steps(size_t X, size_t C, size_t h, Py_ssize_t M, size_t R):
    """R (M, D): residuals of the steps, 0 where there is none."""
    cdef Py_ssize_t m
    cdef int i
    cdef double f[D]
    cdef const double* x = <const double*> X
    cdef double* r = <double*> R
    with nogil:
        for m in range(M):
            if (<const double*> h)[m] == 0.0:
                for i in range(D):
                    r[m*D + i] = 0.0
                continue
            step(&x[m*D], <const double*> C, (<const double*> h)[m], f)
            for i in range(D):
                r[m*D + i] = x[(m + 1)*D + i] - f[i]


cdef void linearise(const double* x, const double* C, double h, const int* row, const int* term, Py_ssize_t p, double* A,
                    double* B) noexcept nogil:
    """A (D, D) and B (D, p + 1) of a step; the last column of B is x[1] - Phi with its sign changed."""
    cdef int i, j, d, s
    cdef Py_ssize_t c
    cdef double k[D]
    cdef double z[D]
    cdef double total[D]
    cdef double theta[4*T]
    cdef double J[4*D*D]
    cdef double P[D*D]
    cdef double Q[D*D]
    cdef double G[4*D*D]
    cdef double one
    for i in range(D):
        k[i] = 0.0
        total[i] = 0.0
    for i in range(D*D):
        P[i] = 0.0
        A[i] = 0.0
    for s in range(4):
        for i in range(D):
            z[i] = x[i] + PLACE[s]*h*k[i]
        rate_slopes(z, C, &theta[s*T], k, &J[s*D*D])
        # P = dk/dx = J (1 + place h P)
        for i in range(D*D):
            Q[i] = PLACE[s]*h*P[i]
        for i in range(D):
            Q[i*D + i] = Q[i*D + i] + 1.0
            total[i] = total[i] + COUNT[s]*k[i]
        for i in range(D):
            for d in range(D):
                one = 0.0
                for j in range(D):
                    one = one + J[s*D*D + i*D + j]*Q[j*D + d]
                P[i*D + d] = one
                A[i*D + d] = A[i*D + d] + h/6.0*COUNT[s]*one
    for i in range(D):
        A[i*D + i] = A[i*D + i] + 1.0
        B[i*(p + 1) + p] = x[i] + h/6.0*total[i] - x[D + i]
    # dPhi/dC[i,j] = sum over stages of G[s][:,i] theta[s][j], G[s] = h/6 count + G[s+1] J[s+1] place h
    for s in range(3, -1, -1):
        for i in range(D):
            for d in range(D):
                one = h/6.0*COUNT[s] if i == d else 0.0
                if s < 3:
                    for j in range(D):
                        one = one + PLACE[s + 1]*h*G[(s + 1)*D*D + i*D + j]*J[(s + 1)*D*D + j*D + d]
                G[s*D*D + i*D + d] = one
    for i in range(D):
        for c in range(p):
            one = 0.0
            for s in range(4):
                one = one + G[s*D*D + i*D + row[c]]*theta[s*T + term[c]]
            B[i*(p + 1) + c] = one


def run_linearise(size_t X, size_t C, size_t h, Py_ssize_t M, size_t rows, size_t columns, Py_ssize_t p, size_t A, size_t B):
    """A (M, D, D) and B (M, D, p + 1) of all steps, 0 where there is none; C[rows, columns] are free."""
    cdef Py_ssize_t m, k
    cdef double* a
    cdef double* b
    with nogil:
        for m in range(M):
            a = &(<double*> A)[m*D*D]
            b = &(<double*> B)[m*D*(p + 1)]
            if (<const double*> h)[m] == 0.0:
                for k in range(D*D):
                    a[k] = 0.0
                for k in range(D*(p + 1)):
                    b[k] = 0.0
                continue
            linearise(&(<const double*> X)[m*D], <const double*> C, (<const double*> h)[m], <const int*> rows, <const int*> columns, p, a, b)


cdef bint sweep(Py_ssize_t M, Py_ssize_t q, const double* h, const double* A, const double* B, const double* W, const double* g,
                const double* d, double* L, double* U, double* V) noexcept nogil:
    """Factorise point after point; False where a block is not positive definite."""
    cdef Py_ssize_t m, c
    cdef int i, j, k
    cdef double H[D*D]
    cdef double one
    cdef const double* a
    cdef const double* b
    cdef const double* before
    cdef double* low
    cdef double* up
    cdef double* v
    cdef bint linked = False
    for m in range(M):
        a, b = &A[m*D*D], &B[m*D*q]
        low, up, v = &L[m*D*D], &U[m*D*D], &V[m*D*q]
        for i in range(D*D):
            H[i] = 0.0
        for i in range(D):
            H[i*D + i] = d[m*D + i]
            for c in range(q):
                v[i*q + c] = 0.0
            v[i*q + q - 1] = g[m*D + i]
        if h[m] != 0.0:
            for i in range(D):
                for k in range(D):
                    one = a[k*D + i]*W[k]
                    for j in range(i + 1):
                        H[i*D + j] = H[i*D + j] + one*a[k*D + j]
                    for c in range(q):
                        v[i*q + c] = v[i*q + c] + one*b[k*q + c]
        if linked:
            before = &B[(m - 1)*D*q]
            for i in range(D):
                H[i*D + i] = H[i*D + i] + W[i]
                for c in range(q):
                    v[i*q + c] = v[i*q + c] - W[i]*before[i*q + c]
                for k in range(D):
                    # U of the point before, whose columns are this point's states
                    one = U[(m - 1)*D*D + k*D + i]
                    for j in range(i + 1):
                        H[i*D + j] = H[i*D + j] - one*U[(m - 1)*D*D + k*D + j]
                    for c in range(q):
                        v[i*q + c] = v[i*q + c] - one*V[(m - 1)*D*q + k*q + c]
        # Cholesky
        for i in range(D):
            for j in range(i + 1):
                one = H[i*D + j]
                for k in range(j):
                    one = one - low[i*D + k]*low[j*D + k]
                if i > j:
                    low[i*D + j] = one/low[j*D + j]
                elif one > 0.0:
                    low[i*D + i] = sqrt(one)
                else:
                    return False
        # up = L^-1 (-A^T W), v = L^-1 v
        for i in range(D):
            for j in range(D):
                one = -a[j*D + i]*W[j]
                for k in range(i):
                    one = one - low[i*D + k]*up[k*D + j]
                up[i*D + j] = one/low[i*D + i]
            for k in range(i):
                one = low[i*D + k]
                for c in range(q):
                    v[i*q + c] = v[i*q + c] - one*v[k*q + c]
            one = 1.0/low[i*D + i]
            for c in range(q):
                v[i*q + c] = v[i*q + c]*one
        linked = h[m] != 0.0
    return True


def run_sweep(Py_ssize_t M, Py_ssize_t q, size_t h, size_t A, size_t B, size_t W, size_t g, size_t d, size_t L, size_t U, size_t V):
    """L, U (M, D, D), V (M, D, q) of d (M, D), g (M, D) and W (D,); whether all blocks were positive definite."""
    cdef bint fine
    with nogil:
        fine = sweep(M, q, <const double*> h, <const double*> A, <const double*> B, <const double*> W, <const double*> g,
                     <const double*> d, <double*> L, <double*> U, <double*> V)
    return fine


def run_back(Py_ssize_t M, Py_ssize_t q, size_t L, size_t U, size_t V, size_t change, size_t dX):
    """dX (M, D) with L^T dX = -V (change, 1) - U dX of the next point; change (q - 1,) are the coefficients'."""
    cdef Py_ssize_t m, c
    cdef int i, k
    cdef double one
    cdef const double* low
    cdef const double* v
    cdef const double* dC = <const double*> change
    cdef double* x
    with nogil:
        for m in range(M - 1, -1, -1):
            low, v, x = &(<const double*> L)[m*D*D], &(<const double*> V)[m*D*q], &(<double*> dX)[m*D]
            for i in range(D - 1, -1, -1):
                one = -v[i*q + q - 1]
                for c in range(q - 1):
                    one = one - v[i*q + c]*dC[c]
                if m + 1 < M:
                    for k in range(D):
                        one = one - (<const double*> U)[m*D*D + i*D + k]*(<const double*> dX)[(m + 1)*D + k]
                for k in range(i + 1, D):
                    one = one - low[k*D + i]*x[k]
                x[i] = one/low[i*D + i]
