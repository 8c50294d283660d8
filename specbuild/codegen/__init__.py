"""Lowers model graphs to code trees and prints them as Python source. Knows no op and no framework."""
