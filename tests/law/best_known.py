#!/usr/bin/env python3
"""The best objectives known for the surfaces of test_law_parametric.c, found by other means than core/law: scipy's
trust-region least squares (Huber's loss, squares) and sequential linear programming (absolute values), each from many
starts. Prints the table of that test (best_known.inc), or the rows that are
numbered on the command line. Needs numpy and scipy; not run by the tests."""
import sys

import numpy as np
from scipy.optimize import least_squares, linprog

# E, A, B, alpha, beta, design, noise. Designs and noise: points() below.
SURFACES = [
    (1.69, 406.4, 410.7, 0.34, 0.28, "isoflop", 0),  # Hoffmann et al. 2022
    (1.8172, 482.01, 2085.43, 0.3478, 0.3658, "isoflop", 0),  # Besiroglu et al. 2024
    (1.8689, 520.9, 1488.0, 0.35265964, 0.35265964, "grid", 0),  # Muennighoff et al. 2023
    (1.2, 12.0, 55.0, 0.12, 0.31, "grid", 0),
    (0.4, 3e4, 30.0, 0.71, 0.15, "grid", 0),
    (1.69, 406.4, 410.7, 0.34, 0.28, "isoflop", 0.004),
    (1.69, 406.4, 410.7, 0.34, 0.28, "grid", 0.02),
    (1.8172, 482.01, 2085.43, 0.3478, 0.3658, "isoflop", 0.01),
    (1.8689, 520.9, 1488.0, 0.35265964, 0.35265964, "outliers", 0.004),
    (1.2, 12.0, 55.0, 0.12, 0.31, "isoflop", 0.004),
    (1.2, 12.0, 55.0, 0.12, 0.31, "outliers", 0.01),
    (0.4, 3e4, 30.0, 0.71, 0.15, "isoflop", 0.01),
    (2.2, 3e3, 80.0, 0.5, 0.2, "grid", 0.002),
    (2.2, 3e3, 80.0, 0.5, 0.2, "outliers", 0.002),
    (0, 20.0, 40.0, 0.1, 0.1, "grid", 0),  # no floor
    (0, 20.0, 40.0, 0.1, 0.1, "isoflop", 0.01),
    (2.0, 1.2, 1.1, 0.02, 0.02, "grid", 0),  # all but flat
    (2.0, 1.2, 1.1, 0.02, 0.02, "grid", 0.001),
    (2.5, 0.5, 200.0, 0.05, 0.3, "isoflop", 0.003),  # size hardly matters
    (1.69, 406.4, 410.7, 0.34, 0.28, "ratio", 0),  # N and D in one ratio: a valley of surfaces
    (1.69, 406.4, 410.7, 0.34, 0.28, "ratio", 0.004),
    (1.69, 406.4, 410.7, 0.34, 0.28, "budget", 0),  # one budget: likewise
    (1.69, 406.4, 410.7, 0.34, 0.28, "budget", 0.004),
    (1.69, 0.0, 410.7, 0.34, 0.28, "grid", 0.004),  # no size term but noise
    (1.5, 3e9, 40.0, 1.5, 0.25, "grid", 0.003),  # steep
]


def points(k):
    E, A, B, alpha, beta, design, noise = SURFACES[k]
    rows = []
    if design in ("isoflop", "outliers", "budget"):
        for i in range(1 if design == "budget" else 5):
            for j in range(9 if design == "budget" else 5):
                c, n = 1e18 * 10.0 ** (0.5 * i), 5e7 * 10.0 ** (0.24 * i) * 10.0 ** (0.3 * (j - 2))
                rows.append((n, c / (6 * n)))
    elif design == "grid":
        rows = [(1e6 * 10.0 ** (0.8 * i), 1e8 * 10.0 ** (0.8 * j)) for i in range(6) for j in range(6)]
    else:
        rows = [(1e6 * 10.0 ** (0.4 * i), 2e7 * 10.0 ** (0.4 * i)) for i in range(12)]
    n, d = np.array(rows).T
    loss = E + A * n**-alpha + B * d**-beta
    i = np.arange(len(n))
    loss = loss + noise * np.sin(1.7 * i * i + 0.3 * k)
    if design == "outliers":
        loss = loss + np.where(i % 7 == 3, 0.08, 0.0)
    return n, d, loss


