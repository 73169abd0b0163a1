"""Words for parameters that several families share: the name on a form, and its help."""

from __future__ import annotations

Label = tuple[str, str]

ELEMENTS: Label = ("Elements", "Number of elements.")
BATCH: Label = ("Batch", "Samples that are worked on together.")
ROWS: Label = ("Rows", "Rows of the matrix or table.")
COLUMNS: Label = ("Columns", "Columns of the matrix.")
ROW_WIDTH: Label = ("Width", "Values in a row.")
IMAGES: Label = ("Images", "Images in one call.")
IMAGE_SIDE: Label = ("Side of the image", "Height and width of the input in pixels.")
SEQUENCE: Label = ("Sequence", "Tokens in a sample.")
LAYER_WIDTH: Label = ("Width of the layers", "Inputs and neurons of each hidden layer.")
