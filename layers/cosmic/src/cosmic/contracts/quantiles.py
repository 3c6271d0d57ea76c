"""The quantiles of p(z) that a run states; a rank imports this and not pyarrow."""

QUANTILES = {
    "z_q025": 0.025,
    "z_q05": 0.05,
    "z_q16": 0.16,
    "z_q25": 0.25,
    "z_q50": 0.5,
    "z_q75": 0.75,
    "z_q84": 0.84,
    "z_q95": 0.95,
    "z_q975": 0.975,
}  # columns of p(z) by their probability; 16-84, 05-95 and 025-975 enclose 68, 90 and 95 %
