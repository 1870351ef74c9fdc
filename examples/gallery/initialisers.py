"""Five hidden layers of 100 units before training: do signals and gradients keep their size on the way through?

Follow the violins: Glorot keeps both level under tanh, He under ReLU; normal(0.01) lets both vanish within five layers,
and under sigmoids the gradients always do. After Glorot and Bengio (2010) and He et al. (2015).
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from matplotlib.figure import Figure

import netlapse
from netlapse import datasets, figures
from netlapse.keras import capture

X, y = datasets.ball(300, dimensions=10)
initialisers = {
    "normal(0.01)": keras.initializers.RandomNormal(stddev=0.01),
    "Glorot": keras.initializers.GlorotNormal(),
    "He": keras.initializers.HeNormal(),
}
hidden = ["1", "2", "3", "4", "5"]

figure = Figure(figsize=(14, 9), dpi=120, layout="constrained")
axes = figure.subplots(3, 6)
for row, activation in enumerate(["sigmoid", "tanh", "relu"]):
    for column, (name, initialiser) in enumerate(initialisers.items()):
        keras.utils.set_random_seed(42)
        start = {"kernel_initializer": initialiser}
        layers = [keras.layers.Dense(100, activation=activation, name=layer, **start) for layer in hidden]
        output = keras.layers.Dense(1, activation="sigmoid", name="output", **start)
        model = keras.Sequential([keras.Input((10,)), *layers, output])
        model.compile(loss="binary_crossentropy")
        capture(model, f"runs/{activation}-{column}", (X, y), exist="replace")
        replay = netlapse.open(f"runs/{activation}-{column}")
        for kind, ax in zip(("activations", "layer_gradients"), axes[row, 2 * column : 2 * column + 2], strict=True):
            measure = replay.distributions(kind, hidden, log=True)
            figures.distributions(measure, ax, title=f"{activation}, {name}" if kind == "activations" else "")
            first, last = measure.rms[0, [0, -1]]
            kept, words = (last / first, "activations") if kind == "activations" else (first / last, "gradients")
            good = 0.1 < kept < 10
            ax.set_xlabel(rf"{words} $\times$ {kept:.1g}", color="#22262E" if good else "#C2185B", size=11.5)
            ax.set(ylim=(1e-11, 9), ylabel="magnitude" if ax is axes[row, 0] else "")
            ax.tick_params(labelleft=ax is axes[row, 0])
figure.suptitle(
    r"Before training: activations and gradients $\partial L/\partial z$ of five hidden layers,"
    " and how much is left after all five (RMS)",
    size=14,
)
figure.savefig("initialisers.png")
