"""Lightning's autoencoder on handwritten digits: one more callback records how their codes of two numbers unfold."""

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn, utils

import netlapse
from netlapse.lightning import Recorder


class AutoEncoder(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))
        self.decoder = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 64))

    def training_step(self, batch, batch_idx):
        return nn.functional.mse_loss(self.decoder(self.encoder(batch[0])), batch[0])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=5e-3)


X = torch.tensor(load_digits().data / 16, dtype=torch.float32)
recorder = Recorder("runs/codes", probe=(X, X), loss=nn.MSELoss(), forward=lambda m, x: m.decoder(m.encoder(x)))
trainer = lightning.Trainer(max_epochs=40, callbacks=[recorder], logger=False, enable_checkpointing=False)
trainer.fit(AutoEncoder(), utils.data.DataLoader(utils.data.TensorDataset(X), batch_size=64, shuffle=True))
replay = netlapse.open("runs/codes")
print(replay, replay.losses().mean(axis=1), replay.activations("encoder.2").shape)
