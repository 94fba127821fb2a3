"""Tests of the actions' flows: every one in both colours, in memory; races, stories and crashes on real storages."""
