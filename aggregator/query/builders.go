package query

import (
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"repronet.dev/aggregator/store"
	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/dashboard"
	"repronet.dev/divergence"
	"repronet.dev/enrolment"
	"repronet.dev/signing"
)

// staleAfter is how much older than the ledger's newest entry a builder's newest
// attestation is when the builder counts as stale.
const staleAfter = 30 * 24 * time.Hour

const (
	maxRecent  = 20
	maxSources = 10
)

// oddities are what is odd about builders, beyond the roster.
type oddities struct {
	asOf    uint64 // of the roll-up that fork, gap and copying are from
	stats   map[uint32]store.BuilderStats
	fork    map[uint32]bool
	gap     map[uint32]bool
	copying map[uint32][]store.Copying // by operator
	newest  time.Time
}

func readOddities(ctx context.Context, t *store.Tables) (*oddities, error) {
	o := &oddities{
		stats: map[uint32]store.BuilderStats{}, fork: map[uint32]bool{}, gap: map[uint32]bool{}, copying: map[uint32][]store.Copying{},
	}
	w, err := t.Watermark(ctx)
	if err != nil {
		return nil, err
	}
	o.newest = w.ReceivedAt
	if o.asOf, err = t.RolledUp(ctx); err != nil {
		return nil, err
	}
	stats, err := t.Builders(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range stats {
		o.stats[s.Builder] = s
	}
	streams, err := t.OddStreams(ctx, o.asOf)
	if err != nil {
		return nil, err
	}
	o.add(streams)
	copying, err := t.Copying(ctx, o.asOf)
	for _, c := range copying {
		if len(o.copying[c.Operator]) < maxSources {
			o.copying[c.Operator] = append(o.copying[c.Operator], c)
		}
	}
	return o, err
}

func (o *oddities) add(streams []store.Stream) {
	for _, s := range streams {
		o.fork[s.Builder] = o.fork[s.Builder] || len(s.Forks) > 0
		o.gap[s.Builder] = o.gap[s.Builder] || s.Missing > 0
	}
}

func (o *oddities) builder(b enrolment.Builder, operators map[uint32]string) dashboard.Builder {
	stats := o.stats[b.Number]
	flags := []api.Flag{}
	flag := func(name api.Flag, is bool) {
		if is {
			flags = append(flags, name)
		}
	}
	flag(api.FlagFork, o.fork[b.Number])
	flag(api.FlagGap, o.gap[b.Number])
	flag(api.FlagStale, !stats.LastSeen.IsZero() && o.newest.Sub(stats.LastSeen) > staleAfter)
	flag(api.FlagRevoked, b.Revoked)
	flag(api.FlagBackDated, b.Revoked && b.RevokedFrom < b.RevokedAt)
	flag(api.FlagCopying, len(o.copying[b.OperatorNumber]) > 0)
	var copying []dashboard.Copying
	for _, c := range o.copying[b.OperatorNumber] {
		copying = append(copying, dashboard.Copying{From: operators[c.Source], Common: c.Common, Same: c.Same})
	}
	return dashboard.Builder{
		ID: string(b.ID), Operator: b.Operator, Tier: api.Tier(b.Tier),
		Attestations: stats.Attestations, Observations: stats.Observations, LastSeen: stats.LastSeen,
		Revoked: b.Revoked, Flags: flags, Copying: copying, AsOf: o.asOf,
	}
}

// operators returns the names of operators, by number.
func (q *Query) operators() map[uint32]string {
	names := map[uint32]string{}
	for b := range q.index.Roster().All() {
		names[b.OperatorNumber] = b.Operator
	}
	return names
}

// Builders implements [dashboard.BuilderSource].
func (q *Query) Builders(ctx context.Context) ([]dashboard.Builder, error) {
	t, release := q.store.Acquire()
	defer release()
	odd, err := readOddities(ctx, t)
	if err != nil {
		return nil, err
	}
	list, operators := []dashboard.Builder{}, q.operators()
	for b := range q.index.Roster().All() {
		list = append(list, odd.builder(b, operators))
	}
	slices.SortFunc(list, func(a, b dashboard.Builder) int {
		return cmp.Or(strings.Compare(a.Operator, b.Operator), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Builder implements [dashboard.BuilderSource].
func (q *Query) Builder(ctx context.Context, id signing.BuilderID) (*dashboard.BuilderDetail, error) {
	b, ok := q.index.Roster().Builder(id)
	if !ok {
		return nil, dashboard.ErrNotFound
	}
	t, release := q.store.Acquire()
	defer release()
	odd, err := readOddities(ctx, t)
	if err != nil {
		return nil, err
	}
	streams, err := t.Streams(ctx, b.Number)
	if err != nil {
		return nil, err
	}
	odd.add(streams) // newer than the roll-up
	verdicts, err := t.BuilderVerdicts(ctx, odd.asOf, b.Number)
	if err != nil {
		return nil, err
	}
	d := &dashboard.BuilderDetail{
		Builder: odd.builder(b, q.operators()), EnrolledAt: b.EnrolledAt,
		Streams: make([]dashboard.Stream, len(streams)), Verdicts: map[api.Verdict]uint64{},
	}
	if b.Key.PublicKey != nil {
		d.PublicKey = string(b.Key.PEM())
	}
	for _, c := range b.Certificates {
		d.Certificates = append(d.Certificates, dashboard.Certificate{
			Project: c.Project, Fingerprint: string(c.Fingerprint), SHA256: c.Certificate.Hex(),
		})
	}
	if k := b.Keyless; k != nil {
		d.Identity = &dashboard.Identity{
			Issuer: k.Rule.Issuer, Subject: k.Rule.Subject, Repository: k.Rule.Repository, TrustedRoot: k.TrustedRoot.Hex(),
		}
	}
	if b.Revoked {
		d.RevokedFrom, d.RevokedAt, d.RevokedReason = &b.RevokedFrom, &b.RevokedAt, b.RevokedReason
	}
	for i, s := range streams {
		d.Streams[i] = dashboard.Stream{
			ID: hex.EncodeToString(s.ID[:]), Statements: s.Statements, Last: s.Last, Missing: s.Missing, Forks: s.Forks,
		}
	}
	for verdict, n := range verdicts {
		if n > 0 {
			d.Verdicts[api.NewVerdict(divergence.Verdict(verdict))] = n
		}
	}
	if err := q.showCopied(ctx, t, d, odd.copying[b.OperatorNumber]); err != nil {
		return nil, err
	}
	d.Recent, err = q.recent(ctx, t, b)
	return d, err
}

// showCopied adds the outputs by which a builder's operator seems to copy.
func (q *Query) showCopied(ctx context.Context, t *store.Tables, d *dashboard.BuilderDetail, copying []store.Copying) error {
	var numbers []uint32
	for _, c := range copying {
		numbers = append(numbers, c.Outputs...)
	}
	slices.Sort(numbers)
	outputs, err := q.outputs(ctx, t, slices.Compact(numbers))
	if err != nil {
		return err
	}
	for i, c := range copying {
		for _, o := range outputs {
			if slices.Contains(c.Outputs, o.number) {
				d.Copying[i].Outputs = append(d.Copying[i].Outputs, o.row)
			}
		}
	}
	return nil
}

// recent returns the first outputs of a builder's newest statements, with how these claims
// stand now.
func (q *Query) recent(ctx context.Context, t *store.Tables, b enrolment.Builder) ([]dashboard.Claim, error) {
	indices, err := t.Recent(ctx, b.Number, maxRecent)
	if err != nil {
		return nil, err
	}
	details, err := q.read(ctx, indices)
	if err != nil {
		return nil, err
	}
	claims, about := []dashboard.Claim{}, []recentClaim{}
	for _, index := range indices {
		d := details[index]
		r, ok := firstClaim(d)
		if !ok {
			continue
		}
		c := claim(q.index.Roster(), b.Number, index, d, r.output)
		c.Output, c.Digest = r.output, r.digest.String()
		if d.evidence != nil {
			c.Kind = string(d.evidence.Kind)
			if s := d.signer(b.ID); s != nil {
				c.SignedOn = s.SignedAt
			}
		}
		r.seen = store.Observation{Index: index, Builder: b.Number, Digest: store.Short(r.digest[:])}
		claims, about = append(claims, c), append(about, r)
	}
	return claims, q.addStandings(ctx, t, claims, about, details)
}

// A recentClaim is what a claim of a list is about.
type recentClaim struct {
	output string
	id     attestation.OutputID
	digest attestation.Digest
	seen   store.Observation
}

// firstClaim returns the first claim of a document, or of a statement that makes one.
func firstClaim(d *detail) (r recentClaim, ok bool) {
	switch {
	case d.evidence != nil && len(d.evidence.Rows) > 0:
		row := d.evidence.Rows[0]
		r.output, r.digest = row.Output, row.Digests[0]
		r.id = attestation.NewOutputID(d.evidence.Ecosystem, row.Output)
	case d.evidence == nil && d.statement.Type == attestation.Rebuild:
		subject := d.statement.Subjects[0]
		r.output, r.digest = subject.Name, subject.Digest
		r.id = attestation.NewOutputID(d.statement.Ecosystem, subject.Name)
	default:
		return r, false
	}
	return r, true
}

// addStandings says of claims how they stand, as on the page of each one's output.
func (q *Query) addStandings(ctx context.Context, t *store.Tables, claims []dashboard.Claim, about []recentClaim, details map[uint64]*detail) error {
	ids := make([]attestation.OutputID, len(about))
	for i := range about {
		ids[i] = about[i].id
	}
	states, err := t.States(ctx, ids)
	if err != nil {
		return err
	}
	var numbers []uint32
	for _, state := range states {
		numbers = append(numbers, state.Output)
	}
	slices.Sort(numbers)
	withdrawals, err := t.Withdrawals(ctx, slices.Compact(numbers))
	if err != nil {
		return err
	}
	var reasons []uint64
	for _, w := range withdrawals {
		if len(reasons) < maxPageDetails && slices.ContainsFunc(about, func(r recentClaim) bool { return r.seen.Builder == w.Builder }) {
			reasons = append(reasons, w.Index)
		}
	}
	slices.Sort(reasons)
	read, err := q.read(ctx, slices.Compact(reasons))
	if err != nil {
		return err
	}
	roster := q.index.Roster()
	for i := range claims {
		state := states[about[i].id]
		if state == nil {
			continue // it never counted: there is nothing that it could stand in
		}
		seen := about[i].seen
		of := slices.DeleteFunc(slices.Clone(withdrawals), func(w store.Withdrawal) bool { return w.Output != state.Output })
		addStanding(&claims[i], seen, &state.Claims, of, read, roster)
		if d := details[seen.Index]; d != nil && d.evidence != nil {
			addDocument(&claims[i], seen, &state.Claims, d, roster)
		}
	}
	return nil
}

// Comparison implements [dashboard.BuilderSource].
func (q *Query) Comparison(ctx context.Context) (*dashboard.Comparison, error) {
	t, release := q.store.Acquire()
	defer release()
	asOf, err := t.RolledUp(ctx)
	if err != nil {
		return nil, err
	}
	pairs, err := t.Agreement(ctx, asOf)
	if err != nil {
		return nil, err
	}
	names := q.operators()
	c := &dashboard.Comparison{AsOf: asOf, Pairs: make([]dashboard.Agreement, len(pairs))}
	for i, p := range pairs {
		c.Pairs[i] = dashboard.Agreement{A: names[p.A], B: names[p.B], Common: p.Common, Agree: p.Agree}
	}
	return c, nil
}
