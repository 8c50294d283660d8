"""Tests of specbuild.ops."""
