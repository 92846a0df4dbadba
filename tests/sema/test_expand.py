"""Blocks, loops and tables become operations under stable names."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Module
from mnetdsl.ir.verifier import verify
from mnetdsl.sema import build
from mnetdsl.source import SourceFile

HEAD = "mnet 1\nuse std.blocks { conv_bn, separable, inverted_residual }\n"


def module(body: str, parameters: str = "", **overrides: int | float | bool | str) -> Module:
    text = f"{HEAD}model net({parameters}) {{\n  input image: f32[16, 16, 4]\n{body}\n}}\n"
    return build(SourceFile("net.mnet", text), overrides=overrides).module


def layers(built: Module) -> list[str]:
    return [op.name for op in built.graph.operations if op.opcode != "constant"]


def codes(body: str, parameters: str = "", **overrides: int | float | bool | str) -> list[str]:
    with pytest.raises(MnetError) as caught:
        module(body, parameters, **overrides)
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_a_label_stands_before_the_layers_of_its_block() -> None:
    assert layers(module("x = conv_bn(image, 8) as stem\noutput y = x")) == ["stem.conv", "stem.norm", "stem.relu6"]


def test_a_block_without_label_adds_no_level() -> None:
    assert layers(module("x = separable(image, 8)\noutput y = x"))[:2] == ["depthwise.conv", "depthwise.norm"]


def test_a_table_names_its_iterations() -> None:
    table = (
        "table body {\nchannels repeat\n8 1\n16 2\n}\nx = image\nfor row in body {\nx = conv2d(x, row.channels)\n}\n"
    )
    assert layers(module(table + "output y = x")) == ["body.0.conv2d", "body.1.conv2d", "body.2.conv2d"]


def test_adding_a_layer_elsewhere_renames_nothing() -> None:
    before = set(layers(module("x = separable(image, 8) as a\nx = separable(x, 8) as b\noutput y = x")))
    after = set(
        layers(module("x = separable(image, 8) as a\nx = relu(conv2d(x, 8))\nx = separable(x, 8) as b\noutput y = x"))
    )
    assert before < after


def test_first_is_true_in_the_first_repeat_of_each_row() -> None:
    body = (
        "table body {\nchannels stride repeat\n8 2 2\n8 2 1\n}\nx = image\nfor row in body {\n"
        "x = conv2d(x, row.channels, stride = row.stride if row.first else 1)\n}\noutput y = x"
    )
    strides = [op.attributes["strides"] for op in module(body).graph.operations if op.opcode == "conv2d"]
    assert strides == [(2, 2), (1, 1), (2, 2)]


def test_a_repeat_of_zero_leaves_the_row_out() -> None:
    body = "table body {\nchannels repeat\n8 0\n16 1\n}\nx = image\nfor row in body {\nx = conv2d(x, row.channels)\n}\n"
    assert module(body + "output y = x").graph.outputs[0].value.type.shape == (1, 16, 16, 16)


def test_a_residual_is_added_only_where_shapes_agree() -> None:
    same = module("x = inverted_residual(image, 4)\noutput y = x")
    other = module("x = inverted_residual(image, 8)\noutput y = x")
    assert "add" in layers(same)
    assert "add" not in layers(other)


def test_an_expansion_of_one_has_no_expand_layer() -> None:
    assert layers(module("x = inverted_residual(image, 4, expansion = 1)\noutput y = x"))[0] == "depthwise.conv"


def test_an_output_names_its_layer() -> None:
    assert layers(module("output logits = dense(global_avg_pool(image), 3)"))[-1] == "logits"


def test_overrides_set_parameters_and_ints_become_floats() -> None:
    built = module("output y = conv2d(image, round8(32 * alpha))", "alpha: float = 1.0", alpha=2)
    assert built.graph.outputs[0].value.type.shape[-1] == 64


def test_a_u8_input_is_normalized_as_declared() -> None:
    text = (
        "mnet 1\nmodel net() {\n input image: u8[8, 8, 3] { mean = [1, 2, 3], std = 2 }\n output y = relu(image)\n}\n"
    )
    first = build(SourceFile("net.mnet", text)).module.graph.operations[0]
    assert (first.opcode, first.attributes["mean"], first.attributes["std"]) == ("normalize", (1.0, 2.0, 3.0), (2.0,))


def test_locations_point_at_the_users_line_even_inside_library_blocks() -> None:
    built = module("x = conv_bn(image, 8) as stem\noutput y = x")
    conv = next(op for op in built.graph.operations if op.opcode == "conv2d")
    assert (conv.location.file, conv.location.line) == ("net.mnet", 5)


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        ("same", (0, 1, 0, 1)),
        ("symmetric", (1, 1, 1, 1)),
        ("valid", (0, 0, 0, 0)),
        ("2", (2, 2, 2, 2)),
        ("[1, 2, 3, 4]", (1, 2, 3, 4)),
    ],
)
def test_padding_is_explicit_in_the_ir(padding: str, expected: tuple[int, ...]) -> None:
    built = module(f"output y = conv2d(image, 8, kernel = 3, stride = 2, padding = {padding})")
    assert built.graph.operations[-1].attributes["padding"] == expected


def test_independent_errors_are_all_reported_and_each_cause_once() -> None:
    body = "x = conv2d(imag, 8)\ny = relu(x)\nz = conv2d(image, 8, strides = 2)\noutput w = y + nothing"
    assert codes(body) == ["MN0201", "MN0303", "MN0201"]


def test_an_error_in_a_loop_is_reported_once() -> None:
    assert codes("x = image\nfor i in range(5) {\nx = conv2d(x, 0)\n}\noutput y = x") == ["MN0310"]


def test_an_unknown_name_in_a_branch_not_taken_is_found() -> None:
    assert codes("x = image\nif false {\nx = relu(nothing)\n}\noutput y = x") == ["MN0201"]


def test_a_library_block_blames_the_users_call() -> None:
    with pytest.raises(MnetError) as caught:
        module("x = conv_bn(image, 0) as stem\noutput y = x")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.primary is not None
    assert diagnostic.primary.span.file.path == "net.mnet"
    assert diagnostic.primary.span.line == 5


def test_a_shape_conflict_names_the_layer_that_made_it() -> None:
    with pytest.raises(MnetError) as caught:
        module("y = depthwise_conv2d(image, stride = 2)\noutput z = y + image")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "MN0401"
    assert [label.span.line for label in diagnostic.secondary] == [5]
    assert "16x16 into 8x8" in diagnostic.secondary[0].text


@pytest.mark.parametrize(
    "body",
    [
        "x = 2 ** 60\noutput y = image",
        "x = 10 ** 400\noutput y = image",
        "x = 1e308 * 10\noutput y = image",
        "x = range(1000000)\noutput y = image",
        "for i in range(9999) {\nfor j in range(9999) {\nx = i * j\n}\n}\noutput y = image",
        "output y = conv2d(image, 2000000000)",
        "output y = conv2d(image, 64, kernel = 100000, padding = 100000)",
    ],
)
def test_no_expression_exhausts_the_machine(body: str) -> None:
    assert codes(body)


def test_recursion_is_refused() -> None:
    text = "mnet 1\nblock a(x: tensor) {\n return b(x)\n}\nblock b(x: tensor) {\n return a(x)\n}\n"
    text += "model net() {\n input image: f32[4, 4, 1]\n output y = a(image)\n}\n"
    with pytest.raises(MnetError) as caught:
        build(SourceFile("net.mnet", text))
    assert [d.code for d in caught.value.diagnostics] == ["MN0502"]


NAMED = 'labels = ["sky", "road", "car"]'


@pytest.mark.parametrize("made", ["x", "reshape(x, [256])", "transpose(x, [1, 0])", "concat([x, x], axis = 1)"])
def test_labels_of_indices_name_the_classes_that_argmax_searched(made: str) -> None:
    (port,) = module(f"x = argmax(conv2d(image, 3))\noutput y = {made} {{ {NAMED} }}").graph.outputs
    assert port.attributes["labels"] == ("sky", "road", "car")


def test_labels_of_indices_are_as_many_as_the_classes() -> None:
    with pytest.raises(MnetError, match="MN0614") as caught:
        module(f"output y = argmax(conv2d(image, 4)) {{ {NAMED} }}")
    assert caught.value.diagnostics[0].message == "3 labels for an output of 4 classes"
    body = "x = concat([argmax(conv2d(image, 3)), argmax(image)], axis = 1)\n"
    with pytest.raises(MnetError, match="MN0614") as caught:
        module(f"{body}output y = x {{ {NAMED} }}")
    assert caught.value.diagnostics[0].message == "3 labels for an output of 3 classes and of 4 classes"


@pytest.mark.parametrize("size", [2, 1 << 21])
def test_labels_are_read_with_a_limit_and_without_a_byte_order_mark(tmp_path: Path, size: int) -> None:
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfcat\r\ndog\n" + b"\n" * size)
    body = 'input i: f32[4, 4, 4]\noutput y = dense(flatten(i), 2) { labels = "labels.txt" }\n'
    text = f"{HEAD}model net() {{\n{body}}}\n"
    source = SourceFile(str(tmp_path / "net.mnet"), text)
    if size == 2:
        assert build(source).module.graph.outputs[0].attributes["labels"] == ("cat", "dog")
    else:
        with pytest.raises(MnetError) as caught:
            build(source)
        assert [problem.code for problem in caught.value.diagnostics] == ["MN0616"]


def test_layers_without_weights_never_share_a_name() -> None:
    """Rows of a quantization table and reports name tensors by their layers."""
    loop = "for i in range(2) as twice {\nimage = hard_swish(hard_swish(image))\n}\n"
    body = loop + "a = hard_swish(image)\noutput y = a + relu(a)"
    assert layers(module(body)) == [
        "twice.0.hard_swish",
        "twice.0.hard_swish_2",
        "twice.1.hard_swish",
        "twice.1.hard_swish_2",
        "hard_swish",
        "relu",
        "y",
    ]


def test_a_number_beside_a_tensor_is_a_constant_that_the_text_states() -> None:
    built = module("x = (3 - image) * 0.5 as half\noutput y = x + [1, 2, 3, 4]")
    assert layers(built) == ["sub", "half", "y"]
    values = {name: dict(derivation.attributes)["values"] for name, derivation in built.derived.items()}
    assert values == {"sub.left": (3.0,), "half.right": (0.5,), "y.right": (1.0, 2.0, 3.0, 4.0)}
    shapes = [op.type.shape for op in built.graph.operations if op.opcode == "constant"]
    assert shapes == [(1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 4)]
    assert not built.required()


def test_operations_take_numbers_as_operators_do() -> None:
    built = module("x = sub(1.5, mul(image, 2)) as a\noutput y = add([0, 0, 0, 1], x)")
    assert [op.opcode for op in built.graph.operations if op.opcode != "constant"] == ["mul", "sub", "add"]
    assert list(built.derived) == ["mul.right", "a.left", "y.left"]


def test_equal_names_of_layers_with_numbers_do_not_share_the_numbers() -> None:
    built = module("a = image + 1\nb = conv2d(a, 4) as conv\nc = b + 2\nd = c + 3 as add\noutput y = d")
    assert [dict(derivation.attributes)["values"] for derivation in built.derived.values()] == [(1.0,), (2.0,), (3.0,)]
    verify(built)


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("image + [1, 2, 3]", "MN0401"),
        ("add(1, 2)", "MN0301"),
        ('image * "2"', "MN0307"),
        ("image * true", "MN0307"),
        ("image / 2", "MN0307"),
        ("image + []", "MN0307"),
        ("add(image, [image])", "MN0301"),
        ("image * 1e39", "MN0310"),
    ],
)
def test_what_is_no_number_beside_a_tensor_is_refused(expression: str, code: str) -> None:
    assert codes(f"output y = {expression}") == [code]


def test_layer_norm_has_one_weight_and_one_bias_a_channel() -> None:
    built = module("  x = layer_norm(image, epsilon = 1e-3) as norm\n  output y = layer_norm(x)")
    first, second = (op for op in built.graph.operations if op.opcode == "layer_norm")
    assert (first.name, first.attributes["epsilon"], second.attributes["epsilon"]) == ("norm", 1e-3, 1e-5)
    assert [str(value.type) for value in first.operands[1:]] == ["4 f32", "4 f32"]
    assert [op.attributes["resource"] for op in built.graph.operations if op.opcode == "constant"] == [
        "norm.weight",
        "norm.bias",
        "y.weight",
        "y.bias",
    ]


def test_resize_takes_one_size_or_two_and_a_method() -> None:
    built = module("  x = resize(image, 8)\n  output y = resize(x, [4, 6], method = nearest, align_corners = true)")
    first, second = (op for op in built.graph.operations if op.opcode == "resize")
    assert first.attributes == {
        "size": (8, 8),
        "method": "bilinear",
        "align_corners": False,
        "half_pixel_centers": False,
    }
    assert second.attributes["method"] == "nearest"
    assert str(second.type) == "4x6x4 f32"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("resize(image, 8, method = same)", "MN0310"),
        ("resize(image, 0)", "MN0310"),
        ("resize(image, 8, align_corners = true, half_pixel_centers = true)", "MN0403"),
        ("resize(argmax(image), 8)", "MN0403"),
        ("relu(argmax(image))", "MN0301"),
    ],
)
def test_what_cannot_be_resized_or_computed_from_indices_is_refused(call: str, code: str) -> None:
    assert codes(f"  output y = {call}") == [code]


def test_indices_are_an_output_of_their_own_type() -> None:
    built = module("  output classes = argmax(image)")
    assert str(built.graph.outputs[0].value.type) == "16x16 i32"
