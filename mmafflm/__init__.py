"""What the benchmark and the build share, and the training of MMAFFLM: plan, launch, stream, watch."""
