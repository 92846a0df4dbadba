"""mnetdsl: a compiler for MobileNets."""
