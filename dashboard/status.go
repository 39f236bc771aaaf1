package dashboard

import (
	"time"

	"github.com/gin-gonic/gin"

	"repronet.dev/api"
)

type statusPage struct {
	frame
	Live   liveCounts
	Caught bool // the index has caught up
	Share  string
	Jobs   []jobRow
	Failed int
	// Waiting is how many requests to be enrolled wait; nil: it is not known.
	Waiting *int
}

type jobRow struct {
	Job        Job
	Last, Next moment
	Took       string
}

func (d *Dashboard) status(c *gin.Context) (string, view, error) {
	summary, err := d.source.Summary(c.Request.Context(), "")
	if err != nil {
		return "", nil, err
	}
	now := time.Now()
	v := &statusPage{
		frame:  frame{Title: "Status", Section: "/status", JSON: api.SummaryPath, Indexed: summary.Indexed},
		Live:   newLiveCounts(summary),
		Caught: summary.Indexed >= summary.LedgerSize,
		Share:  percent(summary.Indexed, summary.LedgerSize),
	}
	if d.config.Waiting != nil {
		if n, err := d.config.Waiting(c.Request.Context()); err != nil {
			d.config.Logger.WarnContext(c.Request.Context(), "counting the requests that wait", "error", err)
		} else {
			v.Waiting = &n
		}
	}
	for _, job := range d.config.Jobs() {
		row := jobRow{Job: job, Last: newMoment(job.LastRun, now), Next: newMoment(job.Next, now)}
		if !job.LastRun.IsZero() {
			row.Took = job.Duration.Round(time.Millisecond).String()
		}
		if job.Error != "" {
			v.Failed++
		}
		v.Jobs = append(v.Jobs, row)
	}
	return "status", v, nil
}
