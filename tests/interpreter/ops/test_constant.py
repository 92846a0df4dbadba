from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.diagnostics import MnetError
from mnetdsl.interpreter import evaluate_op
from mnetdsl.ir.core import Op
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops.constant import Constant


def constant(element: str = "f32") -> Op:
    attributes: dict[str, AttributeValue] = {"resource": "stem.weight", "shape": (2, 3), "element": element}
    return Constant({}, attributes, Location("stem", "net.mnet", 7, 3))


@pytest.mark.parametrize(("element", "dtype"), [("f32", "float32"), ("i8", "int8"), ("i32", "int32")])
def test_is_the_resource(element: str, dtype: str) -> None:
    array = np.arange(6, dtype=dtype).reshape(2, 3)
    assert evaluate_op(constant(element), [], {"stem.weight": array}) is array


def test_missing_resource() -> None:
    with pytest.raises(MnetError) as raised:
        evaluate_op(constant(), [], {})
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == "MN0720"
    assert diagnostic.message == "weights are not loaded: `stem.weight`"
    assert diagnostic.location == "net.mnet:7"
    assert "--weights" in diagnostic.help[0]


@pytest.mark.parametrize("array", [np.zeros((3, 2), np.float32), np.zeros((2, 3), np.float64)])
def test_resource_that_does_not_fit(array: np.ndarray) -> None:
    with pytest.raises(MnetError) as raised:
        evaluate_op(constant(), [], {"stem.weight": array})
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == "MN0721"
    assert diagnostic.message == (
        f"weight `stem.weight` is {list(array.shape)} {array.dtype}, the model needs [2, 3] float32"
    )
    assert diagnostic.location == "net.mnet:7"
    assert "(2, 3)" in diagnostic.help[0]
