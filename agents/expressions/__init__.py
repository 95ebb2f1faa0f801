"""JEXL as the FIWARE IoT agents have it: expressions over the values of a measure, compiled once. Pure.

Source: telefonicaid/iotagent-node-lib, doc/api.md, "Expression language support", and TomFrost/Jexl. Where JavaScript
would make the text "undefined" or NaN of a value that is not there, the result here is None: nothing to store.
"""

from agents.expressions.compilation import Expression, compile_expression

__all__ = ["Expression", "compile_expression"]
