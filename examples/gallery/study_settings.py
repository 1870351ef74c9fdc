"""Which hyper-parameters matter, and together with which? Twelve combinations of three, sixteen networks of each.

Look in the grid for a learning rate that suits one activation only, and follow the bright lines back to their settings.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from matplotlib.figure import Figure

from netlapse.figures import studies
from netlapse.study.article import article
from netlapse.study.grid import grid
from netlapse.study.outcomes import split

space = {
    "activation": ["tanh", "relu"],
    "learning_rate": [0.05, 0.5, 5.0],
    "initializer": ["glorot_normal", "random_normal"],
}
table = article("studies/settings", seeds=16, space=space, epochs=60).run().table
# The loss of a network that diverged is no number.
loss = table["final_loss"].to_numpy()

figure = Figure(figsize=(15, 9), dpi=110, layout="constrained")
axes = figure.subplot_mosaic([["ridges", "grid"], ["coordinates", "coordinates"]])
rates = {name: loss[chosen] for name, chosen in split(table, "learning_rate").items()}
studies.ridges(rates, axes["ridges"])
studies.setting_grid(grid(table, "activation", "learning_rate"), axes["grid"], form=".0%")
studies.parallel_coordinates({name: table[name].tolist() for name in space}, loss, axes["coordinates"])
figure.savefig("study_settings.png")
