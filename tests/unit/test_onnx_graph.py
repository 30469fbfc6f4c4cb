import numpy as np
import onnxruntime
import pytest

from visemix.faces.onnx_graph import keep_outputs
from visemix.faces.retinaface import load_weights

INNER = ["/bbox_head/Reshape_2_output_0", "/ssh3/Relu_output_0"]


def test_inner_results_are_those_of_the_whole_model():
    picture = np.random.default_rng(0).normal(0, 50, (1, 3, 96, 128)).astype(np.float32)
    whole = onnxruntime.InferenceSession(load_weights(), providers=["CPUExecutionProvider"])
    part = keep_outputs(load_weights(), INNER)
    assert len(part) < len(load_weights())
    session = onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == INNER
    boxes, features = session.run(None, {"input": picture})
    assert features.shape == (1, 64, 3, 4)
    np.testing.assert_array_equal(boxes, whole.run(["loc"], {"input": picture})[0][:, -24:])


def test_unknown_names_and_other_files_are_refused():
    with pytest.raises(ValueError, match="no result 'nose'"):
        keep_outputs(load_weights(), ["nose"])
    with pytest.raises(ValueError, match="not a protocol buffer"):
        keep_outputs(b"\x0b\x00", ["nose"])
