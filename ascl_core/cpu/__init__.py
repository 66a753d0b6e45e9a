"""Faster on a CPU, with the same results: a decoder, attention, log-probabilities and a turn sampler."""
