"""Text of a report: a summary in sentences, a table, and both in HTML."""

import textwrap
from html import escape

import numpy as np

__all__ = ["html_of", "summary_of", "table_of", "text_of"]

# Kernel shares from which a training is in the kernel regime, and below which it is
# outside.
_IN_REGIME, _OUTSIDE = 0.95, 0.5
# Root mean square of the initial residuals above which targets are called large.
_LARGE_TARGETS = 1.5
# Characters in a line of the printed report.
_WIDTH = 79


def summary_of(report):
    """Summary in sentences: regime, advice, and whether the bound held."""
    return " ".join(filter(None, [_regime(report), _advice(report), _theorem(report)]))


def _regime(report):
    """Whether the initial kernel explains the training."""
    if np.isnan(report.kernel_share):
        return "Nothing was learned: the outputs are those of the start."
    place = "At the edge of"
    if report.kernel_share >= _IN_REGIME:
        place = "In"
    elif report.kernel_share < _OUTSIDE:
        place = "Outside"
    return (
        f"{place} the kernel regime: {100 * report.end['flipped_gates']:.2g} % of the "
        "gates flipped; the kernel of the start explains "
        f"{100 * max(report.kernel_share, 0):.3g} % of what was learned."
    )


def _advice(report):
    """Advice for a training outside of the kernel regime."""
    if np.isnan(report.kernel_share) or report.kernel_share >= _IN_REGIME:
        return ""
    if report.target_scale > _LARGE_TARGETS:
        return (
            f"The targets are {report.target_scale:.2g} times as large as the outputs at "
            "the start: standardise them, for instance by TransformedTargetRegressor."
        )
    return "Increase width or alpha, or take fewer steps."


def _theorem(report):
    """Whether the theorem's width is reached and its bound held, in a sentence."""
    if report.reason is not None:
        return ""
    reached = "reached" if report.width >= report.theorem_width else "not reached"
    if report.worst_ratio is None:
        return f"The theorem's width is {reached}."
    held = "held at every step" if not report.exceeded.size else "was exceeded"
    return f"The theorem's width is {reached}; its bound {held}."


def table_of(report):
    """Lines of the report, grouped.

    Returns
    -------
    table : dict of str to list of tuple
        For each heading, triples of strings: quantity, observed value, and the value it
        is compared with.
    """
    start, end = report.start, report.end
    kernel = [
        ("lambda_0, limit kernel", _text(report.lambda_0), ""),
        ("lambda_min H(0)", _text(start["lambda_min"]), ""),
        (
            "lambda_min H(T)",
            _text(end["lambda_min"]),
            f"lambda_0 / 2 = {_text(report.lambda_0 / 2)}",
        ),
        (
            "||H(T) - H(0)||",
            _text(end["drift"]),
            f"lambda_0 / 4 = {_text(report.lambda_0 / 4)}",
        ),
        ("cosine of H(T) and H(0)", f"{end['cosine']:.6f}", ""),
        (
            "rank of H(T)",
            str(report.rank),
            f"at most {min(report.n_samples, report.n_weights)}",
        ),
        ("sqrt(2 y' H^-1 y / n)", _text(report.complexity), "in units of y"),
    ]
    if report.factorization == "abc":
        of_bc = ("lambda_0 of the BC network", _text(report.lambda_0_bc), "")
        kernel.insert(1, of_bc)
    radius = f"R = {_text(report.radius)}"
    corollary = f"Corollary 4.1: {_text(report.movement_bound)}"
    if report.factorization == "abc":
        corollary = ""  # it assumes neurons that move independently
    return {
        "Kernel": kernel,
        "Movement": [
            ("largest of a row of B", _text(end["weight_movement"]), corollary),
            ("largest of a row of W", _text(end["neuron_movement"]), radius),
            ("flipped gates", f"{end['flipped_gates']:.3%}", ""),
        ],
        "Foretold by H(0)": _foretold(report),
        "Conditions, constants as 1": [
            ("width m", str(report.width), f"theorem: {_text(report.theorem_width)}"),
            (
                "learning rate",
                _text(report.learning_rate),
                f"theorem: {_text(report.theorem_learning_rate)}",
            ),
            (
                "",
                "",
                f"divergence: 2 / lambda_max = {_text(2 / start['lambda_max'])}",
            ),
        ],
        "Trained parameters, operations a step": [
            (name, f"{parameters:,}", f"{operations:.3g}")
            for name, (parameters, operations) in report.costs.items()
        ],
    }


def _foretold(report):
    """Lines on what gradient descent with the kernel of the start foretells."""
    half = int(np.searchsorted(np.cumsum(report.directions["target"]), 0.5)) + 1
    lines = [
        (
            "directions with half of y",
            str(half),
            f"leading ones, of {report.n_samples}",
        ),
        ("share of what is learned", f"{report.kernel_share:.6f}", ""),
    ]
    if report.curve_share is not None:
        worst = f"worst distance {report.curve_distance:.2%}"
        lines.append(("share of the loss curve", f"{report.curve_share:.6f}", worst))
    return lines


def text_of(report):
    """Summary, table and verdict as plain text."""
    table = table_of(report)
    rows = [row for lines in table.values() for row in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    lines = [textwrap.fill(report.summary, _WIDTH), "", _title(report), ""]
    for heading, group in table.items():
        lines.append(heading)
        lines += [
            f"  {a:<{widths[0]}}  {b:>{widths[1]}}  {c}".rstrip() for a, b, c in group
        ]
    return "\n".join([*lines, "", report.verdict])


def html_of(report):
    """Table for notebooks."""
    body = []
    for heading, group in table_of(report).items():
        body.append(f'<tr><th colspan="3" scope="rowgroup">{escape(heading)}</th></tr>')
        body += [
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in group
        ]
    return (
        f"<p>{escape(report.summary)}</p><table><caption>{escape(_title(report))}</caption>"
        f"<tbody>{''.join(body)}</tbody></table><p>{escape(report.verdict)}</p>"
    )


def _title(report):
    """First line: the network and its sizes."""
    names = {"dense": "Dense", "bc": "BC", "abc": "ABC"}
    inner = f"l = {report.n_components}, " if report.factorization != "dense" else ""
    inner += f"k = {report.effective_width}, " if report.factorization == "abc" else ""
    return (
        f"{names[report.factorization]} network on n = {report.n_samples} rows of "
        f"d = {report.n_inputs} inputs, {inner}m = {report.width}"
    )


def _text(number):
    """Three digits of a number."""
    return f"{number:.3g}"
