"""README.md, executed: `blocks` reads it, `sites` runs its quick starts in real applications, `test_…` hold it to them.

`yours` is the module that the examples call so: the application around them.
"""
