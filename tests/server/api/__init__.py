"""Our own JSON API: every route, who may call it, its document, and the life of a user in Chromium within each host."""
