"""What makes a CPU fast enough: a decoder, attention, log-probabilities and a turn sampler with the results of the plain ones."""
