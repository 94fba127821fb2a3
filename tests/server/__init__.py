"""The server over HTTP: the platform here, and each dialect and room in a folder of its name, all with `kit`."""
