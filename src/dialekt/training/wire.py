"""Between the processes that share a training: who they are, and how orders and tensors get from one to another.

No process group is made known to torch: libraries that see one share their own work with processes that wait for ours
(the library's Trainer does so when it evaluates, and wraps the model).
"""

import pickle
import socket
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from dialekt.training.launch import Launch

LONGEST_WAIT = timedelta(days=7)
"""Helpers wait while the leader scores, mines or walks the stages before; a leader that dies is noticed at once."""

LEADER = 0


def device_of(launch: Launch, kind: str) -> torch.device:
    """Return a process's device of a kind; a worker that sees one GPU has that one."""
    if kind != "cuda":
        return torch.device(kind)
    return torch.device(kind, launch.local_rank % torch.cuda.device_count())


class Wire:
    """Connects the leader with its helpers; every method but `give` and `take` is called by all of them."""

    def __init__(self, launch: Launch) -> None:
        """Meet the others, which may take as long as it takes."""
        url = f"tcp://{launch.address}:{launch.port}"
        meeting = rendezvous(url, rank=launch.rank, world_size=launch.size, timeout=LONGEST_WAIT)
        store, rank, size = next(meeting)
        self.rank, self.size = int(rank), int(size)
        self._store = store
        orders = PrefixStore("orders", store)
        self._orders: Any = dist.ProcessGroupGloo(orders, self.rank, self.size, LONGEST_WAIT)
        self._tensors: Any = self._orders

    def use(self, device: torch.device) -> None:
        """Send tensors of this device from now on: those of a GPU go from one to the other."""
        if device.type == "cuda" and self._tensors is self._orders:
            torch.cuda.set_device(device)
            options = dist.ProcessGroupNCCL.Options()
            options._timeout = LONGEST_WAIT
            store = PrefixStore("tensors", self._store)
            self._tensors = dist.ProcessGroupNCCL(store, self.rank, self.size, options)

    def cut(self) -> None:
        """End all connections, whoever waits at their other ends; a process that dies does the same.

        They end with their owners: aborting a group of gloo leaves its connections open (torch 2.13).
        """
        self._orders = self._tensors = None

    def give(self, helper: int, order: object) -> None:
        """Send an object to a helper."""
        content = torch.frombuffer(bytearray(pickle.dumps(order)), dtype=torch.uint8)
        self._orders.send([torch.tensor([len(content)])], helper, 0).wait()
        self._orders.send([content], helper, 0).wait()

    def take(self) -> Any:
        """Wait for an object from the leader."""
        length = torch.zeros(1, dtype=torch.int64)
        self._orders.recv([length], LEADER, 0).wait()
        content = torch.empty(int(length), dtype=torch.uint8)
        self._orders.recv([content], LEADER, 0).wait()
        return pickle.loads(content.numpy().tobytes())  # noqa: S301 - from the process that leads this one

    def spread(self, tensor: Tensor) -> None:
        """Make a tensor everywhere what it is at the leader."""
        options = dist.BroadcastOptions()
        options.rootRank, options.rootTensor = LEADER, 0
        self._tensors.broadcast([tensor], options).wait()

    def add_up(self, tensor: Tensor) -> None:
        """Make a tensor at the leader the sum of what it is everywhere; elsewhere it is then of no use."""
        options = dist.ReduceOptions()
        options.reduceOp = dist.ReduceOp(dist.ReduceOp.SUM)
        options.rootRank, options.rootTensor = LEADER, 0
        self._tensors.reduce([tensor], options).wait()


def meet(rank: int, size: int, local_rank: int, host: str) -> Launch:
    """Agree on a place on the leader's machine, in processes that a launcher has put into a process group.

    That group ends, so that no library finds it.
    """
    place = [""]
    if rank == LEADER:
        with socket.socket() as free:
            free.bind(("", 0))
            place = [f"{host}:{free.getsockname()[1]}"]
    dist.broadcast_object_list(place, src=LEADER)
    dist.destroy_process_group()
    address, _, port = place[0].rpartition(":")
    return Launch(rank, size, local_rank, address, int(port))
