"""Rewards: verified answers, and the reward of one rollout."""
