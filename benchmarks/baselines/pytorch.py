"""PyTorch without a DataLoader: resident data, batches by index, fused Adam."""

from itertools import pairwise

import torch

from harness import EpochTimer, Task

task = Task.from_argv()
torch.set_flush_denormal(True)
torch.set_num_threads(task.threads)
torch.manual_seed(task.seed)
x_train, y_train, x_test, y_test = (
    torch.from_numpy(array) for array in task.arrays("x_train", "y_train", "x_test", "y_test")
)
y_train = y_train.long()

timer = EpochTimer()
widths = [28 * 28, *task.recipe.hidden]
hidden = [layer for width, units in pairwise(widths) for layer in (torch.nn.Linear(width, units), torch.nn.ReLU())]
model = torch.nn.Sequential(torch.nn.Flatten(), *hidden, torch.nn.Linear(widths[-1], 10))
adam = torch.optim.Adam(model.parameters(), lr=task.recipe.learning_rate, eps=1e-7, fused=True)
for _ in range(task.recipe.epochs):
    for batch in torch.randperm(len(y_train)).split(task.recipe.batch_size):
        loss = torch.nn.functional.cross_entropy(model(x_train[batch]), y_train[batch])
        adam.zero_grad()
        loss.backward()
        adam.step()
    timer.end_epoch()

with torch.no_grad():
    timer.report(float((model(x_test).argmax(1) == y_test).float().mean()))
