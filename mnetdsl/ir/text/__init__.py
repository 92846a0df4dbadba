"""MLIR text in: lexer, parser to a tree, reader from the tree to a module. Text out is `mnetdsl.ir.printer`."""
