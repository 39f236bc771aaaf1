package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet/attestation"
	"repronet/divergence"
)

// Days returns a scope's counts at the end of each day on which one changed,
// oldest first: of all outputs for "", else of a package set.
func (t *Tables) Days(ctx context.Context, scope string) ([]DayCounts, error) {
	return list(ctx, t.conn, readCounts, `SELECT scope, day, version, unbuilt, single, reproduced, diverged
		FROM counts FINAL WHERE scope = {scope:String} ORDER BY day`, clickhouse.Named("scope", scope))
}

// Counts returns a scope's present counts; zeros where there is no such scope.
func (t *Tables) Counts(ctx context.Context, scope string) (Counts, error) {
	days, err := list(ctx, t.conn, readCounts, `SELECT scope, day, version, unbuilt, single, reproduced, diverged
		FROM counts WHERE scope = {scope:String} ORDER BY day DESC, version DESC LIMIT 1`, clickhouse.Named("scope", scope))
	if err != nil || len(days) == 0 {
		return Counts{}, err
	}
	return days[0].Counts, nil
}

// Names returns what outputs are called, by number.
func (t *Tables) Names(ctx context.Context, outputs []uint32) (map[uint32]OutputName, error) {
	names := make(map[uint32]OutputName, len(outputs))
	if len(outputs) == 0 {
		return names, nil
	}
	for n, err := range scan(ctx, t.conn, readName, `SELECT output, version, ecosystem, key, build, name FROM outputs
		WHERE output IN {outputs:Array(UInt32)} ORDER BY output, version`, clickhouse.Named("outputs", outputs)) {
		if err != nil {
			return nil, fmt.Errorf("reading names of outputs: %w", err)
		}
		names[n.Output] = n
	}
	return names, nil
}

func readName(rows driver.Rows) (n OutputName, err error) {
	return n, rows.Scan(&n.Output, &n.Version, &n.Ecosystem, &n.Key, &n.Build, &n.Name)
}

