TOLERANCE = 1.0  # percentage points of accuracy, unless another is given
