package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// snapshot measures how long all data take to become Parquet files, on a machine of its
// own and beside a server that goes on, and how large they are. The limit is a replay of
// the same entries, without which nobody knows what to write.
func (b *bench) snapshot(ctx context.Context, c *checker, observations int, replayed *ran) error {
	progress("making a snapshot")
	dir := c.path("snapshot")
	made, err := c.run(ctx, "snapshot", "--mirror", c.path("mirror"), dir)
	if err != nil {
		return err
	}
	if made.status != 0 {
		return fmt.Errorf("snapshot ends with status %d", made.status)
	}
	var all, rows int64
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all += info.Size()
		if strings.HasPrefix(path, filepath.Join(dir, "observations")) {
			rows += info.Size()
		}
		return nil
	}); err != nil {
		return err
	}
	bare := "replay of the same entries: " + perSecond(observations, replayed.took, "observations").String()
	b.report.add("snapshot, all processors", perSecond(observations, made.took, "observations"), atLeast(1_000_000), made.costs(observations)+"; "+bare)
	b.report.add("snapshot: observations in Parquet", quantity{float64(rows) / float64(observations), "B/observation"}, atMost(20), fmt.Sprintf("all views: %.1f B/observation", float64(all)/float64(observations)))
	progress("making a snapshot in the server")
	begin := time.Now()
	if _, err := b.filled.Command(ctx, "snapshot"); err != nil {
		return err
	}
	b.report.add("snapshot, by a server, one processor", perSecond(observations, time.Since(begin), "observations"), noGoal(), "")
	return nil
}
