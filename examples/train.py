"""Train a linear head on a training list, and test it on folders of images.

python examples/train.py LIST MODEL_FOLDER TEST_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import open_clip
import torch
from PIL import Image

listing, model_folder, test_folder = sys.argv[1:]
model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{model_folder}")
model.eval()


def features(paths: list[str]) -> torch.Tensor:
    with torch.no_grad():
        batches = [torch.stack([preprocess(Image.open(p).convert("RGB")) for p in b]) for b in chunks(paths)]
        return torch.cat([model.encode_image(batch, normalize=True) for batch in batches]).float()


def chunks(paths: list[str], size: int = 64) -> list[list[str]]:
    return [paths[at : at + size] for at in range(0, len(paths), size)]


torch.manual_seed(0)
paths, labels, _ = zip(
    *(line.rsplit(maxsplit=2) for line in Path(listing).read_text().splitlines()), strict=True
)
x, y = features(list(paths)), torch.tensor(list(map(int, labels)))
head = torch.nn.Linear(x.shape[1], int(y.max()) + 1)
optimizer = torch.optim.AdamW(head.parameters(), lr=0.05)
for epoch in range(60):
    for batch in torch.randperm(len(x)).split(32):
        loss = torch.nn.functional.cross_entropy(head(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 20 == 19:
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

test = sorted(Path(test_folder).glob("*/*"))  # folders named 0 to 9, by class id
guesses = head(features([str(path) for path in test])).argmax(1)
right = sum(int(path.parent.name) == guess for path, guess in zip(test, guesses.tolist(), strict=True))
print(f"{right} of {len(test)} test images are right: {right / len(test):.1%}")
