package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
)

// Days returns a scope's counts at the end of each day on which one changed,
// oldest first: of all outputs for "", else of a package set.
func (t *Tables) Days(ctx context.Context, scope string) ([]DayCounts, error) {
	return list(ctx, t.conn, readCounts, `SELECT scope, day, version, unbuilt, single, reproduced, diverged
		FROM counts FINAL WHERE scope = {scope:String} ORDER BY day`, clickhouse.Named("scope", scope))
}

// Counts returns the present counts of some scopes, by name: none of what is no
// scope.
func (t *Tables) Counts(ctx context.Context, scopes []string) (map[string]Counts, error) {
	counts := make(map[string]Counts, len(scopes))
	for day, err := range scan(ctx, t.conn, readCounts, `SELECT scope, day, version, unbuilt, single, reproduced, diverged
		FROM counts WHERE scope IN {scopes:Array(String)} ORDER BY scope, day DESC, version DESC LIMIT 1 BY scope`,
		clickhouse.Named("scopes", scopes)) {
		if err != nil {
			return nil, fmt.Errorf("reading counts: %w", err)
		}
		counts[day.Scope] = day.Counts
	}
	return counts, nil
}

// Names returns what outputs are called, by number.
func (t *Tables) Names(ctx context.Context, outputs []uint32) (map[uint32]OutputName, error) {
	return many(outputs, func(part []uint32) (map[uint32]OutputName, error) {
		names := make(map[uint32]OutputName, len(part))
		for n, err := range scan(ctx, t.conn, readName, `SELECT output, version, ecosystem, key, build, name FROM outputs
			WHERE output IN {outputs:Array(UInt32)} ORDER BY output, version`, clickhouse.Named("outputs", part)) {
			if err != nil {
				return nil, fmt.Errorf("reading names of outputs: %w", err)
			}
			names[n.Output] = n
		}
		return names, nil
	})
}

func readName(rows driver.Rows) (n OutputName, err error) {
	return n, rows.Scan(&n.Output, &n.Version, &n.Ecosystem, &n.Key, &n.Build, &n.Name)
}

// Search returns the outputs whose key or build contains text, without regard to
// the case of ASCII letters: those with the greatest numbers below one.
//
// Rows are read from the end, so a text that many names have is found soon; the
// index of trigrams passes over the names that cannot have a rare one.
func (t *Tables) Search(ctx context.Context, text string, below uint32, limit int) ([]uint32, error) {
	if strings.Contains(text, "\n") {
		return nil, nil // no name has one; here it stands between two
	}
	pattern := containing(text)
	for ask := 2 * limit; ; ask *= 2 { // an output may have several rows; LIMIT BY and DISTINCT would read all
		found, err := list(ctx, t.conn, readNumber, `SELECT output FROM outputs
			WHERE lower(concat(key, '\n', build)) LIKE lower({pattern:String}) AND output < {below:UInt32}
			ORDER BY output DESC LIMIT {ask:UInt32} SETTINGS max_threads = 1`,
			clickhouse.Named("pattern", pattern), clickhouse.Named("below", below), clickhouse.Named("ask", ask))
		if err != nil {
			return nil, err
		}
		rows := len(found)
		if found = slices.Compact(found); len(found) >= limit || rows < ask {
			return found[:min(len(found), limit)], nil
		}
	}
}

func readNumber(rows driver.Rows) (n uint32, err error) { return n, rows.Scan(&n) }

// OfBuilds returns the first outputs of each of some builds, at most limit of one,
// by the [Short] of the build's ID and by number.
func (t *Tables) OfBuilds(ctx context.Context, builds []attestation.OutputID, limit int) (map[uint64][]uint32, error) {
	return many(builds, func(part []attestation.OutputID) (map[uint64][]uint32, error) {
		outputs := make(map[uint64][]uint32, len(part))
		for p, err := range scan(ctx, t.conn, readPair, `SELECT DISTINCT build, output FROM builds WHERE build IN {hashes:Array(UInt64)}
			ORDER BY build, output LIMIT {limit:UInt32} BY build`, hashes(part), clickhouse.Named("limit", limit)) {
			if err != nil {
				return nil, fmt.Errorf("reading the outputs of builds: %w", err)
			}
			outputs[p.Hash] = append(outputs[p.Hash], p.Output)
		}
		return outputs, nil
	})
}

// CountOfBuild returns how many outputs a build has.
func (t *Tables) CountOfBuild(ctx context.Context, build attestation.OutputID) (n uint64, err error) {
	if err := t.conn.QueryRow(ctx, `SELECT uniqExact(output) FROM builds WHERE build = {build:UInt64}`,
		clickhouse.Named("build", Short(build[:]))).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting the outputs of a build: %w", err)
	}
	return n, nil
}

// MayHaveDigest returns the outputs for which anybody ever claimed a digest with
// the same first 8 bytes, by number.
func (t *Tables) MayHaveDigest(ctx context.Context, digest attestation.Digest, limit int) ([]uint32, error) {
	return list(ctx, t.conn, readNumber, `SELECT DISTINCT output FROM digests WHERE digest = {digest:UInt64}
		ORDER BY output LIMIT {limit:UInt32}`, clickhouse.Named("digest", Short(digest[:])), clickhouse.Named("limit", limit))
}

