"""`python -m tests.bench.dtype_bench`: a matrix product of pocket in float32 and in bf16, in GFLOP/s of one thread."""

import time

import torch

ROWS, WIDTH, WIDE, TIMES = 256, 576, 1536, 60  # tokens, and the widths of pocket's decoder


def main() -> None:
    """Print a line for each type."""
    torch.set_num_threads(1)
    for kind in (torch.float32, torch.bfloat16):
        tokens, weights = torch.randn(ROWS, WIDTH).to(kind), torch.randn(WIDE, WIDTH).to(kind)
        _ = tokens @ weights.T
        began = time.process_time()
        for _ in range(TIMES):
            _ = tokens @ weights.T
        seconds = (time.process_time() - began) / TIMES
        print(f"{kind}: {2 * ROWS * WIDTH * WIDE / seconds / 1e9:.1f} GFLOP/s")


if __name__ == "__main__":
    main()
