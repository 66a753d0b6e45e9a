"""The needs of a run, known before it starts: parameters, memory and time of a decoder as pure functions; nothing is loaded."""
