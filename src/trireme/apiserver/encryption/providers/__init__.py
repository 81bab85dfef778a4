"""The providers of EncryptionConfiguration, one file each. ``contract`` is what they fulfil."""
