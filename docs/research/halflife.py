"""How long a divergence lasts: python3 halflife.py changes.csv halflife.svg (Debian: python3-pandas, python3-matplotlib)"""
import sys
import matplotlib
import pandas
matplotlib.use("svg")

changes = pandas.read_csv(sys.argv[1], parse_dates=["received_at"])  # of repronet-verify rows data changes
changes["until"] = changes.groupby(["ecosystem", "output"]).received_at.shift(-1)
diverged = changes[changes.new_verdict == "diverged"]
lasted = diverged.until.fillna(changes.received_at.max()) - diverged.received_at
ends = diverged.until.notna().groupby(lasted.dt.round("D").dt.days).agg(["sum", "size"])
at_risk = ends["size"][::-1].cumsum()[::-1]
left = (1 - ends["sum"] / at_risk).cumprod()  # Kaplan and Meier: one that still diverges has not ended
half = left[left <= 0.5].index.min()
plot = left.plot(drawstyle="steps-post", ylim=(0, 1), xlabel="days since it diverged", ylabel="share that still diverges")
plot.set_title(f"Half of {len(diverged)} divergences lasted {half} days or less")
plot.figure.savefig(sys.argv[2])
print(half)