// Search returns the outputs whose key or build contains text, without regard to
// the case of ASCII letters: those with the greatest numbers.
//
// Rows are read from the end, so a text that many names have is found soon; the
// index of trigrams passes over the names that cannot have a rare one.
func (t *Tables) Search(ctx context.Context, text string, limit int) ([]uint32, error) {
	if strings.Contains(text, "\n") {
		return nil, nil // no name has one; here it stands between two
	}
	pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
	for ask := 2 * limit; ; ask *= 2 { // an output may have several rows; LIMIT BY and DISTINCT would read all
		found, err := list(ctx, t.conn, readNumber, `SELECT output FROM outputs
			WHERE lower(concat(key, '\n', build)) LIKE lower({pattern:String})
			ORDER BY output DESC LIMIT {ask:UInt32} SETTINGS max_threads = 1`,
			clickhouse.Named("pattern", pattern), clickhouse.Named("ask", ask))
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

// OfBuild returns the outputs of a build, by number.
func (t *Tables) OfBuild(ctx context.Context, build attestation.OutputID) ([]uint32, error) {
	return list(ctx, t.conn, readNumber, `SELECT DISTINCT output FROM builds WHERE build = {build:UInt64} ORDER BY output`,
		clickhouse.Named("build", Short(build[:])))
}

// MayHaveDigest returns the outputs for which anybody ever claimed a digest with
// the same first 8 bytes, by number.
func (t *Tables) MayHaveDigest(ctx context.Context, digest attestation.Digest, limit int) ([]uint32, error) {
	return list(ctx, t.conn, readNumber, `SELECT DISTINCT output FROM digests WHERE digest = {digest:UInt64}
		ORDER BY output LIMIT {limit:UInt32}`, clickhouse.Named("digest", Short(digest[:])), clickhouse.Named("limit", limit))
}

// Observations returns the newest claims of an output, in ledger order.
func (t *Tables) Observations(ctx context.Context, output uint32, limit int) ([]Observation, error) {
	return list(ctx, t.conn, func(rows driver.Rows) (o Observation, err error) {
		return o, rows.Scan(&o.Output, &o.Index, &o.Builder, &o.Digest)
	}, `SELECT output, log_index, builder, digest FROM
		(SELECT output, log_index, builder, digest FROM observations WHERE output = {output:UInt32}
		ORDER BY log_index DESC, builder, digest LIMIT 1 BY log_index, builder, digest LIMIT {limit:UInt32}) ORDER BY log_index, builder, digest`,
		clickhouse.Named("output", output), clickhouse.Named("limit", limit))
}

// Withdrawals returns the claims of outputs that were taken back.
func (t *Tables) Withdrawals(ctx context.Context, outputs []uint32) ([]Withdrawal, error) {
	if len(outputs) == 0 {
		return nil, nil
	}
	return list(ctx, t.conn, func(rows driver.Rows) (w Withdrawal, err error) {
		var digest []byte
		err = rows.Scan(&w.Output, &w.Index, &w.Builder, &digest)
		copy(w.Digest[:], digest)
		return w, err
	}, `SELECT output, log_index, builder, digest FROM withdrawn WHERE output IN {outputs:Array(UInt32)}
		ORDER BY output, log_index LIMIT 1 BY output, log_index`, clickhouse.Named("outputs", outputs))
}

// Changes returns the history of an output's verdict, oldest first.
func (t *Tables) Changes(ctx context.Context, output uint32) ([]Change, error) {
	return list(ctx, t.conn, func(rows driver.Rows) (c Change, err error) {
		var from, to uint8
		err = rows.Scan(&c.Output, &c.Index, &from, &to)
		c.Old, c.New = divergence.Verdict(from), divergence.Verdict(to)
		return c, err
	}, `SELECT output, log_index, old, new FROM verdict_changes WHERE output = {output:UInt32}
		ORDER BY log_index LIMIT 1 BY log_index`, clickhouse.Named("output", output))
}

// Failures returns the newest failures of a build, in ledger order.
func (t *Tables) Failures(ctx context.Context, build attestation.OutputID, limit int) ([]Failure, error) {
	return list(ctx, t.conn, func(rows driver.Rows) (f Failure, err error) {
		return f, rows.Scan(&f.Build, &f.Index, &f.Builder)
	}, `SELECT build, log_index, builder FROM
		(SELECT build, log_index, builder FROM failures WHERE build = {build:UInt64} ORDER BY log_index DESC LIMIT 1 BY log_index LIMIT {limit:UInt32})
		ORDER BY log_index`, clickhouse.Named("build", Short(build[:])), clickhouse.Named("limit", limit))
}

// NewestSets returns the newest revision of each package set, by name.
func (t *Tables) NewestSets(ctx context.Context) ([]Set, error) {
	return list(ctx, t.conn, func(rows driver.Rows) (s Set, err error) {
		return s, rows.Scan(&s.Name, &s.Index, &s.Revision, &s.Ecosystem, &s.Members, &s.ReceivedAt)
	}, `SELECT name, log_index, revision, ecosystem, members, received_at FROM sets
		ORDER BY name, log_index DESC LIMIT 1 BY name`)
}

// MembershipsOf returns what the newest revisions of all package sets say of
// outputs, by output and set.
func (t *Tables) MembershipsOf(ctx context.Context, outputs []uint32) ([]Member, error) {
	if len(outputs) == 0 {
		return nil, nil
	}
	return list(ctx, t.conn, readMember, `SELECT `+memberFields+` FROM set_members FINAL
		WHERE set IN (SELECT name FROM sets) AND output IN {outputs:Array(UInt32)} AND until = {newest:UInt64}
		ORDER BY output, set`, clickhouse.Named("outputs", outputs), clickhouse.Named("newest", uint64(Newest)))
}
