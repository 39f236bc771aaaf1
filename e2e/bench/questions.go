package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
	"repronet.dev/dashboard/questions"
)

// questions measures the standard questions, asked in SQL of a snapshot of the stored
// observations, beside a question that reads nothing; and what the overview takes while
// strangers ask, beside what it takes alone.
func (b *bench) questions(ctx context.Context) error {
	progress("making a snapshot in the server")
	if _, err := b.filled.Command(ctx, "snapshot"); err != nil {
		return err
	}
	all, err := questions.All()
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 2 * time.Minute}
	defer client.CloseIdleConnections()
	least, err := b.askSQL(ctx, client, "SELECT 1")
	if err != nil {
		return err
	}
	for _, q := range all {
		progress("asking: %s", q.Title)
		took, err := b.askSQL(ctx, client, q.SQL)
		if err != nil {
			b.report.missing(fmt.Sprintf("question %q, %d stored", q.Name, b.held), err.Error())
			continue
		}
		b.report.add(fmt.Sprintf("question %q, %d stored", q.Name, b.held), milliseconds(took), atMost(2000), "SELECT 1: "+milliseconds(least).String())
	}
	return b.besideQuestions(ctx, client, all[0].SQL)
}

// askSQL returns how long an answer takes: the median of some.
func (b *bench) askSQL(ctx context.Context, client *http.Client, query string) (time.Duration, error) {
	took := make([]time.Duration, 1+min(2, b.requests/200))
	for i := range took {
		begin := time.Now()
		if _, err := fetch(ctx, client, b.filled.URL+api.SQLPath+"?"+url.Values{"q": {query}, "format": {"csv"}}.Encode()); err != nil {
			return 0, err
		}
		took[i] = time.Since(begin)
	}
	return median(took), nil
}

// besideQuestions measures the overview alone, and while questions are asked without a pause.
func (b *bench) besideQuestions(ctx context.Context, client *http.Client, query string) error {
	overview := func(int) string { return "/" }
	alone, err := b.ask(ctx, client, overview)
	if err != nil {
		return err
	}
	asking, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	for range 2 {
		group.Go(func() error {
			for asking.Err() == nil {
				_, _ = b.askSQL(asking, client, query) // one may be told to wait
			}
			return nil
		})
	}
	beside, err := b.ask(ctx, client, overview)
	stop()
	_ = group.Wait() // returns none
	if err != nil {
		return err
	}
	b.report.add("overview, p99, beside questions", milliseconds(p99(beside)), atMost(1.2*milliseconds(p99(alone)).value), "alone: "+milliseconds(p99(alone)).String())
	return nil
}
