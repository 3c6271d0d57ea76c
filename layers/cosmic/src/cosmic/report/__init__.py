"""The run page, `report.html`: what went in, what came out, when, and what it cost.

`histograms`, `cells` and `flagged` reduce a catalogue to something small while it passes, of which
`document` is made. `figures` and its neighbours describe charts; `chart_svg` draws them in the
page, and `paper_figures` the same drawings as PDF and PNG. `page` puts it together, in a process of
its own (`render`).
"""
