"""Reinforcement learning: advantages, the TRL trainer they are put into, and the stage `ifpo`."""
