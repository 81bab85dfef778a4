"""One file per verb: read what the request says, ask the registry or the store, form the reply."""
