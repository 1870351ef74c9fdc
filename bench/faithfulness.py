"""How faithful pictures of a wide layer are, and what they cost: python -m bench.faithfulness [seeds]

A 3-class spiral, learnt in 100 epochs by a network of one hidden layer of 8, 32 or 128 ReLU units, and scikit-learn's
digits, learnt in 20 epochs by a small CNN (the 32 units before its output). 240 training examples are drawn by
netlapse's projections and by what people use in their place: at every epoch and over several seeds, a PCA fitted anew
at every frame (its signs fixed as nnscope fixes them); at 21 frames of the first seed also t-SNE and UMAP at every
frame, and AlignedUMAP, if umap-learn is there. Seconds are those of the processor, so that other work on the machine
does not count.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .measure import machine

import keras  # isort: skip
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

import netlapse
from netlapse.datasets import spirals
from netlapse.keras import Recorder
from netlapse.measures import projection

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = 240
NEIGHBOURS = 15
DIGITS = "digits CNN"
NAMES = ("2-8-3", "2-32-3", "2-128-3", DIGITS)

Points = np.ndarray  # frame example unit
Places = np.ndarray  # frame example 2


def learn(name: str, seed: int, folder: Path) -> tuple[Points, np.ndarray]:
    """What the layer makes of the examples at every epoch, and their labels."""
    keras.utils.set_random_seed(seed)
    inputs, targets, start, width, classes, rate, epochs = digits() if name == DIGITS else spiral(name, seed)
    output = keras.layers.Dense(classes)
    model = keras.Sequential([*start, keras.layers.Dense(width, activation="relu", name="features"), output])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    probe, path = (inputs[:EXAMPLES], targets[:EXAMPLES]), folder / f"{name} {seed}"
    model.fit(inputs, targets, batch_size=32, epochs=epochs, verbose=0, callbacks=[Recorder(path, probe=probe)])
    return netlapse.open(path).activations("features"), targets[:EXAMPLES]


def spiral(name: str, seed: int) -> tuple:
    inputs, targets = spirals(600, classes=3, turns=1, noise=0.02, seed=seed)
    return inputs, targets, [keras.Input((2,))], int(name.split("-")[1]), 3, 0.01, 100


def digits() -> tuple:
    inputs, targets = load_digits(return_X_y=True)
    layers = keras.layers
    start = [keras.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
    return (inputs / 16).reshape(-1, 8, 8, 1).astype("float32"), targets, start, 32, 10, 0.001, 20


def pca(points: Points, _: np.ndarray) -> Places:
    return projection.pca(points)(points)


def class_means(points: Points, labels: np.ndarray) -> Places:
    return projection.class_means(points, labels)(points)


def pca_anew(points: Points, _: np.ndarray) -> Places:
    """Each frame in the plane of its own principal directions, their largest entries positive."""
    centred = points - points.mean(axis=1, keepdims=True, dtype=float)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:, :2]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=2)[..., None], axis=2)
    return centred @ (directions * np.sign(largest)).transpose(0, 2, 1)


def tsne(points: Points, _: np.ndarray) -> Places:
    return np.stack([TSNE(random_state=0).fit_transform(frame) for frame in points])


def umap(points: Points, _: np.ndarray) -> Places:
    from umap import UMAP

    return np.stack([UMAP(random_state=0).fit_transform(frame) for frame in points])


def aligned_umap(points: Points, _: np.ndarray) -> Places:
    from umap import AlignedUMAP

    same = {number: number for number in range(points.shape[1])}
    return np.stack(AlignedUMAP(random_state=0).fit([*points], relations=[same] * (len(points) - 1)).embeddings_)


def lengths(points: np.ndarray) -> np.ndarray:
    """How far each example moves from frame to frame."""
    return np.linalg.norm(np.diff(points.astype(float), axis=0), axis=2)


def movement(points: Points, places: Places) -> float:
    """Pearson's correlation of drawn and true lengths of all movements."""
    return float(np.corrcoef(lengths(points).ravel(), lengths(places).ravel())[0, 1])


def exaggerated(points: Points, places: Places, *, scaled: bool) -> float:
    """Share of movements drawn longer than they are, by more than rounding.

    An embedding has no unit of length. It is given the one factor, for all frames, with which the lengths of its
    movements come nearest to the true ones (least squares).
    """
    true, drawn = lengths(points), lengths(places)
    factor = (true * drawn).sum() / np.square(drawn).sum() if scaled else 1.0
    return float((factor * drawn > true * (1 + 1e-5) + 1e-6 * true.max()).mean())


def neighbours(points: Points, places: Places) -> float:
    """Share of the nearest neighbours of an example that are so in the picture as well; mean of all frames."""

    def nearest(frame: np.ndarray) -> np.ndarray:
        return NearestNeighbors(n_neighbors=NEIGHBOURS).fit(frame).kneighbors(return_distance=False)

    shared = [
        len(np.intersect1d(high, low))
        for frame, picture in zip(points, places, strict=True)
        for high, low in zip(nearest(frame), nearest(picture), strict=True)
    ]
    return float(np.mean(shared)) / NEIGHBOURS


PLANES = {"netlapse, PCA": pca, "netlapse, class means": class_means, "PCA anew at every frame": pca_anew}
EMBEDDINGS = {"t-SNE at every frame": tsne, "UMAP at every frame": umap, "AlignedUMAP": aligned_umap}
HEAD = "| | movement correlation | neighbours kept | exaggerated moves | processor seconds |\n|---|---|---|---|---|"


def measured(
    draw: Callable[[Points, np.ndarray], Places], points: Points, labels: np.ndarray, *, scaled: bool
) -> tuple[float, ...]:
    start = time.process_time()
    places = draw(points, labels)
    seconds = time.process_time() - start
    known = movement(points, places), neighbours(points, places), exaggerated(points, places, scaled=scaled)
    return *known, seconds


def line(name: str, rows: list[tuple[float, ...]]) -> str:
    move, near, longer, seconds = (statistics.median(column) for column in zip(*rows, strict=True))
    return f"| {name} | {move:.2f} | {near:.2f} | {100 * longer:.0f} % | {seconds:.2g} |"


def main(seeds: int) -> None:
    # Of UMAP, about what its own arguments imply.
    warnings.simplefilter("ignore")
    embeddings = EMBEDDINGS if importlib.util.find_spec("umap") else {"t-SNE at every frame": tsne}
    print(f"{machine()}; {EXAMPLES} examples\n")
    with tempfile.TemporaryDirectory() as folder:
        trained = {name: [learn(name, seed, Path(folder)) for seed in range(seeds)] for name in NAMES}
    for name, runs in trained.items():
        print(f"{name}, every epoch ({len(runs[0][0])} frames), median of {seeds} seeds:\n\n{HEAD}")
        for kind, function in PLANES.items():
            print(line(kind, [measured(function, *run, scaled=False) for run in runs]), flush=True)
        print()
    if "UMAP at every frame" in embeddings:
        points, labels = trained[NAMES[0]][0]
        umap(points[:1], labels)  # what is compiled is compiled before the clock starts
        aligned_umap(points[:2], labels)
    for name, runs in trained.items():
        points, labels = runs[0]
        points = points[:: (len(points) - 1) // 20]
        print(f"{name}, {len(points)} frames, one seed:\n\n{HEAD}")
        for draw, scaled in ((PLANES, False), (embeddings, True)):
            for kind, function in draw.items():
                print(line(kind, [measured(function, points, labels, scaled=scaled)]), flush=True)
        print()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
