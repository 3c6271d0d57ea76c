"""The run page, `report.html`: what went in, what came out, when, and what it cost.

`bins` and `flagged` reduce a catalogue to something small while it passes; `document` is what the
page is made of; `figures`, `timeline` and `page` make it, in a process of its own (`making`).
"""
