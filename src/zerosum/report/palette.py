"""Colours and scales that every chart shares."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#e69f00")
"""Okabe and Ito's palette for colour-blind readers, without its yellow, which is hard to see on white"""
DASHES = ("solid", "dash", "dashdot", "dot")
"""Plotly's names"""
LOG_RATIO = 30
"""Positive values whose largest is more than this many times the smallest are drawn on a logarithmic axis"""
