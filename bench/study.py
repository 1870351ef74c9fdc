"""Networks a second of studies, beside `model.fit` and what could be reached: `python -m bench.study [NETWORKS]`.

The article's network, 150 epochs of 125 steps: `fit` of Keras on JAX; a study in its exact and its fast mode, on all
cores, initial weights, orders, measures of each epoch and writing included; the same with its compile time; and the
same training written for it alone in JAX and in Numba, which keep nothing, as what could be reached.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np

from bench.measure import machine

EPOCHS, BATCH = 150, 16


def fit(repeats: int) -> list[float]:
    """Seconds of one network in `fit`, the first of which compiles and is left out."""
    from netlapse.datasets import parabolas
    from netlapse.study.article import build

    X, y = parabolas()
    seconds: list[float] = []
    for _ in range(repeats + 1):
        model = build("tanh")
        start = time.perf_counter()
        model.fit(X.astype("float32"), y.astype("float32"), epochs=EPOCHS, batch_size=BATCH, verbose=0)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def study(networks: int, mode: str) -> tuple[float, float, float]:
    """Seconds of a new study, seconds until its first piece is done, and CPU seconds."""
    from netlapse.study.article import article

    with tempfile.TemporaryDirectory() as folder:
        first: list[float] = []
        start, cpu = time.perf_counter(), time.process_time()
        made = article(Path(folder) / "study", networks, mode=mode, space={"activation": ["tanh"]})
        made.run(progress=lambda done, _: first.append(time.perf_counter() - start) if done else None)
        return time.perf_counter() - start, first[0], time.process_time() - cpu


def by_hand(networks: int) -> float:
    """Seconds of the same training written for it alone, networks on the last axis, compile time left out."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    from netlapse.datasets import parabolas
    from netlapse.study.train_last import COMPILER_OPTIONS, orders

    X, y = (part.astype("float32") for part in parabolas())
    at_once, group = 128, 16
    columns = [jnp.asarray(column) for column in (*X.T, y)]

    def step(state, rows):
        W, b, V, c = state
        *x, t = (jnp.repeat(column[rows], group, axis=-1) for column in columns)
        h = [jnp.tanh(x[0] * W[0, k] + x[1] * W[1, k] + b[k]) for k in (0, 1)]
        dz = (jax.nn.sigmoid(h[0] * V[0] + h[1] * V[1] + c) - t) * (0.05 / BATCH)
        dh = [dz * V[k] * (1 - h[k] * h[k]) for k in (0, 1)]
        W = W - jnp.stack([jnp.stack([(x[j] * dh[k]).sum(0) for k in (0, 1)]) for j in (0, 1)])
        b = b - jnp.stack([each.sum(0) for each in dh])
        V = V - jnp.stack([(h[k] * dz).sum(0) for k in (0, 1)])
        return (W, b, V, c - dz.sum(0)), None

    def train(state, order):
        batches = order.reshape(at_once // group, EPOCHS, -1, BATCH).transpose(1, 2, 3, 0)
        return lax.scan(lambda state, epoch: lax.scan(step, state, epoch), state, batches)[0]

    def piece(start):
        rng = np.random.default_rng(start)
        shapes = ((2, 2, at_once), (2, at_once), (2, at_once), (at_once,))
        state = tuple(jnp.asarray(rng.normal(0, 0.5, shape), jnp.float32) for shape in shapes)
        drawn = orders(range(start, start + at_once // group), EPOCHS, len(X)).astype(np.uint32)
        return jax.block_until_ready(train(state, drawn))

    train = jax.jit(train, compiler_options=COMPILER_OPTIONS)
    piece(0)
    start = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(piece, range(0, networks, at_once)))
    return time.perf_counter() - start


def by_numba(networks: int) -> float:
    """Seconds of the same training as loops that Numba compiles, 16 networks side by side, compile time left out."""
    from numba import njit, prange

    from netlapse.datasets import parabolas
    from netlapse.study.train_last import orders

    X, y = (part.astype("float32") for part in parabolas())
    lanes, f = 16, np.float32
    # The rational function that Eigen and XLA take for tanh: loops with calls of the C library are not vectorised.
    odd = [f(c) for c in (-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08)]
    odd += [f(c) for c in (1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03)]
    even = [f(c) for c in (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)]
    a0, a1, a2, a3, a4, a5, a6 = odd
    b0, b1, b2, b3 = even

    @njit(inline="always")
    def tanh(x):
        x = min(max(x, f(-7.9)), f(7.9))
        s = x * x
        p = ((((((a0 * s + a1) * s + a2) * s + a3) * s + a4) * s + a5) * s + a6) * x
        return p / (((b0 * s + b1) * s + b2) * s + b3)

    @njit(parallel=True, fastmath=True)
    def train(weights, orders, X, y):
        rate = f(0.05 / BATCH)
        for n in prange(len(weights)):
            w = weights[n]
            g = np.empty((9, lanes), np.float32)
            for epoch in range(orders.shape[1]):
                for start in range(0, orders.shape[2], BATCH):
                    g[:] = f(0)
                    for row in orders[n, epoch, start : start + BATCH]:
                        a, b, t = X[row, 0], X[row, 1], y[row]
                        for k in range(lanes):
                            h0 = tanh(a * w[0, k] + b * w[2, k] + w[4, k])
                            h1 = tanh(a * w[1, k] + b * w[3, k] + w[5, k])
                            d = f(0.5) + f(0.5) * tanh(f(0.5) * (h0 * w[6, k] + h1 * w[7, k] + w[8, k])) - t
                            d0, d1 = d * w[6, k] * (f(1) - h0 * h0), d * w[7, k] * (f(1) - h1 * h1)
                            g[0, k] += a * d0
                            g[1, k] += a * d1
                            g[2, k] += b * d0
                            g[3, k] += b * d1
                            g[4, k] += d0
                            g[5, k] += d1
                            g[6, k] += d * h0
                            g[7, k] += d * h1
                            g[8, k] += d
                    for j in range(9):
                        for k in range(lanes):
                            w[j, k] -= rate * g[j, k]

    def run(groups):
        weights = np.random.default_rng(0).normal(0, 0.5, (groups, 9, lanes)).astype(np.float32)
        train(weights, orders(range(groups), EPOCHS, len(X)), X, y)

    run(1)
    start = time.perf_counter()
    run(-(-networks // lanes))
    return time.perf_counter() - start


def main(most: int) -> None:
    """Print a Markdown table."""
    print(machine())
    one = float(np.median(fit(3)))
    print("| what | networks | seconds | of them until the first piece | networks/s | times `fit` |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(f"| `model.fit` | 1 | {one:.2f} | | {1 / one:.2f} | 1 |")
    best = 0.0
    for mode, counts in (("exact", (1, 100, 1_000)), ("fast", (1, 100, 1_000, 10_000))):
        for networks in (count for count in counts if count <= most):
            seconds, first, _ = study(networks, mode)
            best = max(best, networks / seconds)
            rate = networks / seconds
            print(
                f"| {mode} | {networks:,} | {seconds:.1f} | {first:.1f} | {rate:.1f} | {rate * one:,.0f} |", flush=True
            )
    networks = min(most, 2_048)
    for name, limit in (("JAX", by_hand), ("Numba", by_numba)):
        seconds = limit(networks)
        rate = networks / seconds
        print(f"| {name} by hand, compiled before | {networks:,} | {seconds:.1f} | | {rate:.0f} | {rate * one:,.0f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\npeak memory {peak:.1f} GiB\n{best * one:,.0f} x model.fit")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
