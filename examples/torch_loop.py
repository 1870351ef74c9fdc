"""A PyTorch loop that stays yours: one `with` around it and one call inside record it."""

import torch
from torch import nn

import netlapse
from netlapse.datasets import parabolas
from netlapse.torch import Recorder

torch.manual_seed(42)
X, y = parabolas()
inputs, targets = torch.tensor(X).float(), torch.tensor(y).float().reshape(-1, 1)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, targets), batch_size=16, shuffle=True)
model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
criterion, optimizer = nn.BCEWithLogitsLoss(), torch.optim.SGD(model.parameters(), lr=0.05)

settings = {"optimizer": optimizer, "loss": criterion, "steps_per_epoch": len(loader), "exist": "replace"}
with Recorder("runs/loop", model, probe=(X, y), **settings) as recorder:
    for _ in range(40):
        for batch, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(batch), labels)
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss)

netlapse.plot(netlapse.open("runs/loop"), epoch=20).savefig("loop.png")
