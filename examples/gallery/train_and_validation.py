"""Where a network that learns its examples by heart parts from what it makes of new ones: the gap, and who is in it."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_breast_cancer

import netlapse
from netlapse.keras import Recorder

data = load_breast_cancer()
X = ((data.data - data.data.mean(axis=0)) / data.data.std(axis=0)).astype("float32")
train, validation = (X[:80], data.target[:80]), (X[80:], data.target[80:])
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(1, "sigmoid")])
model.compile(keras.optimizers.Adam(0.005), "binary_crossentropy")
recorder = Recorder(
    "runs/gap", probe=train, validation=validation, class_names=["malignant", "benign"], exist="replace"
)
model.fit(*train, epochs=60, batch_size=16, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/gap")
panels = [
    "class_probabilities",
    netlapse.panels.ClassProbabilities(split="validation"),
    netlapse.panels.SampleLosses(split="validation"),
    "curves",
]
netlapse.plot(replay, panels=panels).savefig("train_and_validation.png")
