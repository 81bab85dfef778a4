# Made by scripts/stubs.
from .volumeattributesclass import VolumeAttributesClass as VolumeAttributesClass
