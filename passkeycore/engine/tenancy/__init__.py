"""What a server keeps of its tenants beside their users' passkeys, devices and actions. It has no flows of its own.

`records` has the values, `repository` the protocol that a storage of one's own implements.
"""
