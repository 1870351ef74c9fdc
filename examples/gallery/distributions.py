"""Three layers learn digits: watch weights widen, gradients fade, and the share of silent ReLUs grow.

Violins show all layers at one epoch; bands and ridges follow each layer through the run.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_digits

import netlapse
from netlapse import panels
from netlapse.keras import Recorder

X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")

keras.utils.set_random_seed(1)
dense = keras.layers.Dense
model = keras.Sequential(
    [
        keras.Input((64,)),
        dense(64, "relu", name="hidden1"),
        dense(32, "relu", name="hidden2"),
        dense(10, "softmax", name="output"),
    ]
)
model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
recorder = Recorder("runs/digits", probe=(X[:500], y[:500]), exist="replace")
model.fit(X, y, epochs=20, batch_size=64, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/digits")
shown = [
    panels.Weights(),
    panels.Gradients(),
    panels.Activations(),
    panels.Weights(style="bands"),
    panels.PreActivations(style="ridgeline"),
    panels.LayerStatistics(kind="activations", statistic="zeros"),
]
netlapse.plot(replay, 10, panels=shown, size=(1600, 1000)).savefig("distributions.png")
