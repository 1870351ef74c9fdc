"""Ten digits in 32 dimensions, seen from all sides as they are learnt: clusters that hide each other turn apart."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from sklearn.datasets import load_digits

import netlapse
from netlapse.keras import Recorder

images, digits = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(32, "tanh", name="hidden"),
        keras.layers.Dense(10, "softmax", name="digit"),
    ]
)
model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
recorder = Recorder("runs/grand_tour", probe=(images, digits), probe_size=600, exist="replace")
model.fit(images, digits, epochs=24, batch_size=64, verbose=0, callbacks=[recorder])

replay = netlapse.open("runs/grand_tour")
tour = [netlapse.panels.GrandTour(stops=3)]
netlapse.plot(replay, panels=tour, size=(720, 640)).savefig("grand_tour.png")
netlapse.film(replay, "grand_tour.gif", panels=tour, size=(560, 500), dpi=90, between=1, fps=12)
