"""The training of MMAFFLM (plan, launch, stream, watch), and the code that it shares with the build and the evaluation."""
