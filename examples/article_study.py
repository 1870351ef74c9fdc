"""The article's claims tested: how its network fares from many initial weights, not from the ones of seed 42 alone.

Usage: python article_study.py [FOLDER] [--seeds 10000] [--others 1000] [--epochs 150] [--mode fast]

Trains the article's network with sigmoid, tanh and ReLU from so many seeds each, and with `--others` seeds for each
initialiser, learning rate and batch size. Prints what is found, with intervals, and writes a report of each. What was
stopped goes on where it was when it is run again.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np

from netlapse.datasets import parabolas
from netlapse.demo import INITIAL_WEIGHTS, LEARNING_RATE, PUBLISHED
from netlapse.errors import Unsupported
from netlapse.study.article import ACTIVATIONS, BATCH_SIZE, EPOCHS, article
from netlapse.study.effects import ratio_of_epochs
from netlapse.study.findings import findings
from netlapse.study.outcomes import outcomes, split
from netlapse.study.shares import percentile

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", nargs="?", default="article-study", type=Path, help="where everything is kept")
parser.add_argument("--seeds", type=int, default=10_000, help="networks of each activation")
parser.add_argument("--others", type=int, default=1_000, help="networks of each other setting")
parser.add_argument("--activation", default="tanh", choices=ACTIVATIONS, help="of the other settings")
parser.add_argument("--orders", type=int, default=16, help="orders of the examples for the article's own weights")
parser.add_argument("--epochs", type=int, default=EPOCHS)
parser.add_argument("--mode", default="fast", choices=["fast", "exact"])

# Each by itself, and compared with what the article has.
USUAL = {"initializer": "glorot_normal", "learning_rate": "0.05", "batch_size": "16"}
OTHERS = {
    "initializer": ["glorot_normal", "glorot_uniform", "he_normal", "lecun_normal", "random_normal", "orthogonal"],
    "learning_rate": [0.005, 0.02, 0.05, 0.2, 0.5, 2.0],
    "batch_size": [4, 16, 64, 256],
}


def study(folder, seeds, space, options):
    """Train a study, say how fast, print its findings, write its report."""
    name = next(iter(space))
    made = article(folder / name, seeds, options.mode, space=space, epochs=options.epochs)
    started = time.monotonic()
    made.run(progress=lambda done, total: print(f"\r{name}: {done:,} of {total:,} networks", end="", flush=True))
    print(f" in {time.monotonic() - started:.1f} s")
    table = made.table
    for finding in findings(table, name, reference=USUAL.get(name)):
        print("-", finding.text)
    page = made.report(folder / f"{name}.html", title=f"The article's network: {name.replace('_', ' ')}", by=name)
    print("wrote", page, "and", folder / name / "table.parquet")
    print()
    return table


def epochs_of_the_article(activation, orders, epochs):
    """The first epoch at which the article's own initial weights have all cases right, for several orders; inf: never.

    By hand, in float64: nothing of it is shared with the study.
    """
    X, y = (np.asarray(part, np.float64) for part in parabolas())
    functions = {
        "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
        "tanh": (np.tanh, lambda a: 1 - a**2),
        "relu": (lambda z: np.maximum(z, 0), lambda a: a > 0),
    }
    function, slope = functions[activation]
    # One network for each order: (order, ...).
    W, b, V, c = (np.stack([weights.astype(np.float64)] * orders) for weights in INITIAL_WEIGHTS.values())
    generator = np.random.default_rng(0)
    first = np.full(orders, np.inf)
    for epoch in range(epochs + 1):
        logits = function(X @ W + b[:, None]) @ V + c[:, None]
        right = ((logits[..., 0] > 0) == y).all(axis=1)
        first[right & np.isinf(first)] = epoch
        if np.isfinite(first).all():
            break
        order = np.stack([generator.permutation(len(X)) for _ in range(orders)])
        for start in range(0, len(X), BATCH_SIZE):
            chosen = order[:, start : start + BATCH_SIZE]
            inputs, targets = X[chosen], y[chosen]
            hidden = function(inputs @ W + b[:, None])
            output = 1 / (1 + np.exp(-(hidden @ V + c[:, None])))
            error = (output - targets[..., None]) / chosen.shape[1]
            back = error @ V.swapaxes(1, 2) * slope(hidden)
            V -= LEARNING_RATE * hidden.swapaxes(1, 2) @ error
            c -= LEARNING_RATE * error.sum(axis=1)
            W -= LEARNING_RATE * inputs.swapaxes(1, 2) @ back
            b -= LEARNING_RATE * back.sum(axis=1)
    return first


def say_luck(table, options):
    """How lucky the article was with its weights, and whether ReLU needs 75 % of tanh's epochs."""
    every = outcomes(table)
    of = {name: every.of(rows) for name, rows in split(table, "activation").items()}
    print(f"The article's own initial weights, {options.orders} orders of the examples each:")
    for name in ACTIVATIONS:
        first = epochs_of_the_article(name, options.orders, options.epochs)
        # The middle one of an even number is the earlier: half of the orders are right by then.
        middle = float(np.sort(first)[(len(first) - 1) // 2])
        luck = percentile(of[name], middle)
        when = f"{middle:g} ({first.min():g} to {first.max():g})".replace("inf", "never")
        print(
            f"- {name}: all cases right first at epoch {when}; that is ahead of {luck.value:.1%} of {luck.n:,} seeds"
            f" ({luck.low:.1%} to {luck.high:.1%}). The article says {PUBLISHED[name].all}, ahead of"
            f" {percentile(of[name], PUBLISHED[name].all).value:.1%}."
        )
    print("ReLU's epochs divided by tanh's (the article: about 0.75), medians:")
    among = {"all": "all networks", "right": "networks that get there", "both": "pairs in which both get there"}
    for which, who in among.items():
        try:
            ratio = ratio_of_epochs(of["relu"], of["tanh"], among=which)
            print(
                f"- of {who}: {ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f}; {ratio.n[0]:,}, {ratio.n[1]:,})"
            )
        except Unsupported as error:
            print(f"- of {who}: cannot be told, {error}")
    print()


def main():
    """Run all of it."""
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    say_luck(study(options.folder, options.seeds, {"activation": ACTIVATIONS}, options), options)
    for name, values in OTHERS.items():
        print(f"With {options.activation}:")
        study(options.folder, options.others, {name: values, "activation": [options.activation]}, options)


if __name__ == "__main__":
    main()
