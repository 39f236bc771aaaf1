package ingest

import (
	"context"
	"math"

	"repronet.dev/api"
	"repronet.dev/ledger"
	"repronet.dev/reading"
)

// rule has a version of the rules judge from here on, unless one that is as new does: what
// comes in next is the first that an earlier version would judge otherwise. A ledger in which
// that never happens can be read by programs that do not know the version.
func (in *Ingest) rule(ctx context.Context, version reading.Version) error {
	in.admin.Lock()
	defer in.admin.Unlock()
	if reading.Version(in.roster.RulesAt(math.MaxUint64)) >= version {
		return nil
	}
	body, err := reading.Rules{Version: version}.Encode()
	if err == nil {
		var index uint64
		if index, err = in.append(context.WithoutCancel(ctx), ledger.Rules, body); err == nil {
			in.roster.Judge(index, uint32(version))
			return nil
		}
	}
	in.complain(ctx, "appending to the ledger", err)
	return in.problem(api.ProblemTryLater, "The ledger did not take the document: send it again later.")
}
