"""The rules of a CustomResourceDefinition, one file for each part of it."""
