"""The REST contract in values: what is asked, what is answered and what errors are told, for every web framework alike."""
