"""`mmafflm train --resume` on a node of two: a fork of tests/forks.py, in the network of a namespace of this machine.

Its rank is a fork too, without llamafactory-cli and torchrun. Words: the recipe, DATA, OUT, the base, HOST:PORT of the
first node, and the two namespaces; $RANK is the number of the node.
"""

import ctypes
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import mmafflm.train.run as train_module
from mmafflm.dataset import Dataset

CLONE_NEWNET = 0x40000000


def main() -> None:
    """Be the node."""
    recipe, data, out, base, master, *hosts = sys.argv[1:]
    node = int(os.environ["RANK"])
    network = os.open(f"/run/netns/{hosts[node]}", os.O_RDONLY)
    assert not ctypes.CDLL(None).setns(network, CLONE_NEWNET)
    vars(train_module)["run"] = rank
    train_module.train(Path(recipe), Dataset.open(Path(data)), Path(out), gpus=1, nodes=len(hosts), node_rank=node,
                       master=master, base=base, resume=True)  # fmt: skip


def rank(config: Path, out: Path, env: dict[str, str], node_rank: int, beat: Callable[[], None]) -> int:
    """In place of launch.run: the node's only rank."""
    child = os.fork()
    if child == 0:
        os._exit(_train(config, env | {"RANK": str(node_rank), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}))
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        beat()
        time.sleep(0.1)
    return os.waitstatus_to_exitcode(ended[1])


def _train(config: Path, env: dict[str, str]) -> int:
    import datasets
    from llamafactory.train.tuner import run_exp
    from torch.distributed import TCPStore

    os.environ.update(env)
    # As torchrun's: no rank reads the config before node 0, which writes it, has started its own rank.
    port = int(env["MASTER_PORT"]) + 1
    met = TCPStore(env["MASTER_ADDR"], port, int(env["NNODES"]), env["NODE_RANK"] == "0", wait_for_workers=True)
    datasets.config.HF_DATASETS_CACHE = Path(env["HF_DATASETS_CACHE"])  # read from the environment at import
    sys.argv = ["program", str(config)]
    try:
        run_exp()
        del met
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
