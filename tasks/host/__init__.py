"""This machine.

gpus.py           its GPUs
environment.py    the variables of a run
estimate.py       the memory and disk that a run needs
engine_check.py   whether the engine of the parameters can work
preflight.py      every check before the first expensive step
"""
