package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"repronet.dev/attestation"
	"repronet.dev/divergence"
)

const (
	judgedFields = `hash, rest, version, output, verdict, previous, since, operators, digests, shape, inputs`
	stateFields  = judgedFields + `, claims`
)

// ErrState says that a row is not one that this package writes.
var ErrState = errors.New("the state of an output is malformed: reindex")

// scanJudged reads the columns of judgedFields, and those behind them into more.
func scanJudged(rows driver.Rows, j *Judged, more ...any) error {
	var hash uint64
	var rest []byte
	var verdict, previous, shape, inputs uint8
	var operators, digests uint32
	columns := []any{&hash, &rest, &j.Version, &j.Output, &verdict, &previous, &j.Since, &operators, &digests, &shape, &inputs}
	if err := rows.Scan(append(columns, more...)...); err != nil {
		return err
	}
	if max(verdict, previous) > uint8(divergence.Diverged) || shape > uint8(divergence.Split) || inputs > uint8(divergence.InputsDiffer) {
		return ErrState
	}
	j.identify(hash, rest)
	j.Previous = divergence.Verdict(previous)
	j.Judgement = divergence.Judgement{
		Verdict: divergence.Verdict(verdict), Shape: divergence.Shape(shape), Inputs: divergence.Inputs(inputs),
		Operators: int(operators), Digests: int(digests),
	}
	return nil
}

// identify puts the columns of an ID together.
func (j *Judged) identify(hash uint64, rest []byte) {
	binary.BigEndian.PutUint64(j.ID[:8], hash)
	copy(j.ID[8:], rest)
}

func readJudged(rows driver.Rows) (*Judged, error) {
	j := &Judged{}
	return j, scanJudged(rows, j)
}

func readState(rows driver.Rows) (*State, error) {
	s := &State{}
	var encoded []byte
	if err := scanJudged(rows, &s.Judged, &encoded); err != nil {
		return nil, err
	}
	return s, s.decodeClaims(encoded)
}

func (s *State) decodeClaims(encoded []byte) error {
	claims, err := divergence.DecodeOutput(encoded)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	s.Claims = *claims
	return nil
}

// Touched returns the states of the outputs that a batch touches, those that
// have one, and perhaps others. Only the index calls it: of what is judged, they
// have the verdict, the one before and since when. The rest would have to be read
// at the same cost, and is judged anew before anything is written.
func (t *Tables) Touched(ctx context.Context, ids []attestation.OutputID) (map[attestation.OutputID]*State, error) {
	if err := t.conn.Exec(ctx, `TRUNCATE TABLE touched`); err != nil {
		return nil, fmt.Errorf("reading states: %w", err)
	}
	columns := []column[attestation.OutputID]{
		col("hash", "UInt64", func(r *attestation.OutputID) uint64 { return Short(r[:]) }),
	}
	if err := insert(ctx, t.conn, "touched", columns, ids); err != nil {
		return nil, err
	}
	return newest(len(ids), scan(ctx, t.conn, readTouched,
		`SELECT hash, rest, version, output, verdict, previous, since, claims FROM verdicts WHERE hash IN (SELECT hash FROM touched)`))
}

func readTouched(rows driver.Rows) (*State, error) {
	s := &State{}
	var hash uint64
	var rest, claims []byte
	var verdict, previous uint8
	if err := rows.Scan(&hash, &rest, &s.Version, &s.Output, &verdict, &previous, &s.Since, &claims); err != nil {
		return nil, err
	}
	if max(verdict, previous) > uint8(divergence.Diverged) {
		return nil, ErrState
	}
	s.identify(hash, rest)
	s.Verdict, s.Previous = divergence.Verdict(verdict), divergence.Verdict(previous)
	return s, s.decodeClaims(claims)
}

// newest keeps the row of the greatest version of each output.
func newest(n int, rows iter.Seq2[*State, error]) (map[attestation.OutputID]*State, error) {
	states := make(map[attestation.OutputID]*State, n)
	for s, err := range rows {
		if err != nil {
			return nil, fmt.Errorf("reading states: %w", err)
		}
		if other, ok := states[s.ID]; !ok || other.Version < s.Version {
			states[s.ID] = s
		}
	}
	return states, nil
}

// States returns the states of outputs, those that have one, and perhaps others.
func (t *Tables) States(ctx context.Context, ids []attestation.OutputID) (map[attestation.OutputID]*State, error) {
	return many(ids, func(part []attestation.OutputID) (map[attestation.OutputID]*State, error) {
		return newest(len(part), scan(ctx, t.conn, readState,
			`SELECT `+stateFields+` FROM verdicts WHERE hash IN {hashes:Array(UInt64)}`, hashes(part)))
	})
}

func hashes(ids []attestation.OutputID) driver.NamedValue {
	hashes := make([]uint64, len(ids))
	for i, id := range ids {
		hashes[i] = Short(id[:])
	}
	return clickhouse.Named("hashes", hashes)
}

// StatesOfBuilder yields the states of all outputs that a builder ever claimed,
// each once.
func (t *Tables) StatesOfBuilder(ctx context.Context, builder uint32) iter.Seq2[*State, error] {
	return scan(ctx, t.conn, readState,
		`SELECT `+stateFields+` FROM verdicts FINAL
		WHERE output IN (SELECT output FROM observations WHERE builder = {builder:UInt32})`,
		clickhouse.Named("builder", builder))
}

// AllStates yields the states of all outputs, each once.
func (t *Tables) AllStates(ctx context.Context) iter.Seq2[*State, error] {
	return scan(ctx, t.conn, readState, `SELECT `+stateFields+` FROM verdicts FINAL`)
}
