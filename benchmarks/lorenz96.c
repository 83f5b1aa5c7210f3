/* Lorenz-96 with D = 40 under the classical Runge-Kutta method, as one writes it by hand. */

enum { D = 40 };

static void slope(const double *restrict x, double nu, double *restrict k) {
    k[0] = x[D - 1] * (x[1] - x[D - 2]) - x[0] + nu;
    k[1] = x[0] * (x[2] - x[D - 1]) - x[1] + nu;
    for (int a = 2; a < D - 1; a++)
        k[a] = x[a - 1] * (x[a + 1] - x[a - 2]) - x[a] + nu;
    k[D - 1] = x[D - 2] * (x[0] - x[D - 3]) - x[D - 1] + nu;
}

/* x after `steps` steps of length h, in place. */
void rk4(double *restrict x, double nu, double h, long steps) {
    double k1[D], k2[D], k3[D], k4[D], y[D];
    for (long n = 0; n < steps; n++) {
        slope(x, nu, k1);
        for (int a = 0; a < D; a++)
            y[a] = x[a] + h / 2 * k1[a];
        slope(y, nu, k2);
        for (int a = 0; a < D; a++)
            y[a] = x[a] + h / 2 * k2[a];
        slope(y, nu, k3);
        for (int a = 0; a < D; a++)
            y[a] = x[a] + h * k3[a];
        slope(y, nu, k4);
        for (int a = 0; a < D; a++)
            x[a] += h / 6 * (k1[a] + 2 * k2[a] + 2 * k3[a] + k4[a]);
    }
}
