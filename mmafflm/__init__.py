"""The training of MMAFFLM (plan, launch, stream, watch), and the code that it shares with build and evaluation."""
