"""Supervised fine-tuning: the teacher's trajectories, the base model and the trainer."""
