"""What is around every request of the server, whichever room answers it.

`http` has bodies, headers and request ids, `cors` the pages of other origins, `limits` how many requests are answered,
and `access_log` a line for each.
"""
