package index

import (
	"context"
	"encoding/hex"
	"slices"

	"repronet.dev/aggregator/store"
	"repronet.dev/enrolment"
)

// tellForks logs each chain of statements that is forked at other places than the
// last roll-up knew. A fork is accepted, as it is evidence; a person has to look why
// one place has two statements: another has the key, or a backup was restored.
func (x *Index) tellForks(ctx context.Context, roster *enrolment.Roster, before, now []store.Stream) {
	for _, s := range now {
		known := slices.ContainsFunc(before, func(b store.Stream) bool {
			return b.Builder == s.Builder && b.ID == s.ID && slices.Equal(b.Forks, s.Forks)
		})
		b, enrolled := roster.ByNumber(s.Builder)
		if len(s.Forks) == 0 || known || !enrolled {
			continue
		}
		x.config.Logger.WarnContext(ctx, "a stream of statements is forked", "builder", b.ID, "operator", b.Operator,
			"stream", hex.EncodeToString(s.ID[:]), "sequences", s.Forks)
	}
}
