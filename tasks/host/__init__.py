"""This machine.

gpus.py           its GPUs
packages.py       the packages that locks pin
environment.py    the variables of a run
estimate.py       the memory and disk that a run needs
engine_check.py   whether the engine of the parameters can work
interpreter.py    the interpreter of the stages' processes, and whether it has what they need
written_check.py  the rules and prompts that people write
tracker.py        the experiment tracker to which it reports
preflight.py      the checks before the first expensive step
"""
