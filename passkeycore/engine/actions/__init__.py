"""Actions: what users are about to do, every flow, once, over storage.

`tracking` begins an action and validates its proof, `challenges` meets its challenge, `sign_in` is for users who are
not known yet, `enrolment` adds authenticators with an action's token; `steps` has what all share, and `service` binds
them. `repository` is what an embedder writes, `records` what is stored.
"""
