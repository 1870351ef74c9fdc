"""Networks a second of studies, beside `model.fit` and what could be reached: `python -m bench.study [NETWORKS]`.

The article's network, 150 epochs of 125 steps: `fit` of Keras on JAX; a study in its exact and its fast mode, on all
cores, initial weights, orders, measures of each epoch and writing included; the same with its compile time; and
hand-written JAX, which keeps nothing, as what the fast mode could reach.
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
    seconds = by_hand(networks)
    rate = networks / seconds
    print(f"| by hand, compiled before | {networks:,} | {seconds:.1f} | | {rate:.0f} | {rate * one:,.0f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\npeak memory {peak:.1f} GiB\n{best * one:,.0f} x model.fit")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
