"""A Kubernetes API of our own, for training and tests: the part of the real one that people and tools use.

A generic store serves every kind in the table `kinds`; controllers and kubelet talk to it by REST only, as the real
ones do, so that either side can stand beside a real one.
"""
