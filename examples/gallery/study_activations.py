"""Does ReLU learn faster than tanh? Fifty networks each: when they have all cases right, how their losses fall.

Follow the curves to their ends: some networks with ReLU never get there, and their tiles show what they make of the
plane instead.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from matplotlib.figure import Figure

from netlapse.figures import studies
from netlapse.study.article import article
from netlapse.study.outcomes import outcomes, split
from netlapse.study.survival import survival

study = article("studies/activations", seeds=50, space={"activation": ["tanh", "relu"]}).run()
table, loss = study.table, study.curves("loss")
print(*(finding.text for finding in study.findings("activation")), sep="\n")

when, rows = outcomes(table), split(table, "activation")
figure = Figure(figsize=(15, 5.5), dpi=110, layout="constrained")
left, right = figure.subplots(1, 2)
studies.survival_curves({name: survival(when.of(chosen)) for name, chosen in rows.items()}, left)
diverged = {name: when.diverged[chosen] for name, chosen in rows.items()}
studies.loss_bands({name: loss[chosen] for name, chosen in rows.items()}, right, diverged=diverged)
figure.savefig("study_activations.png")

relu = study.boundaries(setting=1, most=49)
for_good = table.set_index("network")["right_for_good"].notna()
verdicts = ["right" if for_good[network] else "wrong" for network in relu.networks]
figure = Figure(figsize=(10, 10.4), dpi=110, layout="constrained")
studies.decision_boundaries(relu, verdicts, figure.subplots())
figure.savefig("study_activations_boundaries.png")
