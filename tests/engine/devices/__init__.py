"""Tests of the flows of trusted devices, each in both colours, over memory where nothing else is said."""
