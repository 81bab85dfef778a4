"""The plugins, one file each; ``profile`` says which are on, in which order, with what weight."""
