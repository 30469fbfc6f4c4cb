"""Batches read ahead by one background thread, without worker processes.

While a step runs, the thread reads the next clips with `CropSet.read` straight from the shards
into one of a few blocks of memory that are used over and over (pinned where the device is a GPU).
Labels, and what else belongs to a batch, lie behind the clips in the block, so that a GPU gets it
all in one copy that nothing waits for.
"""

import math
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

Layout = dict[str, tuple[tuple[int, ...], torch.dtype]]  # {name: (shape, dtype)} of a block
BUFFERS = 3  # one in use, one ready, one being filled
ALIGNMENT = 256  # bytes from the start of a block at which its tensors start: as torch itself does


@dataclass(frozen=True)
class Batch:
    """One batch, on the device. It lives in reused memory: it is valid until the next is taken."""

    number: int
    clips: torch.Tensor  # uint8 (B, T, H, W)
    labels: torch.Tensor  # int64 (B,)
    beside: dict[str, torch.Tensor]  # what `read_ahead` was given to take along


@dataclass(frozen=True)
class LabelledClips:
    """Crop sets seen as one list of entries: `source[i]`, `row[i]` name entry i's clip."""

    sets: list  # CropSet
    labels: list[np.ndarray]  # for each set, the class of each row, int64
    frames: int  # length T of every clip
    side: int  # height and width of every crop

    def read(self, source: np.ndarray, row: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Read entries into `out`, uint8 (B, T, side, side); returns their labels, int64 (B,).

        Entries come ordered by source, so that each source is read in one go.
        """
        labels = np.empty(len(row), np.int64)
        start = 0
        for number, crops in enumerate(self.sets):
            rows = row[source == number]
            stop = start + len(rows)
            if len(rows):
                crops.read(rows, out=out[start:stop])
                labels[start:stop] = self.labels[number][rows]
            start = stop
        return labels


def labelled_clips(sets: list, words: list[str]) -> LabelledClips:
    """Check crop sets against each other and the vocabulary, and number their labels.

    sets: CropSet objects, or None where no entry refers to it. Raises ValueError for an empty set,
    a label that is not in `words`, or clips of unequal length.
    """
    classes = {word: number for number, word in enumerate(words)}
    labels, lengths = [], set()
    for crops in sets:
        if crops is None:
            labels.append(np.zeros(0, np.int64))
            continue
        if not len(crops.index):
            raise ValueError(f"{crops.folder} holds no accepted clip; look at its rejects.parquet")
        if unknown := sorted(set(crops.index["label"]) - set(classes)):
            raise ValueError(
                f"{crops.folder} has clips of {', '.join(map(repr, unknown[:5]))}, which are not "
                f"among the {len(words)} words to recognise; add them or leave the clips out"
            )
        labels.append(crops.index["label"].map(classes).to_numpy(np.int64))
        lengths |= set(crops.index["length"].tolist())
    if len(lengths) != 1:
        folders = ", ".join(str(crops.folder) for crops in sets if crops is not None)
        raise ValueError(
            f"clips of {sorted(lengths)} frames in {folders}; a batch needs clips of one length"
        )
    sizes = {crops.frame_size for crops in sets if crops is not None}
    if len(sizes) != 1 or len(set(min(sizes))) != 1:
        raise ValueError(f"crops of sizes {sorted(sizes)}; all must be equal squares")
    return LabelledClips(sets, labels, lengths.pop(), sizes.pop()[0])


@contextmanager
def read_ahead(
    clips: LabelledClips,
    entries: Callable[[int], tuple[np.ndarray, np.ndarray]],
    numbers: range,
    batch_size: int,
    device: torch.device | str = "cpu",
    beside: Callable[[int], dict[str, torch.Tensor]] | None = None,
) -> Iterator[Iterator[Batch]]:
    """Context manager that yields an iterator over the batches `numbers`, in order.

    entries: batch number -> (source, row), at most `batch_size` of each. device: where the batches
    go, by pinned memory and asynchronous copies for a GPU. beside: batch number -> tensors on the
    CPU that go along with the clips. An error of the reading thread is raised where the batch is
    taken. Leaving the block, also in the middle, ends the thread.
    """
    device = torch.device(device)
    pinned = device.type == "cuda"
    # A thread starts on the first GPU, whichever its process has chosen.
    gpu = torch.cuda.current_device() if pinned and device.index is None else device.index
    ready: queue.Queue = queue.Queue()
    free: queue.Queue = queue.Queue()
    for _ in range(BUFFERS):
        free.put((torch.empty(0, dtype=torch.uint8), None))
    stop = object()

    def fill():
        try:
            if pinned:
                torch.cuda.set_device(gpu)
            for number in numbers:
                taken = free.get()
                if taken is stop:
                    return
                block, copied = taken
                if copied is not None:
                    copied.synchronize()  # the copy to the GPU still reads the block until then
                source, row = entries(number)
                others = beside(number) if beside else {}
                shape = (len(row), clips.frames, clips.side, clips.side)
                layout: Layout = {"clips": (shape, torch.uint8), "labels": (shape[:1], torch.int64)}
                layout |= {
                    name: (tuple(value.shape), value.dtype) for name, value in others.items()
                }
                if len(block) < _size(layout):  # room for a whole batch, if this one is smaller
                    room = _size(layout) * batch_size // len(row)
                    block = torch.empty(room, dtype=torch.uint8, pin_memory=pinned)
                parts = _parts(block, layout)
                labels = clips.read(source, row, parts["clips"].numpy())
                for name, value in {"labels": torch.from_numpy(labels), **others}.items():
                    parts[name].copy_(value)
                ready.put((number, block, layout))
        except BaseException as error:  # handed to the consumer, which raises it
            ready.put(error)

    def batches() -> Iterator[Batch]:
        for _ in numbers:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            number, block, layout = item
            there, copied = block, None
            if pinned:
                there = block[: _size(layout)].to(device, non_blocking=True)
                copied = torch.cuda.Event()
                copied.record()
            parts = _parts(there, layout)
            yield Batch(number, parts.pop("clips"), parts.pop("labels"), beside=parts)
            free.put((block, copied))

    thread = threading.Thread(target=fill, name="read-ahead", daemon=True)
    thread.start()
    try:
        yield batches()
    finally:
        free.queue.clear()
        free.put(stop)
        thread.join()


def _ends(layout: Layout) -> Iterator[tuple[str, int, int]]:
    """(name, start, end) in bytes of the tensors {name: (shape, dtype)} within a block."""
    end = 0
    for name, (shape, dtype) in layout.items():
        start = -(-end // ALIGNMENT) * ALIGNMENT
        end = start + math.prod(shape) * dtype.itemsize
        yield name, start, end


def _size(layout: Layout) -> int:
    return max(end for _, _, end in _ends(layout))


def _parts(block: torch.Tensor, layout: Layout) -> dict[str, torch.Tensor]:
    """Views of a block, uint8 (N,), as tensors {name: (shape, dtype)}."""
    return {
        name: block[start:end].view(layout[name][1]).view(layout[name][0])
        for name, start, end in _ends(layout)
    }