class Problem:
    def __init__(self, k):
        n, d, self.loss = points(k)
        self.n, self.d = np.log(n) - np.log(n).mean(), np.log(d) - np.log(d).mean()

    def residual(self, x, log):
        e, a, b, alpha, beta = x
        t = np.stack([np.full_like(self.n, e), a - alpha * self.n, b - beta * self.d])
        p = np.logaddexp.reduce(t, axis=0)
        return p - np.log(self.loss) if log else np.exp(np.minimum(p, 300)) - self.loss

    def jacobian(self, x, log):
        e, a, b, alpha, beta = x
        t = np.stack([np.full_like(self.n, e), a - alpha * self.n, b - beta * self.d])
        p = np.logaddexp.reduce(t, axis=0)
        s = np.exp(t - p)
        j = np.stack([s[0], s[1], s[2], -s[1] * self.n, -s[2] * self.d], axis=1)
        return j if log else j * np.exp(p)[:, None]


def smooth(p, x, log, huber):
    kw = dict(loss="huber", f_scale=1e-3) if huber else {}
    best = np.inf
    for _ in range(4):
        try:
            r = least_squares(lambda z: p.residual(z, log), x, lambda z: p.jacobian(z, log), method="trf", x_scale="jac",
                              xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=500, **kw)
        except (ValueError, np.linalg.LinAlgError):
            break
        value = r.cost if huber else 2 * r.cost
        x = r.x
        if not value < best * (1 - 1e-12):
            break
        best = value
    return min(best, value) if best < np.inf else np.inf, x


def absolute(p, x, log, above):
    """Sequential linear programming in a trust region."""
    def value(z):
        r = p.residual(z, log)
        return np.sum(np.where(r > 0, above * r, -r))

    f, radius = value(x), 0.1
    for _ in range(300):
        r, j = p.residual(x, log), p.jacobian(x, log)
        m = len(r)
        c = np.concatenate([np.zeros(5), np.full(m, above), np.ones(m)])
        eq = np.hstack([j, -np.eye(m), np.eye(m)])
        bounds = [(-radius, radius)] * 5 + [(0, None)] * (2 * m)
        sol = linprog(c, A_eq=eq, b_eq=-r, bounds=bounds, method="highs-ds")
        if sol.status != 0:
            radius *= 0.3
            continue
        trial = x + sol.x[:5]
        g = value(trial)
        if g < f:
            gain, f, x = f - g, g, trial
            radius *= 2
            if gain < 1e-13 * f:
                break
        else:
            radius *= 0.3
        if radius < 1e-13:
            break
    return f, x


def main():
    for k in map(int, sys.argv[1:]) if sys.argv[1:] else range(len(SURFACES)):
        s = SURFACES[k]
        rng = np.random.default_rng(k)
        p = Problem(k)
        E, A, B, alpha, beta = s[:5]
        n, d, _ = points(k)
        truth = np.array([np.log(max(E, 1e-12)), np.log(max(A, 1e-12)) - alpha * np.log(n).mean(),
                          np.log(B) - beta * np.log(d).mean(), alpha, beta])
        starts = [truth] + [np.array([rng.uniform(-2, 1), rng.uniform(-4, 1.5), rng.uniform(-4, 1.5),
                                      rng.uniform(0.01, 1.2), rng.uniform(0.01, 1.2)]) for _ in range(24)]
        huber = sorted((smooth(p, x, True, True) for x in starts), key=lambda t: t[0])
        mse = sorted((smooth(p, x, False, False) for x in starts), key=lambda t: t[0])
        lad = min(absolute(p, x, True, 1)[0] for x in [truth] + [h[1] for h in huber[:6]])
        asym = min(absolute(p, x, False, 10)[0] for x in [truth] + [h[1] for h in mse[:6]])
        print("    {{%.15g, %.15g, %.15g, %.15g, %.15g}, %s, %.15g, {%.12g, %.12g, %.12g, %.12g}}," % (
            E, A, B, alpha, beta, s[5].upper(), s[6], huber[0][0], lad, mse[0][0], asym), flush=True)


if __name__ == "__main__":
    main()
