"""Random changes to training images: horizontal flips, and crops of the padded image (Krizhevsky et al. 2012).

Legend: L lanes, B examples, C channels, H, W positions, p padding.
"""

import torch
from torch import Tensor
from torch.nn import functional

from actinium.trial import Augmentation
from workers.draws import StepDraws


def augmented(inputs: Tensor, level: Augmentation, draws: StepDraws, *, lane_axis: int) -> Tensor:
    """Inputs ([L, B, C, H, W] or [B, L, C, H, W], by `lane_axis`), each image flipped and moved by draws of its own.

    Image b of a step moves alike in all lanes of one seed. Where the padded border shows, inputs are 0: where
    they are z-scored, the mean of the training part.
    """
    images = inputs if lane_axis == 0 else inputs.transpose(0, 1)
    lanes, examples, channels, height, wide = images.shape
    chance = draws.uniform("augmentation", "inputs", slice(None), (examples, 3)).flatten(0, 1).unsqueeze(1)
    room = 2 * level.crop + 1
    rows = torch.arange(height, device=inputs.device) + (chance[..., 0] * room).long()
    columns = torch.arange(wide, device=inputs.device)
    if level.flip:
        columns = torch.where(chance[..., 1] < 0.5, columns.flip(0), columns)
    columns = columns + (chance[..., 2] * room).long()
    padded = functional.pad(images.flatten(0, 1), (level.crop,) * 4)
    image = torch.arange(lanes * examples, device=inputs.device).view(-1, 1, 1, 1)
    channel = torch.arange(channels, device=inputs.device).view(1, -1, 1, 1)
    moved = padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]].view(images.shape)
    return moved if lane_axis == 0 else moved.transpose(0, 1)
