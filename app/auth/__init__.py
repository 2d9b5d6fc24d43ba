"""Who may call: Basic and Bearer authentication. Imported only when it is on, since PyJWT costs 15 MiB and 70 ms."""
