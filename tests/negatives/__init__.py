"""The negative tests: a valid ceremony, one change to it, one code that it must end in.

What belongs here: refusals, and the neighbouring inputs that must still be accepted. A case has the id of the row of
the attack matrix that it stands for (R registration, A authentication, B CBOR, J JSON, N and P attestation, X
certificates, K keys, D storage, V users), a dot where a row has several variants, and a few words:
`R18.slash-origin-with-a-slash`.

    ceremonies.py    valid ceremonies, played with `passkeycore.testing`, and the ways to change one
    changes.py       changes that several tables make
    harness.py       what a case states, and how the engine is held to it
    rows.py          every row that this repository answers for
    later.py         the rows that wait for a later layer, and which
    tables/          the cases, a table for each subject
    sweeps.py        the rows that are loops; races.py: those about the engine
    flows.py         cases of the engine: a start, a change, a finish, over a fresh repository, in both colours
    product.py       codes of devices, actions and webhooks, in which none of these cases ends
    through.py       every ceremony of the tables once more through the engine
    test_cases.py    runs both, and names the cases that are open: that the engine fails at present
    test_harness.py  the harness on itself; test_completeness.py: no row and no code is forgotten

Nothing may depend on `assert` in the engine, so everything also runs under `python -O`, once in every run by
`test_optimised.py`, which does

    python -O -m tests.negatives

and by hand, with pytest's own reports, by

    python -O -m pytest tests/negatives -q -x -p no:cacheprovider -W ignore::pytest.PytestConfigWarning
"""
