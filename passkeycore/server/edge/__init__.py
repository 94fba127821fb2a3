"""What is around every request of the server, whichever room answers it.

`http` has bodies, headers and request ids, `cors` the pages of other origins, `limits` how many requests are answered,
`access_log` a line for each, and `protocol` the bounds of a connection.
"""
