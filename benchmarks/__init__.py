"""What verification costs beyond its cryptography, and beside other libraries: ``python -m benchmarks``.

The figures are ratios within one run. Microseconds of two runs, let alone of two machines, are not comparable.
"""