// Observations returns the newest claims of each of some outputs, at most limit
// of one, by output and in ledger order.
func (t *Tables) Observations(ctx context.Context, outputs []uint32, limit int) (map[uint32][]Observation, error) {
	observations := make(map[uint32][]Observation, len(outputs))
	if len(outputs) == 0 {
		return observations, nil
	}
	for o, err := range scan(ctx, t.conn, func(rows driver.Rows) (o Observation, err error) {
		return o, rows.Scan(&o.Output, &o.Index, &o.Builder, &o.Digest)
	}, `SELECT output, log_index, builder, digest FROM
		(SELECT DISTINCT output, log_index, builder, digest FROM observations WHERE output IN {outputs:Array(UInt32)}
		ORDER BY output, log_index DESC, builder, digest LIMIT {limit:UInt32} BY output) ORDER BY output, log_index, builder, digest`,
		clickhouse.Named("outputs", outputs), clickhouse.Named("limit", limit)) {
		if err != nil {
			return nil, fmt.Errorf("reading observations: %w", err)
		}
		observations[o.Output] = append(observations[o.Output], o)
	}
	return observations, nil
}

// Withdrawals returns the claims of outputs that were taken back.
func (t *Tables) Withdrawals(ctx context.Context, outputs []uint32) ([]Withdrawal, error) {
	var all []Withdrawal
	for part := range slices.Chunk(outputs, maxList) {
		found, err := list(ctx, t.conn, readWithdrawal, `SELECT output, log_index, builder, digest FROM withdrawn
			WHERE output IN {outputs:Array(UInt32)} ORDER BY output, log_index LIMIT 1 BY output, log_index`, clickhouse.Named("outputs", part))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func readWithdrawal(rows driver.Rows) (w Withdrawal, err error) {
	var digest []byte
	err = rows.Scan(&w.Output, &w.Index, &w.Builder, &digest)
	copy(w.Digest[:], digest)
	return w, err
}

// ChangesBefore returns the history of some outputs' verdicts up to a ledger
// index, exclusively: each oldest first.
func (t *Tables) ChangesBefore(ctx context.Context, outputs []uint32, index uint64) (map[uint32][]Change, error) {
	changes := make(map[uint32][]Change, len(outputs))
	if len(outputs) == 0 {
		return changes, nil
	}
	for c, err := range scan(ctx, t.conn, readChange, `SELECT output, log_index, old, new FROM verdict_changes
		WHERE output IN {outputs:Array(UInt32)} AND log_index < {index:UInt64}
		ORDER BY output, log_index LIMIT 1 BY output, log_index`,
		clickhouse.Named("outputs", outputs), clickhouse.Named("index", index)) {
		if err != nil {
			return nil, fmt.Errorf("reading the history of verdicts: %w", err)
		}
		changes[c.Output] = append(changes[c.Output], c)
	}
	return changes, nil
}

func readChange(rows driver.Rows) (c Change, err error) {
	var from, to uint8
	err = rows.Scan(&c.Output, &c.Index, &from, &to)
	c.Old, c.New = divergence.Verdict(from), divergence.Verdict(to)
	return c, err
}

// Failures returns the newest failures of each of some builds, at most limit of
// one, by the [Short] of the build's ID and in ledger order.
func (t *Tables) Failures(ctx context.Context, builds []attestation.OutputID, limit int) (map[uint64][]Failure, error) {
	failures := make(map[uint64][]Failure, len(builds))
	if len(builds) == 0 {
		return failures, nil
	}
	for f, err := range scan(ctx, t.conn, func(rows driver.Rows) (f Failure, err error) {
		return f, rows.Scan(&f.Build, &f.Index, &f.Builder)
	}, `SELECT build, log_index, builder FROM
		(SELECT DISTINCT build, log_index, builder FROM failures WHERE build IN {hashes:Array(UInt64)}
		ORDER BY build, log_index DESC LIMIT {limit:UInt32} BY build) ORDER BY build, log_index`,
		hashes(builds), clickhouse.Named("limit", limit)) {
		if err != nil {
			return nil, fmt.Errorf("reading failures: %w", err)
		}
		failures[f.Build] = append(failures[f.Build], f)
	}
	return failures, nil
}

// NewestSets returns the newest revision of each package set, by name.
func (t *Tables) NewestSets(ctx context.Context) ([]Set, error) {
	return list(ctx, t.conn, readSet, `SELECT name, log_index, revision, ecosystem, members, received_at FROM sets
		ORDER BY name, log_index DESC LIMIT 1 BY name`)
}

func readSet(rows driver.Rows) (s Set, err error) {
	return s, rows.Scan(&s.Name, &s.Index, &s.Revision, &s.Ecosystem, &s.Members, &s.ReceivedAt)
}

// MembershipsOf returns what the newest revisions of all package sets say of
// outputs, by output and set.
func (t *Tables) MembershipsOf(ctx context.Context, outputs []uint32) ([]Member, error) {
	return t.memberships(ctx, outputs, `output IN {outputs:Array(UInt32)}`)
}

// MembershipsWithInputs returns what the newest revisions of all package sets say
// of outputs, and of the inputs that these revisions give the outputs, by output
// and set.
func (t *Tables) MembershipsWithInputs(ctx context.Context, outputs []uint32) ([]Member, error) {
	return t.memberships(ctx, outputs, `(output IN {outputs:Array(UInt32)} OR output IN (
		SELECT arrayJoin(inputs) FROM set_members FINAL
		WHERE set IN (SELECT name FROM sets) AND output IN {outputs:Array(UInt32)} AND until = {newest:UInt64}))`)
}

func (t *Tables) memberships(ctx context.Context, outputs []uint32, which string) ([]Member, error) {
	if len(outputs) == 0 {
		return nil, nil
	}
	return list(ctx, t.conn, readMember, `SELECT `+memberFields+` FROM set_members FINAL
		WHERE set IN (SELECT name FROM sets) AND until = {newest:UInt64} AND `+which+`
		ORDER BY output, set`, clickhouse.Named("outputs", outputs), clickhouse.Named("newest", uint64(Newest)))
}
