"""Which handwritten digits are taken for which: look off the diagonal, where a few pairs hold nearly all mistakes."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_digits

import netlapse
from netlapse.keras import Recorder

images, digits = load_digits(return_X_y=True)
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(32, activation="relu", name="hidden"),
        keras.layers.Dense(10, activation="softmax", name="digit"),
    ]
)
model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
probe = images[1000:] / 16, digits[1000:]
recorder = Recorder("runs/confusion", probe=probe, exist="replace")
model.fit(images[:1000] / 16, digits[:1000], epochs=20, batch_size=32, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/confusion")
figure = netlapse.plot(replay, epoch=8, panels=["confusion"], size=(820, 760))
figure.savefig("confusion.png")
