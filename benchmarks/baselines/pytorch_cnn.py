"""PyTorch on the recipe cnn with minmax: the same network and augmentation, resident data, channels last."""

import math
from itertools import pairwise

import torch
from torch.nn import functional

from harness import EpochTimer, Task

task = Task.from_argv()
recipe = task.recipe
torch.set_flush_denormal(True)
torch.set_num_threads(task.threads)
torch.manual_seed(task.seed)
x_train, y_train, x_test, y_test = (
    torch.from_numpy(array) for array in task.arrays("x_train", "y_train", "x_test", "y_test")
)
y_train = y_train.long()


def make_network() -> torch.nn.Sequential:
    """Patches of 2 x 2 pixels, 3 x 3 convolutions with pooling between blocks, the maximum over all places."""
    layers: list[torch.nn.Module] = [torch.nn.PixelUnshuffle(2)]
    widths = [4]
    for block in recipe.blocks:
        if len(layers) > 1:
            layers.append(torch.nn.MaxPool2d(2))
        widths = [widths[-1], *block]
        for before, width in pairwise(widths):
            convolution = torch.nn.Conv2d(before, width, 3, padding="same", bias=False)
            layers += [convolution, torch.nn.BatchNorm2d(width), torch.nn.ReLU(inplace=True)]
    layers += [torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten(), torch.nn.Linear(widths[-1], 10)]
    return torch.nn.Sequential(*layers).to(memory_format=torch.channels_last)


def augment(images: torch.Tensor) -> torch.Tensor:
    """Warp images (n, 1, 28, 28) as `digits.training.augmentation` does."""
    limits, count = recipe.augmentation, len(images)

    def uniform(limit: float) -> torch.Tensor:
        return (2 * torch.rand(count) - 1) * limit

    angle = uniform(math.radians(limits["rotation"]))
    wide, high = (torch.exp(uniform(math.log1p(limits["scale"]))) for _ in range(2))
    shear = uniform(limits["shear"])
    right, down = (uniform(limits["shift"]) / 14 for _ in range(2))
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = [
        torch.stack([(shear * sin + cos) * wide, sin * high, right], 1),
        torch.stack([(shear * cos - sin) * wide, cos * high, down], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


timer = EpochTimer()
network = make_network()
adam = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
steps = recipe.epochs * math.ceil(len(y_train) / recipe.batch_size)
schedule = torch.optim.lr_scheduler.OneCycleLR(adam, recipe.learning_rate, steps, pct_start=0.25, cycle_momentum=False)
for _ in range(recipe.epochs):
    for batch in torch.randperm(len(y_train)).split(recipe.batch_size):
        images = augment(x_train[batch].unsqueeze(1)).to(memory_format=torch.channels_last)
        logits = network(images)
        loss = functional.cross_entropy(logits, y_train[batch], label_smoothing=recipe.label_smoothing)
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
    timer.end_epoch()

network.eval()
with torch.no_grad():
    timer.report(float((network(x_test.unsqueeze(1)).argmax(1) == y_test).float().mean()))
