"""Every diagnostic code, once. The page behind `mnet explain CODE` is `pages/CODE.md`."""

from __future__ import annotations

CODES: dict[str, str] = {
    # MN01xx: lexing and parsing
    "MN0101": "a character that the language does not have",
    "MN0102": "something stands where it cannot stand",
    "MN0103": "text in quotes does not end",
    "MN0104": "no edition, or one that is not known",
    "MN0105": "a bracket is not closed",
    "MN0106": "a bracket closes nothing",
    "MN0107": "a word or mark of another language",
    "MN0108": "else without if",
    "MN0109": "a doc comment that describes nothing",
    "MN0110": "brackets nested too deeply",
    "MN0111": "a word of the language as a name",
    "MN0112": "outside a model or block",
    "MN0113": "a value that is not used",
    "MN0114": "= in the wrong place",
    "MN0115": "comparisons cannot be chained",
    "MN0116": "the line ends too early",
    "MN0117": "something behind a complete statement",
    "MN0118": "a comma is missing",
    "MN0119": "a row does not fit its table",
    # MN02xx: names
    "MN0201": "unknown name",
    "MN0202": "defined twice",
    "MN0203": "unknown operation or block",
    "MN0204": "unknown name in use",
    "MN0205": "two layers of one name",
    "MN0206": "nothing to name",
    "MN0207": "files use each other in a circle",
    "MN0208": "nothing to use at this path",
    "MN0209": "the name already has a meaning",
    # MN03xx: types, calls and parameters
    "MN0301": "wrong type",
    "MN0302": "missing argument",
    "MN0303": "unknown parameter",
    "MN0304": "too many arguments",
    "MN0305": "given twice",
    "MN0306": "cannot be called",
    "MN0307": "operator on values that it does not fit",
    "MN0308": "a condition must be a bool",
    "MN0309": "unknown attribute",
    "MN0310": "value out of range",
    "MN0311": "number of values differs",
    "MN0312": "nothing to iterate",
    "MN0313": "index outside the list",
    "MN0314": "a block without return",
    "MN0315": "model parameter unknown or without value",
    "MN0316": "unknown type of a parameter",
    "MN0317": "a parameter without default behind one with",
    # MN04xx: shapes
    "MN0401": "shapes differ",
    "MN0402": "wrong number of dimensions",
    "MN0403": "the layer does not fit its input",
    "MN0404": "tensors cannot be joined",
    "MN0405": "reshape changes the number of elements",
    # MN05xx: compile-time evaluation and its bounds
    "MN0501": "division by zero",
    "MN0502": "blocks without end",
    "MN0503": "too much work at compile time",
    "MN0504": "number out of range",
    "MN0505": "assertion failed",
    "MN0506": "tensor too large",
    # MN06xx: inputs, outputs and deploy sections
    "MN0601": "model without input",
    "MN0602": "model without output",
    "MN0603": "unknown element type of an input",
    "MN0604": "unknown setting",
    "MN0605": "mean or std does not fit the input",
    "MN0606": "two inputs or outputs of one name",
    "MN0607": "an output must be a tensor",
    "MN0608": "input or output inside a block",
    "MN0609": "unknown model to deploy",
    "MN0610": "malformed section of a deploy",
    "MN0611": "no model in the file",
    "MN0612": "several networks in the file",
    "MN0613": "return outside a block",
    "MN0614": "number of labels differs from classes",
    "MN0615": "color does not fit the channels",
    "MN0616": "labels cannot be read",
    "MN0620": "array for an input is missing or unknown",
    "MN0621": "array does not fit the input",
    # MN07xx: weights
    "MN0720": "weights are not loaded",
    "MN0721": "weight array does not fit its constant",
    # MN08xx: images and data
    # MN09xx: files and outputs
    "MN0901": "no such file",
    "MN0902": "a file cannot be read",
    "MN0903": "a file is too large for what it should be",
    "MN0904": "a folder in place of a file",
    "MN0905": "no UTF-8 text",
    "MN0906": "an empty file",
    # MN10xx: IR text, verifier and passes
    # MN11xx: targets, budgets and backends
    "MN1101": "unknown target",
    # MN12xx: toolchains
    "MN1210": "PyTorch is not installed",
    # MN13xx: validation
    # MN14xx: command line
}
