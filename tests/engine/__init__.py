"""Tests of the engine: every flow in both colours, over repositories in memory."""
