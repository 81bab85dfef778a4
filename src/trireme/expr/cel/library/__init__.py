"""The function libraries, one file each; ``environment`` says which version has which."""
