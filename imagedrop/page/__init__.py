"""The page on this machine: a loopback server that signs the page's calls to the stack's API."""
